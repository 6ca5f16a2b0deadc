"""What the evidence says of an atomic claim.

Rules:
- Only evidence about exactly the candidate's tree counts; when there is older evidence only, the claim is stale.
- A void run supports nothing and contradicts nothing: unverifiable. What is not measured yet is unverifiable too.
- A contradiction of `tests_pass`, `test_passes`, `only_touched` or `fixes` is critical, that is, a veto. A test that
  already failed on the base makes "all tests pass" false, but not critically.

One function for each predicate, in `VERIFIERS`; none of them reads the worker's words again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from councilor.domain.analysis import AnalysisKind, AnalysisPair
from councilor.domain.change import ChangeKind
from councilor.domain.claim import AtomicClaim, CheckedClaim, ClaimStatus
from councilor.domain.dependency import new_dependencies
from councilor.domain.evidence import EvidenceBundle, EvidenceKind, Outcome
from councilor.domain.gate import GateResult, GateStatus
from councilor.domain.scope import within
from councilor.pipeline.claims.symbols import diff_symbols
from councilor.pipeline.gates.input import GateInput
from councilor.pipeline.gates.lint import new_findings
from councilor.pipeline.gates.testcode import read_tests
from councilor.pipeline.gates.tests import demonstrating_tests

__all__ = ["VERIFIERS", "ClaimContext", "verify"]

K = EvidenceKind
WARNINGS = frozenset({"ACCEPT-4", "ACCEPT-5"})
BAD = frozenset({Outcome.FAILED, Outcome.ERROR, Outcome.MISSING})


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimContext:
    """What claims are checked against."""

    given: GateInput
    gates: tuple[GateResult, ...]
    """The latest result of each gate."""

    @property
    def bundle(self) -> EvidenceBundle | None:
        """Everything measured."""
        return self.given.bundle

    def fresh(self, *kinds: EvidenceKind) -> tuple[str, ...]:
        """Ids of evidence of these kinds about the candidate's own tree."""
        items = self.bundle.evidence if self.bundle else ()
        return tuple(item.id for item in items if item.kind in kinds and item.tree == self.given.candidate.tree)

    def gate(self, name: str) -> GateResult | None:
        """The result of one gate, if it ran."""
        return next((result for result in self.gates if result.gate == name), None)


Verifier = Callable[[AtomicClaim, ClaimContext], CheckedClaim]


def _say(
    claim: AtomicClaim, status: ClaimStatus, reason: str, ids: tuple[str, ...] = (), *, critical: bool = False
) -> CheckedClaim:
    return CheckedClaim(claim=claim, status=status, reason=reason, evidence_ids=ids, critical=critical)


def _either(
    claim: AtomicClaim, holds: bool, reason: str, ids: tuple[str, ...] = (), *, critical: bool = False
) -> CheckedClaim:
    status = ClaimStatus.SUPPORTED if holds else ClaimStatus.CONTRADICTED
    return _say(claim, status, reason, ids, critical=critical and not holds)


def _unknown(claim: AtomicClaim, reason: str) -> CheckedClaim:
    return _say(claim, ClaimStatus.UNVERIFIABLE, reason)


