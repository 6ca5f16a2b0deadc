"""Claims about what tools find: lint, types, security, secrets, and whether it builds and imports.

Rules:
- "No new ..." is about findings that the base does not have, in the changed files.
- "... is clean" is about the whole tree: findings in changed files contradict it, and only a run on all files supports
  it. Such a run is made when a report says so (`pipeline/whole.py`).
- An absolute statement about security is never supported: no tool can show that. "No new security issues" is, as far
  as the tool sees, and says so.
"""

from __future__ import annotations

from councilor.domain.analysis import AnalysisKind
from councilor.domain.claim import AtomicClaim, CheckedClaim
from councilor.domain.evidence import EvidenceKind
from councilor.pipeline.claims.analyses import Found, all_findings, fresh_findings
from councilor.pipeline.claims.context import ClaimContext, Verifier, either, unknown

__all__ = ["builds", "clean", "secure"]

TOOLS = {"ruff": "lint", "mypy": "types", "bandit": "security"}
"""Tools that a report may name, and which kind they are."""


def _decide(claim: AtomicClaim, found: Found, supported: str) -> CheckedClaim:
    if found.why:
        return unknown(claim, found.why, found.ids)
    if found.findings:
        first = found.findings[0]
        where = f"{first.path}:{first.line}: {first.rule} {first.message}"[:200]
        return either(claim, False, f"{len(found.findings)} findings, such as {where}", found.ids)
    return either(claim, True, supported, found.ids)


def clean(kind: AnalysisKind) -> Verifier:
    """Decides that a kind of analysis finds nothing, or nothing new; the claim's value says which."""

    def decide(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
        if TOOLS.get(claim.subject, kind.value) != kind.value:
            return unknown(claim, f"{claim.subject} is not run for {kind.value}")
        if claim.value == "new":
            return _decide(claim, fresh_findings(context, kind), "no finding that the base does not have")
        return _decide(claim, all_findings(context, kind), "no finding in the whole tree")

    return decide


def secure(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """No new security issue, as far as the analyser sees; anything more is unverifiable, or contradicted by a finding."""
    found = fresh_findings(context, AnalysisKind.SECURITY)
    if claim.value == "new" or found.findings:
        return _decide(claim, found, "the security analyser finds nothing that the base does not have")
    return unknown(claim, "that something is secure cannot be shown by a tool that finds nothing", found.ids)


def builds(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """The changed modules compile and import."""
    found = fresh_findings(context, AnalysisKind.IMPORTS)
    if found.why:
        return unknown(claim, found.why, found.ids)
    pair = context.bundle.analysis(AnalysisKind.IMPORTS) if context.bundle else None
    if pair and pair.candidate and pair.candidate.findings:
        first = pair.candidate.findings[0]
        return either(claim, False, f"{first.path}: {first.message}"[:200], found.ids)
    if claim.value == "package":
        return unknown(claim, "the package was not built, only its changed modules compiled and imported", found.ids)
    ids = (*found.ids, *context.fresh(EvidenceKind.TESTS_CANDIDATE))
    return either(claim, True, "every changed module compiles and imports", ids)
