"""The gate `security`: insecure code that a change adds.

Rules:
- SECURE-1: a new finding of the scanner. It fails from the tier's severity on (low, medium, medium for tiers 1, 2, 3),
  or the policy's `fail_at`; below, it warns. In test code it warns.
- A finding's severity is the scanner's, lowered to its confidence. Raised are those that are dangerous however unsure
  (shell commands, SQL made of strings); lowered are audits of what ordinary code does (opening a URL, reading XML,
  marking HTML), and guesses about passwords, which SECURE-5 decides.
- SECURE-2: the base can be scanned, and the candidate, or a file of it, cannot.
- SECURE-3 to SECURE-6: what `insecure` finds: access decided by an assertion, certificates not verified, literals as
  passwords, data made into objects or code. They fail in every tier; in test code they warn.
- Only what is new counts; a line that moved is not new.

Source of the tests' numbers: https://bandit.readthedocs.io/en/latest/plugins/.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from councilor.domain.analysis import AnalysisKind, Finding
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.domain.threshold import at_least
from councilor.pipeline.gates.analysed import measured, unmoved
from councilor.pipeline.gates.input import GateInput, broken, ruled
from councilor.pipeline.gates.insecure import insecure_lines

__all__ = ["security"]

RAISED = frozenset({"B602", "B605", "B608", "B609"})
LOWERED = frozenset(
    {"B105", "B106", "B107", "B310", "B313", "B314", "B315", "B316", "B317", "B318", "B319", "B320", "B704"}
)
UNREADABLE = "unreadable"
REMEDIES = {
    "SECURE-1": "Do it in a safe way, or have a person waive this line.",
    "SECURE-2": "Make the file valid Python, so that it can be scanned.",
    "SECURE-3": "Check it with `if` and raise an exception.",
    "SECURE-4": "Verify certificates and host names.",
    "SECURE-5": "Read it from the environment or a secret store.",
    "SECURE-6": "Read data with a loader that makes plain values only.",
}


def security(given: GateInput) -> GateResult:
    """Whether the change adds nothing insecure."""
    found = measured(given, AnalysisKind.SECURITY, gate="security", rule="SECURE-2", tool="scanner")
    own = _own(given)
    if isinstance(found, GateResult):
        if found.violations or not own:
            return found
        return _ruled(given, own, ())
    return _ruled(given, [*(_weighed(item) for item in unmoved(given, found)), *own], found.evidence_ids)


def _ruled(given: GateInput, fresh: Sequence[Finding], evidence_ids: tuple[str, ...]) -> GateResult:
    level = given.policy.threshold("security", "fail_at", given.tier.security_from.value)
    failing = [item for item in fresh if at_least(item.severity, level) and not given.owns(item.path)]
    return ruled(
        "security",
        [_violation(item) for item in failing],
        passed=f"{len(fresh)} new security findings, none from severity {level} on" if fresh else "no new finding",
        warnings=[_violation(item) for item in fresh if item not in failing],
        evidence_ids=evidence_ids,
    )


def _weighed(item: Finding) -> Finding:
    if item.rule in RAISED and item.severity is Severity.LOW:
        return replace(item, severity=Severity.MEDIUM)
    return replace(item, severity=Severity.LOW) if item.rule in LOWERED else item


def _own(given: GateInput) -> list[Finding]:
    """What `insecure` finds in the candidate's changed files more often than in the base's."""
    changes = [change for change in given.candidate.changes if change.path.endswith((".py", ".pyw"))]
    known = Counter((item.rule, item.message) for change in changes for item in insecure_lines(change.path, change.old))
    fresh: list[Finding] = []
    for change in changes:
        for item in () if change.is_symlink else insecure_lines(change.path, change.new):
            key = item.rule, item.message
            if known[key] > 0:
                known[key] -= 1
            else:
                fresh.append(item)
    return fresh


def _violation(item: Finding) -> Violation:
    if item.rule.startswith("SECURE-"):
        rule, message = item.rule, item.message
    elif item.rule == UNREADABLE:
        rule, message = "SECURE-2", f"it cannot be scanned: {item.message}"
    else:
        rule, message = "SECURE-1", f"{item.rule}: {item.message}"
    return broken(rule, item.severity, message, REMEDIES[rule], path=item.path, line=item.line)