def verify(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """The claim's status, its reason, and the evidence that decides it."""
    verifier = VERIFIERS.get(claim.method)
    if verifier is None:
        return _unknown(claim, "it is not measured")
    return verifier(claim, context)


def _tests_pass(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    bundle, ids = context.bundle, context.fresh(K.TESTS_CANDIDATE, K.NEW_TESTS_CANDIDATE)
    if bundle is None:
        return _unknown(claim, "no test was run")
    if not ids:
        return _say(claim, ClaimStatus.STALE, "the tests were run on another tree")
    runs = [run for run in (bundle.candidate, bundle.new_on_candidate) if run is not None]
    if not all(run.believable for run in runs) or not bundle.candidate.records:
        return _unknown(claim, "no believable test run")
    outcomes = {record.nodeid: record.outcome for run in runs for record in run.records}
    bad = {nodeid for nodeid, outcome in outcomes.items() if outcome in BAD and nodeid not in bundle.flaky}
    passed = sum(outcome is Outcome.PASSED for outcome in outcomes.values())
    if bad:
        critical = any(bundle.base.outcome(nodeid) is not Outcome.FAILED for nodeid in bad)
        return _either(claim, False, f"{len(bad)} of {len(outcomes)} tests do not pass", ids, critical=critical)
    if claim.value is not None and int(claim.value) > passed:
        return _either(claim, False, f"only {passed} tests pass", ids)
    left = [nodeid for run in runs for nodeid in run.unrun]
    if bundle.gap is not None or left:
        return _unknown(
            claim, f"{passed} tests pass, and {bundle.gap.left_out if bundle.gap else len(left)} were left out"
        )
    return _either(claim, True, f"{passed} tests pass, none fails", ids)


def _test_passes(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    bundle, ids = context.bundle, context.fresh(K.TESTS_CANDIDATE, K.NEW_TESTS_CANDIDATE)
    if bundle is None or not ids:
        return _unknown(claim, "no test was run on this tree")
    runs = [run for run in (bundle.candidate, bundle.new_on_candidate) if run is not None]
    outcome = next((run.outcomes[claim.subject] for run in runs if claim.subject in run.outcomes), None)
    if outcome is None or not all(run.believable for run in runs):
        return _unknown(claim, "no believable run of that test")
    return _either(claim, outcome is Outcome.PASSED, f"the test {outcome.value}", ids, critical=True)


def _new_tests(context: ClaimContext) -> int:
    """How many test functions the changed files gained; one that only moved to another file does not count."""
    gained: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for change in context.given.candidate.changes:
        if context.given.owns(change.path) and change.path.endswith(".py"):
            old, new = (read_tests(side) if side is not None else None for side in (change.old, change.new))
            before = {test.name for test in old.tests} if old else set()
            after = {test.name for test in new.tests} if new else set()
            gained.update(after - before)
            lost.update(before - after)
    return (gained - lost).total()


def _tests_added(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    functions = _new_tests(context)
    run = context.bundle.new_on_candidate if context.bundle else None
    base = set(context.bundle.base.outcomes) if context.bundle else set()
    cases = len({record.nodeid for record in run.records} - base) if run else 0
    most, needed = max(functions, cases), int(claim.value or 1)
    reason = f"{functions} test functions are new, {cases} new tests were run"
    return _either(claim, most >= needed, reason, context.fresh(K.NEW_TESTS_CANDIDATE))


def _fix_tested(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    bundle = context.bundle
    if bundle is None:
        return _unknown(claim, "no test was run")
    shown = demonstrating_tests(context.given)
    ids = context.fresh(K.TESTS_CANDIDATE, K.NEW_TESTS_CANDIDATE, K.NEW_TESTS_BASE)
    if not shown and bundle.new_on_base is None and bundle.new_on_candidate is not None:
        return _unknown(claim, "the new tests were not run on the base")
    if not all(run.believable for run in (bundle.base, bundle.candidate)):
        return _unknown(claim, "no believable test run")
    return _either(claim, bool(shown), f"{len(shown)} tests fail on the base and pass on the candidate", ids)


def _only_touched(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    paths = context.given.candidate.paths
    covered: set[str] = set()
    for name in (claim.value or "").split("\n"):
        exact = {path for path in paths if within(path, name)}
        ending = {path for path in paths if path.endswith(f"/{name}")}
        if not exact and len(ending) > 1:
            return _unknown(claim, f"{name!r} may mean any of {len(ending)} changed files")
        covered |= exact or ending
    others = [path for path in paths if path not in covered]
    reason = f"also changed: {', '.join(others[:5])}" if others else f"{len(paths)} changed files, all named"
    return _either(claim, not others, reason, critical=True)


def _mentioned(name: str, context: ClaimContext) -> bool:
    """Whether the candidate's changed files hold the name's last part at all."""
    word = name.rsplit(".", 1)[-1].encode()
    return any(word in (change.new or b"") for change in context.given.candidate.changes)


def _has(names: frozenset[str], name: str) -> bool:
    return any(item == name or item.endswith(f".{name}") or name.endswith(f".{item}") for item in names)


def _added(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    symbols = diff_symbols(context.given.candidate.changes)
    if _has(symbols.added, claim.subject):
        return _either(claim, True, f"{claim.subject} is new")
    if _has(symbols.kept, claim.subject) and not _has(symbols.removed, claim.subject):
        return _either(claim, False, f"{claim.subject} was there before")
    if _mentioned(claim.subject, context):
        return _unknown(claim, f"{claim.subject} occurs in the change, but is no function, class or constant")
    return _either(claim, False, f"{claim.subject} does not occur in the change")


def _removed(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    symbols = diff_symbols(context.given.candidate.changes)
    if _has(symbols.removed, claim.subject):
        still = _has(symbols.added | symbols.kept, claim.subject)
        return _either(claim, not still, f"{claim.subject} is {'still there' if still else 'gone'}")
    if _has(symbols.kept | symbols.added, claim.subject):
        return _either(claim, False, f"{claim.subject} is still there")
    return _unknown(claim, f"{claim.subject} is no function, class or constant of the changed files")


def _renamed(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    symbols, new = diff_symbols(context.given.candidate.changes), claim.value or ""
    gone, come = _has(symbols.removed, claim.subject), _has(symbols.added, new)
    reason = f"{claim.subject} is {'gone' if gone else 'not gone'}, {new} is {'new' if come else 'not new'}"
    return _either(claim, gone and come, reason)


def _file(kind: ChangeKind) -> Verifier:
    def decide(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
        found = [
            change
            for change in context.given.candidate.changes
            if change.path == claim.subject or change.path.endswith(f"/{claim.subject}")
        ]
        if len(found) > 1:
            return _unknown(claim, f"{claim.subject!r} may mean any of {len(found)} changed files")
        state = found[0].kind.value if found else "not changed"
        return _either(claim, bool(found) and found[0].kind is kind, f"{claim.subject} is {state}")

    return decide


def _no_new_dependencies(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    found = new_dependencies(context.given.candidate.changes)
    if found is None:
        return _unknown(claim, "a file that may declare dependencies changed, and cannot be read")
    return _either(claim, not found, f"new: {', '.join(found[:5])}" if found else "no declared dependency is new")


def _lint_clean(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    bundle, ids = context.bundle, context.fresh(K.LINT_CANDIDATE)
    pair = bundle.analysis(AnalysisKind.LINT) if bundle else AnalysisPair()
    if pair.candidate is None or pair.candidate.error or not ids:
        return _unknown(claim, "no linter was run on this tree")
    findings = pair.candidate.findings
    if claim.value == "new":
        if pair.base is None or pair.base.error:
            return _unknown(claim, "no linter was run on the base")
        findings = new_findings(pair.base.findings, findings)
    return _either(claim, not findings, f"{len(findings)} findings", ids)


def _fixes(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    spec, result = context.given.spec, context.gate("acceptance")
    ids = context.fresh(K.TESTS_CANDIDATE, K.NEW_TESTS_CANDIDATE, K.ACCEPTANCE)
    if result is None or result.status is GateStatus.SKIPPED or not ids:
        return _unknown(claim, "no acceptance criterion was measured on this tree")
    criterion = claim.value if claim.value and claim.value.startswith("A") else None
    measured = [item.id for item in spec.acceptance if item.test_nodeids or item.test_command]
    about = [criterion] if criterion else measured
    if criterion and criterion not in {item.id for item in spec.acceptance}:
        return _unknown(claim, f"the spec has no criterion {criterion}")
    if not about or any(item not in measured for item in about):
        return _unknown(claim, "the criterion is not measured")
    unmet = [item for item in about if _is_about(result, item)]
    return _either(claim, not unmet, f"{', '.join(unmet or about)} {'unmet' if unmet else 'met'}", ids, critical=True)


def _is_about(result: GateResult, criterion: str) -> bool:
    """Whether the acceptance gate found this criterion unmet."""
    return any(item.rule not in WARNINGS and item.message.startswith(f"{criterion}:") for item in result.violations)


VERIFIERS: Mapping[str, Verifier] = MappingProxyType(
    {
        "tests_pass": _tests_pass,
        "test_passes": _test_passes,
        "tests_added": _tests_added,
        "fix_tested": _fix_tested,
        "only_touched": _only_touched,
        "added": _added,
        "removed": _removed,
        "renamed": _renamed,
        "added_file": _file(ChangeKind.ADDED),
        "removed_file": _file(ChangeKind.DELETED),
        "no_new_dependencies": _no_new_dependencies,
        "lint_clean": _lint_clean,
        "fixes": _fixes,
    }
)
"""Predicate -> the function that decides it."""
