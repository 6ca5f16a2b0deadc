"""Votes and verdicts: what the four judges say, and what the council decides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from councilor.domain.challenge import Challenge
from councilor.domain.gate import GateResult, Violation

__all__ = ["Choice", "Decision", "Judge", "Verdict", "Vote"]


class Judge(StrEnum):
    """The council's four seats."""

    CONSTITUTIONAL = "constitutional"
    TECHNICAL_AUDITOR = "technical_auditor"
    QUALITY_EVALUATOR = "quality_evaluator"
    INTEGRATION_VALIDATOR = "integration_validator"


class Choice(StrEnum):
    """What one judge says. An error or a timeout is an abstention."""

    ACCEPT = "accept"
    REJECT = "reject"
    ABSTAIN = "abstain"


class Decision(StrEnum):
    """What the council decides. Only `accept` lets a candidate through."""

    ACCEPT = "accept"
    REJECT = "reject"
    REFINE = "refine"
    NEEDS_EVIDENCE = "needs_evidence"
    ESCALATE = "escalate"


@dataclass(frozen=True, kw_only=True, slots=True)
class Vote:
    """One judge's opinion with its reasons."""

    judge: Judge
    choice: Choice
    log_likelihood_ratio: float
    """ln P(this vote | the candidate is right) - ln P(this vote | it is wrong); 0 for an abstention."""
    reasons: tuple[str, ...]
    violations: tuple[Violation, ...] = ()
    evidence_ids: tuple[str, ...] = ()
    latency_ms: float = 0.0
    voter: str = ""
    """Name of the model's profile that voted; empty for the seat's own deterministic judge."""
    tokens: int = 0
    """What a model's opinion took, as far as its server tells."""

    @property
    def who(self) -> str:
        """Whose vote it is, in words: the seat, and the model's profile where one voted."""
        return f"{self.judge.value}/{self.voter}" if self.voter else self.judge.value


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The council's decision on one candidate, with everything needed to compute it again."""

    id: str
    task_id: str
    tree: str
    """The git tree it is about; for any other tree it says nothing."""
    base_tree: str
    iteration: int
    decision: Decision
    probability: float
    """P(correct) after all votes, 0 to 1."""
    threshold: float
    """The tier's tau: `probability` at or above it is needed to accept."""
    quorum: bool
    """Whether the tier's required kinds of evidence were all there."""
    votes: tuple[Vote, ...]
    vetoes: tuple[str, ...]
    """Gates, or claims, whose failure forbids acceptance whatever the votes."""
    dissent: tuple[str, ...]
    """Reasons of the judges that the decision went against."""
    remediation: tuple[str, ...]
    rule_references: tuple[str, ...]
    waivers_used: tuple[str, ...]
    gates: tuple[GateResult, ...]
    evidence_ids: tuple[str, ...]
    missing_evidence: tuple[str, ...]
    """What would have to be measured to decide, cheapest first."""
    consensus_s: float
    """Seconds from complete evidence to this verdict."""
    evidence_s: float
    """Seconds spent on evidence."""
    weights_version: str
    """Version of the judges' counts that weighed the votes."""
    durable: bool = True
    """False when artifacts live in memory only; then nothing is published."""
    challenges: tuple[Challenge, ...] = ()
    """Tests that judges proposed against the candidate, and what became of them."""
    deliberations: int = 1
    """How many times the council met: once more after each challenge that was confirmed."""
    rules_version: str = ""
    """Version of the rules that led from votes and evidence to it; empty: an older release did not say."""
    total_s: float = 0.0
    """Seconds from complete evidence to this verdict with debate and earlier deliberations."""
