"""Every call into DBOS, its private ones included, and what we rely on in it.

Rules:
- DBOS is one per process: a second `DbosSystem` before the first has stopped is refused.
- It is quiet and alone: no console log, no telemetry, no conductor, no signal handler, no network but PostgreSQL. Its
  logger is the standard library's `dbos`, critical messages only; what matters comes out as an exception.
- Each run has a queue of its own, which no DBOS worker polls. `begin` makes a new run and this process its owner in one
  trip; `claim` moves an old one from its queue to this process. Both with a fresh owner token, so that every write of
  an earlier execution is refused; `execute` runs it in the caller's task.
- Steps are remembered by `steps`, one trip each.
- A connection error is raised at once; DBOS by itself would retry for ever in a thread that nobody can stop.

Private names that it relies on (tests/contracts/test_engine.py pins them and dbos==3.4.0):
- `_core._execute_workflow_async` awaits a workflow in the calling task and records its outcome, unless what it raises
  is no `Exception`. It writes only while `DBOSContext.owner_xid` is still the row's.
- `_sys_db`: `init_workflow`, `get_workflow_status`, `reenqueue_for_recovery`, `start_queued_workflows`,
  `check_workflow_result`, `get_cancelled_workflow_ids`, `list_workflows`, `_retry_connection_errors`.
- `DBOSContext.snapshot_step_ctx` numbers the steps of a run, from 1.
- `DBOSWorkflowConflictIDError` in a run makes it wait for its owner's result, or for its cancellation.
- `_executor_field`: DBOS makes it the default executor of the loop that it is called from, and shuts it down.

Source: https://docs.dbos.dev/explanations/how-workflows-work and the source of dbos 3.4.0.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import Any, cast

import psycopg
import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetWorkflowID, WorkflowStatus
from dbos._context import DBOSContext, assert_current_dbos_context
from dbos._core import _execute_workflow_async
from dbos._error import (
    DBOSAwaitedWorkflowCancelledError,
    DBOSBaseException,
    DBOSException,
    DBOSWorkflowConflictIDError,
)
from dbos._queue import _INTERNAL_QUEUE_CONSTRUCTION, Queue
from dbos._sys_db import WorkflowStatusInternal

from councilor.adapters.dbos.connecting import connection_parameters
from councilor.adapters.dbos.serializer import DatabaseLost, JsonSerializer
from councilor.adapters.dbos.steps import APPLICATION, SCHEMA, RememberedStep, StepTable
from councilor.domain.codec import JsonValue
from councilor.domain.queue import session_name
from councilor.errors import IntegrityError, RunCancelledError, UnavailableError
from councilor.ports.engine import RunState, RunStatus, Workflow

__all__ = ["Claim", "DbosSystem"]

_SINGLETON = Lock()
_WORKFLOW = "councilor.run"
_STATES = {
    "SUCCESS": RunState.SUCCEEDED,
    "ERROR": RunState.FAILED,
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": RunState.FAILED,
    "CANCELLED": RunState.CANCELLED,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """The right to execute a run."""

    status: WorkflowStatusInternal
    owner: str
    """The token that every write is checked against."""
    steps: Mapping[int, RememberedStep] = field(default_factory=dict)
    """What earlier executions remembered."""


class DbosSystem:
    """DBOS, launched. Made by `launch` only."""

    def __init__(self, database_url: str, executor_id: str, application_version: str, workflow: Workflow) -> None:
        self._executor_id = executor_id
        self._application_version = application_version
        self._database = _database(database_url, session_name(executor_id, "engine"))
        if not logging.getLogger("dbos").handlers:  # DBOS adds a console handler where there is none
            logging.getLogger("dbos").addHandler(logging.NullHandler())
        self._dbos = DBOS(config=_config(self._database, executor_id, application_version))
        self._workflow = _register(workflow)
        self._serializer = JsonSerializer()
        self._steps = StepTable(database_url=database_url, session_name=session_name(executor_id, "engine"))
        self._claim_here: ContextVar[Claim | None] = ContextVar("councilor_dbos_claim", default=None)
        self._loop = asyncio.get_running_loop()
        self._loop_executor: ThreadPoolExecutor | None = getattr(self._loop, "_default_executor", None)

    @classmethod
    async def launch(
        cls, *, database_url: str, executor_id: str, application_version: str, workflow: Workflow
    ) -> DbosSystem:
        """Migrate the schema `dbos` where needed and become able to execute.

        Raises:
            UnavailableError: the database does not answer.
            RuntimeError: this process has one already.
        """
        if not _SINGLETON.acquire(blocking=False):
            raise RuntimeError("this process runs a DBOS engine already; there can be one only")
        try:
            system = cls(database_url, executor_id, application_version, workflow)
        except BaseException:
            _SINGLETON.release()
            raise
        try:
            with _translated():
                await asyncio.to_thread(DBOS.launch)
            await system._steps.open()
        except BaseException:
            await system.stop()
            raise
        system._dbos._sys_db._retry_connection_errors = False
        return system

    async def stop(self) -> None:
        """End every thread and connection, and give the loop its own executor back."""
        try:
            await self._steps.close()
            # In a thread of its own: this ends the threads that the loop would have used.
            with ThreadPoolExecutor(max_workers=1, thread_name_prefix="councilor-engine-stop") as stopper:
                await self._loop.run_in_executor(stopper, self._destroy)
        finally:
            self._loop.set_default_executor(self._loop_executor or ThreadPoolExecutor())
            _SINGLETON.release()

    async def find(self, run_id: str) -> RunStatus | None:
        """One run with its result."""
        found = await self._list(workflow_ids=[run_id])
        return found[0] if found else None

    async def list(self, *, state: RunState | None, limit: int) -> Sequence[RunStatus]:
        """Runs, newest first."""
        active = ["PENDING", "ENQUEUED", "DELAYED"]
        status = active if state is RunState.PENDING else [name for name, ours in _STATES.items() if ours is state]
        return await self._list(status=status or None, limit=limit, sort_desc=True)

    async def result(self, run_id: str) -> JsonValue:
        """What a finished run gave; raises what it raised.

        Raises:
            RunCancelledError: it was cancelled.
        """
        with _translated():
            return await asyncio.to_thread(self._dbos._sys_db.check_workflow_result, run_id, fail_if_missing=True)

    async def begin(self, run_id: str) -> Claim | None:
        """Make a new run, and this process its owner; None when it is there already."""
        owner = str(uuid.uuid4())
        status = self._new_status(run_id)
        with _translated():
            _, is_new = await asyncio.to_thread(self._dbos._sys_db.init_workflow, status, creator_xid=owner)
        return Claim(status=status, owner=owner) if is_new else None

    def _new_status(self, run_id: str) -> WorkflowStatusInternal:
        given: WorkflowStatusInternal = dict.fromkeys(WorkflowStatusInternal.__annotations__)  # type: ignore[assignment]  # filled below
        return given | {
            "workflow_uuid": run_id,
            "status": "PENDING",
            "name": _WORKFLOW,
            "queue_name": _queue_name(run_id),
            "executor_id": self._executor_id,
            "app_version": self._application_version,
            "app_id": "",
            "recovery_attempts": 1,
            "priority": 0,
            "inputs": self._serializer.serialize({"args": (run_id,), "kwargs": {}}),
            "serialization": self._serializer.name(),
            "is_debounced": False,
            "application_name": APPLICATION,
        }

    async def claim(self, run_id: str, *, held_by: str | None) -> Claim | None:
        """Make this process the owner of an unfinished run.

        Args:
            held_by: the executor that it is taken from.

        Returns:
            None when the run has ended meanwhile, or belongs to another application version.
        """
        with _translated():
            claim = await asyncio.to_thread(self._claim, run_id, held_by)
            return None if claim is None else replace(claim, steps=await self._steps.recall(run_id))

    def _claim(self, run_id: str, held_by: str | None) -> Claim | None:
        database, queue, owner = self._dbos._sys_db, _queue(run_id), str(uuid.uuid4())
        if held_by is not None:
            database.reenqueue_for_recovery(run_id, [held_by], queue.name)
        claimed, _ = database.start_queued_workflows(
            queue, self._executor_id, self._application_version, None, owner_xid=owner
        )
        status = database.get_workflow_status(run_id) if claimed else None
        return Claim(status=status, owner=owner) if status else None

    async def execute(self, run_id: str, claim: Claim) -> JsonValue:
        """Execute a claimed run in this task, record its outcome and give it."""
        with SetWorkflowID(run_id):
            context = DBOSContext.create_start_workflow_child(None)
        context.owner_xid = claim.owner
        body = inspect.unwrap(self._workflow)
        token = self._claim_here.set(claim)
        try:
            with _translated():
                return await _execute_workflow_async(self._dbos, claim.status, body, context, (run_id,), {})
        finally:
            self._claim_here.reset(token)

    async def step(self, name: str, fn: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """Inside a workflow: execute `fn` in this task and remember how it ended, or give what was remembered.

        Raises:
            IntegrityError: the step of this number has another name.
            DatabaseLost: the database does not answer; no `Exception`.
        """

        claim, number = self._claim_here.get(), assert_current_dbos_context().snapshot_step_ctx().function_id
        assert claim is not None, "the engine calls this inside of a run only"
        known = claim.steps.get(number)
        if known is not None:
            return self._replay(name, known)
        began_ms = int(time.time() * 1000)
        try:
            result = await fn()
        except Exception as error:
            await self._remember(claim, number, name, began_ms, error=self._serializer.serialize(error))
            raise
        await self._remember(claim, number, name, began_ms, output=self._serializer.serialize(result))
        return result

    def _replay(self, name: str, known: RememberedStep) -> JsonValue:
        if (known.name, known.serialization) != (name, self._serializer.name()):
            raise IntegrityError(
                f"The run's steps are no longer the same: {known.name!r} was remembered, not {name!r}."
            )
        if known.error is not None:
            raise self._serializer.deserialize(known.error)
        return cast("JsonValue", self._serializer.deserialize(known.output or ""))

    async def _remember(
        self,
        claim: Claim,
        number: int,
        name: str,
        began_ms: int,
        *,
        output: str | None = None,
        error: str | None = None,
    ) -> None:
        run_id = claim.status["workflow_uuid"]
        step = RememberedStep(name=name, output=output, error=error, serialization=self._serializer.name())
        if not await self._steps.remember(run_id, number, step, owner=claim.owner, began_ms=began_ms):
            raise DBOSWorkflowConflictIDError(run_id)

    async def cancel(self, run_id: str) -> None:
        """Mark an unfinished run as cancelled; a finished one stays as it is."""
        with _translated():
            await DBOS.cancel_workflow_async(run_id)

    async def is_cancelled(self, run_id: str) -> bool:
        """Whether a run is marked as cancelled."""
        with _translated():
            return bool(await asyncio.to_thread(self._dbos._sys_db.get_cancelled_workflow_ids, [run_id]))

    async def forget(self, *, ended_before_s: float) -> int:
        """Forget the steps of runs that ended so many seconds ago; gives how many runs had any."""
        with _translated():
            return await self._steps.forget(ended_before_s=ended_before_s)

    async def _list(self, **query: Any) -> Sequence[RunStatus]:
        with _translated():
            rows = await asyncio.to_thread(self._dbos._sys_db.list_workflows, name=_WORKFLOW, load_input=False, **query)
        return [_run_status(row) for row in rows]

    def _destroy(self) -> None:
        executor = self._dbos._executor_field
        DBOS.destroy(destroy_registry=True)
        if executor is not None:
            executor.shutdown(wait=True)
        self._database.dispose()


def _register(workflow: Workflow) -> Callable[[str], Coroutine[Any, Any, JsonValue]]:
    async def run(run_id: str) -> JsonValue:
        return await workflow(run_id)

    return DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=None)(run)


def _config(database: sa.Engine, executor_id: str, application_version: str) -> DBOSConfig:
    return {
        "name": APPLICATION,
        "system_database_engine": database,
        "dbos_system_schema": SCHEMA,
        "executor_id": executor_id,
        "application_version": application_version,
        "serializer": JsonSerializer(),
        "log_level": "CRITICAL",
        "enable_otlp": False,
        # Events and streams of DBOS are not used: its notifier only has to stop soon, and to wake up rarely.
        "notification_coalesce_sec": 0.05,
    }


def _database(database_url: str, application_name: str) -> sa.Engine:
    # Connected by libpq alone: SQLAlchemy knows neither several hosts with ports nor `key=value` strings.
    ours = connection_parameters(database_url, application_name)
    connect = partial(psycopg.connect, database_url, **ours)  # type: ignore[arg-type]  # libpq's
    # Pinged before use, so that a restarted server costs one reconnection and no error.
    return sa.create_engine("postgresql+psycopg://", creator=connect, pool_size=8, max_overflow=8, pool_pre_ping=True)


def _queue_name(run_id: str) -> str:
    return f"councilor.run.{run_id}"


def _queue(run_id: str) -> Queue:
    return Queue(_queue_name(run_id), token=_INTERNAL_QUEUE_CONSTRUCTION)


def _run_status(row: WorkflowStatus) -> RunStatus:
    state = _STATES.get(row.status, RunState.PENDING)
    return RunStatus(
        run_id=row.workflow_id,
        state=state,
        result=row.output,
        error=None if row.error is None else str(row.error),
        executor_id=row.executor_id,
    )


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBOSAwaitedWorkflowCancelledError as error:
        raise RunCancelledError(f"The run {error.args[0] if error.args else ''} was cancelled.") from error
    except (sa.exc.SQLAlchemyError, DatabaseLost, DBOSException) as error:
        raise _unavailable(error) from error
    except BaseExceptionGroup as group:
        # Steps that ran side by side in a task group.
        if group.subgroup((DatabaseLost, DBOSBaseException)) is None:
            raise
        raise _unavailable(group) from group


def _unavailable(error: BaseException) -> UnavailableError:
    cause = error.__cause__ if isinstance(error, DatabaseLost) else error
    reason = str(getattr(cause, "orig", None) or cause).strip().partition("\n")[0]
    return UnavailableError(f"The engine's database did not do its work: {reason}", backend="dbos")
