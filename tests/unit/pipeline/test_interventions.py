"""What people can do to a task: what is stored of it, what the queue is told, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from journey import DurableMemory
from tasks import make_task

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.memory.log import MemoryCheckpointShelf, MemoryTransparencyLog
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.memory.queue import MemoryTaskQueue
from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.codec import encode
from councilor.domain.event import Checkpoint, EventType, NewEvent
from councilor.domain.intervention import Extension
from councilor.domain.queue import QueueEntry
from councilor.domain.task import RunMode, TaskState
from councilor.errors import InputError, NotFoundError
from councilor.pipeline.interventions import Intervened, Interventions, read_steering
from councilor.pipeline.ledger import Ledger

ID = "01900001-0000-7000-8000-000000000001"


class Desk:
    """One task in a queue, and a person beside it."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.events, self.metrics = FakeClock(), MemoryEventStream(), RecordingMetrics()
        self.queue = MemoryTaskQueue(self.events, clock=self.clock)
        self.storage: MemoryArtifactStorage = DurableMemory()
        keys = KeyFolder(folder / "keys")
        self.ledger = Ledger(
            storage=self.storage, log=MemoryTransparencyLog(self.storage), shelf=MemoryCheckpointShelf(),
            signer=keys.signer(), clock=self.clock, ids=SequentialIds(), metrics=self.metrics, version="1",
            verifier=keys,
        )  # fmt: skip
        self.do = Interventions(
            events=self.events, queue=self.queue, ledger=self.ledger, clock=self.clock, metrics=self.metrics
        )

    async def say(self, type_: EventType, **data: Any) -> None:
        await self.events.append([NewEvent(task_id=ID, type=type_, ts=self.clock.now(), data=data)])

    async def state(self) -> TaskState:
        head = await self.events.head(ID)
        assert head is not None
        return head.state

    async def held(self) -> bool:
        entry = await self.queue.find(ID)
        assert entry is not None
        return entry.paused

    async def said(self) -> list[dict[str, Any]]:
        return [dict(event.data) for event in await self.events.read(ID) if event.type is EventType.INTERVENTION]

    async def ask(self, checkpoint: str) -> ExecutionArtifact:
        spec = await self.ledger.of_task(ID, run_id=ID).record(ArtifactKind.SPEC, "spec", b"id: X", tree="t" * 40)
        await self.say(EventType.APPROVAL_REQUESTED, checkpoint=checkpoint, artifact_id=spec.id, tree=spec.tree)
        await self.queue.hold(ID, paused=True)
        return spec


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    task = make_task(id=ID, tier=2, mode=RunMode.STRICT, submitted_at=made.clock.now())
    await made.say(EventType.TASK_SUBMITTED, task=encode(task))
    await made.queue.add(QueueEntry(task_id=ID, repository="/r", tier=2, enqueued_at=made.clock.now()))
    return made


async def test_pausing_holds_the_task_in_the_queue_and_resuming_lets_it_go(desk: Desk) -> None:
    paused = Intervened(task_id=ID, did="pause", changed=True, state=TaskState.PAUSED)
    assert await desk.do.pause(ID, by="Ada", reason="lunch") == paused
    assert not (await desk.do.pause(ID, by="Bob")).changed
    assert await desk.held()
    steering = await read_steering(desk.events, ID)
    assert (steering.paused_by, steering.reason) == ("Ada", "lunch")
    assert (await desk.do.resume(ID, by="Ada")).state is TaskState.SUBMITTED
    assert not (await desk.do.resume(ID, by="Ada")).changed
    assert not await desk.held()
    assert [said["kind"] for said in await desk.said()] == ["pause", "resume"]


async def test_a_cancelled_task_leaves_the_queue_is_counted_once_and_takes_nothing_more(desk: Desk) -> None:
    assert (await desk.do.cancel(ID, by="Ada", reason="no need")).state is TaskState.CANCELLED
    assert not (await desk.do.cancel(ID, by="Ada")).changed
    assert await desk.queue.find(ID) is None
    assert desk.metrics.value("v3.task.finished", state="cancelled", risk_tier="2") == 1
    for act in (
        desk.do.pause(ID, by="Ada"), desk.do.resume(ID, by="Ada"), desk.do.guide(ID, "x", by="Ada"),
        desk.do.extend(ID, Extension(iterations=1), by="Ada"), desk.do.reprioritise(ID, 1, by="Ada"),
        desk.do.approve(ID, by="Ada"), desk.do.reject(ID, by="Ada", reason="r"),
    ):  # fmt: skip
        with pytest.raises(InputError, match="it has ended"):
            await act


