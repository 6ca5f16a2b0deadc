"""Claims about coverage."""

from __future__ import annotations

from councilor.domain.claim import AtomicClaim, CheckedClaim
from councilor.pipeline.claims.context import ClaimContext, unknown

__all__ = ["coverage"]


def coverage(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """So much is covered."""
    return unknown(claim, "it is not measured")
