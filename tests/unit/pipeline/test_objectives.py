"""How objectives are kept, counted from event streams."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from tasks import make_task

from councilor.adapters.memory.clock import FakeClock, SequentialIds
from councilor.adapters.memory.events import MemoryEventStream
from councilor.domain.codec import encode
from councilor.domain.event import EventType, NewEvent
from councilor.domain.slo import DAY_S, SLOS, Slo, Tally
from councilor.pipeline.objectives import RecordedTallies, look_at
from councilor.ports.tallies import Asked

CONSENSUS, TASKS = SLOS["consensus-latency"], SLOS["task-completion"]


class Record:
    """A stream of events, written at the times of a clock."""

    def __init__(self) -> None:
        self.clock, self.ids, self.events = FakeClock(), SequentialIds(), MemoryEventStream()
        self.tallies = RecordedTallies(events=self.events, clock=self.clock)

    async def task(self, *consensus_s: float, end: str | None = "completed", verdict_id: str | None = None) -> str:
        task_id = self.ids.new()
        task = make_task(id=task_id, submitted_at=self.clock.now())
        await self.say(task_id, EventType.TASK_SUBMITTED, task=encode(task))
        for seconds in consensus_s:
            await self.say(
                task_id, EventType.VERDICT_REACHED, decision="accept", consensus_s=seconds,
                verdict_id=verdict_id or self.ids.new(),
            )  # fmt: skip
        if end == "failed":
            await self.say(task_id, EventType.TASK_FAILED, error="x")
        elif end == "cancelled":
            await self.say(task_id, EventType.TASK_CANCELLED)
        elif end:
            await self.say(task_id, EventType.TASK_FINISHED, state=end, commit=None)
        return task_id

    async def say(self, task_id: str, type_: EventType, **data: object) -> None:
        await self.events.append([NewEvent(task_id=task_id, type=type_, ts=self.clock.now(), data=data)])

    async def days(self, days: float) -> None:
        await self.clock.advance(timedelta(days=days).total_seconds())

    async def tally(self, slo: Slo, window_s: float | None = None) -> Tally | None:
        (found,) = await self.tallies.tally([Asked(slo=slo, window_s=window_s or slo.window_s)])
        return found


@pytest.fixture
def record() -> Record:
    return Record()


async def test_only_failed_ends_are_bad(record: Record):
    for end in ("completed", "rejected", "undecided", "cancelled", "failed", None):
        await record.task(end=end)
    assert await record.tally(TASKS) == Tally(total=5, bad=1)


async def test_a_verdict_is_late_from_beyond_the_edge(record: Record):
    await record.task(0.1, 5.0, 5.001)
    assert await record.tally(CONSENSUS) == Tally(total=3, bad=1)


async def test_a_verdict_that_was_told_twice_counts_once(record: Record):
    await record.task(9.0, 9.0, verdict_id="v-1")
    assert await record.tally(CONSENSUS) == Tally(total=1, bad=1)


async def test_events_count_in_the_windows_that_they_are_in(record: Record):
    await record.task(end="failed")
    await record.days(2)
    await record.task()
    assert await record.tally(TASKS, DAY_S) == Tally(total=1, bad=0)
    assert await record.tally(TASKS, 3 * DAY_S) == Tally(total=2, bad=1)
    await record.days(29)
    assert await record.tally(TASKS) == Tally(total=1, bad=0)


async def test_a_task_from_before_the_window_counts_when_it_ends_within(record: Record):
    task_id = await record.task(end=None)
    await record.days(3)
    await record.say(task_id, EventType.TASK_FAILED, error="x")
    assert await record.tally(TASKS, DAY_S) == Tally(total=1, bad=1)


async def test_what_no_event_tells_is_unknown_and_no_event_is_none(record: Record):
    assert await record.tally(SLOS["database-errors"]) is None
    assert await record.tally(TASKS) == Tally(total=0, bad=0)


async def test_many_events_of_one_task_are_all_read(record: Record):
    await record.task(*[0.1] * 2100)
    assert await record.tally(CONSENSUS) == Tally(total=2100, bad=0)


class Counted:
    """Tallies that are given."""

    async def tally(self, asked: Sequence[Asked]) -> Sequence[Tally | None]:
        return [_counted(item) for item in asked]


def _counted(item: Asked) -> Tally | None:
    if item.slo is CONSENSUS:
        return None
    return Tally(total=1000, bad=5) if item.window_s == TASKS.window_s else Tally(total=0, bad=0)


async def test_each_objective_gets_its_own_counts():
    unknown, known = await look_at([CONSENSUS, TASKS], Counted())
    assert (unknown.tally, unknown.budget_left, set(unknown.burn_rates.values())) == (None, None, {None})
    assert (known.slo, known.tally) == (TASKS, Tally(total=1000, bad=5))
    assert known.budget_left == pytest.approx(0.5)
    assert set(known.burn_rates.values()) == {None}
