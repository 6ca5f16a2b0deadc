"""Whose a task's costs are: from events and from the names of verdicts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from councilor.adapters.memory.events import MemoryEventStream
from councilor.domain.codec import encode
from councilor.domain.event import EventType, NewEvent
from councilor.domain.task import RunMode, Task
from councilor.errors import ErasedError
from councilor.pipeline.costs import Costs, TaskCosts, by_worker, costs_of

START = datetime(2026, 1, 1, tzinfo=UTC)
ID = "01900001-0000-7000-8000-000000000001"
TASK = Task(
    id=ID, repository="/srv/shop", base_commit="c" * 40, base_tree="b" * 40, spec_text="id: X-1", spec_id="X-1",
    title="t", tier=3, worker="a", mode=RunMode.AUTO, max_iterations=2, deadline_s=60.0, submitted_at=START,
    workers=("a", "b"),
)  # fmt: skip


@dataclass(frozen=True)
class Named:
    id: str
    name: str


@dataclass
class Stored:
    """Artifacts by name; as much of a storage as costs are read from."""

    bodies: dict[str, Any] = field(default_factory=dict)

    async def of_task(self, task_id: str) -> list[Named]:
        return [Named(id=name, name=name) for name in self.bodies]

    async def read(self, artifact_id: str) -> bytes:
        if self.bodies[artifact_id] is None:
            raise ErasedError("It was let go.")
        return json.dumps(self.bodies[artifact_id]).encode()


def verdict(iteration: int, tree: str, seconds: float) -> dict[str, Any]:
    return {"iteration": iteration, "tree": tree, "evidence_ids": ["e"], "evidence_s": seconds}


def base(seconds: float, **more: Any) -> dict[str, Any]:
    return {"evidence": {"duration_s": seconds}} | more


def round_of(worker: str, candidate: int, at_s: float, iteration: int = 1) -> list[tuple[float, EventType, Any]]:
    about = {"worker": worker, "iteration": iteration, "candidate": candidate}
    usage = {"duration_s": 10.0, "tokens": 100 * candidate, "cost_usd": 0.5, "turns": 1}
    return [
        (at_s, EventType.WORKER_ASSIGNED, about),
        (at_s + 10.0, EventType.WORKER_OUTPUT, about | {"usage": usage}),
    ]


CONTEST = [*round_of("a", 1, 5.0), *round_of("b", 2, 5.0)]
CHOSEN = (30.0, EventType.CANDIDATE_CHOSEN, {"iteration": 1, "chosen": 2, "worker": "b"})
END = (60.0, EventType.TASK_FINISHED, {"state": "completed", "commit": None})


async def costs(told: list[tuple[float, EventType, Any]], stored: Stored) -> TaskCosts:
    stream = MemoryEventStream()
    first = (0.0, EventType.TASK_SUBMITTED, {"task": encode(TASK)})
    for after_s, type_, data in [first, *sorted(told, key=lambda each: each[0])]:
        moment = START + timedelta(seconds=after_s)
        await stream.append([NewEvent(task_id=ID, type=type_, ts=moment, data=data)])
    head = await stream.head(ID)
    assert head is not None
    return await costs_of(head, stream, stored)  # type: ignore[arg-type]  # it reads nothing else of a storage


def evidence(found: TaskCosts) -> dict[str, float]:
    return {worker: part.evidence_s for worker, part in found.parts.items()}


async def test_each_has_its_own_and_what_is_nobodys_is_a_row_of_its_own() -> None:
    stored = Stored({
        "tests/base": base(2.0), "verdict/1-1": verdict(1, "t1", 5.0), "verdict/1-2": verdict(1, "t2", 6.0),
        "verdict/1-2.2": verdict(1, "t2", 9.0), "verdict/1.2": verdict(1, "t2", 9.0),
    })  # fmt: skip
    started = (5.0, EventType.TASK_STARTED, {"sandbox": "none"})
    found = await costs([started, *CONTEST, CHOSEN, END], stored)
    assert evidence(found) == {"a": 3.0, "b": 7.0, "(several: shared)": 2.0}
    assert [(part.tokens, part.iterations) for part in found.parts.values()] == [(100, 1), (200, 1), (0, 0)]
    assert (found.costs.worker_s, found.costs.elapsed_s) == (20.0, 60.0)
    assert found.costs.other_s == 60.0 - 5.0 - 10.0 - 12.0, "side by side ten seconds passed"
    for each in fields(Costs):
        if each.name not in {"tasks", "iterations"}:
            parts = sum(getattr(part, each.name) for part in found.parts.values())
            assert parts == pytest.approx(getattr(found.costs, each.name)), each.name


async def test_a_base_that_another_task_measured_is_nobodys_here() -> None:
    stored = Stored({"tests/base": base(2.0, reused=True), "verdict/1-1": verdict(1, "t1", 5.0)})
    assert evidence(await costs([*CONTEST, END], stored)) == {"a": 3.0, "b": 0.0, "(several: shared)": 0.0}


async def test_one_that_was_carried_to_another_base_is_still_its_workers() -> None:
    stored = Stored({"verdict/1-2": verdict(1, "t2", 6.0), "verdict/2": verdict(2, "t3", 4.0)})
    assert evidence(await costs([*CONTEST, CHOSEN, END], stored))["b"] == 10.0


async def test_the_next_best_is_its_own_workers_and_counts_once() -> None:
    stored = Stored({
        "verdict/1-1": verdict(1, "t1", 5.0), "verdict/1-2": verdict(1, "t2", 6.0), "verdict/1": verdict(1, "t2", 6.0),
        "verdict/1-1.next": verdict(1, "t1", 5.0),
    })  # fmt: skip
    assert evidence(await costs([*CONTEST, CHOSEN, END], stored)) == {"a": 5.0, "b": 6.0, "(several: shared)": 0.0}


async def test_where_the_base_was_let_go_nobody_is_blamed_for_it() -> None:
    stored = Stored({"tests/base": None, "verdict/1-1": verdict(1, "t1", 5.0), "verdict/1-2": verdict(1, "t2", 6.0)})
    found = await costs([*CONTEST, END], stored)
    assert evidence(found) == {"a": 0.0, "b": 0.0, "(several: shared)": 6.0} and found.costs.evidence_s == 6.0


async def test_candidates_of_one_worker_are_all_its_own_and_rows_of_tasks_add_up() -> None:
    alone = await costs([*round_of("a", 1, 5.0), *round_of("a", 2, 5.0), END], Stored())
    assert alone.parts == {"a": alone.costs}
    contest = await costs([*CONTEST, END], Stored())
    sums = by_worker([alone, contest])
    assert list(sums) == ["(several: shared)", "a", "b"]
    assert (sums["a"].tasks, sums["a"].tokens, sums["b"].tasks, sums["b"].tokens) == (2, 400, 1, 200)
