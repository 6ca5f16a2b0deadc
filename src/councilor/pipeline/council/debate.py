"""Debate by challenge: the council meets, and where judges disagree, whoever would reject may bring a test.

Rules:
- Only a model that votes to reject, while somebody votes to accept and nothing vetoes, is asked; at most `rounds`
  times for one candidate, never more than `MOST_ROUNDS`. It sees what the others say without names.
- The only move is a test, which our runner runs (`ChallengeRunner`). Unless one is confirmed nothing changes, whatever
  was said; what became of each is recorded with the verdict all the same.
- A confirmed challenge makes a new case, and the council meets again with a clock of its own. The verdict says how
  often it met, and the time of everything.
- A model that fails, or is not done in its time, proposes nothing. A challenge that cannot be run is unusable.

It does not run anything, and stores nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from councilor.domain.challenge import Challenge, ChallengeOutcome, Proposal
from councilor.domain.verdict import Choice, Verdict, Vote
from councilor.errors import CouncilorError
from councilor.pipeline.council.case import Case
from councilor.pipeline.council.deliberation import ModelVoter, deliberate
from councilor.pipeline.council.judges import COUNCIL, Juror
from councilor.pipeline.council.weights import SHIPPED, Weights
from councilor.ports.clock import Clock, Ids
from councilor.ports.metrics import MetricsBackend

__all__ = ["MOST_ROUNDS", "ChallengeRunner", "Debater", "Sitting", "convene"]

MOST_ROUNDS = 2
PROPOSING_S = 60.0
"""Seconds in which models propose; their own limits are mostly shorter."""


class Debater(ModelVoter, Protocol):
    """A model that may bring a test."""

    async def propose(self, case: Case, votes: Sequence[Vote], earlier: Sequence[Challenge]) -> Proposal | None:
        """A test that shows the candidate to be wrong, or None."""
        ...


class ChallengeRunner(Protocol):
    """Runs proposed tests on the candidate and on the base."""

    async def run(self, proposal: Proposal, *, round_number: int) -> Challenge:
        """What becomes of a proposal; one that cannot be run is an outcome, not an error."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Sitting:
    """What the council came to on one candidate."""

    case: Case
    """The case of the verdict, challenges included."""
    verdict: Verdict
    earlier: tuple[tuple[Case, Verdict], ...] = ()
    """What it had come to before a challenge was confirmed, oldest first."""


async def convene(
    case: Case,
    *,
    clock: Clock,
    ids: Ids,
    metrics: MetricsBackend,
    jurors: Sequence[Juror] = COUNCIL,
    models: Sequence[Debater] = (),
    weights: Weights = SHIPPED,
    runner: ChallengeRunner | None = None,
    rounds: int = 0,
) -> Sitting:
    """Deliberate, debate where judges disagree, and deliberate again after a confirmed challenge.

    Args:
        runner: runs proposed tests; without it nothing is debated.
        rounds: most rounds of debate.
    """
    begun_s = clock.monotonic()
    done = max((item.round for item in case.challenges), default=0)
    last = min(rounds, MOST_ROUNDS) if runner is not None else 0

    async def meet(current: Case, *, debatable: bool) -> Verdict:
        return await deliberate(
            current,
            clock=clock,
            ids=ids,
            metrics=metrics,
            jurors=jurors,
            models=models,
            debatable=debatable,
            weights=weights,
        )

    verdict = await meet(case, debatable=last > done)
    earlier: list[tuple[Case, Verdict]] = []
    for number in range(done + 1, last + 1):
        debaters = _debaters(verdict, models)
        if runner is None or not debaters:
            break
        found = await _challenges(debaters, case, verdict, runner, number)
        if not found:
            break
        before, case = case, replace(case, challenges=(*case.challenges, *found))
        if any(item.confirmed for item in found):
            earlier.append((before, verdict))
            verdict = await meet(case, debatable=False)
            break
    return Sitting(
        case=case,
        verdict=replace(
            verdict,
            challenges=case.challenges,
            deliberations=len(earlier) + 1,
            total_s=clock.monotonic() - begun_s,
        ),
        earlier=tuple(earlier),
    )


def _debaters(verdict: Verdict, models: Sequence[Debater]) -> list[Debater]:
    """The models that would reject what somebody would accept and nothing vetoes."""
    if verdict.vetoes or not any(vote.choice is Choice.ACCEPT for vote in verdict.votes):
        return []
    rejecting = {vote.voter for vote in verdict.votes if vote.choice is Choice.REJECT and vote.voter}
    return [model for model in models if model.voter in rejecting]


async def _challenges(
    debaters: Sequence[Debater], case: Case, verdict: Verdict, runner: ChallengeRunner, number: int
) -> tuple[Challenge, ...]:
    """What each debater brings, and what becomes of it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_proposal(debater, case, verdict)) for debater in debaters]
    proposals = dict.fromkeys(proposal for task in tasks if (proposal := task.result()) is not None)
    return tuple([await _run(runner, proposal, number) for proposal in proposals])


async def _proposal(debater: Debater, case: Case, verdict: Verdict) -> Proposal | None:
    try:
        async with asyncio.timeout(PROPOSING_S):
            return await debater.propose(case, verdict.votes, case.challenges)
    except Exception:
        return None  # whoever proposes nothing changes nothing, whatever kept it from proposing


async def _run(runner: ChallengeRunner, proposal: Proposal, number: int) -> Challenge:
    try:
        return await runner.run(proposal, round_number=number)
    except CouncilorError as error:
        return Challenge(proposal=proposal, round=number, outcome=ChallengeOutcome.UNUSABLE, reason=error.message[:300])
