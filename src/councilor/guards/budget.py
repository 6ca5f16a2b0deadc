"""The time that is left for all of some work, known to every call below it.

Rules:
- A budget inside another one never lasts longer than it.
- Tasks that are started inside have it, too: it travels with the context.
- It is the event loop's monotonic time, as `asyncio.timeout` has it; the wall clock changes nothing.
- While the run that it is part of stands still, nothing of it is spent (`standstill`).

It ends nothing by itself: the deadline guard caps each call by what is left, and begins none when nothing is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import inf

from councilor.guards.standstill import Standstill, standstill

__all__ = ["budget", "left_s"]


@dataclass(frozen=True, slots=True)
class _Budget:
    """When some work has to be done, in the event loop's time."""

    until_s: float
    run: Standstill | None
    granted_s: float
    """What the run had been granted when it began."""

    def left_s(self) -> float:
        more_s = self.run.granted_s() - self.granted_s if self.run is not None else 0.0
        return self.until_s + more_s - asyncio.get_running_loop().time()


_BUDGET: ContextVar[_Budget | None] = ContextVar("budget", default=None)


@contextmanager
def budget(seconds: float) -> Iterator[None]:
    """Give the body at most `seconds`."""
    run, outer = standstill(), _BUDGET.get()
    inner = _Budget(asyncio.get_running_loop().time() + seconds, run, run.granted_s() if run is not None else 0.0)
    token = _BUDGET.set(inner if outer is None or inner.left_s() <= outer.left_s() else outer)
    try:
        yield
    finally:
        _BUDGET.reset(token)


def left_s() -> float:
    """Seconds that are left, negative when they are over; infinite outside every budget."""
    chosen = _BUDGET.get()
    return inf if chosen is None else chosen.left_s()
