"""What commands report of themselves: compared with the base, never a pass when it says nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from councilor.domain.analysis import AnalysisPair, AnalysisRun, Finding
from councilor.domain.change import TreeEntry
from councilor.domain.coverage import Branches, Coverage, FileCoverage
from councilor.domain.evidence import Breach, EvidenceKind, Outcome
from councilor.domain.evidence import TestRun as Run
from councilor.domain.gate import GateResult
from councilor.domain.report import Report, ReportFault, ReportForm, ReportOrder, ReportTrouble
from councilor.domain.spec import draft_spec, load_spec
from councilor.domain.strength import Strength
from councilor.pipeline.commands import Commands, run_commands, with_reported
from councilor.pipeline.gates.strength import coverage_changed_lines
from councilor.pipeline.gates.tests import acceptance, base_tests, revert_check
from councilor.pipeline.measurement import EvidenceLimits, Trees

JUNIT = "reports/junit.xml"
SPEC = load_spec(draft_spec("Repair it", number=1, test_command="npm test"), source="draft")


def reported(make: SimpleNamespace, outcomes: dict[str, str] | None, **more: Any) -> Run:
    if outcomes is None:
        fault = ReportFault(form=ReportForm.JUNIT, path=JUNIT, trouble=more.pop("trouble", ReportTrouble.MISSING))
        return make.run({}, report=Report(faults=(fault,)), **more)
    return make.run(outcomes, report=Report(read=(JUNIT,)), **more)


def judge(make: SimpleNamespace, base: Run, candidate: Run, **more: Any) -> dict[str, GateResult]:
    bundle = make.bundle(
        base=make.run(), candidate=make.run(), acceptance={"A1": candidate}, acceptance_base={"A1": base}, **more
    )
    given = make.input(bundle=bundle, spec=SPEC)
    return {"base_tests": base_tests(given), "acceptance": acceptance(given), "revert_check": revert_check(given)}


def rules(result: GateResult) -> list[str]:
    return [item.rule for item in result.violations]


def test_what_passes_on_the_base_passes_on_the_candidate(make: SimpleNamespace) -> None:
    found = judge(make, reported(make, {"a": "passed", "b": "failed"}), reported(make, {"a": "passed", "b": "passed"}))
    assert (found["base_tests"].status.value, rules(found["base_tests"])) == ("warned", ["REPORT-8"])
    assert found["base_tests"].summary == "1 of 1 tests that pass on the base pass"
    assert found["acceptance"].status.value == "passed"
    assert rules(found["revert_check"]) == ["REVERT-4"]


def test_a_new_test_that_fails_on_the_base_tells_the_two_apart(make: SimpleNamespace) -> None:
    candidate = reported(make, {"a": "passed", "new": "passed"})
    reverted = {"A1": reported(make, {"a": "passed", "new": "failed"})}
    found = judge(make, reported(make, {"a": "passed"}), candidate, acceptance_reverted=reverted)["revert_check"]
    assert rules(found) == ["REVERT-4"]
    assert rules(judge(make, reported(make, {"a": "passed"}), candidate)["revert_check"]) == ["REVERT-2"]


def test_a_reported_test_that_fails_or_vanishes_is_lost(make: SimpleNamespace) -> None:
    base = reported(make, {"a.js::x": "passed", "b": "passed", "c": "passed"})
    found = judge(make, base, reported(make, {"a.js::x": "failed", "c": "passed"}, exit_code=1))["base_tests"]
    assert found.blocks
    assert rules(found) == ["BASE-1", "BASE-2", "REPORT-8"]
    assert found.violations[0].path == "a.js"


def test_a_reported_test_that_passes_when_run_again_is_flaky(make: SimpleNamespace) -> None:
    base = reported(make, {"a": "passed", "b": "passed"})
    again = {"a": (Outcome.FAILED, Outcome.PASSED)}
    found = judge(make, base, reported(make, {"a": "failed", "b": "passed"}, exit_code=1, again=again))
    assert rules(found["base_tests"]) == ["BASE-5", "REPORT-8"]
    assert (found["acceptance"].status.value, rules(found["acceptance"])) == ("warned", ["ACCEPT-6"])
    both = judge(make, base, reported(make, {"a": "failed", "b": "failed"}, exit_code=1, again=again))
    assert rules(both["base_tests"])[0] == "BASE-1"
    assert rules(both["acceptance"]) == ["ACCEPT-3"]
    assert "its report names a and 1 more as failed" in both["acceptance"].violations[0].message


def test_a_void_run_keeps_nothing(make: SimpleNamespace) -> None:
    base = reported(make, {"a": "passed"})
    found = judge(make, base, reported(make, {"a": "passed"}, breaches=(Breach.TREE_CHANGED,)))
    assert rules(found["base_tests"])[0] == "BASE-1"


@pytest.mark.parametrize(
    ("trouble", "rule"),
    [
        (ReportTrouble.MISSING, "REPORT-1"),
        (ReportTrouble.TRACKED, "REPORT-2"),
        (ReportTrouble.STALE, "REPORT-3"),
        (ReportTrouble.LARGE, "REPORT-4"),
        (ReportTrouble.MALFORMED, "REPORT-5"),
        (ReportTrouble.EMPTY, "REPORT-6"),
    ],
)
def test_a_report_that_says_nothing_is_no_pass(make: SimpleNamespace, trouble: ReportTrouble, rule: str) -> None:
    found = judge(make, reported(make, {"a": "passed"}), reported(make, None, trouble=trouble))
    assert found["acceptance"].blocks
    assert rules(found["acceptance"]) == [rule]
    assert found["base_tests"].status.value == "skipped", "nothing was compared"


def test_one_of_several_commands_may_write_it(make: SimpleNamespace) -> None:
    runs = {"A1": reported(make, {"a": "passed"}), "A2": reported(make, None)}
    given = make.input(bundle=make.bundle(acceptance=runs, acceptance_base=runs), spec=SPEC)
    assert rules(acceptance(given)) == []
    gone = {"A1": reported(make, {"a": "passed"}), "A2": reported(make, {"b": "passed"})}
    given = make.input(bundle=make.bundle(acceptance=runs, acceptance_base=gone), spec=SPEC)
    assert rules(acceptance(given)) == ["REPORT-1"], "on the base this command wrote it"


def test_an_exit_code_that_contradicts_the_report_is_no_pass(make: SimpleNamespace) -> None:
    found = judge(make, reported(make, {"a": "failed"}), reported(make, {"a": "failed"}))["acceptance"]
    assert (found.blocks, rules(found)) == (True, ["REPORT-7"])


def test_a_base_without_a_report_is_told(make: SimpleNamespace) -> None:
    found = judge(make, reported(make, None), reported(make, {"a": "passed"}))
    assert rules(found["base_tests"]) == ["REPORT-9"]
    assert rules(found["acceptance"]) == []


def test_findings_are_compared_only_where_both_trees_report_them(make: SimpleNamespace) -> None:
    def run(*messages: str) -> Run:
        findings = tuple(Finding(path="a.js", line=1, rule="x", message=text) for text in messages)
        return make.run({}, report=Report(analyses={"lint": AnalysisRun(findings=findings)}))

    own = {"lint": AnalysisPair(base=AnalysisRun(findings=()), candidate=AnalysisRun(findings=()))}
    both = with_reported(own, Commands(candidate={"A1": run("p", "q")}, base={"A1": run("p")}))["lint"]
    assert both.base is not None
    assert both.candidate is not None
    assert (len(both.base.findings), len(both.candidate.findings)) == (1, 2)
    assert with_reported(own, Commands(candidate={"A1": run("p")})) == own


SHOP = FileCoverage(covered=(1, 2), uncovered=(3,), branches={2: Branches(taken=1, total=2)})


def covered(make: SimpleNamespace, *changes: Any, own: Strength | None = None, **more: Any) -> GateResult:
    report = Report(coverage=Coverage(files={"shop.js": SHOP}, source="lcov"))
    run = make.run({}, report=report, **more)
    return coverage_changed_lines(
        make.input(*changes, bundle=make.bundle(acceptance={"A1": run}, strength=own), spec=SPEC)
    )


def test_reported_coverage_of_changed_lines_counts(make: SimpleNamespace) -> None:
    found = covered(make, make.change("shop.js", "", "a\nb\nc\n"))
    assert found.summary.startswith("2 of 3 changed statements are executed, 1 of 2 branches are taken: 50%")
    assert rules(found) == ["COVER-1", "COVER-2", "COVER-3"]
    assert [item.line for item in found.violations[1:]] == [3, 2]


def test_a_file_that_was_never_loaded_did_not_run(make: SimpleNamespace) -> None:
    found = covered(make, make.change("cart.js", None, "a\nb\n"), make.change("notes.md", "", "x\n"))
    assert found.summary.startswith("0 of 2 changed statements")


def test_python_and_tests_are_not_the_reports(make: SimpleNamespace) -> None:
    changes = (make.change("a.py", "", "x\n"), make.change("tests/a.js", "", "x\n"))
    assert covered(make, *changes).status.value == "skipped"
    assert covered(make, make.change("shop.js", "", "a\n"), breaches=(Breach.TREE_CHANGED,)).status.value == "skipped"


def test_reported_lines_are_added_to_our_own(make: SimpleNamespace) -> None:
    own = Strength(lines=10, covered=10, complete=True)
    found = covered(make, make.change("shop.js", "", "a\n"), make.change("a.py", "", "x\n"), own=own)
    assert found.summary == "11 of 11 changed statements are executed"


class Runs:
    """Gives a report for every command, whatever the tree."""

    reports = ReportOrder(junit=JUNIT, coverage="lcov.info")

    limits = EvidenceLimits(timeout_s=1.0, test_timeout_s=1.0, canaries=0, flaky_reruns=3)

    def __init__(self, *runs: Run) -> None:
        self.runs = list(runs)
        self.trees: list[tuple[EvidenceKind, str]] = []
        self.repository = self.runner = self

    def owns(self, path: str) -> bool:
        return path.startswith("test/")

    async def entries(self, tree: str) -> list[TreeEntry]:
        return [TreeEntry(path="shop.js", mode="100644", hash="h")]

    async def composed(self, tree: str, other: str, theirs: Any) -> str:
        return f"{tree[0]}+{other[0]}"

    async def command(self, kind: EvidenceKind, trees: Trees, argv: tuple[str, ...]) -> tuple[Run, Any]:
        self.trees.append((kind, trees.run_tree))
        return self.runs.pop(0) if len(self.runs) > 1 else self.runs[0], kind


async def test_a_command_runs_on_both_trees_and_with_new_tests_on_the_base(make: SimpleNamespace) -> None:
    files = {"shop.js": SHOP, "other.js": SHOP, "z.js": SHOP, "style.ts": SHOP}
    meter = Runs(make.run({"a": "passed"}, report=Report(coverage=Coverage(files=files))))
    given = make.input(make.change("shop.js", "", "x\n"), make.change("test/new.test.js", None, "x\n"))
    commands = await run_commands(meter, given.candidate, SPEC.acceptance)  # type: ignore[arg-type]
    assert [(kind.value, tree) for kind, tree in meter.trees] == [
        ("acceptance", "c+b"),
        ("tests_base", make.BASE_TREE),
        ("new_tests_base", "b+c"),
    ]
    report = commands.candidate["A1"].report
    assert report is not None
    assert report.coverage is not None
    assert set(report.coverage.files) == {"shop.js", "other.js", "style.ts"}, "the changed ones, and one of each kind"


async def test_a_command_is_run_again_while_a_test_stays_flipped(make: SimpleNamespace) -> None:
    good, bad = reported(make, {"a": "passed", "b": "passed"}), reported(make, {"a": "failed", "b": "passed"})
    meter = Runs(bad, good, bad, good, good)
    given = make.input(make.change("shop.js", "", "x\n"))
    commands = await run_commands(meter, given.candidate, SPEC.acceptance)  # type: ignore[arg-type]
    assert commands.candidate["A1"].again == {"a": (Outcome.FAILED, Outcome.PASSED)}
    assert len(meter.trees) == 4, "nothing is run once all have passed"
    steady = Runs(good)
    commands = await run_commands(steady, given.candidate, SPEC.acceptance)  # type: ignore[arg-type]
    assert (commands.candidate["A1"].again, len(steady.trees)) == ({}, 2)
