"""One deliberation: every judge votes at the same time, under one deadline, and the verdict is put together.

Rules:
- A judge that raises or is not done in time abstains; that is recorded with its vote.
- A deliberation that took longer than the case's `sla_s` is late, and a late council never accepts.
- The verdict carries everything that `inputs_of` needs to compute it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from councilor.domain.gate import GateStatus
from councilor.domain.verdict import Choice, Decision, Verdict, Vote
from councilor.pipeline.council.case import Case, VerdictInputs
from councilor.pipeline.council.decision import Conclusion, decide
from councilor.pipeline.council.judges import COUNCIL, Juror
from councilor.pipeline.council.weights import PRIOR_1, Weights
from councilor.ports.clock import Clock, Ids
from councilor.ports.metrics import MetricsBackend

__all__ = ["deliberate", "inputs_of"]

SHOWN = 20


async def deliberate(
    case: Case,
    *,
    clock: Clock,
    ids: Ids,
    metrics: MetricsBackend,
    sla_s: float | None = None,
    jurors: Sequence[Juror] = COUNCIL,
    weights: Weights = PRIOR_1,
) -> Verdict:
    """The council's verdict on a case.

    Args:
        sla_s: seconds within which it must be reached; the case's own when not given.
    """
    limit_s = case.sla_s if sla_s is None else sla_s
    begun = clock.monotonic()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_vote(juror, case, weights, clock=clock, timeout_s=limit_s), name=f"judge:{juror.seat}")
            for juror in jurors
        ]
    votes = tuple(task.result() for task in tasks)
    consensus_s = clock.monotonic() - begun
    inputs = VerdictInputs(case=case, votes=votes, late=consensus_s > limit_s, weights_version=weights.version)
    verdict = _verdict(inputs, decide(inputs), verdict_id=ids.new(), consensus_s=consensus_s)
    metrics.histogram("v3.council.consensus", {}, consensus_s)
    metrics.counter("v3.verdict.decisions", {"decision": verdict.decision.value, "risk_tier": str(case.tier)})
    for vote in votes:
        metrics.counter("v3.council.votes", {"judge": vote.judge.value, "choice": vote.choice.value})
    return verdict


async def _vote(juror: Juror, case: Case, weights: Weights, *, clock: Clock, timeout_s: float) -> Vote:
    begun = clock.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            vote = await juror.vote(case, weights)
    except TimeoutError:
        vote = _abstention(juror, f"it did not answer within {timeout_s:g} s")
    except Exception as error:
        vote = _abstention(juror, f"it failed: {type(error).__name__}: {error}")
    return replace(vote, latency_ms=(clock.monotonic() - begun) * 1000)


def _abstention(juror: Juror, reason: str) -> Vote:
    return Vote(judge=juror.seat, choice=Choice.ABSTAIN, log_likelihood_ratio=0.0, reasons=(reason[:300],))


def inputs_of(verdict: Verdict, case: Case, *, sla_s: float | None = None) -> VerdictInputs:
    """What a verdict was computed from, for `recompute`.

    Args:
        sla_s: as it was given to `deliberate`.
    """
    late = verdict.consensus_s > (case.sla_s if sla_s is None else sla_s)
    return VerdictInputs(case=case, votes=verdict.votes, late=late, weights_version=verdict.weights_version)


def _verdict(inputs: VerdictInputs, conclusion: Conclusion, *, verdict_id: str, consensus_s: float) -> Verdict:
    case = inputs.case
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
    )


def _dissent(decision: Decision, votes: tuple[Vote, ...]) -> tuple[str, ...]:
    """First reason of each judge that voted the other way."""
    against = Choice.REJECT if decision is Decision.ACCEPT else Choice.ACCEPT
    if decision not in (Decision.ACCEPT, Decision.REJECT, Decision.REFINE):
        return ()
    return tuple(f"{vote.judge.value}: {vote.reasons[0]}" for vote in votes if vote.choice is against and vote.reasons)


def _remediation(case: Case, conclusion: Conclusion) -> tuple[str, ...]:
    """What to do, each once: for the vetoes, else for the warnings and what is missing."""
    if conclusion.decision is Decision.ACCEPT:
        return ()
    warned = [result for result in case.gates if result.status is GateStatus.WARNED]
    about = list(case.blocking) or warned
    remedies = [item.remediation for result in about for item in result.violations]
    remedies += [f"Correct the report: {item.reason}." for item in case.critical_claims]
    return tuple(dict.fromkeys([*remedies, *(f"Provide {name}." for name in conclusion.missing)]))[:SHOWN]
