"""How a durable step ends before it is done: its deadline passes, its run is cancelled, the engine stops, or the host
fails.

Rules:
- The step runs in its caller's task, so that cancelling the caller cancels the step, and its clean-up comes first.
- Its time stands still with the run (`standstill`), and grows by what the run is lent.
- A passed deadline is a `DeadlineError`, a failure of the step like any other. It caps every guarded call below.
- `cancel` ends preemptible steps at once and lets the others finish; `stop` ends every step. Both raise
  `Interrupted`, which is no `Exception`: a workflow cannot take it for a failure of its own and carry on.
- A fault of the host (`hostfault`) interrupts as well, in a step or between two: it is no outcome of the run. So
  does the refusal of a write, because another process has taken the run over.
- Once interrupted, no further step begins.

It remembers nothing and knows no database: engines do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from councilor.errors import CouncilorError, DeadlineError, FencedError
from councilor.guards.budget import budget
from councilor.guards.hostfault import find_host_fault, is_fenced
from councilor.guards.standstill import patient

__all__ = ["Interrupted", "Interruption", "interruptible"]

T = TypeVar("T")


class Interrupted(BaseException):
    """A step was ended from outside; nothing of it is remembered."""

    fault: CouncilorError | None = None
    """The host's, or that another process has taken the run over, when that is why."""


def interruptible(workflow: Callable[[str], Awaitable[T]]) -> Callable[[str], Awaitable[T]]:
    """`workflow`, interrupted by faults of the host instead of ended by them."""

    async def run(run_id: str) -> T:
        try:
            return await workflow(run_id)
        except Exception as error:
            _interrupt_on_fault(run_id, error)
            raise

    return run


def _interrupt_on_fault(name: str, error: Exception) -> None:
    fault = find_host_fault(error) or (FencedError(str(error)) if is_fenced(error) else None)
    if fault is not None:
        interrupted = Interrupted(name)
        interrupted.fault = fault
        raise interrupted from error


class Interruption:
    """The switch of one execution of a run."""

    def __init__(self) -> None:
        self._preemptible: dict[asyncio.Timeout, bool] = {}
        self._ended: set[asyncio.Timeout] = set()
        self.cancelled = False
        """Whether the run was cancelled."""
        self.stopped = False
        """Whether the engine stops."""

    @property
    def preemptible(self) -> bool:
        """Whether a step is running that `cancel` would end."""
        return any(self._preemptible.values())

    def cancel(self) -> None:
        """End preemptible steps, and let no further one begin."""
        self.cancelled = True
        self._end(timer for timer, preemptible in self._preemptible.items() if preemptible)

    def stop(self) -> None:
        """End every step, and let no further one begin."""
        self.stopped = True
        self._end(self._preemptible)

    async def run(self, name: str, fn: Callable[[], Awaitable[T]], *, preemptible: bool, timeout_s: float) -> T:
        """Execute `fn` to its end or to the first reason to end it.

        Raises:
            DeadlineError: it took longer than `timeout_s` seconds.
            Interrupted: the run was cancelled, the engine stops, or the host fails.
        """
        if self.cancelled or self.stopped:
            raise Interrupted(name)
        timer = asyncio.timeout(timeout_s)
        try:
            async with timer:
                self._preemptible[timer] = preemptible
                with patient(timer, lent=True), budget(timeout_s):
                    return await fn()
        except Exception as error:
            if timer in self._ended:
                raise Interrupted(name) from error
            if timer.expired():
                raise DeadlineError(
                    f"The step {name!r} took longer than {timeout_s:g} s.", backend=name, deadline_s=timeout_s
                ) from error
            _interrupt_on_fault(name, error)
            raise
        finally:
            self._preemptible.pop(timer, None)
            self._ended.discard(timer)

    def _end(self, timers: Iterable[asyncio.Timeout]) -> None:
        for timer in list(timers):
            if not timer.expired():
                self._ended.add(timer)
                timer.reschedule(asyncio.get_running_loop().time())