async def test_what_makes_no_sense_is_refused_and_stores_nothing(desk: Desk) -> None:
    before = len(await desk.events.read(ID))
    for act, why in (
        (desk.do.pause(ID, by=""), "by must have"),
        (desk.do.pause(ID, by="Ada", reason="x" * 4001), "reason must have"),
        (desk.do.guide(ID, "", by="Ada"), "text must have"),
        (desk.do.guide(ID, "a\0b", by="Ada"), "NUL"),
        (desk.do.extend(ID, Extension(), by="Ada"), "Nothing is extended"),
        (desk.do.reprioritise(ID, 101, by="Ada"), "out of range"),
        (desk.do.approve(ID, by="Ada"), "waits for no approval"),
        (desk.do.reject(ID, by="Ada", reason=""), "reason must have"),
        (desk.do.pause("01900001-0000-7000-8000-00000000ffff", by="Ada"), "There is no task"),
    ):
        with pytest.raises((InputError, NotFoundError), match=why):
            await act
    await desk.queue.remove(ID)
    with pytest.raises(NotFoundError, match="not in the queue"):
        await desk.do.reprioritise(ID, 1, by="Ada")
    assert len(await desk.events.read(ID)) == before


async def test_guidance_extensions_and_priorities_are_events(desk: Desk) -> None:
    await desk.do.guide(ID, "use a set", by="Ada")
    await desk.do.extend(ID, Extension(deadline_s=60.0, tokens=5), by="Ada", reason="it is big")
    assert (await desk.do.reprioritise(ID, 7, by="Ada")).changed
    assert not (await desk.do.reprioritise(ID, 7, by="Ada")).changed
    assert await desk.said() == [
        {"kind": "guide", "by": "Ada", "reason": "", "text": "use a set"},
        {"kind": "extend", "by": "Ada", "reason": "it is big", "deadline_s": 60.0, "tokens": 5},
        {"kind": "reprioritise", "by": "Ada", "reason": "", "priority": 7},
    ]
    entry = await desk.queue.find(ID)
    assert entry is not None and entry.priority == 7


@pytest.mark.parametrize("approved", [True, False])
async def test_an_answer_is_a_signed_statement_about_what_was_asked(desk: Desk, approved: bool) -> None:
    spec = await desk.ask("work")
    assert await desk.state() is TaskState.AWAITING_APPROVAL
    answer = desk.do.approve if approved else desk.do.reject
    done = await answer(ID, by="Ada", reason="because")
    assert done.artifact_id is not None
    artifact = await desk.storage.get(done.artifact_id)
    assert artifact is not None and (artifact.kind, artifact.parent_id) == (ArtifactKind.APPROVAL, spec.id)
    assert (await desk.ledger.log.entries([artifact.id])).keys() == {artifact.id}, "it is in the log"
    approval = (await read_steering(desk.events, ID)).approvals[Checkpoint.WORK]
    assert (approval.approved, approval.by, approval.reason, approval.artifact_id) == (
        approved, "Ada", "because", artifact.id,
    )  # fmt: skip
    assert not await desk.held()
    with pytest.raises(InputError, match="waits for no approval"):
        await desk.do.approve(ID, by="Bob")


async def test_a_paused_task_that_waits_for_an_approval_goes_on_when_it_has_both(desk: Desk) -> None:
    await desk.ask("publish")
    await desk.do.pause(ID, by="Ada")
    await desk.do.resume(ID, by="Ada")
    assert (await desk.state(), await desk.held()) == (TaskState.AWAITING_APPROVAL, True)
    await desk.do.pause(ID, by="Ada")
    await desk.do.approve(ID, by="Ada")
    assert (await desk.state(), await desk.held()) == (TaskState.PAUSED, True)
    await desk.do.resume(ID, by="Ada")
    assert (await desk.state(), await desk.held()) == (TaskState.DELIBERATING, False)
