"""Who waits for a person says so once, and once more only where nobody knows whether it was said."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.domain.codec import encode
from councilor.domain.event import Checkpoint, EventType, NewEvent
from councilor.domain.notification import Notification, Reason, is_wanted
from councilor.domain.task import RunMode, Task
from councilor.errors import UnavailableError
from councilor.pipeline.executor.announcement import announce, announce_request
from councilor.pipeline.ledger import Ledger
from councilor.ports.notifier import Notifier

ID = "01900001-0000-7000-8000-000000000001"


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Box:
    """Keeps what it is sent, and then fails or dies where that is wanted."""

    channel: str = "command"
    error: BaseException | None = None
    got: list[Notification] = field(default_factory=list)

    async def send(self, notification: Notification) -> None:
        self.got.append(notification)
        if self.error is not None:
            raise self.error


@dataclass
class Desk:
    """A task that waits, and who is told of it."""

    notifiers: list[Notifier]
    notify_on: tuple[str, ...] = ("approval_needed",)
    clock: FakeClock = field(default_factory=FakeClock)
    events: MemoryEventStream = field(default_factory=MemoryEventStream)
    metrics: RecordingMetrics = field(default_factory=RecordingMetrics)
    ledger: Ledger = field(default=cast(Ledger, None))

    async def say(self, type_: EventType, **data: Any) -> None:
        await self.events.append([NewEvent(task_id=ID, type=type_, ts=self.clock.now(), data=data)])

    async def submit(self) -> int:
        task = Task(
            id=ID, repository="/r", base_commit="c", base_tree="t", spec_text="", spec_id="X-1", title="t\x1b[1m",
            tier=1, worker="w", mode=RunMode.STRICT, max_iterations=1, deadline_s=60.0, submitted_at=self.clock.now(),
        )  # fmt: skip
        await self.say(EventType.TASK_SUBMITTED, task=encode(task))
        attempt = await self.events.begin(ID)
        await self.say(EventType.APPROVAL_REQUESTED, checkpoint="work", artifact_id="a", tree="t")
        return attempt

    async def tell(self, attempt: int, checkpoint: Checkpoint = Checkpoint.WORK) -> None:
        await announce_request(self, ID, checkpoint, attempt=attempt)

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        events = await self.events.read(ID)
        return [
            (event.type.value.partition(".")[2], {key: event.data[key] for key in event.data if key != "duration_s"})
            for event in events
            if event.type.value.startswith("notification.")
        ]


async def test_a_request_is_told_once_and_says_how_to_answer() -> None:
    box = Box()
    desk = Desk([box])
    attempt = await desk.submit()
    for _ in range(3):
        await desk.tell(attempt)
    (message,) = box.got
    assert (message.reason, message.checkpoint, message.state) == ("approval_needed", "work", "awaiting_approval")
    assert message.id == f"{ID}-approval_needed-work" and message.title == "t"
    assert message.summary == "It waits for an approval before a worker begins."
    assert f"councilor approve {ID}, or councilor reject {ID} --reason WHY" in message.action
    assert "diff" not in message.action, "there is no change yet"
    assert message.document()["checkpoint"] == "work"
    assert await desk.told() == [
        ("started", {"reason": "approval_needed", "channels": ["command"], "checkpoint": "work"}),
        ("sent", {"channel": "command", "checkpoint": "work"}),
    ]


async def test_another_request_of_the_same_task_is_another_message() -> None:
    box = Box()
    desk = Desk([box])
    attempt = await desk.submit()
    await desk.tell(attempt)
    await desk.say(EventType.APPROVAL_GIVEN, checkpoint="work", approved=True, by="Ada", reason="", artifact_id="b")
    await desk.say(EventType.APPROVAL_REQUESTED, checkpoint="publish", artifact_id="c", tree="t")
    await desk.tell(attempt, Checkpoint.PUBLISH)
    assert [message.checkpoint for message in box.got] == ["work", "publish"]


async def test_who_is_killed_while_it_sends_is_followed_by_one_more_try_and_no_third() -> None:
    box = Box(error=Killed())
    desk = Desk([box])
    await desk.submit()
    for tries in (1, 2, 2, 2):
        attempt = await desk.events.begin(ID)
        try:
            await desk.tell(attempt)
        except BaseExceptionGroup as group:
            assert group.subgroup(Killed) is not None
        assert len(box.got) == tries
    assert len({message.id for message in box.got}) == 1, "a receiver can tell that it is the same"


async def test_an_execution_that_was_taken_over_says_nothing() -> None:
    box = Box()
    desk = Desk([box])
    attempt = await desk.submit()
    await desk.events.begin(ID)
    await desk.tell(attempt)
    assert box.got == [] and await desk.told() == []


@pytest.mark.parametrize("error", [UnavailableError("no \x1b[1mroute", backend="command"), KeyError("a defect")])
async def test_a_failure_is_told_counted_and_not_repeated(error: Exception) -> None:
    dead, box = Box(error=error), Box(channel="webhook")
    desk = Desk([dead, box])
    attempt = await desk.submit()
    for _ in range(2):
        await desk.tell(attempt)
    assert (len(dead.got), len(box.got)) == (1, 1)
    failed = next(data for kind, data in await desk.told() if kind == "failed")
    assert failed["checkpoint"] == "work" and failed["channel"] == "command" and failed["error"].isprintable()
    assert desk.metrics.value("v3.notification.results", channel="command", outcome="failed") == 1


async def test_nothing_is_said_of_what_is_answered_over_or_not_asked_for() -> None:
    box = Box()
    answered, over, unwanted = Desk([box]), Desk([box]), Desk([box], notify_on=("ended", "needs_person"))
    attempt = await answered.submit()
    await answered.say(EventType.APPROVAL_GIVEN, checkpoint="work", approved=True, by="A", reason="", artifact_id="b")
    await answered.tell(attempt)
    attempt = await over.submit()
    await over.say(EventType.TASK_CANCELLED)
    await over.tell(attempt)
    await unwanted.tell(await unwanted.submit())
    assert box.got == []
    assert not is_wanted(Reason.APPROVAL_NEEDED, ["ended"]) and is_wanted(Reason.APPROVAL_NEEDED, ["approval_needed"])


async def test_a_store_that_fails_is_no_failure_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box()
    desk = Desk([box])
    attempt = await desk.submit()

    async def away(events: object) -> None:
        raise UnavailableError("gone", backend="postgres")

    monkeypatch.setattr(desk.events, "append", away)
    await desk.tell(attempt)
    assert box.got == []


async def test_the_end_is_announced_as_well() -> None:
    box = Box()
    desk = Desk([box], notify_on=("ended", "approval_needed"))
    await desk.tell(await desk.submit())
    await desk.say(EventType.TASK_CANCELLED)
    for _ in range(2):
        await announce(desk, ID)
    assert [message.reason for message in box.got] == ["approval_needed", "cancelled"]
    assert box.got[1].checkpoint is None


async def test_a_channel_that_never_answers_can_be_cancelled() -> None:
    class Silent(Box):
        async def send(self, notification: Notification) -> None:
            await Box.send(self, notification)
            await asyncio.Event().wait()

    box = Silent()
    desk = Desk([box])
    telling = asyncio.create_task(desk.tell(await desk.submit()))
    while not box.got:
        await asyncio.sleep(0)
    telling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await telling
