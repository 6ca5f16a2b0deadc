"""What stored tasks cost and where their time went, task by task and added up.

Rules:
- Figures come from a task's events (`domain/accounting.py`) and, for evidence, from its verdicts: each says how long
  its evidence took. The base's tests stand in every verdict, but count once: in the task that measured them.
- Where several workers made candidates, each has its own rounds, tokens, dollars, seconds and evidence. What is
  nobody's (preparing, waiting, the base's tests, the council, the rest) is in a row of its own, so that the rows add
  up. Only `tasks` and `iterations` do not: a task counts for each of its workers.
- Workers that work side by side have more seconds together than passed; what passed is used for `other_s`.
- `other_s` is what is left of the time from submission to the end: storing, publishing, and pauses after an
  interruption.
- Artifacts that are not kept (`storage.db_artifacts: false`) leave the seconds of evidence at 0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from councilor.domain.accounting import Account, account
from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.task import TaskHead
from councilor.errors import ErasedError
from councilor.pipeline.history import read_events
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.events import EventStream

__all__ = ["Costs", "TaskCosts", "add_up", "by_worker", "costs_of", "group_by", "heads_since"]

HEADS = 200
JUDGED = "(none: judged)"
SHARED = "(several: shared)"
_VERDICT = re.compile(r"verdict/(\d+)(?:-(\d+))?")


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
    parts: Mapping[str, Costs] = field(default_factory=dict)
    """Worker -> its part, by name; `SHARED`: nobody's, `JUDGED`: there was no worker. They add up to the costs."""


async def costs_of(head: TaskHead, events: EventStream, artifacts: ArtifactStorage) -> TaskCosts:
    """One task's figures, from what is stored."""
    told = account(await read_events(events, head.task_id))
    evidence_s = await _evidence_s(await artifacts.of_task(head.task_id), artifacts, told, head)
    total_s = sum(evidence_s.values())
    working_s = min(told.worker.seconds, told.worked_s)
    known_s = told.waiting_s + told.preparing_s + working_s + total_s + told.council_s
    costs = Costs(
        tasks=1,
        iterations=told.iterations,
        interrupted=told.interrupted,
        turns=told.worker.turns,
        tokens=told.worker.tokens,
        cost_usd=told.worker.cost_usd,
        worker_s=told.worker.seconds,
        evidence_s=total_s,
        council_s=told.council_s,
        preparing_s=told.preparing_s,
        waiting_s=told.waiting_s,
        other_s=max(0.0, told.elapsed_s - known_s),
        elapsed_s=told.elapsed_s,
    )
    return TaskCosts(head=head, costs=costs, parts=_parts(costs, told, evidence_s, head))


def _parts(costs: Costs, told: Account, evidence_s: Mapping[str, float], head: TaskHead) -> Mapping[str, Costs]:
    if len(told.by_worker) < 2:
        return {next(iter(told.by_worker), head.worker or JUDGED): costs}
    own = {
        worker: Costs(
            tasks=1,
            iterations=len(effort.iterations),
            interrupted=effort.interrupted,
            turns=effort.spent.turns,
            tokens=effort.spent.tokens,
            cost_usd=effort.spent.cost_usd,
            worker_s=effort.spent.seconds,
            evidence_s=evidence_s.get(worker, 0.0),
        )
        for worker, effort in sorted(told.by_worker.items())
    }
    shared_s = sum(seconds for worker, seconds in evidence_s.items() if worker not in own)
    shared = replace(
        costs, tasks=0, iterations=0, interrupted=0, turns=0, tokens=0, cost_usd=0.0, worker_s=0.0, evidence_s=shared_s
    )
    return own | {SHARED: shared}


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
    return _sum(item.costs for item in items)


def _sum(costs: Iterable[Costs]) -> Costs:
    sums: dict[str, Any] = {each.name: 0 for each in fields(Costs)}
    for item in costs:
        for name in sums:
            sums[name] += getattr(item, name)
    return Costs(**sums)


def group_by(items: Sequence[TaskCosts], key: Callable[[TaskHead], str]) -> Mapping[str, Costs]:
    """The sums for each value of a key, sorted by it."""
    return {
        name: add_up(item for item in items if key(item.head) == name)
        for name in sorted({key(item.head) for item in items})
    }


def by_worker(items: Sequence[TaskCosts]) -> Mapping[str, Costs]:
    """The sums for each worker, sorted by name; each has only what it made itself."""
    sums: dict[str, Costs] = {}
    for item in items:
        for worker, part in item.parts.items():
            sums[worker] = _sum([part] if worker not in sums else [sums[worker], part])
    return dict(sorted(sums.items()))


async def _evidence_s(
    items: Sequence[ExecutionArtifact], artifacts: ArtifactStorage, told: Account, head: TaskHead
) -> Mapping[str, float]:
    """Seconds of evidence by worker, and those that are nobody's."""
    by_candidate: dict[tuple[int, str], float] = {}
    makers: dict[tuple[int, str], str] = {}
    for item in items:
        if item.name.startswith("verdict/"):
            verdict = json.loads(await artifacts.read(item.id))
            if verdict["evidence_ids"]:  # a second verdict of a candidate counts what the first one did, and more
                key = verdict["iteration"], verdict["tree"]
                by_candidate[key] = float(verdict["evidence_s"])
                makers.setdefault(key, _maker_of(item.name, told) or head.worker or JUDGED)
    base = next((item for item in items if item.name == "tests/base"), None)
    try:
        baseline = json.loads(await artifacts.read(base.id)) if base is not None else None
    except ErasedError:
        return {SHARED: max(by_candidate.values(), default=0.0)}  # how much of it was the base's is not known any more
    base_s = float(baseline["evidence"]["duration_s"]) if baseline is not None else 0.0
    seconds = {SHARED: base_s if baseline is not None and by_candidate and not baseline.get("reused") else 0.0}
    for key, each_s in by_candidate.items():
        seconds[makers[key]] = seconds.get(makers[key], 0.0) + max(0.0, each_s - base_s)
    return seconds


def _maker_of(verdict: str, told: Account) -> str | None:
    """Whose candidate a verdict's name says that it is about."""
    found = _VERDICT.match(verdict)
    if found is None:
        return None
    iteration, candidate = int(found[1]), int(found[2] or 0)
    if (iteration, candidate) in told.makers:
        return told.makers[iteration, candidate]
    earlier = [at for at, number in told.makers if number == 0 and at < iteration]  # it was carried to another base
    return told.makers[max(earlier), 0] if earlier else None
