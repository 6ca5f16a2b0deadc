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
from councilor.pipeline.claims.analyses import Found, all_findings, fresh_findings
from councilor.pipeline.claims.context import ClaimContext, Verifier, either, unknown

__all__ = ["builds", "clean", "imports", "secure"]

TOOLS = {"ruff": "lint", "mypy": "types"}
"""Tools that a report may name, and which kind they are."""
SCANNERS = frozenset({"bandit"})
"""Security tools of ours that a report may name."""


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
        if claim.subject and TOOLS.get(claim.subject) != kind.value:
            return unknown(claim, f"{claim.subject} is not run for {kind.value}")
        if claim.value == "new":
            return _decide(claim, fresh_findings(context, kind), "no finding that the base does not have")
        return _decide(claim, all_findings(context, kind), "no finding in the whole tree")

    return decide


def secure(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """A scanner finds nothing, no secret is new, no new issue; anything more is unverifiable, or contradicted."""
    if claim.subject == "secrets":
        return _decide(claim, fresh_findings(context, AnalysisKind.SECRETS), "no secret that the base does not have")
    if claim.method == "fixed":
        return unknown(claim, "that a vulnerability is closed is not measured: a test that shows it would decide it")
    found = fresh_findings(context, AnalysisKind.SECURITY)
    if claim.subject and claim.subject not in SCANNERS:
        return unknown(claim, f"{claim.subject} is not measured")
    if claim.value == "new" or found.findings:
        return _decide(claim, found, "the security analyser finds nothing that the base does not have")
    if claim.subject:
        return unknown(claim, f"{claim.subject} read the changed files only, and found nothing", found.ids)
    return unknown(claim, "that something is secure cannot be shown by a tool that finds nothing", found.ids)


def builds(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """The changed modules compile and import; a package is not built."""
    return _imported(claim, context, package=claim.value == "package")


def imports(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """A module imports: only what changed is tried."""
    top = claim.subject.partition(".")[0]
    own = any(top in path.split("/") or f"{top}.py" in path.split("/") for path in context.given.candidate.paths)
    if not own:
        return unknown(claim, f"{claim.subject} is no changed module, and was not tried")
    return _imported(claim, context, package=False)


def _imported(claim: AtomicClaim, context: ClaimContext, *, package: bool) -> CheckedClaim:
    found = fresh_findings(context, AnalysisKind.IMPORTS)
    if found.why:
        return unknown(claim, found.why, found.ids)
    pair = context.bundle.analysis(AnalysisKind.IMPORTS) if context.bundle else None
    if pair and pair.candidate and pair.candidate.findings:
        first = pair.candidate.findings[0]
        return either(claim, False, f"{first.path}: {first.message}"[:200], found.ids)
    if package:
        return unknown(claim, "the package was not built, only its changed modules compiled and imported", found.ids)
    return either(claim, True, "every changed module compiles and imports", found.ids)
