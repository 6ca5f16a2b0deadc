"""Claims about coverage: of the changed lines as it was measured, of anything more only what that shows.

Rules:
- Coverage of the changed lines comes from `EvidenceBundle.strength`: statements (lines) or ways out (branches).
- It is measured by processes that load the candidate's code; an incomplete measurement, or one on another tree,
  decides nothing.
- A figure holds if the measured one is the same at the figure's own digits; within 2 points or one line of it nothing
  is said, because tools count differently.
- Coverage of a whole file or project is not measured. 100 % of a file is contradicted by a changed line of it that no
  test executes; of the project by any.
"""

from __future__ import annotations

from councilor.domain.claim import AtomicClaim, CheckedClaim
from councilor.domain.evidence import EvidenceKind
from councilor.domain.strength import Strength
from councilor.pipeline.claims.context import ClaimContext, either, unknown

__all__ = ["coverage"]

NEAR = 2.0
"""Points between two ways to count the same."""
WHOLE = 100.0


def coverage(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """So much is covered; the subject is `line`, `branch`, `changed_lines` or a path."""
    strength = context.bundle.strength if context.bundle else None
    ids = context.fresh(EvidenceKind.COVERAGE)
    if strength is None or not ids:
        return unknown(claim, "coverage was not measured on this tree", ids)
    if not strength.complete:
        return unknown(claim, f"coverage could not be measured whole: {strength.why}"[:300], ids)
    value = (claim.value or "").removeprefix(">=").removeprefix("<=")
    if claim.subject != "changed_lines":
        return _beyond(claim, strength, float(value) >= WHOLE, ids)
    if not strength.lines:
        return unknown(claim, "no changed line can be executed", ids)
    measured = 100 * (strength.covered + strength.covered_by_own) / strength.lines
    half = 0.5 * 10.0 ** -len(value.partition(".")[2])
    return _compare(claim, measured, float(value), half, ids, lines=strength.lines)


def _compare(
    claim: AtomicClaim, measured: float, said: float, half: float, ids: tuple[str, ...], *, lines: int
) -> CheckedClaim:
    told = f"{measured:.1f} % of the changed lines are executed"
    near_to = max(NEAR, 100 / lines)
    if (claim.value or "").startswith(">="):
        holds, near = measured >= said, said - near_to < measured < said
    else:
        holds, near = abs(measured - said) <= half, half < abs(measured - said) <= near_to
    return unknown(claim, told, ids) if near else either(claim, holds, told, ids)


def _beyond(claim: AtomicClaim, strength: Strength, whole: bool, ids: tuple[str, ...]) -> CheckedClaim:
    """What changed lines show of more than themselves."""
    missed = strength.missed_branches if claim.subject == "branch" else strength.missed_lines
    for path, lines in missed.items():
        about = claim.subject in ("line", "branch", path) or path.endswith(f"/{claim.subject}")
        if whole and about and lines:
            return either(claim, False, f"{path}:{lines[0]} is not covered", ids)
    return unknown(claim, f"only the changed lines' coverage is measured, not that of {claim.subject or 'all'}", ids)
