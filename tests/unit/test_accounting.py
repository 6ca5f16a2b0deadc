"""What a task cost, from its events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from councilor.domain.accounting import Effort, Spent, account
from councilor.domain.event import Event, EventType

START = datetime(2026, 1, 1, tzinfo=UTC)


def events(*told: tuple[float, EventType, dict[str, Any]]) -> list[Event]:
    return [
        Event(task_id="t", type=type_, ts=START + timedelta(seconds=after_s), data=data, seq=number)
        for number, (after_s, type_, data) in enumerate(told, start=1)
    ]


SUBMITTED = (0.0, EventType.TASK_SUBMITTED, {"task": {}})
STARTED = (5.0, EventType.TASK_STARTED, {"sandbox": "none"})


def assigned(after_s: float, iteration: int) -> tuple[float, EventType, dict[str, Any]]:
    return after_s, EventType.WORKER_ASSIGNED, {"worker": "w", "iteration": iteration}


def output(after_s: float, **usage: Any) -> tuple[float, EventType, dict[str, Any]]:
    return after_s, EventType.WORKER_OUTPUT, {"iteration": 1, "usage": usage}


def test_rounds_add_up():
    found = account(
        events(
            SUBMITTED,
            STARTED,
            (8.0, EventType.PHASE_FINISHED, {"phase": "preparing", "duration_s": 3.0}),
            assigned(8.0, 1),
            output(10.0, duration_s=2.0, turns=3, tokens=100, cost_usd=0.5),
            (11.0, EventType.VERDICT_REACHED, {"verdict_id": "1", "artifact_id": "v1", "consensus_s": 0.25}),
            assigned(12.0, 2),
            output(14.0, duration_s=1.5, turns=1, tokens=50, cost_usd=0.25),
            (15.0, EventType.VERDICT_REACHED, {"verdict_id": "2", "artifact_id": "v2", "consensus_s": 0.25}),
            (20.0, EventType.TASK_FINISHED, {"state": "completed", "commit": None}),
            (25.0, EventType.NOTIFICATION_SENT, {"channel": "webhook", "duration_s": 5.0}),
        )
    )
    assert found.worker == Spent(seconds=3.5, turns=4, tokens=150, cost_usd=0.75)
    assert (found.iterations, found.interrupted) == (2, 0)
    assert (found.waiting_s, found.preparing_s, found.council_s, found.elapsed_s) == (5.0, 3.0, 0.5, 20.0)
    assert found.ended_at == START + timedelta(seconds=20)
    assert found.verdict_artifact == "v2"


def test_an_interrupted_round_costs_what_its_last_heartbeat_said():
    beat = {"phase": "p", "done": 0, "total": 0, "line": "", "tokens": 70, "cost_usd": 0.1}
    cut = [SUBMITTED, STARTED, assigned(8.0, 1), (9.0, EventType.WORKER_HEARTBEAT, beat)]
    running = account(events(*cut))
    assert (running.worker, running.interrupted) == (Spent(seconds=1.0, tokens=70, cost_usd=0.1), 0)
    assert running.ended_at is None
    again = account(events(*cut, assigned(500.0, 1), output(510.0, duration_s=10.0, tokens=30, cost_usd=0.2)))
    assert again.worker.seconds == 11.0 and again.worker.tokens == 100
    assert abs(again.worker.cost_usd - 0.3) < 1e-9
    assert (again.iterations, again.interrupted) == (1, 1)
    ended = account(events(*cut, (10.0, EventType.TASK_FAILED, {"error": "e", "hint": "h"})))
    assert (ended.interrupted, ended.failure, ended.failure_hint) == (1, "e", "h")


def test_what_a_worker_says_is_not_believed_blindly():
    odd = {"duration_s": -5.0, "turns": True, "tokens": "many", "cost_usd": None}
    assert account(events(SUBMITTED, assigned(1.0, 1), output(2.0, **odd))).worker == Spent()
    assert account(events(SUBMITTED, assigned(1.0, 1), (2.0, EventType.WORKER_OUTPUT, {}))).worker == Spent()
    assert account([]).elapsed_s == 0.0


def of(candidate: int, worker: str, told: tuple[float, EventType, dict[str, Any]]) -> Any:
    return told[0], told[1], told[2] | {"candidate": candidate, "worker": worker}


def test_side_by_side_each_worker_has_what_it_spent_itself():
    beat = {"tokens": 40, "cost_usd": 0.4}
    found = account(
        events(
            SUBMITTED,
            of(1, "a", assigned(10.0, 1)),
            of(2, "b", assigned(11.0, 1)),
            of(2, "b", output(15.0, duration_s=4.0, turns=2, tokens=100, cost_usd=1.0)),
            of(1, "a", output(20.0, duration_s=10.0, turns=1, tokens=7)),
            (21.0, EventType.CANDIDATE_CHOSEN, {"iteration": 1, "chosen": 2, "worker": "b"}),
            of(1, "a", assigned(30.0, 2)),
            of(1, "a", (31.0, EventType.WORKER_HEARTBEAT, beat)),
            of(1, "a", assigned(90.0, 2)),
            of(1, "a", output(92.0, duration_s=2.0, tokens=3)),
            (99.0, EventType.TASK_FINISHED, {"state": "completed", "commit": None}),
        )
    )
    assert found.by_worker["b"] == Effort(
        spent=Spent(seconds=4.0, turns=2, tokens=100, cost_usd=1.0), iterations=frozenset({1})
    )
    assert found.by_worker["a"] == Effort(
        spent=Spent(seconds=13.0, turns=1, tokens=50, cost_usd=0.4), iterations=frozenset({1, 2}), interrupted=1
    )
    assert found.worker == found.by_worker["a"].spent + found.by_worker["b"].spent
    assert found.worked_s == 10.0 + 1.0 + 2.0, "side by side counts once, the time after a crash not at all"
    assert found.makers == {(1, 1): "a", (1, 2): "b", (1, 0): "b", (2, 1): "a"}


def test_what_a_worker_spends_just_now_is_its_own_already():
    beat = {"tokens": 70, "cost_usd": 0.1}
    told = events(SUBMITTED, of(1, "a", assigned(1.0, 1)), of(1, "a", (2.0, EventType.WORKER_HEARTBEAT, beat)))
    assert account(told).by_worker["a"].spent == Spent(seconds=1.0, tokens=70, cost_usd=0.1)
    assert account(told).interrupted == account(told).by_worker["a"].interrupted == 0


def test_a_verdict_that_is_told_again_took_its_time_once_and_the_newest_counts():
    reached = {"verdict_id": "v", "consensus_s": 0.25}
    found = account(
        events(
            SUBMITTED,
            (1.0, EventType.VERDICT_REACHED, reached | {"artifact_id": "a1"}),
            (2.0, EventType.VERDICT_REACHED, {"verdict_id": "w", "consensus_s": 1.0, "artifact_id": "a2"}),
            (3.0, EventType.VERDICT_REACHED, reached | {"artifact_id": "a3"}),
        )
    )
    assert (found.council_s, found.verdict_artifact) == (1.25, "a3")
