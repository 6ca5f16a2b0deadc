"""One deliberation: the four judges vote, then models where they could matter, and the verdict is put together.

Rules:
- Cheapest first: deterministic judges vote at the same time; models are asked only if what they say could change the
  outcome, all at the same time, and whoever is outstanding when it no longer could is cancelled and recorded as not
  needed.
- A voter that raises, is not done in time, or gives what is no vote (of another seat, or with a weight that no count
  could give) abstains; that is recorded. Voting ends before the SLA does, so one that hangs costs no acceptance.
- A deliberation that took longer than the case's `sla_s` is late, and a late council never accepts.
- The verdict carries everything that `inputs_of` needs to compute it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Protocol

from councilor.domain.gate import GateStatus
from councilor.domain.verdict import Choice, Decision, Judge, Verdict, Vote
from councilor.pipeline.council.case import Case, VerdictInputs
from councilor.pipeline.council.decision import RULES_VERSION, Conclusion, decide
from councilor.pipeline.council.judges import COUNCIL, Juror
from councilor.pipeline.council.stopping import is_settled
from councilor.pipeline.council.weights import LLR_LIMIT, SHIPPED, Weights
from councilor.ports.clock import Clock, Ids
from councilor.ports.metrics import MetricsBackend

__all__ = ["ModelVoter", "deliberate", "inputs_of", "put_together"]

SHOWN = 20
VOTING_SHARE = 0.9
"""Share of the SLA in which votes are awaited."""
SEATS_SHARE = 0.5
"""Share of that for the deterministic judges where models are to be asked after them."""
NOT_NEEDED = "not needed: nothing that it could say would change the outcome"


class ModelVoter(Juror, Protocol):
    """A juror that is a model."""

    @property
    def voter(self) -> str:
        """The name of its profile; its vote is recorded under it."""
        ...


async def deliberate(
    case: Case,
    *,
    clock: Clock,
    ids: Ids,
    metrics: MetricsBackend,
    sla_s: float | None = None,
    jurors: Sequence[Juror] = COUNCIL,
    models: Sequence[ModelVoter] = (),
    debatable: bool = False,
    weights: Weights = SHIPPED,
) -> Verdict:
    """The council's verdict on a case.

    Args:
        sla_s: seconds within which it must be reached; the case's own when not given.
        jurors: the deterministic judges.
        models: asked after them, where they could change the outcome.
        debatable: whether a disagreement will be debated, which also could change it.
    """
    sitting = _Sitting(
        case=case,
        weights=weights,
        clock=clock,
        begun_s=clock.monotonic(),
        voting_s=VOTING_SHARE * (case.sla_s if sla_s is None else sla_s),
        debatable=debatable,
    )
    votes = await sitting.hear_judges(jurors, share=SEATS_SHARE if models else 1.0)
    votes += await sitting.hear_models(models, votes)
    consensus_s = clock.monotonic() - sitting.begun_s
    late = consensus_s > (case.sla_s if sla_s is None else sla_s)
    inputs = VerdictInputs(case=case, votes=votes, late=late, weights_version=weights.version)
    verdict = put_together(inputs, verdict_id=ids.new(), consensus_s=consensus_s)
    metrics.histogram("v3.council.consensus", {}, consensus_s)
    metrics.counter("v3.verdict.decisions", {"decision": verdict.decision.value, "risk_tier": str(case.tier)})
    for vote in votes:
        metrics.counter("v3.council.votes", {"judge": vote.judge.value, "choice": vote.choice.value})
    return verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sitting:
    """One deliberation while it lasts."""

    case: Case
    weights: Weights
    clock: Clock
    begun_s: float
    voting_s: float
    debatable: bool

    async def hear_judges(self, jurors: Sequence[Juror], *, share: float) -> tuple[Vote, ...]:
        """The votes of the deterministic judges."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._vote(juror, "", self.voting_s * share), name=f"judge:{juror.seat}")
                for juror in jurors
            ]
        return tuple(task.result() for task in tasks)

    async def hear_models(self, models: Sequence[ModelVoter], votes: tuple[Vote, ...]) -> tuple[Vote, ...]:
        """The votes of the models, in their order; nobody is asked who cannot change the outcome."""
        if not models or self._is_settled(votes, len(models)):
            return tuple(_abstention(model.seat, NOT_NEEDED, model.voter) for model in models)
        left_s = self.voting_s - (self.clock.monotonic() - self.begun_s)
        heard: dict[int, Vote] = {}
        async with asyncio.TaskGroup() as group:
            tasks = {
                group.create_task(self._vote(model, model.voter, left_s), name=f"model:{model.voter}"): place
                for place, model in enumerate(models)
            }
            pending: set[asyncio.Task[Vote]] = set(tasks)
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                heard |= {tasks[task]: task.result() for task in done}
                if self._is_settled((*votes, *heard.values()), len(pending)):
                    break
            for task in pending:
                task.cancel()
        return tuple(
            heard.get(place) or _abstention(model.seat, NOT_NEEDED, model.voter) for place, model in enumerate(models)
        )

    def _is_settled(self, votes: tuple[Vote, ...], outstanding: int) -> bool:
        inputs = VerdictInputs(case=self.case, votes=votes, late=False, weights_version=self.weights.version)
        return is_settled(inputs, outstanding, debatable=self.debatable)

    async def _vote(self, juror: Juror, voter: str, timeout_s: float) -> Vote:
        begun = self.clock.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                vote = await juror.vote(self.case, self.weights)
            if problem := _problem(vote, juror.seat, voter):
                vote = _abstention(juror.seat, f"it gave no vote: {problem}", voter)
        except TimeoutError:
            vote = _abstention(juror.seat, f"it did not answer within {timeout_s:g} s", voter)
        except Exception as error:
            vote = _abstention(juror.seat, f"it failed: {type(error).__name__}: {error}", voter)
        return replace(vote, latency_ms=(self.clock.monotonic() - begun) * 1000)


