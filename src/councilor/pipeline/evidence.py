"""Evidence: what our own runner measures about a candidate, and which tree is laid out for each measurement.

Rules:
- Test code and test configuration come from the base, so editing a test cannot help. The candidate's new and edited
  tests run apart, on the candidate's source and on the base's (the revert check).
- A suite that does not fit into its time is run in part (`suite.py`), and what is missing is told.
- What a verdict rests on is run more than once, and what changed is run again in its place (`steadiness.py`).
- Analysers read the base's configuration (`analysis.py`). Criteria's commands run apart (`commands.py`).

It does not judge: gates read what it measured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from councilor.domain.change import Candidate, ChangeKind
from councilor.domain.evidence import Evidence, EvidenceBundle, EvidenceKind, Outcome, Shortfall, TestRun
from councilor.domain.layout import is_native_source
from councilor.domain.nodeid import bare
from councilor.domain.spec import Acceptance
from councilor.pipeline.analysis import analyze
from councilor.pipeline.commands import is_test_module, run_commands, with_reported
from councilor.pipeline.measurement import EvidenceLimits, KeepLog, Meter, Trees
from councilor.pipeline.steadiness import confirmed, flips, settled
from councilor.pipeline.suite import fits, gap_between, in_order, joined
from councilor.ports.analyzer import TestRequest

__all__ = ["Baseline", "EvidenceCollector", "EvidenceLimits", "KeepLog", "is_test_module", "named_tests"]

K = EvidenceKind
FIRST_SHARE = 0.5
"""Share of the budget in which the base's tests run in their own order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """What the base's tests give on the base's source."""

    run: TestRun
    evidence: Evidence
    order_dependent: tuple[str, ...] = ()
    """Tests of this base whose outcome depends on what ran before them."""
    flaky: tuple[str, ...] = ()
    """Tests that earlier runs of the same tree disagree about."""
    configuration: str = ""
    """What decides such a run beside tree and environment; two baselines are comparable only where it is the same."""
    reused: str | None = None
    """Artifact id of the baseline that this one repeats; None for one that was measured for its own task."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceCollector(Meter):
    """Measures candidates of one repository in one environment."""

    async def baseline(self, base_tree: str, changed: Collection[str], acceptance: Sequence[Acceptance]) -> Baseline:
        """Run the base's tests on the base's source.

        Args:
            changed: paths of the change that the baseline is for; they decide what comes first in a long suite.
            acceptance: its tests that fail on the base are confirmed to fail.
        """
        trees = Trees(tree=base_tree, run_tree=base_tree, base_tree=base_tree)
        named = {nodeid for item in acceptance for nodeid in item.test_nodeids}

        async def run(folder: Path) -> TestRun:
            measured = await self._base_suite(folder, changed, named)
            return await confirmed(self, folder, measured, _failing(measured, named_tests(measured, named)))

        measured, evidence = await self.tests(K.TESTS_BASE, trees, self.request, run)
        measured, order_dependent = await settled(self, K.TESTS_BASE, trees, measured, (measured,))
        return Baseline(run=measured, evidence=evidence, order_dependent=order_dependent)

    async def _base_suite(self, folder: Path, changed: Collection[str], named: Collection[str]) -> TestRun:
        budget_s = self.limits.suite_s
        run = await self.run(replace(self.request, budget_s=budget_s * FIRST_SHARE), folder)
        if run.shortfall is not Shortfall.BUDGET or not run.believable or run.timed_out:
            return run
        reaches = await self.foresee(folder, changed)
        urgent = {nodeid for nodeid in run.unrun if _is_named(nodeid, named)}
        left = in_order(run.unrun, urgent=urgent, reaches=reaches, base=run, budget_s=budget_s)
        request = replace(
            self.request,
            nodeids=tuple(left),
            first=tuple(left),
            budget_s=max(budget_s * (1 - FIRST_SHARE), budget_s - run.duration_s),
        )
        return joined(run, await self.run(request, folder))

    async def examine(
        self, candidate: Candidate, baseline: Baseline, acceptance: Sequence[Acceptance]
    ) -> EvidenceBundle:
        """Measure everything that the gates need to know about a candidate."""
        protected = await self.repository.composed(candidate.tree, candidate.base_tree, self.runner.owns)
        trees = Trees(tree=candidate.tree, run_tree=protected, base_tree=candidate.base_tree)
        awaited = named_tests(baseline.run, [nodeid for item in acceptance for nodeid in item.test_nodeids])
        base = await self._confirmed_base(baseline, awaited)
        suite = _Suite(collector=self, candidate=candidate, base=base.run, awaited=awaited)
        run, evidence = await self.tests(K.TESTS_CANDIDATE, trees, suite.request, suite.run)
        run, order_dependent = await settled(self, K.TESTS_CANDIDATE, trees, run, (base.run,))
        items = [base.evidence, evidence]
        flipped = await flips(self, trees, base.run, run)
        shown = any(nodeid in run.passed and nodeid not in base.run.passed for nodeid in awaited)
        new_on_candidate, new_on_base = await self._new_tests(candidate, items, confirm=not shown)
        commands = await run_commands(self, candidate, acceptance)
        items += commands.evidence
        analyses, analysed = await analyze(self, candidate)
        items += analysed
        return EvidenceBundle(
            evidence=tuple(items),
            base=base.run,
            candidate=run,
            new_on_candidate=new_on_candidate,
            new_on_base=new_on_base,
            acceptance=commands.candidate,
            acceptance_base=commands.base,
            acceptance_reverted=commands.reverted,
            flaky=flipped.flaky,
            order_dependent=tuple(sorted({*base.order_dependent, *order_dependent, *flipped.order_dependent})),
            base_flaky=base.flaky,
            gap=gap_between(base.run, run, reaches=suite.reaches, budget_s=self.limits.suite_s),
            uncompiled=self._uncompiled(candidate),
            analyses=with_reported(analyses, commands),
        )

    def _uncompiled(self, candidate: Candidate) -> tuple[str, ...]:
        """Changed sources of which the environment holds what the base's were compiled to."""
        if not self.environment.compiled_from:
            return ()
        return tuple(change.path for change in candidate.changes if is_native_source(change.path))

    async def _confirmed_base(self, baseline: Baseline, awaited: Collection[str]) -> Baseline:
        """The baseline with what this task's acceptance tests need to be confirmed to fail on the base."""
        missing = _failing(baseline.run, set(awaited) - baseline.run.again.keys() - set(baseline.order_dependent))
        if not missing or not self.limits.confirmations:
            return baseline
        base_tree = baseline.evidence.base_tree
        trees = Trees(tree=base_tree, run_tree=base_tree, base_tree=base_tree)

        async def run(folder: Path) -> TestRun:
            return await confirmed(self, folder, baseline.run, missing)

        request = replace(self.request, nodeids=tuple(sorted(missing)))
        measured, _ = await self.tests(K.TESTS_BASE, trees, request, run)
        measured, order_dependent = await settled(self, K.TESTS_BASE, trees, measured, (baseline.run,))
        return replace(baseline, run=measured, order_dependent=(*baseline.order_dependent, *order_dependent))

    async def foresee(self, folder: Path, changed: Collection[str]) -> Callable[[str], bool]:
        """Whether a file of a laid out tree may execute one of the changed ones, as far as imports tell."""
        paths = [path for path in changed if not self.runner.owns(path)]
        return await self.foresight.reaching(folder, paths)

    async def _new_tests(
        self, candidate: Candidate, items: list[Evidence], *, confirm: bool
    ) -> tuple[TestRun | None, TestRun | None]:
        paths = tuple(
            change.path
            for change in candidate.changes
            if change.kind is not ChangeKind.DELETED and change.path.endswith(".py") and is_test_module(change.path)
        )
        if not paths:
            return None, None
        reverted = await self.repository.composed(candidate.base_tree, candidate.tree, self.runner.owns)
        request = replace(self.request, paths=paths)
        runs: list[TestRun] = []
        for kind, tree in ((K.NEW_TESTS_CANDIDATE, candidate.tree), (K.NEW_TESTS_BASE, reverted)):
            trees = Trees(tree=candidate.tree, run_tree=tree, base_tree=candidate.base_tree)

            async def run(folder: Path, kind: EvidenceKind = kind) -> TestRun:
                measured = await self.run(request, folder)
                telling = measured.passed if kind is K.NEW_TESTS_CANDIDATE else _failing(measured, measured.outcomes)
                return await confirmed(self, folder, measured, telling) if confirm else measured

            measured, evidence = await self.tests(kind, trees, request, run)
            items.append(evidence)
            runs.append(measured)
        return runs[0], runs[1]


