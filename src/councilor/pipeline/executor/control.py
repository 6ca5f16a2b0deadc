"""Control: the executing process obeys what people say to its task.

Rules:
- It follows the task's own stream, so it obeys in whichever process it runs, and an heir obeys what was said before.
- A paused task begins no further step. A worker stands still at once (`guards/standstill.py`); what measures goes on to
  the end of its step, for a measurement that was stopped would be a wrong one.
- Time: what earlier executions have spent is read from the stream, as they told it; this one counts monotonically, so
  that a clock that jumps changes nothing. While the task stands still nothing is spent.
- Who waits for a person waits here, or, in a process that has other tasks, gives the task back (`StandbyError`).
- A task that was cancelled from outside is cancelled in the engine, which ends its running step.
- What goes on beside the run, such as telling a person that it waits, neither stops nor fails it. It has limits of its
  own, and has ended when the execution has; a cancelled one waits for none of it.
- A database that does not answer is asked again; meanwhile the last word counts.

It decides nothing: `domain/intervention.py` says what follows from the stream.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from councilor.domain.event import Event, Gap
from councilor.domain.intervention import Extension, Steering, steer
from councilor.errors import CouncilorError, NotFoundError, StandbyError
from councilor.guards.interruption import Interrupted
from councilor.guards.standstill import Standstill, standing_still
from councilor.ports.clock import Clock
from councilor.ports.engine import Engine
from councilor.ports.events import EventStream

__all__ = ["RunControl", "controlling"]

_log = logging.getLogger(__name__)

Errand = Callable[[], Coroutine[Any, Any, None]]
"""What goes on beside a run. It has a time limit of its own, and raises nothing but cancellation."""

AGAIN_S = 1.0
PAGE = 500


@dataclass(kw_only=True, slots=True)
class RunControl:
    """What one execution has been told.

    Args:
        patient: whether it waits for people; else it gives the task back.
    """

    task_id: str
    events: EventStream
    engine: Engine
    clock: Clock
    patient: bool = True
    steering: Steering = field(default_factory=Steering)
    _seq: int = field(default=0, init=False)
    _spent_s: float = field(default=0.0, init=False)
    _since_s: float | None = field(default=None, init=False)
    """When this execution's time began to run; None while it stands."""
    _steps: dict[Standstill, bool] = field(default_factory=dict, init=False)
    """Each running step, and whether it may be stopped where it is."""
    _cancelled: bool = field(default=False, init=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _beside: asyncio.Queue[Errand | None] = field(default_factory=asyncio.Queue, init=False)

    async def catch_up(self) -> None:
        """Read everything that was said before."""
        await self._look()
        self._spent_s = self.steering.spent_s(self.clock.now())
        self._since_s = None if self.steering.stands else self.clock.monotonic()

    async def follow(self) -> None:
        """Obey until the task has ended."""
        while True:
            try:
                async for event in self.events.follow(self.task_id, after=self._seq):
                    if isinstance(event, Gap):  # only of tasks that have ended
                        continue
                    self._seq = event.seq
                    self._take(event)
                if self.steering.cancelled:
                    await self._cancel()
                return
            except CouncilorError as error:
                _log.warning("interventions cannot be read", extra={"task_id": self.task_id, "problem": error.message})
                await self.clock.sleep(AGAIN_S)

    @property
    def extension(self) -> Extension:
        """What the task was given beyond what it was submitted with."""
        return self.steering.extension

    def spent_s(self) -> float:
        """Seconds of the task's time that are over, in all its executions."""
        running_s = 0.0 if self._since_s is None else self.clock.monotonic() - self._since_s
        return self._spent_s + running_s

    async def passage(self) -> None:
        """Wait until a further step may begin.

        Raises:
            Interrupted: the task was cancelled, or is given back.
        """
        await self.until(lambda: not self.steering.paused)

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait for what a person has to say first, and while the task is paused.

        Raises:
            Interrupted: the task was cancelled, or is given back.
        """
        while not met() or self.steering.paused:
            if self._cancelled:
                raise Interrupted(self.task_id)
            if not self.patient and not self._steps:  # a step beside this one is not thrown away for it
                given_back = Interrupted(self.task_id)
                given_back.fault = StandbyError(f"Task {self.task_id} waits for a person.")
                raise given_back
            self._changed.clear()
            await self._changed.wait()

    def beside(self, errand: Errand | None) -> None:
        """Let something go on beside the run; None: nothing more will come."""
        self._beside.put_nowait(errand)

    async def run_errands(self) -> None:
        """Do what goes on beside the run, until nothing more will come and all of it is done."""
        async with asyncio.TaskGroup() as group:
            while (errand := await self._beside.get()) is not None:
                group.create_task(errand())

    async def require_not_cancelled(self) -> None:
        """Refuse to go on with a task that was cancelled; what failed because of that is no failure of the task.

        Raises:
            Interrupted: it was.
        """
        await self._look()
        if self.steering.cancelled:
            # As in `controlling`: what is done to the engine from outside of the run must not count as its step.
            cancelling = asyncio.create_task(self._cancel(), context=Context())
            await cancelling
            raise Interrupted(self.task_id)

    async def _look(self) -> None:
        while events := await self.events.read(self.task_id, after=self._seq, limit=PAGE):
            for event in events:
                self._seq, self.steering = event.seq, steer(self.steering, event)

    @contextmanager
    def step(self, *, working: bool) -> Iterator[None]:
        """Around a step, whose time is the task's.

        Args:
            working: whether it may be stopped where it is: a worker.
        """
        run = Standstill()
        self._steps[run] = working
        self._apply()
        try:
            with standing_still(run):
                yield
        finally:
            del self._steps[run]
            run.go()
            self._changed.set()

    def _take(self, event: Event) -> None:
        before, self.steering = self.steering, steer(self.steering, event)
        if self.steering is before:
            return
        if self.steering.stands and self._since_s is not None:
            self._spent_s, self._since_s = self.spent_s(), None
        elif not self.steering.stands and self._since_s is None:
            self._since_s = self.clock.monotonic()
        if (more_s := self.extension.deadline_s - before.extension.deadline_s) > 0:
            for run in self._steps:
                run.lend(more_s)
        self._apply()
        self._changed.set()

    def _apply(self) -> None:
        for run, working in self._steps.items():
            if working and self.steering.paused:
                run.stop()
            else:
                run.go()

    async def _cancel(self) -> None:
        with suppress(NotFoundError):
            await self.engine.cancel(self.task_id)
        self._cancelled = True
        self._changed.set()


@asynccontextmanager
async def controlling(control: RunControl) -> AsyncIterator[None]:
    """Catch up, and obey while the body runs.

    Raises:
        Interrupted: the task had been cancelled before.
    """
    await control.catch_up()
    await control.require_not_cancelled()
    # Without the engine's own context: following is no part of the run, and nothing of it is remembered.
    following = asyncio.create_task(control.follow(), context=Context(), name=f"control of {control.task_id}")
    errands = asyncio.create_task(control.run_errands(), context=Context(), name=f"beside {control.task_id}")
    try:
        yield
        await _finish(control, errands)
    except Interrupted as interrupted:
        if isinstance(interrupted.fault, StandbyError):  # it goes on, but not here
            await _finish(control, errands)
        raise
    finally:
        errands.cancel()
        following.cancel()
        await asyncio.wait([errands, following])
        if not following.cancelled() and (error := following.exception()) is not None:
            _log.error("a task could not be controlled to its end", exc_info=error, extra={"task_id": control.task_id})


async def _finish(control: RunControl, errands: asyncio.Task[None]) -> None:
    """Let what goes on beside the run come to its end, unless the task was cancelled."""
    control.beside(None)
    if not control.steering.cancelled:
        await asyncio.wait([errands])
