"""Inspection: the gates on a change, with or without measuring it, apart from any run.

The executor and `councilor gates run` put a gate's input together here, so that both judge by the same things.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from councilor.domain.evidence import EvidenceBundle
from councilor.domain.gate import GateResult
from councilor.domain.spec import WorkingSpec, load_spec
from councilor.domain.task import Task
from councilor.errors import InputError
from councilor.pipeline.claims.measuring import measure_behaviour, measure_claims
from councilor.pipeline.evidence import EvidenceCollector
from councilor.pipeline.gates import GateInput, Stage, latest, run_gates
from councilor.pipeline.rules import Rules, read_rules
from councilor.pipeline.strength import measure_strength
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend
from councilor.ports.repository import Commit, Repository

__all__ = ["Inspected", "Inspector", "put_together"]


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
        approvals=rules.approvals,
        candidate=candidate,
        bundle=bundle,
        owns=owns,
        reapplied_tree=None if problem else reapplied,
        problem=problem,
        ended=ended,
        now=now,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspected:
    """A change, looked at."""

    given: GateInput
    gates: tuple[GateResult, ...]


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
        return (await self.examine(task, tree, static=static)).gates

    async def examine(
        self, task: Task, tree: str, *, static: bool, report: str = "", always: bool = False
    ) -> Inspected:
        """What gates look at, and their results; see `inspect`.

        Args:
            report: what its author says of the change; decides what is measured beyond what gates need.
            always: measure everything even though a gate fails.
        """
        base = await self.repository.resolve(task.base_commit)
        spec = load_spec(task.spec_text, source="the working spec")
        given = await put_together(
            self.repository,
            task=task,
            spec=spec,
            rules=await read_rules(self.repository, base),
            base=base,
            tree=tree,
            patch=await self.repository.diff(base.tree, tree),
            owns=self.owns,
            now=self.clock.now(),
        )
        cheap = run_gates(given, stage=Stage.STATIC, metrics=self.metrics, clock=self.clock)
        if static or (not always and any(result.blocks for result in cheap)):
            return Inspected(given=given, gates=cheap)
        collector = await self.collect(spec, task)
        candidate = given.candidate
        baseline = await collector.baseline(base.tree, candidate.paths, spec.acceptance)
        bundle = await collector.examine(candidate, baseline, spec.acceptance)
        bundle = await measure_claims(collector, candidate, spec, report, bundle)

        def judged(bundle: EvidenceBundle) -> Inspected:
            known = replace(given, bundle=bundle)
            measured = run_gates(known, stage=Stage.EVIDENCE, metrics=self.metrics, clock=self.clock)
            return Inspected(given=known, gates=latest(cheap, measured))

        found = judged(bundle)
        if not always and any(result.blocks for result in found.gates):
            return found
        deeper = await measure_strength(collector, candidate, bundle, spec.acceptance)
        deeper = await measure_behaviour(collector, candidate, report, deeper)
        return found if deeper is bundle else judged(deeper)
