"""A verdict in plain words: what forbade or allowed it, who said what, what is missing, and what would change it.

Rules:
- Everything is taken from the verdict itself; nothing is measured or judged anew.
- What would change it is computed: a vote without which the probability would fall below the threshold is named with
  the probability that would be left.
- Words of workers, repositories and models stay quoted as they are; who prints them makes them harmless.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp

from councilor.domain.claim import CheckedClaim, ClaimStatus
from councilor.domain.gate import GateResult
from councilor.domain.verdict import Choice, Decision, Verdict, Vote
from councilor.errors import InputError
from councilor.pipeline.council.decision import REJECT_AT
from councilor.pipeline.council.weights import probability_of, weights_of

__all__ = ["BrokenRule", "Explanation", "Opinion", "explain_verdict"]

UNWAIVABLE = frozenset({"spec_completeness", "patch_applies", "not_empty", "evidence_integrity"})
FAULTS = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Opinion:
    """One vote in words."""

    who: str
    """The seat; with a model's profile behind a slash."""
    choice: Choice
    reason: str
    """Its main reason."""
    weight: str
    """What it tells, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokenRule:
    """One violation, and what to do about it."""

    rule: str
    gate: str
    forbids: bool
    """Whether it is part of a veto."""
    where: str
    message: str
    remediation: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Why the council decided as it did."""

    decision: Decision
    summary: str
    """One sentence."""
    because: tuple[str, ...]
    """What forbade or allowed it, the weightiest first."""
    opinions: tuple[Opinion, ...]
    probability: float
    threshold: float
    missing: tuple[str, ...]
    """Evidence that is missing, cheapest first."""
    cheapest_next: str | None
    """What to provide first."""
    waivers: tuple[str, ...]
    dissent: tuple[str, ...]
    rules: tuple[BrokenRule, ...]
    challenges: tuple[str, ...]
    """Tests that judges proposed, and what became of each."""
    would_change: tuple[str, ...]
    """What would lead to another decision."""
    weights_version: str
    consensus_s: float
    evidence_s: float
    total_s: float


def explain_verdict(verdict: Verdict, claims: Sequence[CheckedClaim] = ()) -> Explanation:
    """A verdict in plain words.

    Args:
        claims: the checked claims of its candidate, where they are still kept.
    """
    return Explanation(
        decision=verdict.decision,
        summary=_summary(verdict),
        because=tuple(_because(verdict, claims)),
        opinions=tuple(_opinion(vote) for vote in verdict.votes),
        probability=verdict.probability,
        threshold=verdict.threshold,
        missing=verdict.missing_evidence,
        cheapest_next=next(iter(verdict.missing_evidence), None),
        waivers=tuple(_waivers(verdict)),
        dissent=verdict.dissent,
        rules=tuple(_rules(verdict.gates))[:FAULTS],
        challenges=tuple(
            f"{item.proposal.by}: {item.proposal.claim} -> {item.outcome.value}: {item.reason}"
            for item in verdict.challenges
        ),
        would_change=tuple(_changes(verdict)),
        weights_version=verdict.weights_version,
        consensus_s=verdict.consensus_s,
        evidence_s=verdict.evidence_s,
        total_s=verdict.total_s,
    )


def _summary(verdict: Verdict) -> str:
    odds = f"P(correct) = {verdict.probability:.3f}"
    match verdict.decision:
        case Decision.ACCEPT:
            return f"Accepted: nothing forbids it, the evidence is there, and {odds} reaches {verdict.threshold:g}."
        case Decision.REJECT if verdict.vetoes:
            return f"Rejected: {_listed(verdict.vetoes)} forbids it, whatever the votes say."
        case Decision.REJECT:
            return f"Rejected: {odds} is too low to go on."
        case Decision.REFINE:
            return f"Sent back to the worker: {_listed(verdict.vetoes)} forbids it, and there is something to do."
        case Decision.ESCALATE:
            return "For a person to decide: only what a person or a missing tool could give is missing."
        case Decision.NEEDS_EVIDENCE:
            first = next(iter(verdict.missing_evidence), "more evidence")
            side = "reaches" if verdict.probability >= verdict.threshold else "does not reach"
            return f"Undecided: {first.partition(':')[0]} is missing; {odds} {side} {verdict.threshold:g}."


