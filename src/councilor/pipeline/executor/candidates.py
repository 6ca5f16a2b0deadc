"""Candidates: several workers make one each, side by side; all are judged, and the best goes on as the iteration's.

work:1-1 | work:1-2 | ... -> (examine -> deliberate -> [deepen -> deliberate]) for each -> choose:1 -> [rivals:1] ->
deliberate:1 -> (choose:1-2.next -> [rivals:1-2.next] -> deliberate:1-2.next)*

Rules:
- All begin with the same tree at the same time, each in a workspace and a sandbox of its own, at most so many at once
  as there is room for; what is left of the budget is shared evenly.
- Each is measured and judged by the same rules, one after the other, so that no measurement disturbs another. These
  verdicts are preliminary: no model is asked, and nothing goes back to a worker.
- The same tree is judged once.
- How the best is chosen, and what becomes of the losers, is `choosing.py`.
- Then the council meets about the chosen one, models among it. Another accepted candidate that was seen to behave
  differently speaks against it: one of the two is wrong, and nothing here knows which.
- A best one that only the whole council turns down is followed by the next accepted one in the same round, at most
  `run.next_best` times and while there is time for it. The last one tried is the round's: its verdict stands, and only
  it goes back to a worker. One that an accepted rival speaks against is followed by none: the rival is the other side.
- A worker that cannot be started leaves the others alone; its candidate is what it began with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from councilor.domain.codec import JsonValue
from councilor.domain.verdict import Decision
from councilor.pipeline.executor.choosing import choose, choose_next
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.iteration import Iteration, Judged
from councilor.pipeline.executor.rivalry import compare
from councilor.pipeline.executor.steps import side_by_side
from councilor.pipeline.executor.work import Work, label_of

__all__ = ["compete"]


async def compete(context: RunContext, iteration: Iteration) -> Judged:
    """Let all workers of a task make a candidate each; the best one, judged as the iteration's own."""
    workers = context.task.workers
    lanes = [context.lane(number, worker) for number, worker in enumerate(workers, 1)]
    tried = await _judge_all(lanes, iteration, await _make_all(context, lanes, iteration))
    number = iteration.number
    choice = await iteration.steps.run(f"choose:{number}", lambda: choose(context, tried, number))
    rivals, spares = list(choice["rivals"]), list(choice["spares"])
    last = await _put(
        context, iteration, tried, _Seat(choice=choice, label=str(number), rivals=rivals, followed=spares)
    )
    while spares and not last.made.rivals and not _is_accepted(last):
        spare = spares.pop(0)
        label, rivals = f"{label_of(number, spare)}.next", [each for each in rivals if each != spare]
        turned = partial(choose_next, context, tried, choice, spare, last.deliberated, number, iteration.steps)
        choice = await iteration.steps.run(f"choose:{label}", turned)
        if choice["chosen"] is None:
            break
        seat = _Seat(choice=choice, label=label, rivals=rivals, followed=spares)
        last = await _put(context, iteration, tried, seat)
    return last


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seat:
    """Before whom the whole council meets."""

    choice: JsonValue
    """What choosing it gave."""
    label: str
    rivals: Sequence[int]
    """Other accepted candidates with which it has not been compared."""
    followed: Sequence[int]
    """Who is tried after it, if it is turned down."""


async def _put(context: RunContext, iteration: Iteration, tried: Sequence[Judged], seat: _Seat) -> Judged:
    """Put a candidate before the whole council, with what accepted rivals are seen to do otherwise."""
    choice = seat.choice
    chosen = tried[choice["chosen"] - 1]
    made = replace(chosen.made, label=seat.label, patch=choice["patch"], report=choice["report"])
    if seat.rivals:
        others = {each: tried[each - 1] for each in seat.rivals}
        found = await iteration.steps.run(
            f"rivals:{seat.label}",
            lambda: compare(context, iteration, chosen, others, evidence_id=choice["evidence"], label=seat.label),
            preemptible=True,
        )
        made = replace(made, rivals=tuple(found["rivals"]))
    winner = context.made_by(chosen.worker)
    evidence, added = choice["evidence"], choice["added"]
    held = bool(seat.followed) and not made.rivals
    last = await iteration.deliberate(winner, made, evidence, added=added, held=held)
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
