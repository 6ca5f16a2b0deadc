"""Standing still: while a person has paused a run, the time of its work does not pass.

Rules:
- Timers and budgets that were begun inside a standstill's run stop with it, and go on with what was left of them.
- It travels with the context, like a budget: what a worker starts stands still with the worker.
- Nothing is interrupted by it. Processes are stopped by who holds them (`adapters/sandbox`), and code of this process
  asks at `passage` whether it may begin something new.
- A run that may take longer is lent time: its timers and budgets get as much more.

It does not decide when a run stands still: `pipeline/executor/control.py` does. Time is the event loop's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from councilor.ports.clock import Clock

__all__ = ["Allowance", "StandingClock", "Standstill", "passage", "patient", "standing_still", "standstill", "stood_s"]


class Standstill:
    """The switch of one run."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        """Set while it stands still."""
        self.going = asyncio.Event()
        """Set while it does not."""
        self.going.set()
        self._since_s = 0.0
        self._stood_s = 0.0
        self._lent_s = 0.0
        self._timers: dict[asyncio.Timeout, bool] = {}
        """Each running timer, and whether it is lent time."""
        self._left_s: dict[asyncio.Timeout, float] = {}
        """What is left of the stopped ones."""

    def stop(self) -> None:
        """Stand still; nothing when it does."""
        if self.stopped.is_set():
            return
        self._since_s = _now_s()
        self.stopped.set()
        self.going.clear()
        for timer in self._timers:
            self._hold(timer)

    def go(self) -> None:
        """Go on; nothing when it does."""
        if self.going.is_set():
            return
        now_s = _now_s()
        self._stood_s += now_s - self._since_s
        self.going.set()
        self.stopped.clear()
        for timer, left_s in self._left_s.items():
            if timer.when() is None and not timer.expired():  # one that was ended meanwhile stays ended
                timer.reschedule(now_s + left_s)
        self._left_s.clear()

    def lend(self, seconds: float) -> None:
        """Give what is running more time."""
        self._lent_s += seconds
        for timer in [timer for timer, lent in self._timers.items() if lent and not timer.expired()]:
            if timer in self._left_s:
                self._left_s[timer] += seconds
            elif (when_s := timer.when()) is not None and when_s > _now_s():
                timer.reschedule(when_s + seconds)

    def stood_s(self) -> float:
        """Seconds that it has stood still so far."""
        return self._stood_s + (_now_s() - self._since_s if self.stopped.is_set() else 0.0)

    def granted_s(self) -> float:
        """Seconds by which whatever was begun at first may end later: the time it stood, and what it was lent."""
        return self.stood_s() + self._lent_s

    @contextmanager
    def timing(self, timer: asyncio.Timeout, *, lent: bool) -> Iterator[None]:
        """Stop and lend to a timer that has just been entered."""
        self._timers[timer] = lent
        if self.stopped.is_set():
            self._hold(timer)
        try:
            yield
        finally:
            del self._timers[timer]
            self._left_s.pop(timer, None)

    def _hold(self, timer: asyncio.Timeout) -> None:
        when_s = timer.when()
        if when_s is not None and when_s > _now_s() and not timer.expired():
            self._left_s[timer] = when_s - _now_s()
            timer.reschedule(None)


_STANDSTILL: ContextVar[Standstill | None] = ContextVar("standstill", default=None)


def standstill() -> Standstill | None:
    """The one of the run that this is part of."""
    return _STANDSTILL.get()


@contextmanager
def standing_still(run: Standstill) -> Iterator[None]:
    """Make the body part of a run that may stand still."""
    token = _STANDSTILL.set(run)
    try:
        yield
    finally:
        _STANDSTILL.reset(token)


async def passage() -> None:
    """Wait while the run stands still; to be called before something new is begun in this process."""
    run = _STANDSTILL.get()
    if run is not None:
        await run.going.wait()


@contextmanager
def patient(timer: asyncio.Timeout, *, lent: bool = False) -> Iterator[None]:
    """Let a timer that has just been entered stand still with the run.

    Args:
        lent: whether it gets what the run is lent.
    """
    run = _STANDSTILL.get()
    if run is None:
        yield
        return
    with run.timing(timer, lent=lent):
        yield


class Allowance:
    """Like `asyncio.timeout`, and standing still with the run.

    Raises, when it is left:
        TimeoutError: the time is over.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = asyncio.timeout(seconds)
        self._stack = AsyncExitStack()

    def expired(self) -> bool:
        """Whether the time is over."""
        return self._timer.expired()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._timer)
        self._stack.enter_context(patient(self._timer))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)


@dataclass(frozen=True, slots=True)
class StandingClock:
    """A clock whose durations leave out what the run of the caller has stood still."""

    clock: Clock

    def now(self) -> datetime:
        """The wall clock, which stands for nobody."""
        return self.clock.now()

    def monotonic(self) -> float:
        """Seconds that the caller's run did not stand still; to be compared within one run only."""
        return self.clock.monotonic() - stood_s()

    async def sleep(self, seconds: float) -> None:
        """Wait, whether the run stands still or not."""
        await self.clock.sleep(seconds)


def stood_s() -> float:
    """Seconds that the caller's run has stood still so far."""
    run = _STANDSTILL.get()
    return 0.0 if run is None else run.stood_s()


def _now_s() -> float:
    return asyncio.get_running_loop().time()
