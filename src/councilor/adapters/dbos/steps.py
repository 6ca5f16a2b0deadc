"""What the engine remembers of steps: DBOS's table `operation_outputs`, read once and written in one trip per step.

Rules:
- Who executes a run has claimed it, so that nobody else adds steps to it: what is remembered is read when an earlier
  execution is carried on, and never again.
- A step is remembered by one statement. It writes only while the run still has the owner whom the writer knows, and
  keeps that row until it is done: a run that was cancelled or taken over meanwhile gets nothing.
- A connection that broke is tried once more: the same step with the same end is the same row.
- Steps of runs that have ended are of no use any more and may be forgotten; the runs and what they gave stay, so that
  one that is submitted again gives what it gave, and is not executed again.

DBOS itself asks before each step and writes after it, in two transactions of nine trips, built anew each time.

Source: `SystemDatabase._record_operation_result_txn` and `_check_operation_execution_txn` of dbos 3.4.0, whose rows
these are; tests/contracts/test_engine.py pins the table.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from councilor.adapters.dbos.connecting import connection_parameters
from councilor.adapters.dbos.serializer import DatabaseLost

__all__ = ["APPLICATION", "SCHEMA", "RememberedStep", "StepTable"]

APPLICATION: Final = "councilor"
"""The name under which DBOS knows us."""
SCHEMA: Final[LiteralString] = "dbos"
CONNECTIONS = 8
WAIT_S = 10.0
"""Seconds for a connection; DBOS's own pool waits thirty."""

REMEMBER: Final[LiteralString] = """
WITH owned AS MATERIALIZED (
    SELECT workflow_uuid FROM dbos.workflow_status
    WHERE workflow_uuid = %(run)s AND owner_xid = %(owner)s FOR NO KEY UPDATE)
INSERT INTO dbos.operation_outputs AS old (
    workflow_uuid, function_id, function_name, output, error, started_at_epoch_ms, completed_at_epoch_ms,
    serialization, application_name, retention_timestamp)
SELECT workflow_uuid, %(number)s, %(name)s, %(output)s, %(error)s, %(began)s, %(ended)s,
    %(serialization)s, %(application)s, (extract(epoch FROM now()) * 1000)::bigint
FROM owned
ON CONFLICT (workflow_uuid, function_id) DO UPDATE SET completed_at_epoch_ms = old.completed_at_epoch_ms
RETURNING completed_at_epoch_ms"""
RECALL: Final[LiteralString] = """
SELECT function_id, function_name, output, error, serialization FROM dbos.operation_outputs WHERE workflow_uuid = %s"""
FORGET: Final[LiteralString] = """
WITH ended AS (
    SELECT workflow_uuid FROM dbos.workflow_status w
    WHERE status IN ('SUCCESS', 'ERROR', 'CANCELLED') AND completed_at < (extract(epoch FROM now()) - %s) * 1000
      AND EXISTS (SELECT FROM dbos.operation_outputs o WHERE o.workflow_uuid = w.workflow_uuid)
    ORDER BY completed_at LIMIT %s),
gone AS (DELETE FROM dbos.operation_outputs o USING ended e WHERE o.workflow_uuid = e.workflow_uuid)
SELECT count(*) FROM ended"""
AT_ONCE = 500
"""Runs whose steps one statement forgets: it stays short."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RememberedStep:
    """How one step ended."""

    name: str
    output: str | None
    """Serialised; None when it raised."""
    error: str | None
    """Serialised; None when it gave something."""
    serialization: str | None
    """Name of the serialiser."""


class StepTable:
    """The steps of all runs.

    Args:
        database_url: of the engine's database; secret.
        session_name: under which the database knows these connections.
    """

    def __init__(self, *, database_url: str, session_name: str) -> None:
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
            database_url,
            min_size=1,
            max_size=CONNECTIONS,
            open=False,
            timeout=WAIT_S,
            reconnect_timeout=WAIT_S,
            kwargs={"autocommit": True, **connection_parameters(database_url, session_name)},
            check=_check,
        )

    async def open(self) -> None:
        """Connect in the background."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def recall(self, run_id: str) -> Mapping[int, RememberedStep]:
        """Every remembered step of a run by its number.

        Raises:
            DatabaseLost: the database does not answer.
        """
        found = await self._execute(RECALL, [run_id])
        return {
            number: RememberedStep(name=name, output=output, error=error, serialization=serialization)
            for number, name, output, error, serialization in found
        }

    async def remember(self, run_id: str, number: int, step: RememberedStep, *, owner: str, began_ms: int) -> bool:
        """Remember a step; False when the run has another owner, or a step of this number that ended at another time.

        Raises:
            DatabaseLost: the database does not answer.
        """
        ended_ms = int(time.time() * 1000)
        row = {
            "run": run_id, "owner": owner, "number": number, "name": step.name, "output": step.output,
            "error": step.error, "began": began_ms, "ended": ended_ms, "serialization": step.serialization,
            "application": APPLICATION,
        }  # fmt: skip
        found = await self._execute(REMEMBER, row)
        return [kept for (kept,) in found] == [ended_ms]

    async def forget(self, *, ended_before_s: float) -> int:
        """Forget the steps of runs that ended so many seconds ago; gives how many runs had any.

        Raises:
            DatabaseLost: the database does not answer.
        """
        forgotten, some = 0, AT_ONCE
        while some == AT_ONCE:
            some = int((await self._execute(FORGET, [ended_before_s, AT_ONCE]))[0][0])
            forgotten += some
        return forgotten

    async def _execute(self, statement: LiteralString, values: Any) -> list[tuple[Any, ...]]:
        try:
            try:
                return await self._try(statement, values)
            except psycopg.OperationalError:
                return await self._try(statement, values)
        except (psycopg.Error, PoolTimeout) as error:
            raise DatabaseLost from error

    async def _try(self, statement: LiteralString, values: Any) -> list[tuple[Any, ...]]:
        async with self._pool.connection() as connection:
            return await (await connection.execute(statement, values)).fetchall()


async def _check(connection: psycopg.AsyncConnection[Any]) -> None:
    # A server that ended the connection has said so by now, which makes its socket readable.
    told = select.poll()
    told.register(connection.fileno(), select.POLLIN)
    if told.poll(0):
        await AsyncConnectionPool.check_connection(connection)
