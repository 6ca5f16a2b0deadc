"""Inquiry: what is stored of a task, put together again, so that a report can be checked against it.

Rules:
- The latest candidate with its latest evidence counts, what deepening added included; gates run again on it, as the
  executor ran them, so that a claim is judged by rules and not by a record of them.
- A task that was refused before anything was measured has no evidence: claims about runs are then unverifiable.
- Nothing is stored and nothing is measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.codec import decode
from councilor.domain.event import EventType
from councilor.domain.evidence import EvidenceBundle
from councilor.domain.spec import load_spec
from councilor.domain.task import Task
from councilor.errors import NotFoundError
from councilor.pipeline.claims import ClaimContext
from councilor.pipeline.executor.deepen import Addition
from councilor.pipeline.executor.work import BASE_COMMIT
from councilor.pipeline.gates import Stage, latest, run_gates
from councilor.pipeline.inspection import put_together
from councilor.pipeline.rules import read_rules
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream
from councilor.ports.metrics import NoMetrics
from councilor.ports.repository import Repositories

__all__ = ["Recalled", "recall"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recalled:
    """What is known of a task's latest candidate."""

    context: ClaimContext
    report: str
    """The worker's own words."""


async def recall(
    task_id: str,
    *,
    events: EventStream,
    artifacts: ArtifactStorage,
    repositories: Repositories,
    runs_dir: Path,
    owns: Callable[[str], bool],
    clock: Clock,
) -> Recalled:
    """Put together what is stored of a task.

    Raises:
        NotFoundError: there is no such task, or it has no candidate yet.
        ErasedError: what it rests on was erased.
        InputError: its repository is not there any more.
    """
    told = await events.read(task_id, limit=1)
    if not told or told[0].type is not EventType.TASK_SUBMITTED:
        raise NotFoundError(f"There is no task {task_id}.")
    task = decode(Task, told[0].data["task"])
    kept = await artifacts.latest_for_task(task_id)
    patch, report = _newest(kept, "patch/"), _newest(kept, "report/")
    if patch is None or report is None or patch.tree is None:
        raise NotFoundError(f"Task {task_id} has no candidate yet.", hint="Check a change: --base and --head.")
    repository = await repositories.open(Path(task.repository), store=runs_dir / task_id / "store")
    base = await repository.resolve(str(patch.metadata.get(BASE_COMMIT, task.base_commit)))
    task = replace(task, base_commit=base.hash, base_tree=base.tree)
    given = await put_together(
        repository,
        task=task,
        spec=load_spec(task.spec_text, source="the submitted spec"),
        rules=await read_rules(repository, base),
        base=base,
        tree=patch.tree,
        patch=await artifacts.read(patch.id),
        owns=owns,
        now=clock.now(),
        bundle=await _bundle(artifacts, kept, patch.name.partition("/")[2]),
    )
    gates = run_gates(given, stage=Stage.STATIC, metrics=NoMetrics(), clock=clock)
    if given.bundle is not None:
        gates = latest(gates, run_gates(given, stage=Stage.EVIDENCE, metrics=NoMetrics(), clock=clock))
    text = (await artifacts.read(report.id)).decode("utf-8", "replace")
    return Recalled(context=ClaimContext(given=given, gates=gates), report=text)


def _newest(kept: Sequence[ExecutionArtifact], prefix: str) -> ExecutionArtifact | None:
    """The artifact of the last iteration."""
    named = [item for item in kept if item.name.startswith(prefix) and item.name.removeprefix(prefix).isdecimal()]
    return max(named, key=lambda item: int(item.name.removeprefix(prefix)), default=None)


async def _bundle(
    artifacts: ArtifactStorage, kept: Sequence[ExecutionArtifact], iteration: str
) -> EvidenceBundle | None:
    by_name = {item.name: item for item in kept}
    measured = by_name.get(f"evidence/{iteration}")
    if measured is None:
        return None
    bundle = decode(EvidenceBundle, json.loads(await artifacts.read(measured.id)))
    added = by_name.get(f"strength/{iteration}")
    if added is None:
        return bundle
    return decode(Addition, json.loads(await artifacts.read(added.id))).on(bundle)
