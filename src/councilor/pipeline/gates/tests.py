"""Gates on tests: `base_tests`, `acceptance`, `revert_check`.

Rules:
- BASE-1: a test that passed on the base fails on the candidate. BASE-2: it is not reported any more. BASE-3: the run
  did not end in time. BASE-4: more flaky tests than the tier allows. All with the base's test code.
- A test that failed and then passed on the same tree is flaky: BASE-5, a warning, and no failure. So is one that
  earlier runs of the base disagree about, or that a plugin ran again until it passed. BASE-8, a warning: the outcome of
  a test depends on what ran before it. BASE-9, a warning: its parameters are named anew in each run.
- A suite that was run in part is never a clean pass. BASE-6, a warning: in tier 3 tests were left out, none of which
  imports what was changed. BASE-7, an open question that keeps the council from accepting: others were left out.
- ACCEPT-1: a criterion's test does not pass. ACCEPT-2: its test is not found. ACCEPT-3: its command does not exit 0.
  ACCEPT-4, a warning: no criterion is measured, so nothing shows that the task is done. ACCEPT-5, a warning: a
  criterion is measured by the candidate's own tests only; where that is so of all, acceptance gives no evidence.
  ACCEPT-6, an open question: a criterion's test does not always end the same, or was left out.
- REVERT-1: new or named tests exist, and none of them fails on the base: they prove nothing. REVERT-2, a warning:
  there is no such test at all. REVERT-3, an open question: the only tests that tell the two apart do not always end the
  same. REVERT-4, a warning: only the report that a criterion's command wrote itself tells the two apart. Only for the
  modes fix and feature.
- What commands report is compared in `reported.py` (REPORT-n); a faulty report fails `acceptance`.

A criterion's test comes from the base's test code where the base has it, else from the candidate's new tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from councilor.domain.evidence import EvidenceBundle, EvidenceKind, Outcome, TestRun
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.domain.nodeid import file_of, renamed, volatile
from councilor.domain.spec import Acceptance, Mode
from councilor.pipeline.gates.input import GateInput, broken, ruled, unmeasured
from councilor.pipeline.gates.reported import compared, failed_tests, only_flaky, report_failures, telling_reports
from councilor.pipeline.gates.steadiness import left_out, unsteady_tests, unsteady_warnings
from councilor.pipeline.suite import slowed_down

__all__ = ["acceptance", "base_tests", "demonstrating_tests", "named_outcomes", "revert_check"]

K = EvidenceKind
MESSAGE_LIMIT = 160


def _first_line(text: str) -> str:
    line = next((line for line in text.splitlines() if line.strip()), "").strip()
    return f": {line[:MESSAGE_LIMIT]}" if line else ""


def _reason(run: TestRun, nodeid: str) -> str:
    return _first_line(next((record.message for record in run.records if record.nodeid == nodeid), ""))


def base_tests(given: GateInput) -> GateResult:
    """Whether every test that passes on the base still passes."""
    bundle = given.bundle
    if bundle is None:
        return unmeasured("base_tests", "no test was run")
    gap, reports = left_out(bundle, given.tier.tier), compared(bundle)
    if not bundle.base.passed and not reports.expected:
        nothing = unmeasured("base_tests", "no test passes on the base, so there is nothing to keep")
        return replace(nothing, violations=(*gap, *reports.warnings))
    expected = bundle.base.passed
    names = renamed(expected, bundle.candidate.passed)
    kept = (bundle.candidate.passed & expected) | names.keys()
    left = set(bundle.candidate.unrun) if bundle.candidate.believable else set()
    flaky = set(bundle.flaky) | reports.flaky
    lost = sorted(expected - kept - flaky - left)
    failures = [*(_lost(bundle.candidate, nodeid) for nodeid in lost), *reports.failures]
    if bundle.candidate.timed_out or slowed_down(bundle.base, bundle.candidate):
        remedy = "Find what no longer ends, or has become slow, such as a loop without an exit."
        took = f"; on the base they took {bundle.base.duration_s:.0f} s" if bundle.base.duration_s >= 1 else ""
        failures.insert(0, broken("BASE-3", Severity.HIGH, f"the tests did not end in time{took}", remedy))
    allowed = given.policy.threshold("base_tests", "max_flaky", given.tier.flaky_tests)
    if len(flaky) > allowed:
        message = f"{len(flaky)} tests are flaky, {allowed} allowed in tier {given.tier.tier}"
        failures.append(broken("BASE-4", Severity.MEDIUM, message, "Make them deterministic."))
    if reports.expected:
        kept, expected = kept | reports.kept, expected | reports.expected
        lost = [*lost, *sorted(reports.expected - reports.kept - reports.flaky)]
    of_all = len(expected) + (len(set(bundle.gap.reaching + bundle.gap.apart) - expected) if bundle.gap else 0)
    return ruled(
        "base_tests",
        failures,
        passed=f"{len(kept)} of {of_all} tests that pass on the base pass"
        if bundle.gap is None
        else f"{len(kept)} tests that pass on the base pass; {bundle.gap.left_out} of {of_all} tests were left out",
        failed=f"{len(lost)} of {len(expected)} tests that pass on the base do not pass any more" if lost else "",
        warnings=[*gap, *unsteady_warnings(bundle, names), *reports.warnings],
        evidence_ids=bundle.of(K.TESTS_BASE, K.TESTS_CANDIDATE, *((K.ACCEPTANCE,) if reports.expected else ())),
    )


def _lost(run: TestRun, nodeid: str) -> Violation:
    outcome = run.outcome(nodeid)
    if outcome is Outcome.MISSING:
        remedy = "Restore what the test imports or needs; see the log of the test run."
        if volatile(nodeid):
            remedy = (
                "Give its parameters lasting ids (`pytest.param(..., id=...)`): their names change from run to run."
            )
        return broken("BASE-2", Severity.HIGH, f"{nodeid} did not run any more", remedy, path=file_of(nodeid))
    ended = "is void" if outcome is Outcome.PASSED else f"ended as {outcome.value}"
    message = f"{nodeid} passes on the base and {ended}{_reason(run, nodeid)}"
    return broken("BASE-1", Severity.HIGH, message, "Repair the code, not the test.", path=file_of(nodeid))


def named_outcomes(bundle: EvidenceBundle, nodeid: str) -> dict[str, Outcome]:
    """Every test that `nodeid` names on the candidate (a parametrised test is named without its parameters).

    From the base's test code where the base or the candidate's run of it knows the test, else from the new tests.
    """
    for run in (bundle.candidate, bundle.new_on_candidate):
        found = _named_in(run, nodeid)
        if found and any(outcome is not Outcome.MISSING for outcome in found.values()):
            return found
        if _named_in(bundle.base, nodeid):
            return found
    return {}


def _named_in(run: TestRun | None, nodeid: str) -> dict[str, Outcome]:
    if run is None:
        return {}
    void = not run.believable
    return {
        record.nodeid: Outcome.ERROR if void else record.outcome
        for record in run.records
        if _names(nodeid, record.nodeid)
    }


def acceptance(given: GateInput) -> GateResult:
    """Whether every measured acceptance criterion holds."""
    bundle = given.bundle
    if bundle is None:
        return unmeasured("acceptance", "nothing was run")
    measured = [item for item in given.spec.acceptance if item.test_nodeids or item.test_command]
    evidence_ids = bundle.of(K.TESTS_CANDIDATE, K.NEW_TESTS_CANDIDATE, K.ACCEPTANCE)
    if not measured:
        remedy = "Add test_nodeids or a test_command to a criterion of the spec."
        warning = broken("ACCEPT-4", Severity.MEDIUM, "no acceptance criterion is measured", remedy)
        return ruled("acceptance", (), passed=warning.message, warnings=[warning])
    failures = [violation for item in measured for violation in _unmet(bundle, item)] + [*report_failures(bundle)]
    open_ids = [item.id for item in given.spec.acceptance if item not in measured]
    message = f"{', '.join(open_ids)} not measured"
    warnings = [broken("ACCEPT-4", Severity.LOW, message, "Add test_nodeids or a test_command.")] if open_ids else []
    own = [item for item in measured if _own(bundle, item)]
    warnings += [_self_measured(item) for item in own]
    warnings += [violation for item in measured for violation in _open(bundle, item)]
    return ruled(
        "acceptance",
        failures,
        passed=f"{len(measured)} of {len(given.spec.acceptance)} acceptance criteria hold",
        warnings=warnings,
        evidence_ids=evidence_ids if len(own) < len(measured) else (),
    )


def _open(bundle: EvidenceBundle, item: Acceptance) -> Iterator[Violation]:
    """What leaves a criterion open although no test of it was seen to fail for good."""
    doubtful, unrun = unsteady_tests(bundle), (*bundle.base.unrun, *bundle.candidate.unrun)
    for nodeid in item.test_nodeids:
        for name in named_outcomes(bundle, nodeid):
            if name in doubtful:
                message = f"{item.id}: {name} is flaky: {doubtful[name]}"
                yield broken("ACCEPT-6", Severity.HIGH, message, "Make the test deterministic.", path=file_of(name))
        missed = [name for name in unrun if _names(nodeid, name)]
        if missed:
            message = f"{item.id}: {missed[0]} was left out, with {len(missed) - 1} more of {nodeid}"
            yield broken("ACCEPT-6", Severity.HIGH, message, "Give the tests more time.", path=file_of(nodeid))
    run = bundle.acceptance.get(item.id)
    if run is not None and run.exit_code != 0 and only_flaky(run):
        message = f"{item.id}: its command fails by flaky tests only{failed_tests(run)}"
        yield broken("ACCEPT-6", Severity.HIGH, message, "Make the tests deterministic.")


def _names(nodeid: str, name: str) -> bool:
    """Whether `nodeid` names a test, with or without its parameters or its class's tests."""
    return name == nodeid or name.startswith((f"{nodeid}[", f"{nodeid}::"))


