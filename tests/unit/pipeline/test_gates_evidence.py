"""Gates on evidence: tests, acceptance, revert check, integrity and lint."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import yaml

from councilor.domain.analysis import AnalysisPair, AnalysisRun
from councilor.domain.evidence import Breach, EvidenceKind
from councilor.domain.gate import GateResult, GateStatus
from councilor.domain.spec import draft_spec, load_spec
from councilor.pipeline.gates import integrity, lint, tests

ONE, TWO = "tests/test_a.py::test_one", "tests/test_a.py::test_two"
NEW = "tests/test_new.py::test_new"


def rules(result: GateResult) -> list[str]:
    return [item.rule for item in result.violations]


def spec_with(*, nodeids: tuple[str, ...] = (), command: str | None = None, **changes: Any) -> Any:
    data = yaml.safe_load(draft_spec("Do it", number=1, nodeids=nodeids, test_command=command)) | changes
    return load_spec(yaml.safe_dump(data), source="s")


def test_a_good_candidate_passes(make: SimpleNamespace) -> None:
    given = make.input()
    gates = (tests.base_tests, tests.acceptance, tests.revert_check, integrity.evidence_integrity, lint.lint)
    for gate in gates:
        result = gate(given)
        assert result.status is GateStatus.PASSED, result
        assert result.evidence_ids


def test_without_evidence_nothing_passes(make: SimpleNamespace) -> None:
    given = make.input(bundle=None)
    for gate in (tests.base_tests, tests.acceptance, tests.revert_check, lint.lint):
        assert gate(given).status is GateStatus.SKIPPED


def test_base_1_a_test_that_fails_now(make: SimpleNamespace) -> None:
    given = make.input(bundle=make.bundle(candidate=make.run({ONE: "failed", TWO: "passed", make.NAMED: "passed"})))
    result = tests.base_tests(given)
    assert (result.status, rules(result)) == (GateStatus.FAILED, ["BASE-1"])
    assert result.violations[0].path == "tests/test_a.py"
    assert ONE in result.violations[0].message


def test_a_skipped_or_expected_failure_is_no_pass(make: SimpleNamespace) -> None:
    for outcome in ("skipped", "xfailed", "error"):
        candidate = make.run({ONE: outcome, TWO: "passed", make.NAMED: "passed"})
        assert rules(tests.base_tests(make.input(bundle=make.bundle(candidate=candidate)))) == ["BASE-1"]


def test_base_2_a_test_that_is_not_reported(make: SimpleNamespace) -> None:
    given = make.input(bundle=make.bundle(candidate=make.run({TWO: "passed", make.NAMED: "passed"})))
    assert rules(tests.base_tests(given)) == ["BASE-2"]


def test_base_3_tests_that_never_end(make: SimpleNamespace) -> None:
    candidate = make.run({ONE: "passed", TWO: "passed"}, timed_out=True, exit_code=None)
    assert rules(tests.base_tests(make.input(bundle=make.bundle(candidate=candidate)))) == ["BASE-3"]


def test_base_4_and_5_flaky_tests(make: SimpleNamespace) -> None:
    candidate = make.run({ONE: "failed", TWO: "passed", make.NAMED: "passed"})
    few = tests.base_tests(make.input(bundle=make.bundle(candidate=candidate, flaky=(ONE,))))
    assert (few.status, rules(few)) == (GateStatus.WARNED, ["BASE-5"])
    many = tests.base_tests(make.input(bundle=make.bundle(flaky=(ONE, TWO, make.NAMED))))
    assert many.status is GateStatus.FAILED
    assert rules(many)[0] == "BASE-4"


def test_a_void_run_keeps_nothing(make: SimpleNamespace) -> None:
    forged = make.run({ONE: "passed", TWO: "passed", make.NAMED: "passed"}, breaches=(Breach.CANARY_PASSED,))
    result = tests.base_tests(make.input(bundle=make.bundle(candidate=forged)))
    assert (result.status, len(result.violations)) == (GateStatus.FAILED, 2)


def test_a_base_without_passing_tests_is_not_measured(make: SimpleNamespace) -> None:
    assert tests.base_tests(make.input(bundle=make.bundle(base=make.run()))).status is GateStatus.SKIPPED


def test_many_failures_are_counted_and_not_all_listed(make: SimpleNamespace) -> None:
    base = make.run({f"tests/t.py::test_{n}": "passed" for n in range(300)})
    result = tests.base_tests(make.input(bundle=make.bundle(base=base, candidate=make.run())))
    assert len(result.violations) == 50
    assert "300 of 300" in result.summary


def test_accept_1_a_criterion_that_does_not_hold(make: SimpleNamespace) -> None:
    candidate = make.run({ONE: "passed", TWO: "passed", make.NAMED: "failed"})
    result = tests.acceptance(make.input(bundle=make.bundle(candidate=candidate)))
    assert (result.status, rules(result)) == (GateStatus.FAILED, ["ACCEPT-1"])


def test_accept_1_takes_every_parametrised_case(make: SimpleNamespace) -> None:
    cases = {f"{make.NAMED}[1]": "passed", f"{make.NAMED}[2]": "failed"}
    result = tests.acceptance(make.input(bundle=make.bundle(base=make.run(cases), candidate=make.run(cases))))
    assert rules(result) == ["ACCEPT-1"]


def test_accept_2_a_test_that_does_not_exist(make: SimpleNamespace) -> None:
    spec = spec_with(nodeids=("tests/test_a.py::test_ghost",))
    assert rules(tests.acceptance(make.input(spec=spec))) == ["ACCEPT-2"]


def test_a_named_new_test_is_looked_for_among_the_new_ones(make: SimpleNamespace) -> None:
    spec = spec_with(nodeids=(NEW,))
    good = make.bundle(new_on_candidate=make.run({NEW: "passed"}), new_on_base=make.run({NEW: "failed"}))
    result = tests.acceptance(make.input(spec=spec, bundle=good))
    assert (result.status, rules(result)) == (GateStatus.WARNED, ["ACCEPT-5"])
    bad = make.bundle(new_on_candidate=make.run({NEW: "failed"}), new_on_base=make.run({NEW: "failed"}))
    assert rules(tests.acceptance(make.input(spec=spec, bundle=bad))) == ["ACCEPT-1", "ACCEPT-5"]


def test_accept_5_the_candidates_own_tests_are_no_evidence_of_acceptance(make: SimpleNamespace) -> None:
    good = make.bundle(new_on_candidate=make.run({NEW: "passed"}), new_on_base=make.run({NEW: "failed"}))
    assert tests.acceptance(make.input(spec=spec_with(nodeids=(NEW,)), bundle=good)).evidence_ids == ()
    both = tests.acceptance(make.input(spec=spec_with(nodeids=(NEW, make.NAMED)), bundle=good))
    assert (both.status, bool(both.evidence_ids)) == (GateStatus.PASSED, True)


def test_an_edited_test_cannot_stand_in_for_the_base_one(make: SimpleNamespace) -> None:
    outcomes = {ONE: "passed", TWO: "passed", make.NAMED: "failed"}
    tampered = make.bundle(candidate=make.run(outcomes), new_on_candidate=make.run({make.NAMED: "passed"}))
    assert rules(tests.acceptance(make.input(bundle=tampered))) == ["ACCEPT-1"]


def test_accept_3_the_command_must_exit_with_zero(make: SimpleNamespace) -> None:
    spec = spec_with(command="make check")
    for run in (make.run(exit_code=1), make.run(exit_code=None, timed_out=True)):
        result = tests.acceptance(make.input(spec=spec, bundle=make.bundle(acceptance={"A1": run})))
        assert rules(result) == ["ACCEPT-3"]
    assert rules(tests.acceptance(make.input(spec=spec))) == ["ACCEPT-3"]
    good = make.bundle(acceptance={"A1": make.run(exit_code=0)})
    assert tests.acceptance(make.input(spec=spec, bundle=good)).status is GateStatus.PASSED


def test_accept_4_nothing_measured_is_a_warning_without_evidence(make: SimpleNamespace) -> None:
    result = tests.acceptance(make.input(spec=spec_with()))
    assert (result.status, rules(result), result.evidence_ids) == (GateStatus.WARNED, ["ACCEPT-4"], ())


def test_revert_1_a_new_test_that_passes_on_the_base_proves_nothing(make: SimpleNamespace) -> None:
    idle = make.bundle(new_on_candidate=make.run({NEW: "passed"}), new_on_base=make.run({NEW: "passed"}))
    result = tests.revert_check(make.input(spec=spec_with(), bundle=idle))
    assert (result.status, rules(result)) == (GateStatus.FAILED, ["REVERT-1"])
    good = make.bundle(new_on_candidate=make.run({NEW: "passed"}), new_on_base=make.run({NEW: "error"}))
    assert tests.revert_check(make.input(spec=spec_with(), bundle=good)).status is GateStatus.PASSED


def test_revert_1_also_for_named_tests(make: SimpleNamespace) -> None:
    idle = make.bundle(base=make.run({ONE: "passed", make.NAMED: "passed"}))
    assert rules(tests.revert_check(make.input(bundle=idle))) == ["REVERT-1"]


def test_a_void_run_on_the_base_demonstrates_nothing(make: SimpleNamespace) -> None:
    void = make.run({NEW: "failed"}, breaches=(Breach.EARLY_END,))
    given = make.input(
        spec=spec_with(), bundle=make.bundle(new_on_candidate=make.run({NEW: "passed"}), new_on_base=void)
    )
    assert tests.revert_check(given).status is GateStatus.FAILED


def test_revert_2_no_test_at_all_is_a_warning(make: SimpleNamespace) -> None:
    result = tests.revert_check(make.input(spec=spec_with()))
    assert (result.status, rules(result)) == (GateStatus.WARNED, ["REVERT-2"])


def test_the_revert_check_is_for_fixes_and_features(make: SimpleNamespace) -> None:
    assert tests.revert_check(make.input(spec=spec_with(mode="chore"))).status is GateStatus.SKIPPED


def test_evid_1_a_breach_voids_the_run(make: SimpleNamespace) -> None:
    forged = make.run({ONE: "passed"}, breaches=(Breach.BAD_NONCE, Breach.EXTRA_RECORD))
    for name in ("candidate", "new_on_candidate", "new_on_base"):
        result = integrity.evidence_integrity(make.input(bundle=make.bundle(**{name: forged})))
        assert (result.status, rules(result)) == (GateStatus.FAILED, ["EVID-1"])
        assert "bad_nonce, extra_record" in result.violations[0].message


def test_evid_4_a_run_that_broke_off_is_void_and_not_called_tampered(make: SimpleNamespace) -> None:
    crashed = make.run({ONE: "passed"}, breaches=(Breach.EARLY_END,))
    result = integrity.evidence_integrity(make.input(bundle=make.bundle(candidate=crashed)))
    assert (result.status, rules(result)) == (GateStatus.FAILED, ["EVID-4"])


def test_evid_2_the_base_must_be_believable_too(make: SimpleNamespace) -> None:
    void = make.run({ONE: "passed"}, breaches=(Breach.TREE_CHANGED,))
    assert rules(integrity.evidence_integrity(make.input(bundle=make.bundle(base=void)))) == ["EVID-2"]


def test_evid_3_evidence_of_another_tree_is_stale(make: SimpleNamespace) -> None:
    items = (make.evidence(EvidenceKind.TESTS_CANDIDATE, tree="d" * 40),)
    assert rules(integrity.evidence_integrity(make.input(bundle=make.bundle(evidence=items)))) == ["EVID-3"]
    base = (make.evidence(EvidenceKind.TESTS_BASE, tree=make.BASE_TREE),)
    result = integrity.evidence_integrity(make.input(bundle=make.bundle(evidence=base)))
    assert result.status is GateStatus.PASSED


def test_tests_with_the_base_s_compiled_modules_say_nothing_of_their_new_sources(make: SimpleNamespace) -> None:
    result = integrity.evidence_integrity(make.input(bundle=make.bundle(uncompiled=("src/fast.c",))))
    assert (result.status, rules(result)) == (GateStatus.FAILED, ["EVID-5"])
    assert result.violations[0].path == "src/fast.c"


def test_forging_code_is_found_before_anything_runs(make: SimpleNamespace) -> None:
    forging = "import os\n\n\ndef f():\n    os._exit(0)\n"
    given = make.input(make.change("src/a.py", "x = 1\n", forging), bundle=None)
    result = integrity.evidence_integrity(given)
    assert result.status is GateStatus.FAILED
    assert result.violations[0].rule.startswith("FORGE-")
    assert result.violations[0].path == "src/a.py"


def linted(make: SimpleNamespace, base: list[Any], candidate: list[Any], tier: int = 3) -> GateResult:
    given = make.input(bundle=make.bundle(analyses={"lint": make.pair(base, candidate)}))
    return lint.lint(replace(given, task=replace(given.task, tier=tier)))


def test_lint_1_only_new_findings_count_and_the_tier_allows_some(make: SimpleNamespace) -> None:
    old = [make.finding(line=1, message="line 1 too long (130)")]
    moved = [make.finding(line=9, message="line 9 too long (131)")]
    assert linted(make, old, moved).status is GateStatus.PASSED
    ten = [make.finding(line=n, rule="E501") for n in range(10)]
    assert linted(make, old, ten).status is GateStatus.WARNED
    over = linted(make, old, [*ten, make.finding(rule="E501")])
    assert (over.status, set(rules(over))) == (GateStatus.FAILED, {"LINT-1"})
    assert linted(make, [], ten[:6], tier=2).status is GateStatus.FAILED
    assert linted(make, [], ten[:5], tier=2).status is GateStatus.WARNED
    assert linted(make, [], ten[:1], tier=1).status is GateStatus.FAILED


def test_lint_1_a_second_finding_alike_is_new(make: SimpleNamespace) -> None:
    result = linted(make, [make.finding()], [make.finding(), make.finding(line=5)])
    assert rules(result) == ["LINT-1"]


def test_lint_2_a_file_that_cannot_be_parsed_always_fails(make: SimpleNamespace) -> None:
    result = linted(make, [], [make.finding(rule="invalid-syntax", message="Expected an expression")])
    assert (result.status, rules(result)) == (GateStatus.FAILED, ["LINT-2"])


def test_lint_3_a_linter_that_cannot_run_any_more_fails(make: SimpleNamespace) -> None:
    clean, broken = AnalysisRun(findings=()), AnalysisRun(findings=(), error="bad configuration")
    fails = lint.lint(make.input(bundle=make.bundle(analyses={"lint": AnalysisPair(base=clean, candidate=broken)})))
    assert (fails.status, rules(fails)) == (GateStatus.FAILED, ["LINT-3"])
    unmeasured = lint.lint(
        make.input(bundle=make.bundle(analyses={"lint": AnalysisPair(base=broken, candidate=broken)}))
    )
    assert unmeasured.status is GateStatus.SKIPPED
