"""Whether votes that are still outstanding could change what the council decides.

Rules:
- Every way in which the outstanding models could vote is tried; models are told apart by nothing but their choice, so a
  count of each choice is enough. The outcome is settled when all ways lead to the same decision.
- Where a debate may follow, an acceptance is never settled while a model is outstanding: its vote could bring a test
  that the candidate fails.
- A veto, and evidence that is missing, settle a case before any model is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from councilor.domain.verdict import Choice, Decision, Judge, Vote
from councilor.pipeline.council.case import VerdictInputs
from councilor.pipeline.council.decision import decide
from councilor.pipeline.council.weights import weights_of

__all__ = ["is_settled"]


def is_settled(inputs: VerdictInputs, outstanding: int, *, debatable: bool) -> bool:
    """Whether nothing that `outstanding` models could say changes the outcome.

    Args:
        inputs: with the votes so far.
        debatable: whether a disagreement would be debated.
    """
    first = None
    for further in _ways(inputs, outstanding):
        decision = decide(replace(inputs, votes=(*inputs.votes, *further))).decision
        if first not in (None, decision) or (debatable and outstanding and decision is Decision.ACCEPT):
            return False
        first = decision
    return True


def _ways(inputs: VerdictInputs, outstanding: int) -> Iterator[tuple[Vote, ...]]:
    """Every way in which so many models could vote."""
    models = weights_of(inputs.weights_version).models
    accept, reject = (_vote(choice, models.ratio(choice)) for choice in (Choice.ACCEPT, Choice.REJECT))
    for accepting in range(outstanding + 1):
        for rejecting in range(outstanding + 1 - accepting):
            yield (accept,) * accepting + (reject,) * rejecting


def _vote(choice: Choice, ratio: float) -> Vote:
    return Vote(
        judge=Judge.QUALITY_EVALUATOR, choice=choice, log_likelihood_ratio=ratio, reasons=(), voter="outstanding"
    )
