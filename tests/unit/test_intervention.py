"""What follows from a stream with interventions in it: the state, the time, and what people have said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasks import make_task

from councilor.domain.codec import encode
from councilor.domain.event import Checkpoint, Event, EventType, InterventionKind, fold
from councilor.domain.intervention import Extension, Steering, require_extension, require_words, steer
from councilor.domain.task import RunMode, TaskHead, TaskState
from councilor.errors import InputError

START = datetime(2026, 1, 2, tzinfo=UTC)
TASK = make_task(id="01900001-0000-7000-8000-000000000001", tier=2, mode=RunMode.STRICT, submitted_at=START)
PHASES = [TaskState.PREPARING, TaskState.WORKING, TaskState.CHECKING, TaskState.DELIBERATING, TaskState.PUBLISHING]

Said = tuple[EventType, dict[str, Any]]


def phase(state: TaskState) -> Said:
    return EventType.PHASE_STARTED, {"phase": state.value}


def said(kind: str, **data: Any) -> Said:
    return EventType.INTERVENTION, {"kind": kind, "by": "Ada", "reason": "", **data}


def asked(checkpoint: str) -> Said:
    return EventType.APPROVAL_REQUESTED, {"checkpoint": checkpoint, "artifact_id": "a"}


def answered(checkpoint: str, approved: bool = True, by: str = "Ada") -> Said:
    data = {"checkpoint": checkpoint, "approved": approved, "by": by, "reason": "r", "artifact_id": "s"}
    return EventType.APPROVAL_GIVEN, data


STARTED: Said = (EventType.TASK_STARTED, {})


def events(*happened: Said, seconds: Sequence[float] | None = None) -> list[Event]:
    submitted: Said = (EventType.TASK_SUBMITTED, {"task": encode(TASK)})
    times = seconds if seconds is not None else range(len(happened))
    made = zip([0.0, *times], [submitted, *happened], strict=True)
    return [
        Event(task_id=TASK.id, seq=seq, type=type_, ts=START + timedelta(seconds=at), data=data)
        for seq, (at, (type_, data)) in enumerate(made, start=1)
    ]


def head_of(*happened: Said) -> TaskHead:
    head: TaskHead | None = None
    for event in events(*happened):
        head = fold(head, event)
    assert head is not None
    return head


def steering_of(*happened: Said, seconds: Sequence[float] | None = None) -> Steering:
    return reduce(steer, events(*happened, seconds=seconds), Steering())


MOVES = st.lists(
    st.one_of(
        st.sampled_from(PHASES).map(phase),
        st.sampled_from(list(Checkpoint)).map(asked),
        st.sampled_from(list(Checkpoint)).map(answered),
    ),
    max_size=12,
)
PAUSES = st.lists(st.sampled_from([said("pause"), said("resume"), said("guide", text="x")]), max_size=12)


@given(MOVES, st.lists(PAUSES, min_size=13, max_size=13))
def test_pausing_and_resuming_never_loses_a_state(moves: list[Said], pauses: list[list[Said]]) -> None:
    """Whatever is paused in between: resumed at the end, the task stands where it would stand without."""
    mixed = [*pauses[0]]
    for move, more in zip(moves, pauses[1:], strict=False):
        mixed += [move, *more]
    plain, steered = head_of(*moves), head_of(*mixed, said("resume"))
    assert (steered.state, steered.resumes) == (plain.state, None)
    paused = head_of(*mixed, said("pause"))
    assert (paused.state, paused.resumes) == (TaskState.PAUSED, plain.state)


@given(MOVES, st.sampled_from([TaskState.COMPLETED, TaskState.REJECTED, TaskState.UNDECIDED]))
def test_an_end_is_an_end_however_the_task_was_paused(moves: list[Said], end: TaskState) -> None:
    finished: Said = (EventType.TASK_FINISHED, {"state": end.value, "commit": None})
    assert (head_of(*moves, said("pause"), finished).state, head_of(*moves, finished).resumes) == (end, None)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.sampled_from(["pause", "resume"])), max_size=20), st.floats(0, 1e6))
def test_time_is_spent_or_stood_and_never_both(changes: list[tuple[float, str]], later_s: float) -> None:
    times = sorted(at for at, _ in changes)
    happened = [STARTED, *(said(kind) for _, kind in changes)]
    steering = steering_of(*happened, seconds=[0.0, *times])
    end_s = (times[-1] if times else 0.0) + later_s
    spent_s, paused, since_s = 0.0, False, 0.0
    for at, (_, kind) in zip(times, changes, strict=True):
        if kind == "pause" and not paused:
            spent_s, paused = spent_s + at - since_s, True
        elif kind == "resume" and paused:
            paused, since_s = False, at
    spent_s += 0.0 if paused else end_s - since_s
    assert steering.spent_s(START + timedelta(seconds=end_s)) == pytest.approx(spent_s, abs=1e-3)


def test_time_runs_from_the_first_start_over_all_executions() -> None:
    now = START + timedelta(seconds=100)
    assert steering_of(said("pause"), said("resume")).spent_s(now) == 0.0
    again = steering_of(STARTED, phase(TaskState.WORKING), STARTED, seconds=[10, 20, 90])
    assert again.spent_s(now) == 90.0
    assert again.spent_s(START - timedelta(days=1)) == 0.0, "a clock that was set back"
    waited = steering_of(
        STARTED, asked("work"), said("pause"), answered("work"), said("resume"), seconds=[10, 20, 30, 40, 60]
    )
    assert waited.spent_s(now) == 50.0
    held = steering_of(said("pause"), STARTED, said("resume"), seconds=[1, 10, 50])
    assert held.spent_s(now) == 50.0


def told(seconds: float) -> Said:
    return EventType.WORKER_HEARTBEAT, {"phase": "editing", "spent_s": seconds}


def test_what_the_executing_process_told_counts_whatever_wall_clocks_say() -> None:
    now, day_s = START + timedelta(seconds=100), 86_400.0
    assert steering_of(STARTED, told(7.0), seconds=[10, 80]).spent_s(now) == 27.0
    ahead = steering_of(STARTED, told(7.0), seconds=[10, 80 + day_s])
    assert ahead.spent_s(now) == 7.0, "it jumped ahead before it was taken over: nothing told is lost"
    behind = steering_of(STARTED, told(7.0), seconds=[10, 80 - day_s])
    assert behind.spent_s(now) == 67.0, "it jumped back, or nobody executed it for a day: a minute at most"
    jumped = steering_of(STARTED, told(7.0), told(9.0), seconds=[10, 20 + day_s, 95])
    assert jumped.spent_s(now) == 14.0, "there and back"


def test_what_stood_still_after_it_was_told_is_not_spent() -> None:
    now = START + timedelta(seconds=100)
    paused = steering_of(STARTED, told(7.0), said("pause"), said("resume"), seconds=[0, 30, 40, 90])
    assert paused.spent_s(now) == 7.0 + 10 + 10
    stands = steering_of(STARTED, said("pause"), told(7.0), seconds=[0, 30, 40])
    assert stands.spent_s(now) == 7.0
    assert (
        steering_of(STARTED, told(7.0), said("pause"), told(8.0), said("resume"), seconds=[0, 1, 2, 3, 95]).spent_s(now)
        == 13.0
    )


def test_the_first_answer_counts_and_one_that_nobody_asked_for_does_not() -> None:
    assert steering_of(answered("publish")).approvals == {}
    steering = steering_of(
        asked("publish"), answered("publish", False, "Ada"), answered("publish", True, "Bob"), asked("publish")
    )
    approval = steering.approvals[Checkpoint.PUBLISH]
    assert (approval.approved, approval.by, steering.awaiting) == (False, "Ada", None)
    assert head_of(answered("work")).state is TaskState.SUBMITTED


def test_words_and_extensions_add_up_in_order() -> None:
    steering = steering_of(
        said("guide", text="one"), said("extend", deadline_s=5.5, iterations=1), said("guide", text="two"),
        said("extend", tokens=10, cost_usd=0.5, iterations=2), said("reprioritise", priority=3),
    )  # fmt: skip
    assert [guide.text for guide in steering.guides] == ["one", "two"]
    assert [guide.text for guide in steering.waiting_guides(steering.guides[0].seq)] == ["two"]
    assert steering.extension == Extension(deadline_s=5.5, iterations=3, tokens=10, cost_usd=0.5)


def test_a_task_that_was_never_begun_is_so_when_it_is_paused() -> None:
    assert not head_of().begun and not head_of(said("pause")).begun
    assert head_of(phase(TaskState.PREPARING), said("pause")).begun
    assert replace(head_of(), attempt=1).begun


def test_too_many_words_and_senseless_extensions_are_refused() -> None:
    for given_ in (
        Extension(),
        Extension(iterations=-1),
        Extension(deadline_s=float("nan")),
        Extension(cost_usd=1e300),
        Extension(tokens=10**400),
    ):
        with pytest.raises(InputError):
            require_extension(given_)
    for text in ("", "x" * 4001, "a\0b"):
        with pytest.raises(InputError):
            require_words(text, "reason")
    assert {kind.value for kind in InterventionKind} == {
        "pause", "resume", "cancel", "override", "guide", "reprioritise", "extend",
    }  # fmt: skip