def _because(verdict: Verdict, claims: Sequence[CheckedClaim]) -> Iterator[str]:
    blocking = {result.gate: result for result in verdict.gates if result.blocks}
    contradicted = {f"claim:{item.claim.id}": item for item in claims if item.status is ClaimStatus.CONTRADICTED}
    for name in verdict.vetoes:
        if name in blocking:
            yield f"{name} forbids it: {blocking[name].summary}"
        elif name in contradicted:
            yield f"the report says {contradicted[name].claim.text!r}, and {contradicted[name].reason}"
        else:
            yield f"{name} forbids it"
    if not verdict.vetoes:
        yield "no gate forbids it"
    yield f"the tier's kinds of evidence are {'all there' if verdict.quorum else 'not all there'}"
    side = "reaches" if verdict.probability >= verdict.threshold else "does not reach"
    yield f"P(correct) = {verdict.probability:.4f} {side} {verdict.threshold:g}"
    seats = [vote for vote in verdict.votes if not vote.voter]
    counts = {choice: sum(vote.choice is choice for vote in seats) for choice in Choice}
    yield (
        f"of {len(seats)} judges {counts[Choice.ACCEPT]} accept, {counts[Choice.REJECT]} reject and "
        f"{counts[Choice.ABSTAIN]} abstain"
    )
    if any(item.confirmed for item in verdict.challenges):
        yield "a test that a judge proposed passes on the base and fails on the candidate"


def _opinion(vote: Vote) -> Opinion:
    ratio = vote.log_likelihood_ratio
    if vote.choice is Choice.ABSTAIN or ratio == 0:
        weight = "does not weigh"
    else:
        weight = f"{exp(abs(ratio)):.1f} times as likely for a {'right' if ratio > 0 else 'wrong'} change"
    return Opinion(who=vote.who, choice=vote.choice, reason=next(iter(vote.reasons), "no reason given"), weight=weight)


def _waivers(verdict: Verdict) -> Iterator[str]:
    for waiver in verdict.waivers_used:
        gates = [result.gate for result in verdict.gates if waiver in result.waived_by]
        yield f"{waiver} lifts {_listed(gates)}"


def _rules(gates: Sequence[GateResult]) -> Iterator[BrokenRule]:
    for result in sorted(gates, key=lambda result: not result.blocks):
        for item in result.violations:
            yield BrokenRule(
                rule=item.rule,
                gate=result.gate,
                forbids=result.blocks,
                where=f"{item.path or ''}{f':{item.line}' if item.line else ''}",
                message=item.message,
                remediation=item.remediation,
            )


def _changes(verdict: Verdict) -> Iterator[str]:
    """What would lead to another decision, the cheapest first."""
    for name in verdict.vetoes:
        waivable = "" if name in UNWAIVABLE or name.startswith("claim:") else ", or a waiver for it in the base commit"
        yield f"{name} holding{waivable}"
    for name in verdict.missing_evidence:
        yield f"providing {name.partition(';')[0]}"
    if verdict.decision is Decision.REJECT and not verdict.vetoes:
        yield f"votes or evidence that raise P(correct) above {REJECT_AT:g}"
    if verdict.decision is Decision.ACCEPT:
        for vote, left in _pillars(verdict):
            yield f"{vote.who} not accepting: P(correct) would be {left:.3f}"
        yield "any gate failing, or any other byte in the tree: the verdict is about this tree only"


def _pillars(verdict: Verdict) -> Iterator[tuple[Vote, float]]:
    """Accepting judges without whose vote the probability would fall below the threshold, and what it would be."""
    try:
        weights = weights_of(verdict.weights_version)
    except InputError:
        return
    cast = [vote for vote in verdict.votes if vote.choice is not Choice.ABSTAIN]
    for absent in cast:
        rest = [vote for vote in cast if vote is not absent]
        left = probability_of(
            weights.combined(
                [(vote.judge, vote.log_likelihood_ratio) for vote in rest if not vote.voter],
                [vote.log_likelihood_ratio for vote in rest if vote.voter],
            )
        )
        if absent.choice is Choice.ACCEPT and left < verdict.threshold:
            yield absent, left


def _listed(names: Sequence[str]) -> str:
    return " and ".join(", ".join(names).rsplit(", ", 1)) if names else "nothing"
