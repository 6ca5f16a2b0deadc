"""Spending: what a run may still spend, from its own events.

Rules:
- It is read from the stream before a worker begins and before the council meets, inside their steps; so a run that is
  executed again decides as it did.
- What a person gives while a worker works counts at once.
"""

from __future__ import annotations

from councilor.domain.budget import Budget, Part, budget_of, part_of
from councilor.domain.event import EventType
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.history import read_events

__all__ = ["read_budget", "read_part", "tell_exhausted"]


async def read_budget(context: RunContext) -> Budget:
    """The task's budget as it stands, without what has only been noted."""
    task = context.task
    budget = budget_of(task, ())
    return budget_of(task, await read_events(context.parts.events, context.task.id)) if budget.limited else budget


async def read_part(context: RunContext, *, iteration: int, parts: int) -> Part:
    """The part of the candidate that is to be made, of so many of its iteration."""
    told = await read_events(context.parts.events, context.task.id) if budget_of(context.task, ()).limited else ()
    return part_of(context.task, told, iteration=iteration, candidate=context.folder.candidate, parts=parts)


async def tell_exhausted(context: RunContext, budget: Budget, *, iteration: int) -> None:
    """Note once for each iteration that nothing is left."""
    reason = budget.exhausted()
    if not reason or await context.narrator.has_said(EventType.BUDGET_EXHAUSTED, iteration=iteration):
        return
    context.narrator.note(
        EventType.BUDGET_EXHAUSTED,
        iteration=iteration,
        reason=reason,
        tokens=budget.tokens,
        cost_usd=round(budget.cost_usd, 6),
    )
