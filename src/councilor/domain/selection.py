"""Selection: which of several candidates for the same task goes on, and why.

Rules:
- Compared, one after the other, until one differs: the decision; how many gates refuse; the council's probability;
  how many small edits the tests notice; the size of the difference; the number, so that a tie has an end.
- Strength is compared only where it was measured of all.
- The best of refused ones is the one that is nearest to being accepted; refinement goes on from it.
- A candidate that makes the same tree as an earlier one is the earlier one: it is judged once.
- Where the whole council turns the best one down, the next accepted one stands first and the turned one last, with why.

It judges nothing: the council does, each candidate by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cmp_to_key

from councilor.domain.verdict import Decision

__all__ = ["Ranking", "Standing", "Turned", "rank", "spares_of", "turn"]

BEST_FIRST = (
    Decision.ACCEPT,
    Decision.NEEDS_EVIDENCE,
    Decision.ESCALATE,
    Decision.REFINE,
    Decision.REJECT,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What one candidate is compared by."""

    number: int
    """Which candidate of its round, counted from 1."""
    worker: str
    tree: str
    patch: str
    """Artifact id of its difference from the base."""
    verdict: str
    """Artifact id of its verdict; that of the candidate with the same tree where `same_as` is set."""
    decision: Decision
    refused_by: tuple[str, ...]
    """Gates that forbid it."""
    probability: float
    strength: float | None
    """Share of small edits at its lines that tests notice; None: not measured."""
    changed_lines: int
    ended: str = ""
    """What ended its worker before it was done."""
    same_as: int | None = None
    """The earlier candidate that has the same tree."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turned:
    """A candidate that the rules accepted, and the whole council did not."""

    number: int
    verdict: str
    """Artifact id of the whole council's verdict."""
    decision: Decision
    against: tuple[str, ...] = ()
    """Who voted to reject it, such as `integration_validator/house`."""
    reason: str = ""
    """What is missing first to accept it; may quote a model."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """Candidates in their order, with what put each behind the one before."""

    order: tuple[Standing, ...]
    """The best first."""
    reasons: tuple[str, ...]
    """Why each but the first stands behind the chosen one, in the same order, as a sentence."""
    turned: tuple[Turned, ...] = ()
    """Who was first before, and turned down by the whole council; the oldest first."""

    @property
    def chosen(self) -> Standing:
        """The one that goes on."""
        return self.order[0]


def rank(standings: Sequence[Standing]) -> Ranking:
    """Put candidates into their order.

    Args:
        standings: at least one.
    """
    known = {each.number: each for each in standings}
    if any(each.strength is None for each in standings):
        standings = [replace(each, strength=None) for each in standings]
    order = sorted(standings, key=cmp_to_key(_better))
    first = order[0]
    reasons = tuple(
        f"Candidate {each.number} lost to {first.number}: {_compare(first, each)[1]}." for each in order[1:]
    )
    return Ranking(order=tuple(known[each.number] for each in order), reasons=reasons)


def spares_of(ranking: Ranking) -> tuple[int, ...]:
    """Numbers of the other accepted candidates, each another tree, the best first; none where the best is refused."""
    best = ranking.chosen
    if best.decision is not Decision.ACCEPT:
        return ()
    others = [each for each in ranking.order[1:] if each.same_as is None and each.tree != best.tree]
    return tuple(each.number for each in others if each.decision is Decision.ACCEPT)


def turn(ranking: Ranking, turned: Turned, successor: int) -> Ranking:
    """The order after the chosen one was turned down: its successor first, who were turned down last.

    Args:
        successor: number of the candidate that is tried next.
    """
    known = {each.number: each for each in ranking.order}
    out = {each.number: each for each in (*ranking.turned, turned)}
    trees = {known[number].tree: number for number in out}
    first = known[successor]
    rest = [each for each in ranking.order if each.number != successor and each.tree not in trees]
    last = [each for each in ranking.order if each.tree in trees]
    comparable = all(each.strength is not None for each in ranking.order)
    reasons = [f"Candidate {each.number} lost to {successor}: {_told(first, each, comparable)}." for each in rest]
    reasons += [_turned(each, out, trees) for each in last]
    return Ranking(order=(first, *rest, *last), reasons=tuple(reasons), turned=(*ranking.turned, turned))


def _told(first: Standing, each: Standing, comparable: bool) -> str:
    """What put one behind the first; strength only where it was measured of all."""
    if not comparable:
        first, each = replace(first, strength=None), replace(each, strength=None)
    return _compare(first, each)[1]


def _turned(each: Standing, out: Mapping[int, Turned], trees: Mapping[str, int]) -> str:
    number = trees[each.tree]
    if each.number not in out:
        return f"Candidate {each.number} made the same tree as {number}, which the whole council did not accept."
    told = out[number]
    voters = f", rejected by {', '.join(told.against)}" if told.against else ""
    reason = f"; {told.reason}" if told.reason else ""
    return f"Candidate {number} was turned down by the whole council: {told.decision.value}{voters}{reason}."


def _better(one: Standing, other: Standing) -> int:
    return _compare(one, other)[0]


def _compare(one: Standing, other: Standing) -> tuple[int, str]:
    """Negative when `one` is better; and what tells them apart, seen from `one`."""
    if one.same_as == other.number or other.same_as == one.number:
        return one.number - other.number, "it made the same tree, later in their order"
    ranks = BEST_FIRST.index(one.decision), BEST_FIRST.index(other.decision)
    if ranks[0] != ranks[1]:
        return ranks[0] - ranks[1], f"{other.decision.value} where the other is {one.decision.value}"
    refused = len(one.refused_by), len(other.refused_by)
    if refused[0] != refused[1]:
        return refused[0] - refused[1], f"{refused[1]} gates refuse it, {refused[0]} the other"
    if round(one.probability, 6) != round(other.probability, 6):
        text = f"probability {other.probability:.4f} to {one.probability:.4f}"
        return (-1 if one.probability > other.probability else 1), text
    if one.strength is not None and other.strength is not None and one.strength != other.strength:
        text = f"its tests notice {other.strength:.0%} of small edits, the other's {one.strength:.0%}"
        return (-1 if one.strength > other.strength else 1), text
    if one.changed_lines != other.changed_lines:
        text = f"{other.changed_lines} changed lines to {one.changed_lines}"
        return one.changed_lines - other.changed_lines, text
    return one.number - other.number, "nothing tells them apart but their numbers"
