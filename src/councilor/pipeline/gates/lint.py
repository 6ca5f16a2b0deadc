"""The gates `lint` and `types`: findings of a linter and of a type checker that the base did not have.

Rules:
- What counts as new: `domain.analysis.new_findings`.
- LINT-1: a new finding; more of them than the tier allows (0, 5, 10 for tiers 1, 2, 3) fail, fewer warn.
- LINT-2: a file that the linter cannot parse any more always fails.
- LINT-3: the linter could measure the base and cannot measure the candidate.
- TYPES-1: a new type error in a repository that configures its type checker; more than the tier allows (0, 0, 5) fail,
  fewer warn. TYPES-2, a warning: one in a repository that does not, under the most lenient settings. TYPES-3: the type
  checker could measure the base and cannot measure the candidate.
- Type errors are evidence only where the repository asks for them: else nobody knows what they are worth.
"""

from __future__ import annotations

from councilor.domain.analysis import AnalysisKind, Finding, new_findings
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.pipeline.gates.analysed import measured
from councilor.pipeline.gates.input import GateInput, broken, ruled

__all__ = ["lint", "new_findings", "types"]

SYNTAX_RULES = frozenset({"", "E999", "invalid-syntax", "syntax-error", "SyntaxError"})


def lint(given: GateInput) -> GateResult:
    """Whether the change adds no more findings than its tier allows."""
    found = measured(given, AnalysisKind.LINT, gate="lint", rule="LINT-3", tool="linter")
    if isinstance(found, GateResult):
        return found
    unparsable = [_violation(finding) for finding in found.fresh if finding.rule in SYNTAX_RULES]
    ordinary = [_violation(finding) for finding in found.fresh if finding.rule not in SYNTAX_RULES]
    allowed = given.policy.threshold("lint", "max_new", given.tier.new_lint_findings)
    over = len(ordinary) > allowed
    summary = f"{len(found.fresh)} new lint findings, {allowed} allowed"
    return ruled(
        "lint",
        [*unparsable, *(ordinary if over else ())],
        passed=summary,
        failed=summary,
        warnings=() if over else ordinary,
        evidence_ids=found.evidence_ids,
    )


def _violation(finding: Finding) -> Violation:
    unparsable = finding.rule in SYNTAX_RULES
    message = f"{finding.rule or 'syntax'}: {finding.message}"
    remedy = "Correct the syntax." if unparsable else "Correct it, or explain it where the linter reads exceptions."
    severity = Severity.HIGH if unparsable else Severity.LOW
    return broken("LINT-2" if unparsable else "LINT-1", severity, message, remedy, path=finding.path, line=finding.line)


def types(given: GateInput) -> GateResult:
    """Whether the change adds no more type errors than its tier allows."""
    found = measured(given, AnalysisKind.TYPES, gate="types", rule="TYPES-3", tool="type checker")
    if isinstance(found, GateResult):
        return found
    rule, severity = ("TYPES-1", Severity.MEDIUM) if found.configured else ("TYPES-2", Severity.LOW)
    errors = [
        broken(
            rule,
            severity,
            f"{item.rule}: {item.message}",
            "Make the code do what its annotations say.",
            path=item.path,
            line=item.line,
        )
        for item in found.fresh
    ]
    allowed = given.policy.threshold("types", "max_new", given.tier.new_type_errors)
    over = found.configured and len(errors) > allowed
    summary = f"{len(errors)} new type errors, " + (f"{allowed} allowed" if found.configured else "none of them counts")
    return ruled(
        "types",
        errors if over else (),
        passed=summary,
        failed=summary,
        warnings=() if over else errors,
        evidence_ids=found.evidence_ids if found.configured else (),
    )
