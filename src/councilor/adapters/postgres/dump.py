"""Dumping: everything in a database as it was at one moment.

Rules:
- One snapshot for `pg_dump`, the row counts and the migration ledger, so that they tell of the same moment.
- The whole database: councilor's tables in `public`, the engine's in `dbos`, and whatever else is there.
- Custom format with zlib, which `pg_restore` of PostgreSQL 18 or newer reads; without owners and grants.
- Nothing is written, and nobody is kept from working; a change of the schema waits.

Source: PostgreSQL 18 manual, 26.1 (SQL dump) and 9.28.5 (snapshot synchronization).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg import IsolationLevel

from councilor.adapters.postgres.catalogue import connect, count_rows, read_ledger
from councilor.adapters.postgres.client import Client, check_dumpable, make_client
from councilor.adapters.postgres.queries import schema as queries
from councilor.domain.backup import AppliedMigration, TableRows

__all__ = ["Snapshot", "dump", "dump_schema", "open_snapshot"]

COMPRESSION = "gzip:4"
WHOLE = ("--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions", "--no-security-labels")


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A database at one moment, held while its context lasts."""

    client: Client
    id: str
    taken_at: datetime
    server_version: int
    database_bytes: int
    tables: Sequence[TableRows]
    migrations: Sequence[AppliedMigration]


@asynccontextmanager
async def open_snapshot(url: str, *, copies: Path, embedded: bool) -> AsyncIterator[Snapshot]:
    """Hold a database as it is now.

    Raises:
        UnavailableError: the server does not answer, or is newer than our programs.
    """
    async with connect(url) as connection:
        check_dumpable(connection.info.server_version)
        client = await make_client(connection, copies=copies, embedded=embedded)
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        async with connection.transaction():
            row = await (await connection.execute(queries.TAKE_SNAPSHOT)).fetchone()
            assert row is not None, "it gives one row"
            yield Snapshot(
                client=client,
                id=row[0],
                taken_at=row[1].astimezone(UTC),
                server_version=connection.info.server_version,
                database_bytes=row[2],
                tables=await count_rows(connection),
                migrations=await read_ledger(connection),
            )


async def dump(snapshot: Snapshot) -> AsyncGenerator[bytes, None]:
    """The database in custom format, piece by piece.

    Raises:
        UnavailableError: it could not be dumped to its end.
    """
    client = snapshot.client
    options = ("--format=custom", f"--compress={COMPRESSION}", f"--snapshot={snapshot.id}", "--lock-wait-timeout=60s")
    async with client.run("pg_dump", *options, *WHOLE, f"--dbname={client.database}") as program:
        while piece := await program.read():
            yield piece
        await program.finish()


async def dump_schema(client: Client) -> AsyncGenerator[bytes, None]:
    """The schema alone as an SQL script, piece by piece.

    Raises:
        UnavailableError: it could not be dumped to its end.
    """
    options = ("--format=plain", "--schema-only", "--lock-wait-timeout=60s")
    async with client.run("pg_dump", *options, *WHOLE, f"--dbname={client.database}") as program:
        while piece := await program.read():
            yield piece
        await program.finish()
