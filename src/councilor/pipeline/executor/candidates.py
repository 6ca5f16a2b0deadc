"""Candidates: several workers make one each, side by side; all are judged, and the best goes on as the iteration's.

work:1-1 | work:1-2 | ... -> (examine -> deliberate -> [deepen -> deliberate]) for each -> choose:1 -> [rivals:1] ->
deliberate:1

Rules:
- All begin with the same tree at the same time, each in a workspace and a sandbox of its own, at most so many at once
  as there is room for; what is left of the budget is shared evenly.
- Each is measured and judged by the same rules, one after the other, so that no measurement disturbs another. These
  verdicts are preliminary: no model is asked, and nothing goes back to a worker.
- The same tree is judged once.
- The order is `domain/selection.py`; it is an artifact that names every candidate's patch and verdict. Losers stay in
  the ledger under their own names (`patch/1-2`); the chosen one's artifacts are recorded again under the iteration's.
- Then the council meets about the chosen one, models among it. Another accepted candidate that was seen to behave
  differently speaks against it: one of the two is wrong, and nothing here knows which.
- A worker that cannot be started leaves the others alone; its candidate is what it began with.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.codec import JsonValue, decode
from councilor.domain.difference import DifferentialRun
from councilor.domain.event import EventType
from councilor.domain.selection import Ranking, Standing, rank
from councilor.domain.verdict import Decision, Verdict
from councilor.pipeline.executor.check import as_json, collector_of, gate_input, load_bundle
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.deepen import Addition
from councilor.pipeline.executor.iteration import Iteration, Judged
from councilor.pipeline.executor.prepare import note_stored
from councilor.pipeline.executor.restating import restate_candidate
from councilor.pipeline.executor.steps import side_by_side
from councilor.pipeline.executor.work import Work
from councilor.pipeline.questions import compare_candidates, describe_differences

__all__ = ["compete"]

MOST_TOLD = 3


async def compete(context: RunContext, iteration: Iteration) -> Judged:
    """Let all workers of a task make a candidate each; the best one, judged as the iteration's own."""
    workers = context.task.workers
    lanes = [context.lane(number, worker) for number, worker in enumerate(workers, 1)]
    tried = await _judge_all(lanes, iteration, await _make_all(context, lanes, iteration))
    number = iteration.number
    choice = await iteration.steps.run(f"choose:{number}", lambda: _choose(context, tried, number))
    chosen = tried[choice["chosen"] - 1]
    made = replace(chosen.made, label=str(number), patch=choice["patch"], report=choice["report"])
    rivals = [tried[each - 1] for each in choice["rivals"]]
    if rivals:
        found = await iteration.steps.run(
            f"rivals:{number}",
            lambda: _compare(context, iteration, chosen, rivals, choice),
            preemptible=True,
        )
        made = replace(made, rivals=tuple(found["rivals"]))
    winner = context.made_by(chosen.worker)
    evidence, added = choice["evidence"], choice["added"]
    last = await iteration.deliberate(winner, made, evidence, added=added)
    return Judged(made=made, deliberated=last, worker=chosen.worker, evidence=evidence, added=added)


async def _make_all(context: RunContext, lanes: Sequence[RunContext], iteration: Iteration) -> Sequence[Work]:
    await context.environment()  # once, before several ask for it
    abreast = max(1, min(len(lanes), context.parts.side_by_side))
    room, waves = asyncio.Semaphore(abreast), -(-len(lanes) // abreast)
    return await side_by_side([iteration.work(lane, waves=waves, sharers=len(lanes), room=room) for lane in lanes])


async def _judge_all(lanes: Sequence[RunContext], iteration: Iteration, made: Sequence[Work]) -> Sequence[Judged]:
    tried: list[Judged] = []
    for lane, each in zip(lanes, made, strict=True):
        twin = next((one for one in tried if one.made.tree == each.tree and _is_accepted(one)), None)
        if twin is not None:
            tried.append(replace(twin, made=each, worker=lane.task.worker or ""))
        else:
            tried.append(await iteration.judge(lane, each, preliminary=True))
    return tried


def _is_accepted(judged: Judged) -> bool:
    return judged.deliberated.decision is Decision.ACCEPT


async def _choose(context: RunContext, tried: Sequence[Judged], iteration: int) -> JsonValue:
    """Put the candidates into their order, and make the best one the iteration's."""
    ranking = rank([await _standing(context, tried, number) for number in range(1, len(tried) + 1)])
    best = ranking.chosen
    chosen = tried[best.number - 1]
    taken = await restate_candidate(context, chosen, str(iteration), role="chosen")
    await _record(context, ranking, tried, iteration)
    context.narrator.note(
        EventType.CANDIDATE_CHOSEN,
        iteration=iteration,
        chosen=best.number,
        candidates=len(tried),
        worker=best.worker,
        decision=best.decision.value,
        reasons=list(ranking.reasons),
    )
    others = [each for each in ranking.order[1:] if each.same_as is None and each.tree != best.tree]
    rivals = [each.number for each in others if each.decision is Decision.ACCEPT is best.decision]
    return {"chosen": best.number, "rivals": rivals, **taken}


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


async def _record(context: RunContext, ranking: Ranking, tried: Sequence[Judged], iteration: int) -> None:
    verdicts = dict.fromkeys(each.deliberated.verdict for each in tried)
    sources = [(await context.artifact(verdict), "verdict") for verdict in verdicts]
    artifact = await context.ledger.record(
        ArtifactKind.CHOICE,
        f"choice/{iteration}",
        as_json(ranking),
        tree=ranking.chosen.tree,
        parent=await context.artifact(ranking.chosen.verdict),
        inputs=sources,
    )
    note_stored(context, artifact)


async def _compare(
    context: RunContext, iteration: Iteration, chosen: Judged, rivals: Sequence[Judged], choice: JsonValue
) -> JsonValue:
    """Look for an input on which the chosen one and other accepted ones do not do the same; gives what was seen."""
    evidence = await context.artifact(choice["evidence"])
    bundle = await load_bundle(context, evidence.id)
    if chosen.added is not None:
        bundle = decode(Addition, json.loads(await context.read(chosen.added))).on(bundle)
    candidate = (await gate_input(context, chosen.made, None)).candidate
    others = {
        number: (await gate_input(context, rival.made, None)).candidate
        for number, rival in zip(choice["rivals"], rivals, strict=True)
    }
    async with context.narrator.heartbeats():
        remaining_s = iteration.steps.remaining_s()
        collector = await collector_of(context, evidence, suffix=str(iteration.number), remaining_s=remaining_s)
        run = await compare_candidates(collector, candidate, bundle, others)
    if run is None:
        return {"rivals": []}
    await _keep_run(context, run, evidence, f"rivals/{iteration.number}")
    return {"rivals": list(describe_differences(run, others))[:MOST_TOLD]}


async def _keep_run(context: RunContext, run: DifferentialRun, evidence: ExecutionArtifact, name: str) -> None:
    artifact = await context.ledger.record(
        ArtifactKind.TEST_REPORT,
        name,
        as_json(replace(run, log=b"")),
        tree=evidence.tree,
        parent=evidence,
        inputs=[(evidence, "evidence")],
    )
    note_stored(context, artifact)
