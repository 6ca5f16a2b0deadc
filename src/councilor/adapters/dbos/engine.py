"""The `Engine` on DBOS: what executes a run, when, and how that ends.

Rules:
- Whoever executes a run holds it (`Holds`) and claims it (`DbosSystem.claim`) first: one process at a time, and an
  earlier one that still lives cannot write any more.
- Workflow and steps run in the task that called `submit` or `recover`, on its loop: pools bound to it can be used, and
  cancelling that task cancels the running step, whose clean-up ends before `submit` does.
- `submit` of a run that another executes waits for it, and takes it over if that one dies.
- A cancelled run is noticed every `poll_s` seconds while a preemptible step runs, whichever process cancelled it.
- Importing this is cheap: DBOS (about 0.3 s) is loaded by `start`, in a thread.

It finds no run by itself and knows no leases: the queue does (`ports/queue.py`), and who has a task there submits it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from councilor.adapters.dbos.holds import Holds
from councilor.domain.codec import JsonValue
from councilor.errors import BusyError, DeadlineError, InputError, NotFoundError, RunCancelledError, UnavailableError
from councilor.guards.interruption import Interrupted, Interruption, interruptible
from councilor.ports.clock import Clock
from councilor.ports.engine import RunState, RunStatus, Workflow
from councilor.ports.metrics import MetricsBackend

if TYPE_CHECKING:
    from councilor.adapters.dbos.system import DbosSystem

__all__ = ["DbosEngine"]


@dataclass(frozen=True, slots=True)
class _Execution:
    """One run being executed here."""

    run_id: str
    switch: Interruption = field(default_factory=Interruption)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class DbosEngine:
    """A durable `Engine` on PostgreSQL; one per process.

    Args:
        database_url: a libpq URL; DBOS keeps its tables in the schema `dbos`.
        executor_id: this process among those that execute runs.
        clock: waits and measures.
        metrics: receives `v3.engine.step` and `v3.engine.running`.
        poll_s: seconds between two looks at a run that is waited for or might be cancelled.
        application_version: names the workflow's steps and their order; a run goes on only under the version that
            began it.
    """

    def __init__(
        self,
        *,
        database_url: str,
        executor_id: str,
        clock: Clock,
        metrics: MetricsBackend,
        poll_s: float = 0.1,
        application_version: str = "1",
    ) -> None:
        self._database_url = database_url
        self.executor_id = executor_id
        self._clock = clock
        self._metrics = metrics
        self._poll_s = poll_s
        self._application_version = application_version
        self._system: DbosSystem | None = None
        self._holds = Holds(database_url=database_url, executor_id=executor_id)
        self._executions: dict[str, _Execution] = {}
        self._current: ContextVar[_Execution | None] = ContextVar("councilor_dbos_execution", default=None)

    async def start(self, workflow: Workflow) -> None:
        """Load and launch DBOS, creating or migrating its schema where needed.

        Raises:
            UnavailableError: the database does not answer.
            RuntimeError: this process runs an engine already.
        """
        system = await asyncio.to_thread(_load_system)
        self._system = await system.launch(
            database_url=self._database_url,
            executor_id=self.executor_id,
            application_version=self._application_version,
            workflow=interruptible(workflow),
        )
        self._metrics.gauge("v3.engine.running", {}, len(self._executions))  # one that is idle is seen to be

    async def stop(self) -> None:
        """End every running step, thread and connection; the runs stay resumable."""
        system, self._system = self._system, None
        if system is None:
            return
        executions = list(self._executions.values())
        for execution in executions:
            execution.switch.stop()
        for execution in executions:
            await execution.ended.wait()
        await self._holds.close()
        await system.stop()

    async def submit(self, run_id: str) -> JsonValue:
        """Execute a run, join its execution, or give its result.

        Raises:
            RunCancelledError: it was cancelled.
        """
        while True:
            async with self._held(run_id) as held:
                if held:
                    return await self._finish(run_id, new=True)
            await self._clock.sleep(self._poll_s)

    async def recover(self, run_id: str) -> JsonValue:
        """Carry an interrupted run on; a finished one gives its result.

        Raises:
            NotFoundError: no such run.
            BusyError: a live process is executing it.
            RunCancelledError: it was cancelled.
        """
        async with self._held(run_id) as held:
            if not held:
                raise BusyError(f"The run {run_id} is being executed by a live process.")
            return await self._finish(run_id, new=False)

    async def step(
        self, name: str, fn: Callable[[], Awaitable[JsonValue]], *, preemptible: bool = False, timeout_s: float
    ) -> JsonValue:
        """Execute a step and remember how it ended, errors included, or give what was remembered."""
        execution = self._current.get()
        if execution is None:
            raise RuntimeError(f"the step {name!r} is not directly inside a run")

        async def attempt() -> JsonValue:
            token = self._current.set(None)
            try:
                return await self._measured(
                    name, execution.switch.run(name, fn, preemptible=preemptible, timeout_s=timeout_s)
                )
            finally:
                self._current.reset(token)

        return await self._running().step(name, attempt)

    async def cancel(self, run_id: str) -> None:
        """End a run for good; a finished one stays as it is.

        Raises:
            NotFoundError: no such run.
        """
        if await self._running().find(run_id) is None:
            raise _unknown(run_id)
        await self._running().cancel(run_id)
        execution = self._executions.get(run_id)
        if execution is not None and await self._running().is_cancelled(run_id):
            execution.switch.cancel()

    async def status(self, run_id: str) -> RunStatus | None:
        """One run, or None."""
        return await self._running().find(run_id)

    async def list(self, *, state: RunState | None = None, limit: int = 100) -> Sequence[RunStatus]:
        """Runs, newest first."""
        return await self._running().list(state=state, limit=limit)

    async def forget(self, *, ended_before_s: float) -> int:
        """Forget the steps of runs that ended so many seconds ago, by the server's clock."""
        return await self._running().forget(ended_before_s=ended_before_s)

    def _running(self) -> DbosSystem:
        if self._system is None:
            raise UnavailableError("The engine is not started.", backend="dbos")
        return self._system

    @asynccontextmanager
    async def _held(self, run_id: str) -> AsyncIterator[bool]:
        self._running()
        held = await self._holds.take(run_id)
        try:
            yield held
        finally:
            if held:
                await self._holds.drop(run_id)

    async def _finish(self, run_id: str, *, new: bool) -> JsonValue:
        """The result of a held run, executed here unless it has ended already."""
        system = self._running()
        if new and (claim := await system.begin(run_id)) is not None:
            async with self._executing(run_id):
                return await system.execute(run_id, claim)
        known = await system.find(run_id)
        if known is None:
            raise _unknown(run_id)
        if known.state is RunState.PENDING:
            claim = await system.claim(run_id, held_by=known.executor_id)
            if claim is not None:
                async with self._executing(run_id):
                    return await system.execute(run_id, claim)
            known = await system.find(run_id)
            if known is not None and known.state is RunState.PENDING:
                raise InputError(
                    f"The run {run_id} was begun by another version of councilor.",
                    hint="Recover it with that version, or cancel it and submit the task again.",
                )
        return await system.result(run_id)

    @asynccontextmanager
    async def _executing(self, run_id: str) -> AsyncIterator[None]:
        """Around an execution: `step` finds it, `cancel` and `stop` reach it, and its end says why it ended."""
        execution = self._executions[run_id] = _Execution(run_id)
        self._metrics.gauge("v3.engine.running", {}, len(self._executions))
        token = self._current.set(execution)
        watcher = asyncio.create_task(self._watch(execution))
        try:
            yield
        except (Interrupted, BaseExceptionGroup) as error:
            if execution.switch.cancelled:
                raise RunCancelledError(f"The run {run_id} was cancelled.") from error
            if execution.switch.stopped:
                raise UnavailableError("The engine was stopped.", backend="dbos") from error
            if isinstance(error, Interrupted) and error.fault is not None:
                raise error.fault from error
            raise
        finally:
            watcher.cancel()
            try:
                await asyncio.wait([watcher])
            finally:  # also when it is cancelled again: who stops the engine waits for this
                self._current.reset(token)
                del self._executions[run_id]
                self._metrics.gauge("v3.engine.running", {}, len(self._executions))
                execution.ended.set()

    async def _watch(self, execution: _Execution) -> None:
        while not execution.switch.cancelled:
            await self._clock.sleep(self._poll_s)
            if execution.switch.preemptible:
                # A database that does not answer now is the next step's affair.
                with contextlib.suppress(UnavailableError):
                    if await self._running().is_cancelled(execution.run_id):
                        execution.switch.cancel()

    async def _measured(self, name: str, step: Awaitable[JsonValue]) -> JsonValue:
        started_s, outcome = self._clock.monotonic(), "cancelled"
        try:
            result = await step
            outcome = "finished"
        except DeadlineError:
            outcome = "timed_out"
            raise
        except Exception:
            outcome = "failed"
            raise
        finally:
            # `choose:2-1.next` counts as `choose`: the label has few values.
            labels = {"step": re.sub(r"[\W_]*\d.*", "", name), "outcome": outcome}
            self._metrics.histogram("v3.engine.step", labels, self._clock.monotonic() - started_s)
        return result


def _unknown(run_id: str) -> NotFoundError:
    return NotFoundError(f"There is no run {run_id}.")


def _load_system() -> type[DbosSystem]:
    from councilor.adapters.dbos.system import DbosSystem

    return DbosSystem
