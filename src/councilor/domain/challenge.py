"""Challenges: tests that judges propose against a candidate, and what became of them when our runner ran them.

Rules:
- Words change nothing; only a test that our runner ran does, and only if it is confirmed: it fails on the candidate
  each time, passes on the base, and the runs can be believed.
- A confirmed challenge forbids acceptance until somebody says which behaviour is meant. It is no veto: whoever wrote
  the test may be wrong, and a change may be meant to change what the base did.
- A test that fails on the base too proves nothing about the change; it is recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from councilor.domain.evidence import Evidence

__all__ = ["Challenge", "ChallengeOutcome", "Proposal"]


class ChallengeOutcome(StrEnum):
    """What became of a challenge."""

    CONFIRMED = "confirmed"
    """It fails on the candidate each time, and passes on the base."""
    REFUTED = "refuted"
    """It passes on the candidate."""
    UNTELLING = "untelling"
    """It does not pass on the base either."""
    UNSTEADY = "unsteady"
    """It does not always end the same."""
    UNUSABLE = "unusable"
    """It is no test that can be run, or its runs cannot be believed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A test that a judge proposes. Untrusted."""

    by: str
    """Name of the model's profile."""
    claim: str
    """What it is to show, one line."""
    test: str
    """Source text of a test module with one test function."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """A proposal that was run."""

    proposal: Proposal
    round: int
    """Counted from 1."""
    outcome: ChallengeOutcome
    reason: str
    """One sentence; may hold the failure's words, which are untrusted."""
    path: str = ""
    """Where the test stood in the trees that were run."""
    evidence: tuple[Evidence, ...] = ()
    """The runs, on the candidate's source and then on the base's; kinds as for any new test."""
    artifact: str | None = None
    """Artifact id of the record."""

    @property
    def confirmed(self) -> bool:
        """Whether it forbids acceptance."""
        return self.outcome is ChallengeOutcome.CONFIRMED
