"""Old events of ended tasks go, and no figure that is read from events changes by it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tasks import make_task

from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.events import MemoryEventStream
from councilor.domain.accounting import account
from councilor.domain.codec import encode
from councilor.domain.event import STILL, EventType, NewEvent, find_passing, fold
from councilor.domain.keeping import LegalHold
from councilor.domain.slo import SLOS
from councilor.pipeline.ledger import PrunedEvents, prune_events
from councilor.pipeline.objectives import Asked, RecordedTallies

DAY_S = 86_400.0
USAGE = {"duration_s": 3.0, "turns": 2, "tokens": 70, "cost_usd": 0.5}
LIFE: list[tuple[EventType, dict[str, Any]]] = [
    (EventType.TASK_STARTED, {"sandbox": "none"}),
    (EventType.PHASE_STARTED, {"phase": "preparing"}),
    (EventType.PHASE_FINISHED, {"phase": "preparing", "duration_s": 1.5}),
    (EventType.PHASE_STARTED, {"phase": "working", "iteration": 1}),
    (EventType.WORKER_ASSIGNED, {"worker": "w", "iteration": 1}),
    (EventType.WORKER_HEARTBEAT, {"tokens": 10, "cost_usd": 0.1}),
    (EventType.WORKER_HEARTBEAT, {"tokens": 20, "cost_usd": 0.2}),
    (EventType.TASK_STARTED, {"sandbox": "none"}),
    (EventType.WORKER_ASSIGNED, {"worker": "w", "iteration": 1}),
    (EventType.WORKER_HEARTBEAT, {"tokens": 30, "cost_usd": 0.3}),
    (EventType.WORKER_OUTPUT, {"iteration": 1, "usage": USAGE}),
    (EventType.ARTIFACT_STORED, {"name": "patch/1"}),
    (EventType.GATE_FINISHED, {"gate": "scope"}),
    (EventType.CLAIMS_CHECKED, {"counts": {}}),
    (EventType.COUNCIL_OPENED, {"iteration": 1}),
    (EventType.COUNCIL_VOTE, {"judge": "a"}),
    (EventType.VERDICT_REACHED, {"verdict_id": "v", "artifact_id": "a", "decision": "accept", "consensus_s": 0.25}),
    (EventType.WORKER_HEARTBEAT, {"tokens": 40}),
    (EventType.TASK_FINISHED, {"state": "completed", "commit": None}),
    (EventType.NOTIFICATION_STARTED, {}),
]


def task_id(number: int) -> str:
    return f"0190{number:04x}-0000-7000-8000-00000000{number:04x}"


async def live(events: MemoryEventStream, clock: FakeClock, number: int = 1, *, ends: bool = True) -> str:
    id_ = task_id(number)
    task = make_task(id=id_, tier=2, submitted_at=clock.now())
    told = [(EventType.TASK_SUBMITTED, {"task": encode(task)}), *(LIFE if ends else LIFE[:5])]
    for kind, data in told:
        await events.append([NewEvent(task_id=id_, type=kind, ts=clock.now(), data=data)])
        await clock.advance(1.0)
    return id_


async def test_accounts_and_service_levels_are_the_same_afterwards() -> None:
    events, clock = MemoryEventStream(), FakeClock()
    id_ = await live(events, clock)
    asked = [Asked(slo=slo, window_s=10 * DAY_S) for slo in SLOS.values()]
    tallies = RecordedTallies(events=events, clock=clock)
    before = account(await events.read(id_)), await tallies.tally(asked)
    pruned = await prune_events(events, MemoryArtifactStorage(), max_age=timedelta(0), clock=clock)
    assert pruned == PrunedEvents(tasks=1, events=8)
    assert (account(await events.read(id_)), await tallies.tally(asked)) == before
    assert before[0].worker.tokens == 20 + 70, "the round that was cut off counts"


async def test_only_what_is_old_and_not_held_goes() -> None:
    events, clock, artifacts = MemoryEventStream(), FakeClock(), MemoryArtifactStorage()
    for number in (1, 2):
        await live(events, clock, number)
    await live(events, clock, 3, ends=False)
    await clock.advance(10 * DAY_S)
    await live(events, clock, 4)
    await artifacts.hold(LegalHold(task_id=task_id(2), reason="audit", placed_at=clock.now()))
    week = timedelta(days=7)
    assert await prune_events(events, artifacts, max_age=None, clock=clock) == PrunedEvents()
    foreseen = await prune_events(events, artifacts, max_age=week, clock=clock, dry_run=True)
    done = await prune_events(events, artifacts, max_age=week, clock=clock)
    assert foreseen == done == PrunedEvents(tasks=1, events=8)
    assert await prune_events(events, artifacts, max_age=week, clock=clock) == PrunedEvents()


async def test_it_goes_on_until_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("councilor.pipeline.ledger.pruning.AT_ONCE", 2)
    events, clock = MemoryEventStream(), FakeClock()
    for number in range(1, 6):
        await live(events, clock, number)
    pruned = await prune_events(events, MemoryArtifactStorage(), max_age=timedelta(0), clock=clock)
    assert pruned == PrunedEvents(tasks=5, events=40)


def test_rounds_of_several_candidates_keep_their_own_last_heartbeats() -> None:
    beat, output = EventType.WORKER_HEARTBEAT, EventType.WORKER_OUTPUT
    told = [(beat, "a"), (beat, "b"), (beat, "a"), (output, "b"), (EventType.WORKER_ASSIGNED, "a"), (beat, "a")]
    events = [(seq, kind, {"candidate": candidate}) for seq, (kind, candidate) in enumerate(told, start=1)]
    assert find_passing([*events, (7, EventType.TASK_FAILED, {})]) == [1, 2]


def test_the_last_event_never_goes() -> None:
    assert find_passing([(1, EventType.TASK_SUBMITTED, {}), (2, EventType.GATE_FINISHED, {})]) == []


async def test_types_that_move_no_head_do_not() -> None:
    """They are numbered without a look at their data."""
    events, clock = MemoryEventStream(), FakeClock()
    head = await events.head(await live(events, clock))
    assert head is not None
    for kind in STILL:
        (event,) = [item for item in await events.read(head.task_id) if item.type is kind][:1]
        moved = fold(head, event)
        assert (moved.state, moved.decision, moved.commit) == (head.state, head.decision, head.commit)
