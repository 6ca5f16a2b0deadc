"""The gate `lint`: findings that the base did not have.

Rules:
- What counts as new: `domain.analysis.new_findings`.
- LINT-1: a new finding; more of them than the tier allows (0, 5, 10 for tiers 1, 2, 3) fail, fewer warn.
- LINT-2: a file that the linter cannot parse any more always fails.
- LINT-3: the linter could measure the base and cannot measure the candidate. Where it cannot measure the base either,
  the repository's own configuration is at fault, and nothing was measured.
"""

from __future__ import annotations

from councilor.domain.analysis import AnalysisKind, AnalysisPair, Finding, new_findings
from councilor.domain.evidence import EvidenceKind
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.pipeline.gates.input import GateInput, broken, ruled, unmeasured

__all__ = ["lint", "new_findings"]

SYNTAX_RULES = frozenset({"", "E999", "invalid-syntax", "syntax-error", "SyntaxError"})


def lint(given: GateInput) -> GateResult:
    """Whether the change adds no more findings than its tier allows."""
    bundle = given.bundle
    pair = bundle.analysis(AnalysisKind.LINT) if bundle else AnalysisPair()
    if bundle is None or pair.base is None or pair.candidate is None:
        return unmeasured("lint", "no linter was run")
    if pair.base.error:
        return unmeasured("lint", f"the linter cannot run on the base: {pair.base.error}")
    evidence_ids = bundle.of(EvidenceKind.LINT_BASE, EvidenceKind.LINT_CANDIDATE)
    if pair.candidate.error:
        message = f"the linter cannot run on the candidate: {pair.candidate.error}"
        remedy = "Undo what keeps the linter from running; it runs on the base."
        failure = broken("LINT-3", Severity.HIGH, message, remedy)
        return ruled("lint", [failure], passed="", evidence_ids=evidence_ids)
    fresh = new_findings(pair.base.findings, pair.candidate.findings)
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


def _violation(finding: Finding) -> Violation:
    unparsable = finding.rule in SYNTAX_RULES
    message = f"{finding.rule or 'syntax'}: {finding.message}"
    remedy = "Correct the syntax." if unparsable else "Correct it, or explain it where the linter reads exceptions."
    severity = Severity.HIGH if unparsable else Severity.LOW
    return broken("LINT-2" if unparsable else "LINT-1", severity, message, remedy, path=finding.path, line=finding.line)
