"""What stored tasks cost and where their time went, task by task and added up.

Rules:
- Figures come from a task's events (`domain/accounting.py`) and, for evidence, from its verdicts: each says how long
  its evidence took. The base's tests stand in every verdict, but count once: in the task that measured them.
- `other_s` is what is left of the time from submission to the end: storing, publishing, and pauses after an
  interruption.
- Artifacts that are not kept (`storage.db_artifacts: false`) leave the seconds of evidence at 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from councilor.domain.accounting import account
from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.event import Event
from councilor.domain.task import TaskHead
from councilor.errors import ErasedError
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.events import EventStream

__all__ = ["Costs", "TaskCosts", "add_up", "costs_of", "group_by", "heads_since"]

PAGE = 1000
HEADS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """Figures that add up."""

    tasks: int = 0
    iterations: int = 0
    interrupted: int = 0
    turns: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    worker_s: float = 0.0
    evidence_s: float = 0.0
    council_s: float = 0.0
    preparing_s: float = 0.0
    waiting_s: float = 0.0
    other_s: float = 0.0
    elapsed_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskCosts:
    """One task's figures."""

    head: TaskHead
    costs: Costs


async def costs_of(head: TaskHead, events: EventStream, artifacts: ArtifactStorage) -> TaskCosts:
    """One task's figures, from what is stored."""
    told = account(await _read_events(events, head.task_id))
    evidence_s = await _evidence_s(await artifacts.of_task(head.task_id), artifacts)
    known_s = told.waiting_s + told.preparing_s + told.worker.seconds + evidence_s + told.council_s
    return TaskCosts(
        head=head,
        costs=Costs(
            tasks=1,
            iterations=told.iterations,
            interrupted=told.interrupted,
            turns=told.worker.turns,
            tokens=told.worker.tokens,
            cost_usd=told.worker.cost_usd,
            worker_s=told.worker.seconds,
            evidence_s=evidence_s,
            council_s=told.council_s,
            preparing_s=told.preparing_s,
            waiting_s=told.waiting_s,
            other_s=max(0.0, told.elapsed_s - known_s),
            elapsed_s=told.elapsed_s,
        ),
    )


async def heads_since(moment: datetime, events: EventStream) -> Sequence[TaskHead]:
    """Tasks submitted at or after a moment, newest first."""
    found: list[TaskHead] = []
    before = None
    while page := await events.heads(limit=HEADS, before=before):
        found += [head for head in page if head.submitted_at >= moment]
        if page[-1].submitted_at < moment:
            break
        before = page[-1].task_id
    return found


def add_up(items: Iterable[TaskCosts]) -> Costs:
    """The sums of all figures."""
    sums: dict[str, Any] = {field.name: 0 for field in fields(Costs)}
    for item in items:
        for name in sums:
            sums[name] += getattr(item.costs, name)
    return Costs(**sums)


def group_by(items: Sequence[TaskCosts], key: Callable[[TaskHead], str]) -> Mapping[str, Costs]:
    """The sums for each value of a key, sorted by it."""
    return {
        name: add_up(item for item in items if key(item.head) == name)
        for name in sorted({key(item.head) for item in items})
    }


async def _read_events(events: EventStream, task_id: str) -> Sequence[Event]:
    found: list[Event] = []
    while page := await events.read(task_id, after=found[-1].seq if found else 0, limit=PAGE):
        found += page
    return found


async def _evidence_s(items: Sequence[ExecutionArtifact], artifacts: ArtifactStorage) -> float:
    by_candidate: dict[tuple[int, str], float] = {}
    for item in items:
        if item.name.startswith("verdict/"):
            verdict = json.loads(await artifacts.read(item.id))
            if verdict["evidence_ids"]:  # a second verdict of a candidate counts what the first one did, and more
                by_candidate[verdict["iteration"], verdict["tree"]] = float(verdict["evidence_s"])
    measured = list(by_candidate.values())
    base = next((item for item in items if item.name == "tests/base"), None)
    if not measured or base is None:
        return sum(measured)
    try:
        baseline = json.loads(await artifacts.read(base.id))
    except ErasedError:
        return max(measured)  # how much of the others was the base's run is not known any more
    repeated = len(measured) - (0 if baseline.get("reused") else 1)
    return max(0.0, sum(measured) - float(baseline["evidence"]["duration_s"]) * repeated)
