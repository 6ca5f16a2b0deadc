"""The gate `lint`: findings that the base did not have.

Rules:
- A finding is the same as one of the base when path, rule and message agree, numbers aside: lines may shift. Of several
  alike, as many as the base has are old.
- LINT-1: a new finding; more of them than the tier allows (0, 5, 10 for tiers 1, 2, 3) fail, fewer warn.
- LINT-2: a file that the linter cannot parse any more always fails.
- LINT-3: the linter could measure the base and cannot measure the candidate. Where it cannot measure the base either,
  the repository's own configuration is at fault, and nothing was measured.
"""

from __future__ import annotations

import re
from collections import Counter

from councilor.domain.evidence import EvidenceKind, LintFinding
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.pipeline.gates.input import GateInput, broken, ruled, unmeasured

__all__ = ["lint", "new_findings"]

SYNTAX_RULES = frozenset({"", "E999", "invalid-syntax", "syntax-error", "SyntaxError"})


def _key(finding: LintFinding) -> tuple[str, str, str]:
    return finding.path, finding.rule, re.sub(r"\d+", "#", finding.message)


def new_findings(base: tuple[LintFinding, ...], candidate: tuple[LintFinding, ...]) -> tuple[LintFinding, ...]:
    """Findings of the candidate that the base does not have, in order."""
    known = Counter(_key(finding) for finding in base)
    fresh: list[LintFinding] = []
    for finding in candidate:
        if known[_key(finding)] > 0:
            known[_key(finding)] -= 1
        else:
            fresh.append(finding)
    return tuple(fresh)


def lint(given: GateInput) -> GateResult:
    """Whether the change adds no more findings than its tier allows."""
    bundle = given.bundle
    if bundle is None or bundle.lint_base is None or bundle.lint_candidate is None:
        return unmeasured("lint", "no linter was run")
    if bundle.lint_base.error:
        return unmeasured("lint", f"the linter cannot run on the base: {bundle.lint_base.error}")
    evidence_ids = bundle.of(EvidenceKind.LINT_BASE, EvidenceKind.LINT_CANDIDATE)
    if bundle.lint_candidate.error:
        message = f"the linter cannot run on the candidate: {bundle.lint_candidate.error}"
        remedy = "Undo what keeps the linter from running; it runs on the base."
        failure = broken("LINT-3", Severity.HIGH, message, remedy)
        return ruled("lint", [failure], passed="", evidence_ids=evidence_ids)
    fresh = new_findings(bundle.lint_base.findings, bundle.lint_candidate.findings)
    unparsable = [_violation(finding) for finding in fresh if finding.rule in SYNTAX_RULES]
    ordinary = [_violation(finding) for finding in fresh if finding.rule not in SYNTAX_RULES]
    allowed = given.tier.new_lint_findings
    over = len(ordinary) > allowed
    return ruled(
        "lint",
        [*unparsable, *(ordinary if over else ())],
        passed=f"{len(fresh)} new lint findings, {allowed} allowed",
        failed=f"{len(fresh)} new lint findings, {allowed} allowed",
        warnings=() if over else ordinary,
        evidence_ids=evidence_ids,
    )


def _violation(finding: LintFinding) -> Violation:
    unparsable = finding.rule in SYNTAX_RULES
    message = f"{finding.rule or 'syntax'}: {finding.message}"
    remedy = "Correct the syntax." if unparsable else "Correct it, or explain it where the linter reads exceptions."
    severity = Severity.HIGH if unparsable else Severity.LOW
    return broken("LINT-2" if unparsable else "LINT-1", severity, message, remedy, path=finding.path, line=finding.line)
