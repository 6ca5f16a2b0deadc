"""Choosing: which of several judged candidates is the iteration's, and which is next where the council turns it down.

Rules:
- The order is `domain/selection.py`; it is an artifact that names every candidate's patch and verdict, with another one
  for each that was turned down (`choice/1`, `choice/1-3.next`).
- Losers stay in the ledger under their own names (`patch/1-2`); the chosen one's artifacts are recorded again under the
  iteration's, so that the newest of a name is that of the one that is judged last.
- Who may be tried next is fixed when the best is chosen, so that a run that is executed again tries the same: accepted
  candidates with trees of their own, at most `run.next_best`; none where no model votes, for the verdict stands then.
- The next one is tried only where `TIME_FACTOR` times the seconds of the last council are left.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

from councilor.domain.artifact import ArtifactKind
from councilor.domain.codec import JsonValue, decode
from councilor.domain.event import EventType
from councilor.domain.selection import Ranking, Standing, Turned, rank, spares_of, turn
from councilor.domain.verdict import Choice, Verdict
from councilor.pipeline.executor.check import as_json, gate_input
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.deepen import Addition
from councilor.pipeline.executor.deliberate import Deliberated
from councilor.pipeline.executor.iteration import Judged
from councilor.pipeline.executor.prepare import note_stored
from councilor.pipeline.executor.restating import restate_candidate
from councilor.pipeline.executor.steps import Steps
from councilor.pipeline.executor.work import label_of

__all__ = ["choose", "choose_next"]

_log = logging.getLogger(__name__)

TIME_FACTOR = 1.5
REASON_LIMIT = 300


async def choose(context: RunContext, tried: Sequence[Judged], iteration: int) -> JsonValue:
    """Put the candidates into their order, and make the best one the iteration's."""
    ranking = rank([await _standing(context, tried, number) for number in range(1, len(tried) + 1)])
    best = ranking.chosen
    chosen = tried[best.number - 1]
    taken = await restate_candidate(context, chosen, str(iteration), role="chosen")
    recorded = await _record(context, ranking, tried, f"choice/{iteration}")
    context.narrator.note(
        EventType.CANDIDATE_CHOSEN,
        iteration=iteration,
        chosen=best.number,
        candidates=len(tried),
        worker=best.worker,
        decision=best.decision.value,
        reasons=list(ranking.reasons),
    )
    others = list(spares_of(ranking))
    spares = others[: context.parts.next_best] if context.parts.models else []
    return {"chosen": best.number, "rivals": others, "spares": spares, "choice": recorded, **taken}


async def choose_next(
    context: RunContext,
    tried: Sequence[Judged],
    before: JsonValue,
    successor: int,
    last: Deliberated,
    iteration: int,
    steps: Steps,
) -> JsonValue:
    """Make the next best candidate the iteration's, for the whole council turned the chosen one down.

    Args:
        before: what choosing that one gave.
        successor: number of the one that is next.
        last: what the whole council came to.

    Returns:
        As `choose` does; nobody is chosen where too little time is left for another council.
    """
    verdict = decode(Verdict, json.loads(await context.read(last.verdict)))
    if steps.remaining_s() < TIME_FACTOR * max(verdict.total_s, verdict.consensus_s):
        _log.warning("too little time is left to try the next best candidate", extra={"iteration": iteration})
        return {"chosen": None}
    ranking = decode(Ranking, json.loads(await context.read(before["choice"])))
    ranking = turn(ranking, _turned(before["chosen"], last.verdict, verdict), successor)
    taken = await restate_candidate(context, tried[successor - 1], str(iteration), role="chosen")
    name = f"choice/{label_of(iteration, successor)}.next"
    recorded = await _record(context, ranking, tried, name, (before["choice"], "choice"), (last.verdict, "turned"))
    context.narrator.note(
        EventType.CANDIDATE_CHOSEN,
        iteration=iteration,
        chosen=successor,
        instead_of=before["chosen"],
        candidates=len(tried),
        worker=ranking.chosen.worker,
        decision=ranking.chosen.decision.value,
        reasons=list(ranking.reasons),
    )
    return {"chosen": successor, "choice": recorded, **taken}


def _turned(number: int, artifact_id: str, verdict: Verdict) -> Turned:
    return Turned(
        number=number,
        verdict=artifact_id,
        decision=verdict.decision,
        against=tuple(vote.who for vote in verdict.votes if vote.choice is Choice.REJECT),
        reason=" ".join(verdict.missing_evidence[0].split())[:REASON_LIMIT] if verdict.missing_evidence else "",
    )


async def _standing(context: RunContext, tried: Sequence[Judged], number: int) -> Standing:
    judged = tried[number - 1]
    made, deliberated = judged.made, judged.deliberated
    verdict = decode(Verdict, json.loads(await context.read(deliberated.verdict)))
    given = await gate_input(context, made, None)
    earlier = (at for at, one in enumerate(tried[: number - 1], 1) if one.deliberated.verdict == deliberated.verdict)
    strength = None
    if judged.added is not None:
        addition = decode(Addition, json.loads(await context.read(judged.added)))
        strength = addition.strength.score if addition.strength is not None else None
    return Standing(
        number=number,
        worker=judged.worker,
        tree=made.tree,
        patch=made.patch,
        verdict=deliberated.verdict,
        decision=deliberated.decision,
        refused_by=verdict.vetoes,
        probability=verdict.probability,
        strength=strength,
        changed_lines=given.candidate.changed_loc,
        ended=made.ended,
        same_as=next(earlier, None),
    )


async def _record(
    context: RunContext, ranking: Ranking, tried: Sequence[Judged], name: str, *further: tuple[str, str]
) -> str:
    """Keep an order; gives its artifact id.

    Args:
        further: artifact ids that it was made from beside the candidates' verdicts, each with its role.
    """
    verdicts = dict.fromkeys(each.deliberated.verdict for each in tried)
    sources = [(await context.artifact(verdict), "verdict") for verdict in verdicts]
    sources += [(await context.artifact(each), role) for each, role in further]
    artifact = await context.ledger.record(
        ArtifactKind.CHOICE,
        name,
        as_json(ranking),
        tree=ranking.chosen.tree,
        parent=await context.artifact(ranking.chosen.verdict),
        inputs=sources,
    )
    note_stored(context, artifact)
    return artifact.id
