"""The time that is left for all of some work, known to every call below it.

Rules:
- A budget inside another one never lasts longer than it.
- Tasks that are started inside have it, too: it travels with the context.
- It is the event loop's monotonic time, as `asyncio.timeout` has it; the wall clock changes nothing.

It ends nothing by itself: the deadline guard caps each call by what is left, and begins none when nothing is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

__all__ = ["budget", "left_s"]

_UNTIL_S: ContextVar[float] = ContextVar("until_s", default=inf)
"""When the work has to be done, in the event loop's time."""


@contextmanager
def budget(seconds: float) -> Iterator[None]:
    """Give the body at most `seconds`."""
    until_s = asyncio.get_running_loop().time() + seconds
    token = _UNTIL_S.set(min(until_s, _UNTIL_S.get()))
    try:
        yield
    finally:
        _UNTIL_S.reset(token)


def left_s() -> float:
    """Seconds that are left, negative when they are over; infinite outside every budget."""
    until_s = _UNTIL_S.get()
    return inf if until_s == inf else until_s - asyncio.get_running_loop().time()