@dataclass(kw_only=True, slots=True)
class _Suite:
    """The base's tests on the candidate's source."""

    collector: EvidenceCollector
    candidate: Candidate
    base: TestRun
    awaited: frozenset[str]
    foreseen: Callable[[str], bool] | None = None
    """Whether a file may execute a changed one; None until somebody had to know."""

    @property
    def request(self) -> TestRequest:
        failing = self.base.outcomes.keys() - self.base.passed
        return replace(
            self.collector.request,
            expected=tuple(sorted(self.base.passed | self.awaited)),
            suspects=tuple(sorted(self.awaited | failing)),
        )

    def reaches(self, path: str) -> bool:
        """Whether a file may execute a changed one; known once the suite has run."""
        return self.foreseen is None or self.foreseen(path)

    async def run(self, folder: Path) -> TestRun:
        """Run the whole suite where it fits, else what matters first."""
        collector, request = self.collector, self.request
        if not fits(self.base, collector.limits.suite_s):
            self.foreseen = await collector.foresee(folder, self.candidate.paths)
            request = self._selected(request)
        run = await collector.run(request, folder)
        if run.partial and self.foreseen is None:
            self.foreseen = await collector.foresee(folder, self.candidate.paths)
        return await confirmed(collector, folder, run, run.passed & self.awaited)

    def _selected(self, request: TestRequest) -> TestRequest:
        known = self.base.outcomes
        urgent = self.awaited | {nodeid for nodeid, outcome in known.items() if outcome is not Outcome.PASSED}
        order = in_order(
            known, urgent=urgent, reaches=self.reaches, base=self.base, budget_s=self.collector.limits.suite_s
        )
        return replace(
            request,
            nodeids=tuple(order) if self.base.partial else None,
            first=tuple(order),
            known_s={record.nodeid: record.duration_s for record in self.base.records},
        )


def named_tests(run: TestRun, nodeids: Collection[str]) -> frozenset[str]:
    """The tests of a run that are named, with or without their parameters."""
    named = set(nodeids)
    return frozenset(nodeid for nodeid in run.outcomes if _is_named(nodeid, named))


def _is_named(nodeid: str, named: Collection[str]) -> bool:
    name = bare(nodeid)
    return nodeid in named or name in named or name.rpartition("::")[0] in named


def _failing(run: TestRun, nodeids: Collection[str]) -> frozenset[str]:
    """Those of the tests that fail in a run."""
    outcomes = run.outcomes
    bad = {Outcome.FAILED, Outcome.ERROR}
    return frozenset(nodeid for nodeid in nodeids if outcomes.get(nodeid) in bad)
