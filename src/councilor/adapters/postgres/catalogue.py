"""What a whole database holds: its tables with their rows, its migration ledger, its tasks.

It reads names from the database's own catalogue, so that it knows tables that were added since.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from councilor.adapters.postgres.failures import check_server, translated
from councilor.adapters.postgres.pool import Connection, connection_string
from councilor.adapters.postgres.queries import schema as queries
from councilor.domain.backup import AppliedMigration, TableRows

__all__ = ["connect", "count_rows", "list_task_ids", "read_ledger"]

STATEMENT_TIMEOUT_S = 3600.0
"""Counting the rows of a large table takes its time."""


@asynccontextmanager
async def connect(url: str, *, timeout_s: float = STATEMENT_TIMEOUT_S) -> AsyncIterator[Connection]:
    """A connection on which each statement commits by itself, for work that takes long.

    Raises:
        UnavailableError: the server does not answer, refuses us, or is too old.
    """
    text = connection_string(
        url, connect_timeout_s=5.0, statement_timeout_s=timeout_s, application_name="councilor backup"
    )
    with translated(deadline_s=timeout_s):
        connection: AsyncConnection[tuple[Any, ...]] = await AsyncConnection.connect(text, autocommit=True)
        async with connection:
            check_server(connection.info.server_version)
            yield connection


async def count_rows(connection: Connection) -> Sequence[TableRows]:
    """Every table, in the order of their names."""
    tables = await (await connection.execute(queries.LIST_TABLES)).fetchall()
    counted = []
    for schema, name in tables:
        row = await (
            await connection.execute(SQL(queries.COUNT_ROWS).format(table=Identifier(schema, name)))
        ).fetchone()
        counted.append(TableRows(schema=schema, name=name, rows=row[0] if row else 0))
    return counted


async def read_ledger(connection: Connection) -> Sequence[AppliedMigration]:
    """The migrations that were applied, in the order of their numbers; none without a ledger."""
    if await (await connection.execute(queries.HAS_MIGRATION_LEDGER)).fetchone() == (False,):
        return []
    rows = await (await connection.execute(queries.READ_MIGRATION_LEDGER)).fetchall()
    return [AppliedMigration(number=row[0], name=row[1], sha256=bytes(row[2]).hex()) for row in sorted(rows)]


async def list_task_ids(url: str) -> AsyncGenerator[str, None]:
    """Every task that has events or artifacts, oldest first; one row is in memory at a time."""
    async with connect(url) as connection:
        async for row in connection.cursor().stream(queries.TASKS_TO_AUDIT):
            yield row[0]
