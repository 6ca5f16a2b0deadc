"""Every call into DBOS, its private ones included, and what we rely on in it.

Rules:
- DBOS is one per process: a second `DbosSystem` before the first has stopped is refused.
- It is quiet and alone: no console log, no telemetry, no conductor, no signal handler, no network but PostgreSQL. Its
  logger is the standard library's `dbos`, critical messages only; what matters comes out as an exception.
- Each run waits on a queue of its own, which no DBOS worker polls. `claim` moves it from there to this process with a
  fresh owner token, so that every write of an earlier execution is refused; `execute` runs it in the caller's task.
- A connection error is raised at once; DBOS by itself would retry for ever in a thread that nobody can stop.

Private names that it relies on (tests/contracts/test_engine.py pins them and dbos==3.4.0):
- `_core._execute_workflow_async` awaits a workflow in the calling task and records its outcome, unless what it raises
  is no `Exception`. It writes only while `DBOSContext.owner_xid` is still the row's.
- `_sys_db`: `get_workflow_status`, `reenqueue_for_recovery`, `start_queued_workflows`, `check_workflow_result`,
  `get_cancelled_workflow_ids`, `list_workflows`, `_retry_connection_errors`.
- `_executor_field`: DBOS makes it the default executor of the loop that it is called from, and shuts it down.

Source: https://docs.dbos.dev/explanations/how-workflows-work and the source of dbos 3.4.0.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetWorkflowID, WorkflowStatus
from dbos._context import DBOSContext
from dbos._core import _execute_workflow_async
from dbos._error import (
    DBOSAwaitedWorkflowCancelledError,
    DBOSBaseException,
    DBOSException,
    DBOSStepNondeterminismError,
    DBOSUnexpectedStepError,
)
from dbos._queue import _INTERNAL_QUEUE_CONSTRUCTION, Queue
from dbos._sys_db import WorkflowStatusInternal

from councilor.adapters.dbos.serializer import DatabaseLost, JsonSerializer
from councilor.domain.codec import JsonValue
from councilor.domain.queue import session_name
from councilor.errors import IntegrityError, RunCancelledError, UnavailableError
from councilor.ports.engine import RunState, RunStatus, Workflow

__all__ = ["Claim", "DbosSystem"]

_SINGLETON = Lock()
_WORKFLOW = "councilor.run"
_SCHEMA = "dbos"
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
        except BaseException:
            await system.stop()
            raise
        system._dbos._sys_db._retry_connection_errors = False
        return system

    async def stop(self) -> None:
        """End every thread and connection, and give the loop its own executor back."""
        try:
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

    async def add(self, run_id: str) -> None:
        """Remember a new run on its own queue."""
        with _translated(), SetWorkflowID(run_id):
            await DBOS.enqueue_workflow_async(_queue_name(run_id), self._workflow, run_id)

    async def claim(self, run_id: str, *, held_by: str | None) -> Claim | None:
        """Make this process the owner of an unfinished run.

        Args:
            held_by: the executor that it is taken from.

        Returns:
            None when the run has ended meanwhile, or belongs to another application version.
        """
        with _translated():
            return await asyncio.to_thread(self._claim, run_id, held_by)

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
        with _translated():
            return await _execute_workflow_async(self._dbos, claim.status, body, context, (run_id,), {})

    async def step(self, name: str, fn: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """Inside a workflow: execute `fn` in this task and remember how it ended, or give what was remembered.

        Raises:
            IntegrityError: the step of this number has another name.
            DatabaseLost: the database does not answer; no `Exception`.
        """

        async def call() -> JsonValue:
            return await fn()

        try:
            return await DBOS.run_step_async({"name": name}, call)
        except (DBOSUnexpectedStepError, DBOSStepNondeterminismError) as error:
            raise IntegrityError(f"The run's steps are no longer the same: {error}") from error
        except sa.exc.SQLAlchemyError as error:
            raise DatabaseLost from error

    async def cancel(self, run_id: str) -> None:
        """Mark an unfinished run as cancelled; a finished one stays as it is."""
        with _translated():
            await DBOS.cancel_workflow_async(run_id)

    async def is_cancelled(self, run_id: str) -> bool:
        """Whether a run is marked as cancelled."""
        with _translated():
            return bool(await asyncio.to_thread(self._dbos._sys_db.get_cancelled_workflow_ids, [run_id]))

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
        "name": "councilor",
        "system_database_engine": database,
        "dbos_system_schema": _SCHEMA,
        "executor_id": executor_id,
        "application_version": application_version,
        "serializer": JsonSerializer(),
        "log_level": "CRITICAL",
        "enable_otlp": False,
        # Events and streams of DBOS are not used: its notifier only has to stop soon, and to wake up rarely.
        "notification_coalesce_sec": 0.05,
    }


def _database(database_url: str, application_name: str) -> sa.Engine:
    url = sa.make_url(database_url).set(drivername="postgresql+psycopg")
    connection = {"connect_timeout": 5, "application_name": application_name}
    # Pinged before use, so that a restarted server costs one reconnection and no error.
    return sa.create_engine(url, pool_size=8, max_overflow=8, pool_pre_ping=True, connect_args=connection)


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
