"""Claims: what a worker's report says, made atomic and checked against the evidence.

`sentences` and `markup` find the sentences, `selection` drops those that claim nothing, `names` and `forms` give
`extraction` the atomic claims, `verification` decides each; `check_report` is all of it, `check_claims` its claims.
"""

from __future__ import annotations

from councilor.pipeline.claims.checking import check_claims, check_report, claims_in
from councilor.pipeline.claims.context import ClaimContext

__all__ = ["ClaimContext", "check_claims", "check_report", "claims_in"]
