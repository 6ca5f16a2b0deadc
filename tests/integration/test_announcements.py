"""A task's end is announced once, whatever happens to the task, the process or the one who is told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from journey import TOTAL, branches, make_repository, make_spec, open_journey, repair

from councilor.adapters.memory.engine import MemoryEngine
from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.domain.event import EventType
from councilor.domain.notification import Notification
from councilor.domain.task import TaskState
from councilor.errors import InputError, NotFoundError, UnavailableError
from councilor.pipeline.executor.announcement import announce


@dataclass
class Mailbox:
    """Keeps what it is sent; or raises instead."""

    channel: str = "command"
    error: BaseException | None = None
    got: list[Notification] = field(default_factory=list)

    async def send(self, notification: Notification) -> None:
        if self.error is not None:
            raise self.error
        self.got.append(notification)


def nothing(folder: Path, assignment: Any = None) -> None:
    """What an idle worker does."""


def crash(folder: Path, assignment: Any = None) -> None:
    raise RuntimeError("worker \x1b[31mbroke\x07, password=hunter22")


@pytest.fixture
def announced(tmp_path, shared_environment):
    """Let a task travel with mailboxes; gives the events after `task.submitted` by type, and the journey."""

    async def go(*boxes: Mailbox, act=repair, on=("ended",), metrics=None, title="Repair the total"):
        repository = make_repository(tmp_path / "repo")
        async with open_journey(tmp_path, act, shared=shared_environment, metrics=metrics) as journey:
            journey.parts = replace(journey.parts, notifiers=boxes, notify_on=on)
            task = await journey.task(repository, spec_text=make_spec(title=title))
            raised = None
            try:
                await journey.travel(task)
            except RuntimeError as error:
                raised = error
            events = list(await journey.parts.events.read(task.id, limit=10_000))
            return task, events, journey, raised

    return go


def told(events) -> list[tuple[str, dict[str, Any]]]:
    first = next(index for index, event in enumerate(events) if event.type is EventType.NOTIFICATION_STARTED)
    return [
        (event.type.value, {key: value for key, value in event.data.items() if key != "duration_s"})
        for event in events[first:]
    ]


async def test_an_accepted_task_is_announced_after_its_end(announced):
    box, metrics = Mailbox(), RecordingMetrics()
    task, events, journey, _ = await announced(box, metrics=metrics, title="Repair \x85 the total, token=abcdefgh")
    (message,) = box.got
    head = await journey.parts.events.head(task.id)
    assert (message.reason, message.state, message.decision) == ("accepted", "completed", "accept")
    assert (message.task_id, message.commit) == (task.id, head.commit)
    assert message.branch in branches(Path(task.repository))
    assert message.title == r"Repair \x85 the total, token=***"
    assert f"councilor apply {task.id}" in message.action
    assert message.summary.startswith("accept, P = 0.")
    assert message.iterations == 1 and message.elapsed_s > 0
    assert told(events) == [
        ("notification.started", {"reason": "accepted", "channels": ["command"], "checkpoint": None}),
        ("notification.sent", {"channel": "command", "checkpoint": None}),
    ]
    assert [event.type for event in events].index(EventType.TASK_FINISHED) == len(events) - 3
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert head.state is TaskState.COMPLETED
    assert metrics.value("v3.notification.results", channel="command", outcome="sent") == 1
    await announce(journey.parts, task.id)
    assert len(box.got) == 1, "an end is announced once"


async def test_a_rejected_task_says_why(announced):
    box = Mailbox()
    await announced(box, act=nothing)
    (message,) = box.got
    assert message.reason == "rejected"
    assert "show --why" in message.action
    assert TOTAL in message.summary or "empty" in message.summary or "no change" in message.summary, message.summary


async def test_a_failed_task_is_announced_with_its_error_made_harmless(announced):
    box = Mailbox()
    _, events, _, raised = await announced(box, act=crash)
    assert raised is not None
    (message,) = box.got
    assert message.reason == "failed"
    assert "broke" in message.summary and "hunter22" not in message.summary and message.summary.isprintable()
    assert [kind for kind, _ in told(events)] == ["notification.started", "notification.sent"]


async def test_one_dead_channel_changes_nothing_and_does_not_stop_the_others(announced, caplog):
    dead = Mailbox(channel="webhook", error=UnavailableError("Nobody \x1b[1manswers.", backend="webhook"))
    broken, box, metrics = Mailbox(error=KeyError("defect")), Mailbox(), RecordingMetrics()
    task, events, journey, raised = await announced(dead, broken, box, metrics=metrics)
    assert raised is None
    assert (await journey.parts.events.head(task.id)).state is TaskState.COMPLETED
    assert len(box.got) == 1
    failed = {data["channel"]: data for kind, data in told(events) if kind == "notification.failed"}
    assert failed == {
        "webhook": {"channel": "webhook", "error": "Nobody answers.", "checkpoint": None},
        "command": {"channel": "command", "error": "KeyError: 'defect'", "checkpoint": None},
    }
    assert metrics.value("v3.notification.results", channel="webhook", outcome="failed") == 1
    problems = {record.channel: record.problem for record in caplog.records if hasattr(record, "channel")}
    assert problems == {"webhook": "Nobody answers.", "command": "KeyError: 'defect'"}


async def test_what_is_not_asked_for_is_not_sent(announced):
    box = Mailbox()
    _, events, _, _ = await announced(box, on=("needs_person", "failed"))
    assert box.got == []
    assert events[-1].type is EventType.TASK_FINISHED


async def test_an_announcement_that_was_cut_off_is_not_repeated(announced):
    box = Mailbox()
    task, _, journey, _ = await announced()  # nobody is told yet
    journey.parts = replace(journey.parts, notifiers=[Mailbox(error=Killed())])
    with pytest.raises(BaseExceptionGroup):
        await announce(journey.parts, task.id)
    journey.parts = replace(journey.parts, notifiers=[box])
    await announce(journey.parts, task.id)
    assert box.got == []


async def test_a_cancelled_task_is_announced_and_one_that_has_not_ended_is_not(tmp_path, shared_environment):
    box = Mailbox()
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        journey.parts = replace(journey.parts, notifiers=[box])
        task = await journey.task(make_repository(tmp_path / "repo"))
        await journey.executor.submit(task)
        await announce(journey.parts, task.id)
        await announce(journey.parts, "01900001-0000-7000-8000-000000000001")
        assert box.got == []
        executor = journey.executor
        await executor.start()
        await executor.cancel(task.id)  # it was never begun
        assert [message.reason for message in box.got] == ["cancelled"]
        assert (await journey.parts.events.head(task.id)).state is TaskState.CANCELLED
        with pytest.raises(NotFoundError):
            await executor.cancel("01900001-0000-7000-8000-000000000001")


class Killed(BaseException):
    """The process dies here."""


class DyingAfterTheEnd(MemoryEventStream):
    """Stores the end, and nothing after it while `dying`."""

    dying = True

    async def append(self, events):
        stored = await super().append(events)
        if self.dying and stored[-1].type is EventType.TASK_FINISHED:
            raise Killed
        return stored


async def test_who_settles_a_task_that_was_killed_right_after_its_end_announces_it_once(tmp_path, shared_environment):
    box, events, engine = Mailbox(), DyingAfterTheEnd(), MemoryEngine()
    async with open_journey(tmp_path, shared=shared_environment, events=events, engine=engine) as journey:
        journey.parts = replace(journey.parts, notifiers=[box])
        task = await journey.task(make_repository(tmp_path / "repo"))
        with pytest.raises(Killed):
            await journey.travel(task)
        assert (await events.head(task.id)).state is TaskState.COMPLETED and box.got == []
        events.dying = False
        executor = journey.executor
        await executor.start()
        for _ in range(2):
            await executor.settle(task.id)
        await executor.settle("01900001-0000-7000-8000-000000000001")  # unknown to the engine: nothing begins
        kinds = [event.type for event in await events.read(task.id, limit=10_000)]
    assert [message.reason for message in box.got] == ["accepted"]
    assert kinds.count(EventType.TASK_FINISHED) == kinds.count(EventType.NOTIFICATION_STARTED) == 1


async def test_a_task_whose_base_is_gone_ends_as_failed_and_says_so(tmp_path, shared_environment):
    box = Mailbox()
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        journey.parts = replace(journey.parts, notifiers=[box])
        task = replace(await journey.task(make_repository(tmp_path / "repo")), base_commit="0" * 40)
        with pytest.raises(InputError):
            await journey.travel(task)
        head = await journey.parts.events.head(task.id)
    assert head.state is TaskState.FAILED
    assert [message.reason for message in box.got] == ["failed"]
