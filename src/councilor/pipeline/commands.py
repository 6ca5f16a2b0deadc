"""Commands of acceptance criteria: run on the candidate, and on the base too where they report what can be compared.

Rules:
- The candidate's tree is laid out with the base's test code and configuration. A test module that the base does not
  have is what the criterion may be about, so it stays.
- Where tests that the base reports as passed are not on the candidate, its command is run again: what passes then is
  flaky. More than `MOST_FLIPPED` such tests are a broken candidate.
- Each command gets an export of its own, so that no report of one is there when another begins.
- On the base a command runs only for its reports; its exit code there decides nothing. Where the change brings test
  modules along that the base does not have, it runs once more on the base with those: the revert check.

It does not judge: gates read what it measured (`gates/reported.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from councilor.domain.analysis import AnalysisPair, AnalysisRun
from councilor.domain.change import Candidate
from councilor.domain.evidence import Evidence, EvidenceKind, Outcome, TestRun
from councilor.domain.spec import Acceptance
from councilor.domain.testfile import is_foreign_test
from councilor.pipeline.measurement import Meter, Trees
from councilor.pipeline.steadiness import MOST_FLIPPED

__all__ = ["Commands", "is_test_module", "run_commands", "with_reported"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Commands:
    """What the commands gave, by acceptance id."""

    candidate: Mapping[str, TestRun] = field(default_factory=dict)
    base: Mapping[str, TestRun] = field(default_factory=dict)
    reverted: Mapping[str, TestRun] = field(default_factory=dict)
    """On the base with the change's new test modules."""
    evidence: tuple[Evidence, ...] = ()


async def run_commands(meter: Meter, candidate: Candidate, acceptance: Sequence[Acceptance]) -> Commands:
    """Run the command of each criterion that has one."""
    wanted = [item for item in acceptance if item.argv]
    if not wanted:
        return Commands()
    base_paths = {entry.path for entry in await meter.repository.entries(candidate.base_tree)}

    def from_base(path: str) -> bool:
        return meter.runner.owns(path) and (path in base_paths or not is_test_module(path))

    def is_new_test(path: str) -> bool:
        return path not in base_paths and is_test_module(path)

    tree = await meter.repository.composed(candidate.tree, candidate.base_tree, from_base)
    plan = [(EvidenceKind.ACCEPTANCE, candidate.tree, tree)]
    if meter.reports is not None:
        plan.append((EvidenceKind.TESTS_BASE, candidate.base_tree, candidate.base_tree))
        if any(is_new_test(path) for path in candidate.paths):
            reverted = await meter.repository.composed(candidate.base_tree, candidate.tree, is_new_test)
            plan.append((EvidenceKind.NEW_TESTS_BASE, candidate.tree, reverted))
    runs: dict[EvidenceKind, dict[str, TestRun]] = {kind: {} for kind, _, _ in plan}
    evidence = []
    for item in wanted:
        for kind, about, run_tree in plan:
            trees = Trees(tree=about, run_tree=run_tree, base_tree=candidate.base_tree)
            run, record = await meter.command(kind, trees, item.argv)
            runs[kind][item.id] = _kept(run, candidate.paths)
            evidence.append(record)
        if meter.reports is not None:
            changed = Trees(tree=candidate.tree, run_tree=tree, base_tree=candidate.base_tree)
            base, run = runs[EvidenceKind.TESTS_BASE][item.id], runs[EvidenceKind.ACCEPTANCE][item.id]
            runs[EvidenceKind.ACCEPTANCE][item.id] = await _repeated(meter, changed, item.argv, base, run)
    return Commands(
        candidate=runs[EvidenceKind.ACCEPTANCE],
        base=runs.get(EvidenceKind.TESTS_BASE, {}),
        reverted=runs.get(EvidenceKind.NEW_TESTS_BASE, {}),
        evidence=tuple(evidence),
    )


async def _repeated(meter: Meter, trees: Trees, argv: tuple[str, ...], base: TestRun, run: TestRun) -> TestRun:
    """A run with how its flipped tests end when the command is run again, until all of them have passed once."""
    flipped = base.passed - run.passed
    if not run.records or not run.believable or run.timed_out or len(flipped) > MOST_FLIPPED:
        return run
    again: dict[str, tuple[Outcome, ...]] = {}
    for _ in range(meter.limits.flaky_reruns):
        if not flipped - {nodeid for nodeid, outcomes in again.items() if Outcome.PASSED in outcomes}:
            break
        more, _ = await meter.command(EvidenceKind.ACCEPTANCE, trees, argv)
        for nodeid in flipped:
            ended = more.outcome(nodeid) if more.believable else Outcome.ERROR
            again[nodeid] = (*again.get(nodeid, ()), ended)
    return replace(run, again=again)


def _kept(run: TestRun, changed: Sequence[str]) -> TestRun:
    """A run as it is stored: of coverage the changed files, and one of each kind to know what could be measured."""
    if run.report is None or run.report.coverage is None:
        return run
    files = run.report.coverage.files
    kinds = {PurePosixPath(path).suffix: path for path in sorted(files, reverse=True)}
    wanted = {*changed, *kinds.values()}
    coverage = replace(run.report.coverage, files={path: file for path, file in files.items() if path in wanted})
    return replace(run, report=replace(run.report, coverage=coverage))


def is_test_module(path: str) -> bool:
    """Whether it holds tests by its name, in any language that councilor knows the conventions of."""
    name = PurePosixPath(path).name
    return name.startswith("test_") or name.endswith("_test.py") or is_foreign_test(path)


def with_reported(analyses: Mapping[str, AnalysisPair], commands: Commands) -> dict[str, AnalysisPair]:
    """Analyses with what SARIF reports add: of a kind only where both trees have a report of it."""
    pairs = dict(analyses)
    base, changed = _findings(commands.base), _findings(commands.candidate)
    for kind in sorted(base.keys() & changed.keys()):
        reported = AnalysisPair(base=base[kind], candidate=changed[kind])
        pairs[kind] = pairs[kind].joined(reported) if kind in pairs else reported
    return pairs


def _findings(runs: Mapping[str, TestRun]) -> dict[str, AnalysisRun]:
    found: dict[str, AnalysisRun] = {}
    for run in runs.values():
        for kind, analysis in run.report.analyses.items() if run.report else ():
            found[kind] = found[kind].joined(analysis) if kind in found else analysis
    return found
