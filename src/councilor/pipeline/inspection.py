"""Inspection: the gates on a change, with or without measuring it, apart from any run.

The executor and `councilor gates run` put a gate's input together here, so that both judge by the same things.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from councilor.domain.evidence import EvidenceBundle
from councilor.domain.gate import GateResult
from councilor.domain.spec import WorkingSpec, load_spec
from councilor.domain.task import Task
from councilor.errors import InputError
from councilor.pipeline.evidence import EvidenceCollector
from councilor.pipeline.gates import GateInput, Stage, latest, run_gates
from councilor.pipeline.rules import Rules, read_rules
from councilor.pipeline.strength import measure_strength
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend
from councilor.ports.repository import Commit, Repository

__all__ = ["Inspector", "put_together"]


async def put_together(
    repository: Repository,
    *,
    task: Task,
    spec: WorkingSpec,
    rules: Rules,
    base: Commit,
    tree: str,
    patch: bytes,
    owns: Callable[[str], bool],
    now: datetime,
    bundle: EvidenceBundle | None = None,
    problem: str | None = None,
    ended: str = "",
) -> GateInput:
    """Everything that gates look at.

    Args:
        patch: the stored difference, which must make `tree` of the base again.
        problem: why the workspace made no tree.
        ended: what ended the worker before it was done.
    """
    candidate = await repository.candidate(base, tree)
    try:
        reapplied = tree if candidate.empty else await repository.patched(base.tree, patch)
    except InputError:
        reapplied = None
    return GateInput(
        task=task,
        spec=spec,
        policy=rules.policy,
        waivers=rules.waivers,
        candidate=candidate,
        bundle=bundle,
        owns=owns,
        reapplied_tree=None if problem else reapplied,
        problem=problem,
        ended=ended,
        now=now,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspector:
    """Runs gates on one repository's changes."""

    repository: Repository
    owns: Callable[[str], bool]
    collect: Callable[[WorkingSpec, Task], Awaitable[EvidenceCollector]]
    """Prepares the environment, and gives what measures in it; called only when something is to be measured."""
    clock: Clock
    metrics: MetricsBackend

    async def inspect(self, task: Task, tree: str, *, static: bool) -> tuple[GateResult, ...]:
        """The results of every gate on the change from the task's base to `tree`.

        Args:
            static: leave out the gates that need a test run; they are left out too when a cheap gate fails. How strong
                the tests are is measured last, once nothing refuses the change.

        Raises:
            InputError: the spec or the base's policy cannot be read.
        """
        base = await self.repository.resolve(task.base_commit)
        spec = load_spec(task.spec_text, source="the working spec")
        rules = await read_rules(self.repository, base.tree)
        patch = await self.repository.diff(base.tree, tree)

        async def run(stage: Stage, bundle: EvidenceBundle | None) -> tuple[GateResult, ...]:
            given = await put_together(
                self.repository,
                task=task,
                spec=spec,
                rules=rules,
                base=base,
                tree=tree,
                patch=patch,
                owns=self.owns,
                now=self.clock.now(),
                bundle=bundle,
            )
            return run_gates(given, stage=stage, metrics=self.metrics, clock=self.clock)

        cheap = await run(Stage.STATIC, None)
        if static or any(result.blocks for result in cheap):
            return cheap
        collector = await self.collect(spec, task)
        candidate = await self.repository.candidate(base, tree)
        baseline = await collector.baseline(base.tree, candidate.paths, spec.acceptance)
        bundle = await collector.examine(candidate, baseline, spec.acceptance)
        results = latest(cheap, await run(Stage.EVIDENCE, bundle))
        if any(result.blocks for result in results):
            return results
        deeper = await measure_strength(collector, candidate, bundle, spec.acceptance)
        return results if deeper is bundle else latest(results, await run(Stage.EVIDENCE, deeper))