def _own(bundle: EvidenceBundle, item: Acceptance) -> bool:
    """Whether only tests that the candidate brought along measure a criterion."""
    known = any(_named_in(run, nodeid) for run in (bundle.base, bundle.candidate) for nodeid in item.test_nodeids)
    brought = any(_named_in(bundle.new_on_candidate, nodeid) for nodeid in item.test_nodeids)
    return brought and not known and not item.test_command


def _self_measured(item: Acceptance) -> Violation:
    message = f"{item.id}: only the candidate's own tests measure it"
    return broken("ACCEPT-5", Severity.MEDIUM, message, "Commit its test on the base, or add a test_command.")


def _unmet(bundle: EvidenceBundle, item: Acceptance) -> Iterator[Violation]:
    remedy = f"Make it so: given {item.given}, when {item.when}, then {item.then}."
    doubtful, unrun = unsteady_tests(bundle), (*bundle.base.unrun, *bundle.candidate.unrun)
    for nodeid in item.test_nodeids:
        found = named_outcomes(bundle, nodeid)
        if any(_names(nodeid, name) for name in unrun):
            continue
        if not found or all(outcome is Outcome.MISSING for outcome in found.values()):
            message = f"{item.id}: the test {nodeid} was not found"
            yield broken("ACCEPT-2", Severity.HIGH, message, f"Write the test {nodeid}.", path=file_of(nodeid))
        for name, outcome in found.items():
            if outcome not in (Outcome.PASSED, Outcome.MISSING) and name not in doubtful:
                message = f"{item.id}: {name} ended as {outcome.value}{_reason(bundle.candidate, name)}"
                yield broken("ACCEPT-1", Severity.HIGH, message, remedy, path=file_of(name))
    if item.test_command:
        run = bundle.acceptance.get(item.id)
        if run is None:
            message = f"{item.id}: its command was not run"
            yield broken("ACCEPT-3", Severity.HIGH, message, "Run the evidence again.")
        elif (run.exit_code != 0 or run.timed_out or not run.believable) and not only_flaky(run):
            ended = "did not end in time" if run.timed_out else f"exited with {run.exit_code}{failed_tests(run)}"
            yield broken("ACCEPT-3", Severity.HIGH, f"{item.id}: `{item.test_command}` {ended}", remedy)


