"""Claims: what a worker's report says, made atomic and checked against the evidence.

`sentences` finds the sentences, `extraction` the checkable statements in them, `verification` decides each;
`check_claims` is all three.
"""

from __future__ import annotations

from councilor.pipeline.claims.checking import check_claims
from councilor.pipeline.claims.context import ClaimContext

__all__ = ["ClaimContext", "check_claims"]
