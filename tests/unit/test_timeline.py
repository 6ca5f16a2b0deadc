"""The timeline tells what matters, when, and nothing that a terminal would obey."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from councilor.domain.event import Event, EventType, Gap
from councilor.domain.task import TaskHead, TaskState
from councilor.surfaces.cli.timeline import Timeline, head_line

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HEAD = TaskHead(
    task_id="0190", last_seq=40, state=TaskState.COMPLETED, repository="/srv/r", spec_id="X-1",
    title="Fix \x1b[31mit", tier=2, worker="w", decision="accept", commit=None, submitted_at=START,
    updated_at=START,
)  # fmt: skip


def event(at_s: float, type_: EventType, /, **data: Any) -> Event:
    return Event(task_id="0190", seq=1, type=type_, ts=START + timedelta(seconds=at_s), attempt=1, data=data)


def lines(*events: Event | Gap) -> list[str]:
    timeline = Timeline(START)
    return [line for told in events for line in timeline.lines(told)]


def test_phases_have_durations_and_passed_gates_are_counted() -> None:
    assert lines(
        event(0, EventType.TASK_STARTED, sandbox="bubblewrap"),
        event(1.25, EventType.PHASE_STARTED, phase="working", iteration=2),
        event(4, EventType.PHASE_FINISHED, phase="working", iteration=2, duration_s=2.75),
        event(4, EventType.GATE_FINISHED, gate="scope", status="passed", summary=""),
        event(4, EventType.GATE_FINISHED, gate="budget", status="passed", summary=""),
        event(4, EventType.GATE_FINISHED, gate="tests", status="failed", summary="1 of 3 failed"),
        event(5, EventType.COUNCIL_VOTE, judge="scope", voter="", choice="accept", reasons=["It is small.", "x"]),
        event(6, EventType.VERDICT_REACHED, decision="reject", probability=0.25, vetoes=["tests"]),
        event(3600, EventType.TASK_FINISHED, state="rejected", commit=None),
    ) == [
        "      0.0s started by attempt 1, sandbox bubblewrap",
        "      1.2s working, iteration 2",
        "      4.0s   working took 2.8 s",
        "      4.0s gates: 2 passed",
        "      4.0s gate tests: failed, 1 of 3 failed",
        "      5.0s   scope: accept, It is small.",
        "      6.0s verdict: reject (P = 0.250), vetoed by tests",
        "   3600.0s rejected",
    ]


def test_signs_of_life_are_told_when_something_changes_or_after_a_while() -> None:
    def beat(at_s: float, phase: str, done: int, total: int = 9) -> Event:
        return event(at_s, EventType.WORKER_HEARTBEAT, phase=phase, done=done, total=total, line="tests/x")

    told = lines(
        beat(0, "testing", 1), beat(1, "testing", 2), beat(2, "trying", 1, 0),
        beat(3, "trying", 2), beat(13, "trying", 7),
    )  # fmt: skip
    assert [line.split("s ", 1)[1].strip() for line in told] == ["testing 1 of 9", "trying tests/x", "trying 7 of 9"]


def test_lines_of_several_candidates_say_which() -> None:
    (told,) = lines(event(2, EventType.WORKER_OUTPUT, outcome="finished", usage={"tokens": 5}, candidate=2))
    assert told == "      2.0s [2]   the worker finished after 0.0 s, 5 tokens"


def test_a_gap_says_what_is_missing_and_where_the_task_stands() -> None:
    (line,) = lines(Gap(task_id="0190", after=2, floor=39, head=HEAD))
    assert "events 3 to 39 were pruned" in line and "it is completed now" in line


@pytest.mark.parametrize("kind", list(EventType))
def test_nothing_that_a_terminal_obeys_and_one_short_line_whatever_is_told(kind: EventType) -> None:
    bad = "a\x1b[31m\r\nb\u202e" + "x" * 500
    data = {
        "task": {"title": bad, "tier": 1, "worker": bad}, "phase": bad, "sandbox": bad, "worker": bad, "line": bad,
        "done": 1, "total": 2, "ended": bad, "outcome": bad, "gate": bad, "status": "failed", "summary": bad,
        "counts": {bad: 1}, "judge": bad, "voter": bad, "choice": bad, "reasons": [bad], "decision": bad,
        "probability": 0.5, "vetoes": [bad], "failed_gates": [bad], "state": bad, "commit": bad, "error": bad,
        "silent_s": 5.0, "chosen": bad, "candidates": 2, "checkpoint": bad, "approved": True, "by": bad, "kind": bad,
        "text": bad, "channel": bad, "reason": bad, "sla_s": 5, "duration_s": 1.0, "usage": {}, "iteration": 1,
        "base": bad, "onto": bad, "conflicts": [bad], "target": bad, "where": bad, "hint": bad,
    }  # fmt: skip
    found = lines(event(1, kind, **data))
    assert all(line.isprintable() and len(line) < 200 for line in found)
    assert kind in {EventType.ARTIFACT_STORED, EventType.NOTIFICATION_STARTED} or found


def test_data_of_another_release_do_not_end_it() -> None:
    (line,) = lines(event(1, EventType.VERDICT_REACHED, decision="accept", probability="high", votes=[1]))
    assert line == "      1.0s verdict.reached decision accept, probability high"


def test_the_first_line_names_the_task() -> None:
    assert head_line(HEAD) == r"task 0190: Fix \x1b[31mit (tier 2, completed)"
