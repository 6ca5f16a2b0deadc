"""What commands reported of themselves, for the gates `base_tests`, `acceptance` and `revert_check`.

Rules:
- REPORT-1: no command wrote a report that the spec names. REPORT-2: a file of the tree, or a link, stands in its place.
  REPORT-3: it is older than the run. REPORT-4: it is too large. REPORT-5: it is not of its form. REPORT-6: it holds
  nothing. None of them ever stands for a pass: they fail `acceptance`.
- REPORT-7: a command exits 0, and its report holds failed tests: one of the two is wrong.
- A test that the command reports as passed on the base must be reported as passed on the candidate (BASE-1, BASE-2),
  or pass when the command is run again: then it is flaky (BASE-5), and where that is so of all that failed, the
  criterion is open (ACCEPT-6).
- REPORT-8, a warning: the tests are known from the command's own report, which the code that was run could have
  written itself; our runner's evidence is stronger. REPORT-9, a warning: on the base there is no usable report, so
  nothing could be compared.

It measures nothing; `pipeline/commands.py` did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from councilor.domain.evidence import EvidenceBundle, Outcome, TestRun
from councilor.domain.gate import Severity, Violation
from councilor.domain.report import ReportFault, ReportTrouble
from councilor.pipeline.gates.input import broken

__all__ = ["Comparison", "compared", "failed_tests", "only_flaky", "report_failures", "telling_reports"]

MESSAGE_LIMIT = 160
RULES: Mapping[ReportTrouble, tuple[str, str]] = {
    ReportTrouble.MISSING: ("REPORT-1", "Let the criterion's command write it, or take it out of the spec."),
    ReportTrouble.TRACKED: ("REPORT-2", "Take the file out of the tree: a report is made by the run."),
    ReportTrouble.STALE: ("REPORT-3", "Let the command write the report itself, instead of copying one."),
    ReportTrouble.LARGE: ("REPORT-4", "Report less, or in several commands; 10 MiB are read."),
    ReportTrouble.MALFORMED: ("REPORT-5", "Write JUnit XML, Cobertura XML or LCOV, and SARIF 2.1.0."),
    ReportTrouble.EMPTY: ("REPORT-6", "Let the command run at least one test, and measure at least one file."),
}
BAD = frozenset({Outcome.FAILED, Outcome.ERROR})


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """The reported tests of base and candidate."""

    expected: frozenset[str] = frozenset()
    """Tests reported as passed on the base."""
    kept: frozenset[str] = frozenset()
    """Those of them that are reported as passed on the candidate."""
    flaky: frozenset[str] = frozenset()
    """Those of them that passed on the candidate when its command was run again."""
    failures: tuple[Violation, ...] = ()
    warnings: tuple[Violation, ...] = ()


def compared(bundle: EvidenceBundle) -> Comparison:
    """Whether what the base reports as passed is reported so by the candidate."""
    expected: set[str] = set()
    kept: set[str] = set()
    flaky: set[str] = set()
    failures: list[Violation] = []
    for name, base in bundle.acceptance_base.items():
        run = bundle.acceptance.get(name)
        if run is not None and _tests_of(run):
            expected |= base.passed
            kept |= base.passed & run.passed
            flaky |= base.passed & run.unsteady
            failures += [_lost(run, nodeid, name) for nodeid in sorted(base.passed - run.passed - run.unsteady)]
    remedy = "Make the test deterministic."
    warnings = [
        broken("BASE-5", Severity.LOW, f"by its command's reports {nodeid} failed and then passed", remedy)
        for nodeid in sorted(flaky)
    ]
    warnings += [_incomparable(path) for path in sorted(_read(bundle.acceptance) - _read(bundle.acceptance_base))]
    if expected:
        message = f"{len(expected)} tests are known from the command's own report, which the change could have written"
        remedy = "Weigh it as less than tests that councilor's own runner has run."
        warnings.append(broken("REPORT-8", Severity.LOW, message, remedy))
    return Comparison(
        expected=frozenset(expected),
        kept=frozenset(kept),
        flaky=frozenset(flaky),
        failures=tuple(failures),
        warnings=tuple(warnings),
    )


def only_flaky(run: TestRun) -> bool:
    """Whether all tests that a command reports as failed passed when it was run again."""
    bad = {record.nodeid for record in run.records if record.outcome in BAD}
    return bool(bad) and bad <= run.unsteady and run.believable and not run.timed_out


def failed_tests(run: TestRun) -> str:
    """The tests that a command reports as failed, for a message; empty without a report."""
    bad = [record.nodeid for record in run.records if record.outcome in BAD]
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    return f"; its report names {bad[0]}{more} as failed" if bad else ""


def _tests_of(run: TestRun) -> bool:
    """Whether a run has a report of tests that could be read."""
    return bool(run.records)


def _read(runs: Mapping[str, TestRun]) -> set[str]:
    return {path for run in runs.values() if run.report is not None for path in run.report.read}


def _lost(run: TestRun, nodeid: str, name: str) -> Violation:
    remedy = "Repair the code, not the test."
    path = nodeid.partition("::")[0] if "::" in nodeid else None
    outcome = run.outcome(nodeid)
    if outcome is Outcome.MISSING:
        message = f"{name}: its report names {nodeid} on the base, and no more on the candidate"
        return broken("BASE-2", Severity.HIGH, message, "Restore what the test imports or needs.", path=path)
    ended = "is void" if outcome is Outcome.PASSED else f"ended as {outcome.value}{_reason(run, nodeid)}"
    message = f"{name}: by its report {nodeid} passes on the base and {ended}"
    return broken("BASE-1", Severity.HIGH, message, remedy, path=path)


def _reason(run: TestRun, nodeid: str) -> str:
    text = next((record.message for record in run.records if record.nodeid == nodeid), "")
    line = next((line for line in text.splitlines() if line.strip()), "").strip()
    return f": {line[:MESSAGE_LIMIT]}" if line else ""


def _incomparable(path: str) -> Violation:
    message = f"on the base there is no usable report {path}, so nothing in it can be compared"
    return broken("REPORT-9", Severity.MEDIUM, message, "Make the command write its report on the base, too.")


def report_failures(bundle: EvidenceBundle) -> Iterator[Violation]:
    """Every report of the candidate that says nothing, or contradicts its command's end."""
    read = _read(bundle.acceptance)
    for name, run in bundle.acceptance.items():
        if run.report is None:
            continue
        base = bundle.acceptance_base.get(name)
        due = _read({name: base}) if base is not None else set()
        for fault in run.report.faults:
            if fault.trouble is not ReportTrouble.MISSING or fault.path not in read or fault.path in due:
                yield _fault(name, fault)
        bad = sorted(record.nodeid for record in run.records if record.outcome in BAD)
        if bad and run.exit_code == 0:
            message = f"{name}: its command exits 0, and its report holds {len(bad)} failed tests, such as {bad[0]}"
            yield broken("REPORT-7", Severity.HIGH, message, "Let the command fail when a test fails.")


def _fault(name: str, fault: ReportFault) -> Violation:
    rule, remedy = RULES[fault.trouble]
    said = f": {fault.detail}" if fault.detail else ""
    message = f"{name}: the {fault.form.value} report {fault.path} is {fault.trouble.value}{said}"
    return broken(rule, Severity.HIGH, message, remedy, path=fault.path)


def telling_reports(bundle: EvidenceBundle) -> tuple[str, ...]:
    """Tests that a command reports as passed on the candidate, and as failed on the base, with or without new tests."""
    return tuple(
        sorted(
            {
                nodeid
                for runs in (bundle.acceptance_base, bundle.acceptance_reverted)
                for name, base in runs.items()
                if base.believable and name in bundle.acceptance
                for nodeid in bundle.acceptance[name].passed
                if base.outcome(nodeid) in BAD
            }
        )
    )
