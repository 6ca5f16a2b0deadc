"""What claims are checked against, and how a verifier says what it found.

Rules:
- Only evidence about exactly the candidate's tree counts (`ClaimContext.fresh`).
- What the change itself shows is evidence too: its id is `diff:<base tree>..<tree>`, which git can show again.
- A status never stands without its reason; one that evidence gave never without the evidence's ids.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from councilor.domain.claim import AtomicClaim, CheckedClaim, ClaimStatus
from councilor.domain.evidence import EvidenceBundle, EvidenceKind
from councilor.domain.gate import GateResult
from councilor.pipeline.gates.input import GateInput

__all__ = ["ClaimContext", "Verifier", "either", "say", "unknown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimContext:
    """What claims are checked against."""

    given: GateInput
    gates: tuple[GateResult, ...]
    """The latest result of each gate."""

    @property
    def bundle(self) -> EvidenceBundle | None:
        """Everything measured."""
        return self.given.bundle

    @property
    def diff(self) -> tuple[str, ...]:
        """The change itself as evidence: one id."""
        candidate = self.given.candidate
        return (f"diff:{candidate.base_tree}..{candidate.tree}",)

    def fresh(self, *kinds: EvidenceKind) -> tuple[str, ...]:
        """Ids of evidence of these kinds about the candidate's own tree."""
        items = self.bundle.evidence if self.bundle else ()
        return tuple(item.id for item in items if item.kind in kinds and item.tree == self.given.candidate.tree)

    def gate(self, name: str) -> GateResult | None:
        """The result of one gate, if it ran."""
        return next((result for result in self.gates if result.gate == name), None)


Verifier = Callable[[AtomicClaim, ClaimContext], CheckedClaim]
"""Decides the claims of one predicate."""


def say(
    claim: AtomicClaim, status: ClaimStatus, reason: str, ids: tuple[str, ...] = (), *, critical: bool = False
) -> CheckedClaim:
    """The claim with its status."""
    return CheckedClaim(claim=claim, status=status, reason=reason, evidence_ids=ids, critical=critical)


def either(
    claim: AtomicClaim, holds: bool, reason: str, ids: tuple[str, ...], *, critical: bool = False
) -> CheckedClaim:
    """Supported or contradicted, by this evidence."""
    status = ClaimStatus.SUPPORTED if holds else ClaimStatus.CONTRADICTED
    return say(claim, status, reason, ids, critical=critical and not holds)


def unknown(claim: AtomicClaim, reason: str, ids: tuple[str, ...] = ()) -> CheckedClaim:
    """Unverifiable: what is missing, and the ids of what was looked at."""
    return say(claim, ClaimStatus.UNVERIFIABLE, reason, ids)