def _problem(vote: Vote, seat: Judge, voter: str) -> str | None:
    """What is wrong with what a juror gave; None for a vote."""
    if not isinstance(vote, Vote):
        return f"a {type(vote).__name__}"
    if (vote.judge, vote.voter) != (seat, voter):
        return "it is for a seat that is not its own"
    ratio = vote.log_likelihood_ratio
    return None if isfinite(ratio) and abs(ratio) <= LLR_LIMIT else f"its weight is {ratio}"


def _abstention(seat: Judge, reason: str, voter: str) -> Vote:
    return Vote(judge=seat, choice=Choice.ABSTAIN, log_likelihood_ratio=0.0, reasons=(reason[:300],), voter=voter)


def inputs_of(verdict: Verdict, case: Case, *, sla_s: float | None = None) -> VerdictInputs:
    """What a verdict was computed from, for `recompute`.

    Args:
        sla_s: as it was given to `deliberate`.
    """
    late = verdict.consensus_s > (case.sla_s if sla_s is None else sla_s)
    return VerdictInputs(case=case, votes=verdict.votes, late=late, weights_version=verdict.weights_version)


def put_together(inputs: VerdictInputs, *, verdict_id: str, consensus_s: float) -> Verdict:
    """The verdict that follows from its inputs; the same inputs, id and time always give an equal one."""
    case, conclusion = inputs.case, decide(inputs)
    return Verdict(
        id=verdict_id,
        task_id=case.task_id,
        tree=case.tree,
        base_tree=case.base_tree,
        iteration=case.iteration,
        decision=conclusion.decision,
        probability=conclusion.probability,
        threshold=conclusion.threshold,
        quorum=conclusion.quorum,
        votes=inputs.votes,
        vetoes=conclusion.vetoes,
        dissent=_dissent(conclusion.decision, inputs.votes),
        remediation=_remediation(case, conclusion),
        rule_references=tuple(sorted({item.rule for result in case.gates for item in result.violations})),
        waivers_used=tuple(dict.fromkeys(waiver for result in case.gates for waiver in result.waived_by)),
        gates=case.gates,
        evidence_ids=tuple(item.id for item in case.evidence),
        missing_evidence=conclusion.missing,
        consensus_s=consensus_s,
        evidence_s=case.evidence_s,
        weights_version=inputs.weights_version,
        durable=case.durable,
        challenges=case.challenges,
        rules_version=RULES_VERSION,
        total_s=consensus_s,
    )


def _dissent(decision: Decision, votes: tuple[Vote, ...]) -> tuple[str, ...]:
    """First reason of each judge that voted the other way."""
    against = Choice.REJECT if decision is Decision.ACCEPT else Choice.ACCEPT
    if decision not in (Decision.ACCEPT, Decision.REJECT, Decision.REFINE):
        return ()
    return tuple(f"{vote.who}: {vote.reasons[0]}" for vote in votes if vote.choice is against and vote.reasons)


def _remediation(case: Case, conclusion: Conclusion) -> tuple[str, ...]:
    """What to do, each once: for the vetoes, else for the warnings and what is missing."""
    if conclusion.decision is Decision.ACCEPT:
        return ()
    warned = [result for result in case.gates if result.status is GateStatus.WARNED]
    about = list(case.blocking) or warned
    remedies = [item.remediation for result in about for item in result.violations]
    remedies += [f"Correct the report: {item.reason}." for item in case.critical_claims]
    return tuple(dict.fromkeys([*remedies, *(f"Provide {name}." for name in conclusion.missing)]))[:SHOWN]