def _fails(run: TestRun | None, nodeid: str) -> bool:
    """Whether a believable run shows that the test does not pass there."""
    return run is not None and run.believable and run.outcome(nodeid) is not Outcome.PASSED


def demonstrating_tests(given: GateInput) -> tuple[str, ...]:
    """Tests that always pass on the candidate and always fail on the base: they show that the change does something."""
    bundle = given.bundle
    if bundle is None:
        return ()
    doubtful = unsteady_tests(bundle)
    return tuple(nodeid for nodeid in _telling_tests(given, bundle) if nodeid not in doubtful)


def _telling_tests(given: GateInput, bundle: EvidenceBundle) -> tuple[str, ...]:
    """Tests that passed on the candidate and failed on the base."""
    named = {
        name
        for nodeid in given.spec.acceptance_nodeids
        for name in _named_in(bundle.candidate, nodeid)
        if name in bundle.candidate.passed and bundle.base.outcome(name) in (Outcome.FAILED, Outcome.ERROR)
    }
    new = bundle.new_on_candidate.passed if bundle.new_on_candidate else frozenset()
    shown = {nodeid for nodeid in new if _fails(bundle.new_on_base, nodeid)}
    return tuple(sorted((named if bundle.base.believable else set()) | shown))


def revert_check(given: GateInput) -> GateResult:
    """Whether some test tells the candidate from the base."""
    bundle = given.bundle
    if bundle is None:
        return unmeasured("revert_check", "no test was run")
    if given.spec.mode not in (Mode.FIX, Mode.FEATURE):
        return unmeasured("revert_check", f"not asked of a {given.spec.mode.value} task")
    shown = demonstrating_tests(given)
    evidence_ids = bundle.of(K.TESTS_BASE, K.TESTS_CANDIDATE, K.NEW_TESTS_BASE, K.NEW_TESTS_CANDIDATE)
    tried = _tried(given, bundle)
    if shown:
        summary = f"{len(shown)} tests fail on the base and pass on the candidate"
        return ruled("revert_check", (), passed=summary, evidence_ids=evidence_ids)
    remedy = "Write a test that fails without the change and passes with it."
    if reported := telling_reports(bundle):
        message = f"only the command's own report tells the candidate from the base, such as by {reported[0]}"
        weak = broken("REVERT-4", Severity.LOW, message, remedy)
        return ruled("revert_check", (), passed=message, warnings=[weak], evidence_ids=evidence_ids)
    if telling := _telling_tests(given, bundle):
        message = f"{telling[0]} is flaky: {unsteady_tests(bundle)[telling[0]]}"
        unsure = broken("REVERT-3", Severity.HIGH, message, "Make the test deterministic.", path=file_of(telling[0]))
        return ruled("revert_check", (), passed=message, warnings=[unsure], evidence_ids=evidence_ids)
    if tried:
        message = f"none of {len(tried)} new or named tests fails on the base and passes on the candidate"
        failures = [broken("REVERT-1", Severity.HIGH, message, remedy, path=file_of(tried[0]))]
        return ruled("revert_check", failures, passed="", evidence_ids=evidence_ids)
    warning = broken("REVERT-2", Severity.MEDIUM, "no test tells the candidate from the base", remedy)
    return ruled("revert_check", (), passed=warning.message, warnings=[warning], evidence_ids=evidence_ids)


def _tried(given: GateInput, bundle: EvidenceBundle) -> Sequence[str]:
    """Tests that should have told the two apart."""
    new = [record.nodeid for record in bundle.new_on_candidate.records] if bundle.new_on_candidate else []
    base = set(bundle.base.outcomes)
    named = [name for nodeid in given.spec.acceptance_nodeids for name in _named_in(bundle.candidate, nodeid)]
    return sorted({*(name for name in new if name not in base), *named})
