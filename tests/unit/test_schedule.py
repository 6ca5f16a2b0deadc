"""What is due, what is next, and which task comes of it: the pure rules of schedules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from scheduling import MINUTE, NOON, ONE, START, TWO, make_schedule

from councilor.domain.cron import due_after, iterate_due
from councilor.domain.schedule import (
    MOST_COUNTED,
    DueOutcome,
    ScheduleHead,
    Settlement,
    begin,
    hold,
    settle,
    take,
    task_id_at,
)

lines = st.sampled_from(["* * * * *", "*/10 * * * *", "0 3 * * 1-5", "15 */6 1,15 * *", "0 0 29 2 *"])
steps = st.lists(st.timedeltas(timedelta(seconds=-30), timedelta(hours=12)), max_size=8)
moments = st.integers(1577836800_000, 2208988800_000).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))
"""From 2020 to 2039."""
ids = st.uuids().map(str)


@given(ids, moments)
def test_a_due_times_task_has_an_id_of_that_time(schedule_id: str, moment: datetime) -> None:
    due = due_after("* * * * *", moment)
    found = UUID(task_id_at(schedule_id, due))
    assert (found.version, found.variant) == (7, "specified in RFC 4122")
    assert found.int >> 80 == int(due.timestamp() * 1000)
    assert str(found) == task_id_at(schedule_id, due) == task_id_at(schedule_id, due)


@given(ids, ids, moments, moments)
def test_two_due_times_never_have_one_task(one: str, other: str, moment: datetime, later: datetime) -> None:
    first, second = due_after("* * * * *", moment), due_after("* * * * *", later)
    same = (one, first) == (other, second)
    assert (task_id_at(one, first) == task_id_at(other, second)) == same


@settings(deadline=None, max_examples=60)  # days of minutes take their time on a busy machine
@given(lines, moments, steps, st.sampled_from(DueOutcome))
def test_every_due_time_is_given_once_or_counted_as_missed(
    cron: str, began: datetime, jumps: list[timedelta], outcome: DueOutcome
) -> None:
    """However the clock goes, and it may go back."""
    head, now = begin(make_schedule(cron=cron), began), began
    given_: list[datetime] = []
    passed = 0
    for jump in jumps:
        now += jump
        while (found := take(head, now, ONE)) is not None:
            head, due = found
            assert due.due_at <= now < head.next_due
            assert due.late_s == (now - due.due_at).total_seconds()
            given_.append(due.due_at)
            passed += due.passed
            after = settle(head, due.due_at, Settlement(outcome=outcome))
            assert after is not None
            head = after
    assert given_ == sorted(set(given_))
    all_due = list(takewhile(lambda moment: moment < head.next_due, iterate_due(cron, began)))
    if len(all_due) < MOST_COUNTED:
        assert len(all_due) == len(given_) + passed
    assert set(given_) <= set(all_due)
    counted = {DueOutcome.SUBMITTED: head.record.submitted, DueOutcome.SKIPPED: head.record.skipped,
               DueOutcome.MISSED: head.record.missed - passed, DueOutcome.FAILED: head.record.failed}  # fmt: skip
    assert counted[outcome] == len(given_)


def _head(**changes: str) -> ScheduleHead:
    return begin(make_schedule(**changes), START)


def test_a_taken_due_time_is_given_again_until_it_is_settled() -> None:
    found = take(_head(), NOON, ONE)
    assert found is not None
    head, due = found
    again = take(head, NOON + 30 * MINUTE, TWO)
    assert again is not None and (again[1].due_at, again[1].takes, again[1].passed) == (NOON, 2, 0)
    settled = settle(again[0], NOON, Settlement(outcome=DueOutcome.SUBMITTED))
    assert settled is not None and (settled.record.takes, settled.record.last_task_id) == (0, due.task_id)
    assert settle(settled, NOON, Settlement(outcome=DueOutcome.FAILED)) is None
    assert settle(head, NOON + MINUTE, Settlement(outcome=DueOutcome.FAILED)) is None


def test_a_year_of_minutes_is_not_counted_to_its_end() -> None:
    found = take(_head(cron="* * * * *"), NOON + timedelta(days=365), ONE)
    assert found is not None
    head, due = found
    assert (due.passed, due.due_at) == (MOST_COUNTED, NOON + timedelta(days=365))
    assert head.next_due == due.due_at + MINUTE


def test_what_comes_due_during_a_pause_is_left_out() -> None:
    paused = hold(_head(), START, paused=True)
    assert take(paused, NOON + 99 * MINUTE, ONE) is None
    assert hold(paused, NOON, paused=True) == paused
    resumed = hold(paused, NOON + 25 * MINUTE, paused=False)
    assert (resumed.paused, resumed.next_due, resumed.record.missed) == (False, NOON + 30 * MINUTE, 0)
    assert hold(paused, START, paused=False).next_due == NOON
    assert hold(paused, START - timedelta(days=9), paused=False).next_due == NOON, "the clock was set back"
