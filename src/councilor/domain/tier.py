"""Risk tiers: what each demands of a candidate before it can be accepted.

Rules:
- Tier 1 is the highest risk. A worker never lowers a tier; a path that the policy marks high-risk raises it.
- Figures are allowances relative to the base: what was already there is not the candidate's.

Source: design chapter "Governance", tables of tiers and of the council's thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from councilor.domain.gate import Severity

__all__ = ["TIERS", "TierRules"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TierRules:
    """One tier's demands."""

    tier: int
    tau: float
    """P(correct) that the council needs to accept."""
    new_lint_findings: int
    """How many more lint findings than the base has are let through."""
    new_type_errors: int
    """The same for type errors."""
    security_from: Severity
    """The least severity of a new security finding that is not let through."""
    strict: bool
    """Whether unfinished work, new dependencies and overgrown code are refused; else they are only warned of."""
    flaky_tests: int
    """How many tests may be known-flaky."""
    branch_coverage: float
    """Share of the changed lines and of their branches that tests execute, 0 to 1."""
    mutation_score: float
    """Share of the changed lines' mutants that tests kill, 0 to 1."""
    further_evidence: int
    """Independent kinds of evidence needed beyond the base's tests."""
    special_evidence: tuple[str, ...]
    """Kinds that must be there by name."""


TIERS: Mapping[int, TierRules] = MappingProxyType(
    {
        1: TierRules(
            tier=1,
            tau=0.99,
            new_lint_findings=0,
            new_type_errors=0,
            security_from=Severity.LOW,
            strict=True,
            flaky_tests=0,
            branch_coverage=0.9,
            mutation_score=0.7,
            further_evidence=2,
            special_evidence=("mutation", "security", "person"),
        ),
        2: TierRules(
            tier=2,
            tau=0.9,
            new_lint_findings=5,
            new_type_errors=0,
            security_from=Severity.MEDIUM,
            strict=True,
            flaky_tests=0,
            branch_coverage=0.8,
            mutation_score=0.5,
            further_evidence=2,
            special_evidence=(),
        ),
        3: TierRules(
            tier=3,
            tau=0.65,
            new_lint_findings=10,
            new_type_errors=5,
            security_from=Severity.MEDIUM,
            strict=False,
            flaky_tests=2,
            branch_coverage=0.7,
            mutation_score=0.3,
            further_evidence=0,
            special_evidence=(),
        ),
    }
)
