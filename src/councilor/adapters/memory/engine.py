"""An engine that remembers runs as long as it lives itself: for tests.

Rules:
- The same contract as the durable one, JSON results included, but no run survives its process.
- Steps are remembered by the order in which they begin; one whose name is another than before is an `IntegrityError`.
- `stop` and `start` again keep the runs, like a process that ends and another that follows it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from councilor.domain.codec import JsonValue, json_text
from councilor.errors import BusyError, IntegrityError, NotFoundError, RunCancelledError, UnavailableError
from councilor.guards.interruption import Interrupted, Interruption, interruptible
from councilor.ports.engine import RunState, RunStatus, Workflow

__all__ = ["MemoryEngine"]


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a step or a run ended."""

    text: str = "null"
    """What it gave, as JSON."""
    error: Exception | None = None

    def give(self) -> JsonValue:
        if self.error is not None:
            raise self.error
        return json.loads(self.text)


@dataclass(slots=True)
class _Run:
    """What is known of one run."""

    run_id: str
    state: RunState = RunState.PENDING
    ending: _Ending = _Ending()
    steps: dict[int, tuple[str, _Ending]] = field(default_factory=dict)
    """Name and ending by order."""
    begun: int = 0
    """Steps begun by the current execution."""
    switch: Interruption = field(default_factory=Interruption)
    ended_s: float | None = None
    """When it ended, seconds of the monotonic clock."""
    held: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Locked while it is executed."""

    def status(self) -> RunStatus:
        error = self.ending.error
        return RunStatus(
            run_id=self.run_id,
            state=self.state,
            result=json.loads(self.ending.text),
            error=None if error is None else str(error),
            executor_id="memory" if self.held.locked() else None,
        )


class MemoryEngine:
    """An `Engine` within one process."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._workflow: Workflow | None = None
        self._current: ContextVar[_Run | None] = ContextVar("councilor_memory_run", default=None)

    async def start(self, workflow: Workflow) -> None:
        """Register the workflow."""
        self._workflow = interruptible(workflow)

    async def stop(self) -> None:
        """End every running step; the runs stay resumable."""
        self._workflow = None
        running = [run for run in self._runs.values() if run.held.locked()]
        for run in running:
            run.switch.stop()
        for run in running:
            async with run.held:
                pass

    async def submit(self, run_id: str) -> JsonValue:
        """Execute a run, join its execution, or give its result."""
        return await self._execute(self._runs.setdefault(run_id, _Run(run_id)))

    async def recover(self, run_id: str) -> JsonValue:
        """Carry an interrupted run on."""
        run = self._known(run_id)
        if run.held.locked():
            raise BusyError(f"The run {run_id} is being executed.")
        return await self._execute(run)

    async def step(
        self, name: str, fn: Callable[[], Awaitable[JsonValue]], *, preemptible: bool = False, timeout_s: float
    ) -> JsonValue:
        """Execute a step, or give what it gave before."""
        run = self._current.get()
        if run is None:
            raise RuntimeError(f"the step {name!r} is not directly inside a run")

        async def alone() -> JsonValue:
            token = self._current.set(None)
            try:
                return await fn()
            finally:
                self._current.reset(token)

        order = run.begun
        run.begun += 1
        if order not in run.steps:
            ending = await _ending(lambda: run.switch.run(name, alone, preemptible=preemptible, timeout_s=timeout_s))
            if run.switch.cancelled:
                raise Interrupted(name)
            run.steps[order] = (name, ending)
        known, ending = run.steps[order]
        if known != name:
            raise IntegrityError(f"Step {order + 1} of the run {run.run_id} was {known!r} and now is {name!r}.")
        return ending.give()

    async def cancel(self, run_id: str) -> None:
        """End a run for good."""
        run = self._known(run_id)
        if run.state is RunState.PENDING:
            run.state = RunState.CANCELLED
            run.switch.cancel()

    async def status(self, run_id: str) -> RunStatus | None:
        """One run, or None."""
        run = self._runs.get(run_id)
        return None if run is None else run.status()

    async def list(self, *, state: RunState | None = None, limit: int = 100) -> Sequence[RunStatus]:
        """Runs, newest first."""
        wanted = [run for run in reversed(self._runs.values()) if state in (None, run.state)]
        return [run.status() for run in wanted[:limit]]

    async def forget(self, *, ended_before_s: float) -> int:
        """Forget the steps of runs that ended so many seconds ago."""
        latest_s = time.monotonic() - ended_before_s
        old = [run for run in self._runs.values() if run.steps and run.ended_s is not None and run.ended_s < latest_s]
        for run in old:
            run.steps.clear()
        return len(old)

    def _known(self, run_id: str) -> _Run:
        if run_id not in self._runs:
            raise NotFoundError(f"There is no run {run_id}.")
        return self._runs[run_id]

    async def _execute(self, run: _Run) -> JsonValue:
        async with run.held:
            if run.state is RunState.PENDING:
                await self._carry_on(run)
        if run.state is RunState.CANCELLED:
            raise RunCancelledError(f"The run {run.run_id} was cancelled.")
        return run.ending.give()

    async def _carry_on(self, run: _Run) -> None:
        if self._workflow is None:
            raise UnavailableError("The engine is not started.", backend="memory")
        workflow = self._workflow
        run.begun, run.switch = 0, Interruption()
        token = self._current.set(run)
        try:
            ending = await _ending(lambda: workflow(run.run_id))
        except (Interrupted, BaseExceptionGroup) as error:
            if run.switch.stopped:
                raise UnavailableError("The engine was stopped.", backend="memory") from error
            if isinstance(error, Interrupted) and error.fault is not None:
                raise error.fault from error
            if not run.switch.cancelled:
                raise
            return
        finally:
            self._current.reset(token)
        if run.state is RunState.PENDING:
            run.ending = ending
            run.state = RunState.FAILED if ending.error else RunState.SUCCEEDED
            run.ended_s = time.monotonic()


async def _ending(fn: Callable[[], Awaitable[JsonValue]]) -> _Ending:
    try:
        return _Ending(text=json_text(await fn()))
    except Exception as error:
        return _Ending(error=error)
