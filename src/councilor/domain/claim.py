"""Claims: sentences of a worker's report made atomic, each with a status that evidence gave it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["AtomicClaim", "CheckedClaim", "CheckedSentence", "ClaimKind", "ClaimStatus", "Verifiability"]


class ClaimKind(StrEnum):
    """What sort of statement it is."""

    FACTUAL = "factual"
    PROCEDURAL = "procedural"
    TECHNICAL = "technical"
    PERFORMANCE = "performance"
    SECURITY = "security"


class Verifiability(StrEnum):
    """Whether evidence can decide it."""

    DIRECT = "direct"
    INDIRECT = "indirect"
    UNVERIFIABLE = "unverifiable"
    NEEDS_CONTEXT = "needs_context"


class ClaimStatus(StrEnum):
    """What the evidence says."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    STALE = "stale"
    """True of an earlier tree; this one has no evidence for it."""
    UNVERIFIABLE = "unverifiable"
    NOT_A_CLAIM = "not_a_claim"


@dataclass(frozen=True, kw_only=True, slots=True)
class AtomicClaim:
    """One checkable statement."""

    id: str
    text: str
    """The sentence's own words; untrusted."""
    sentence_span: tuple[int, int]
    """Character offsets of the sentence in the report, end exclusive."""
    type: ClaimKind
    subject: str
    predicate: str
    """What is said of the subject: `tests_pass`, `only_touched`, `added`, `removed`, ..."""
    value: str | None
    verifiability: Verifiability
    method: str
    """How it is verified, where a predicate has several ways; else the predicate."""
    confidence: float
    """How sure the extraction is, 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedClaim:
    """A claim and what the evidence says of it."""

    claim: AtomicClaim
    status: ClaimStatus
    reason: str
    evidence_ids: tuple[str, ...] = ()
    critical: bool = False
    """Whether a contradiction is a veto."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedSentence:
    """A sentence of a report, and what became of it."""

    text: str
    """Its own words; untrusted."""
    span: tuple[int, int]
    """Character offsets in the report, end exclusive."""
    claims: tuple[CheckedClaim, ...]
    why: str
    """Why it is not a claim; empty when it holds one."""

    @property
    def statuses(self) -> tuple[ClaimStatus, ...]:
        """Its claims' statuses; `not_a_claim` when it holds none."""
        return tuple(item.status for item in self.claims) or (ClaimStatus.NOT_A_CLAIM,)
