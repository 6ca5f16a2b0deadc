"""From an artifact to its task's verdict and commit, and to what came of that commit's tree."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tasks import make_task

from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.memory.log import MemoryCheckpointShelf, MemoryTransparencyLog
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.domain.artifact import ArtifactKind
from councilor.domain.codec import encode
from councilor.domain.event import EventType, NewEvent
from councilor.pipeline.ledger import Ledger, trace

TASK, NEXT = "01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000002"
TREE = "b" * 40


class Shop:
    """A task with a spec, a patch and a verdict."""

    def __init__(self, folder) -> None:
        self.clock, self.storage, self.events = FakeClock(), MemoryArtifactStorage(), MemoryEventStream()
        self.ledger = Ledger(
            storage=self.storage, log=MemoryTransparencyLog(self.storage), shelf=MemoryCheckpointShelf(),
            signer=KeyFolder(folder / "keys").signer(), clock=self.clock, ids=SequentialIds(),
            metrics=RecordingMetrics(), version="9.9",
        )  # fmt: skip

    async def record(self, kind: ArtifactKind, name: str, body: bytes = b"{}", *, task=TASK, tree=None, parent=None):
        return await self.ledger.of_task(task, run_id=task).record(kind, name, body, tree=tree, parent=parent)

    async def submit(self, *, commit: str | None) -> None:
        task = make_task(id=TASK, title="Repair", submitted_at=self.clock.now())
        told = [(EventType.TASK_SUBMITTED, {"task": encode(task)})]
        told.append((EventType.TASK_FINISHED, {"state": "completed", "commit": commit}))
        await self.events.append(
            [NewEvent(task_id=TASK, type=type_, ts=self.clock.now(), data=data) for type_, data in told]
        )


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


async def test_the_whole_way(shop):
    before = await shop.record(ArtifactKind.SPEC, "spec", task=NEXT, tree=TREE)
    spec = await shop.record(ArtifactKind.SPEC, "spec", tree="a" * 40)
    await shop.record(ArtifactKind.VERDICT, "verdict/1", b'{"decision": "refine"}', tree="e" * 40, parent=spec)
    verdict = await shop.record(ArtifactKind.VERDICT, "verdict/2", b'{"decision": "accept"}', tree=TREE, parent=spec)
    await shop.record(ArtifactKind.REPORT, "mine", tree=TREE, parent=spec)
    later = [await shop.record(ArtifactKind.SPEC, "spec", task=NEXT, tree=TREE) for _ in range(2)]
    await shop.record(ArtifactKind.SPEC, "spec", task=NEXT, tree="f" * 40)
    await shop.submit(commit="d" * 40)
    traced = await trace(spec, shop.storage, shop.events)
    assert traced.task is not None and (traced.task.title, traced.task.commit) == ("Repair", "d" * 40)
    assert (traced.verdict, traced.decision) == (verdict, "accept"), "the newest verdict"
    assert traced.later == later[::-1] and before not in traced.later and traced.complete


async def test_without_a_commit_nothing_is_later(shop):
    spec = await shop.record(ArtifactKind.SPEC, "spec")
    await shop.record(ArtifactKind.VERDICT, "verdict/1", b'{"decision": "reject"}', tree=TREE, parent=spec)
    await shop.record(ArtifactKind.SPEC, "spec", task=NEXT, tree=TREE)
    await shop.submit(commit=None)
    traced = await trace(spec, shop.storage, shop.events)
    assert (traced.decision, traced.later) == ("reject", ())


async def test_a_task_that_is_not_known_and_has_no_verdict(shop):
    traced = await trace(await shop.record(ArtifactKind.SPEC, "spec"), shop.storage, shop.events)
    assert (traced.task, traced.verdict, traced.decision, traced.later) == (None, None, None, ())


async def test_a_verdict_that_was_altered_says_nothing(shop):
    spec = await shop.record(ArtifactKind.SPEC, "spec")
    verdict = await shop.record(ArtifactKind.VERDICT, "verdict/1", b'{"decision": "reject"}', parent=spec)
    shop.storage._bodies[verdict.output_hash] = b'{"decision": "accept"}'
    assert (await trace(spec, shop.storage, shop.events)).decision is None
    odd = await shop.record(ArtifactKind.VERDICT, "verdict/2", b"[]", parent=spec)
    traced = await trace(spec, shop.storage, shop.events)
    assert (traced.verdict, traced.decision) == (replace(odd), None)


async def test_there_may_be_more(shop):
    spec = await shop.record(ArtifactKind.SPEC, "spec")
    await shop.record(ArtifactKind.VERDICT, "verdict/1", b'{"decision": "accept"}', tree=TREE, parent=spec)
    for _ in range(51):
        await shop.record(ArtifactKind.REPORT, "r", task=NEXT, tree=TREE)
    await shop.submit(commit="d" * 40)
    traced = await trace(spec, shop.storage, shop.events)
    assert len(traced.later) == 50 and not traced.complete
