"""Budgets: what a task may spend, what it has spent, and what is left of it.

Rules:
- A budget follows from the task and its events alone; an extension is one more event. Nothing is kept anywhere else.
- Spent is what workers tell, interrupted rounds included, and the tokens of models that voted, as far as their servers
  tell. Nobody is believed more than that: who tells nothing is limited by time and iterations only.
- Models that vote are counted and never limited: no worker can spend its judges away.
- What is left when a round begins is shared evenly by its candidates; one cannot spend another's part, nor wait for it.
- Time and iterations are limits of their own: the run's clock and `max_iterations` keep them.

It ends nothing: `pipeline/executor/supervision.py` does. What an iteration of a model worker may take is that worker's
own limit; the smaller of the two holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from councilor.domain.accounting import account
from councilor.domain.event import Event, EventType
from councilor.domain.intervention import Extension, Steering, steer
from councilor.domain.task import Task

__all__ = ["NO_LIMIT", "Budget", "Part", "Share", "budget_of", "part_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """What a worker may still spend; None: no limit."""

    tokens: int | None = None
    cost_usd: float | None = None

    def passed(self, *, tokens: int, cost_usd: float) -> str:
        """Which limit so much goes beyond, as half a sentence; empty when none."""
        if self.tokens is not None and tokens > self.tokens:
            return f"its budget of {self.tokens} tokens was spent"
        if self.cost_usd is not None and cost_usd > self.cost_usd:
            return f"its budget of {self.cost_usd:.4f} US dollars was spent"
        return ""

    @property
    def nothing(self) -> str:
        """Why nothing may be begun with it; empty when something may."""
        if self.tokens is not None and self.tokens <= 0:
            return "no token is left of the task's budget"
        if self.cost_usd is not None and self.cost_usd <= 0:
            return "no money is left of the task's budget"
        return ""


NO_LIMIT = Share()


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a task may spend, and what it has spent."""

    max_tokens: int | None
    max_cost_usd: float | None
    tokens: int = 0
    """Spent, by workers and by models that voted."""
    cost_usd: float = 0.0
    """Spent, as workers tell."""

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return self.max_tokens is not None or self.max_cost_usd is not None

    @property
    def left(self) -> Share:
        """What is left; never negative."""
        return self.share(1)

    def share(self, parts: int) -> Share:
        """What one of so many candidates may spend."""
        tokens = None if self.max_tokens is None else max(0, self.max_tokens - self.tokens) // parts
        cost_usd = None if self.max_cost_usd is None else max(0.0, self.max_cost_usd - self.cost_usd) / parts
        return Share(tokens=tokens, cost_usd=cost_usd)

    def exhausted(self) -> str:
        """Which limit leaves nothing, as a sentence without its end; empty when something is left."""
        if self.max_tokens is not None and self.tokens >= self.max_tokens:
            return f"{self.tokens} of {self.max_tokens} tokens are spent"
        if self.max_cost_usd is not None and self.cost_usd >= self.max_cost_usd:
            return f"{self.cost_usd:.4f} of {self.max_cost_usd:.4f} US dollars are spent"
        return ""

    def extended(self, more: Extension) -> Budget:
        """The same with more to spend; what has no limit stays without one."""
        return Budget(
            max_tokens=None if self.max_tokens is None else self.max_tokens + more.tokens,
            max_cost_usd=None if self.max_cost_usd is None else self.max_cost_usd + more.cost_usd,
            tokens=self.tokens,
            cost_usd=self.cost_usd,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One candidate's part of what was left when its iteration began."""

    before: Budget
    """The whole, without extensions, as it stood then."""
    parts: int
    tokens: int
    """Spent on this candidate already, in executions that a crash ended."""
    cost_usd: float

    def share(self, more: Extension) -> Share:
        """What it may still spend.

        Args:
            more: what the task was given beyond what it was submitted with.
        """
        whole = self.before.extended(more).share(self.parts)
        return Share(
            tokens=None if whole.tokens is None else max(0, whole.tokens - self.tokens),
            cost_usd=None if whole.cost_usd is None else max(0.0, whole.cost_usd - self.cost_usd),
        )


def budget_of(task: Task, events: Iterable[Event]) -> Budget:
    """A task's budget, from all its events in their order."""
    told, steering = list(events), Steering()
    for event in told:
        steering = steer(steering, event)
    return _spent(task, told).extended(steering.extension)


def part_of(task: Task, events: Iterable[Event], *, iteration: int, candidate: int, parts: int) -> Part:
    """A candidate's part, from all events of its task; what the others of its iteration spend changes nothing.

    Args:
        candidate: its number; 0: the only one.
        parts: how many candidates the iteration has.
    """
    told = list(events)
    begun = (at for at, event in enumerate(told) if _begins(event, iteration))
    start = next(begun, len(told))
    own = account(event for event in told[start:] if event.data.get("candidate", 0) == candidate).worker
    return Part(before=_spent(task, told[:start]), parts=parts, tokens=own.tokens, cost_usd=own.cost_usd)


def _begins(event: Event, iteration: int) -> bool:
    return event.type is EventType.WORKER_ASSIGNED and event.data.get("iteration") == iteration


def _spent(task: Task, told: Iterable[Event]) -> Budget:
    spent = account(told)
    return Budget(
        max_tokens=task.max_tokens,
        max_cost_usd=task.max_cost_usd,
        tokens=spent.worker.tokens + spent.judge_tokens,
        cost_usd=spent.worker.cost_usd,
    )
