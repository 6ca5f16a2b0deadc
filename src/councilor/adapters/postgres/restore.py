"""Restoring: a dump into a database that holds nothing yet, all of it or none.

Rules:
- One transaction. It is committed only when the dump was read to its end, its bytes were what they should be, and
  every statement succeeded; whatever else happens (an error, kill -9 of any process) leaves the database as it was.
- councilor's own tables without rows are dropped in that same transaction. A database with rows, or with relations but
  without councilor's migration ledger, is refused.
- `pg_restore` makes the script, `psql` sends it: what older servers do not know can be taken out between the two.

What it does not do: judge what a dump says. Its statements are executed with the rights of the database's user, so
whoever restores a file trusts who made it.

Source: PostgreSQL 18 manual, references of `pg_restore` and `psql` (`\\restrict` keeps a dump from psql's commands).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from psycopg.sql import SQL, Identifier

from councilor.adapters.postgres.client import Client, RunningProgram
from councilor.adapters.postgres.pool import Connection
from councilor.adapters.postgres.queries import schema as queries
from councilor.errors import InputError

__all__ = ["check_empty", "load_dump", "load_script"]

HEAD_BYTES = 4096
NEW_SETTING = b"SET transaction_timeout = 0;\n"
"""Which pg_dump writes since 17, and no server before 17 knows."""
LEDGERS = {("public", "schema_migration")}
ENGINE_SCHEMA, ENGINE_RUNS = "dbos", "workflow_status"
"""The engine fills other tables by itself; a database without runs is an empty one."""


async def check_empty(connection: Connection) -> bool:
    """Whether a database has tables of ours, all without rows; False when it has none at all.

    Raises:
        InputError: there are rows, or tables of somebody else.
    """
    relations = await (await connection.execute(queries.LIST_RELATIONS)).fetchall()
    if not relations:
        return False
    names = [f"{schema}.{name}" for schema, name in relations]
    if not LEDGERS & set(relations):
        raise InputError(
            f"The database holds what is not councilor's: {', '.join(names[:5])}.",
            field="storage.database.url",
            hint="Restore into a database of its own: make an empty one and name it in storage.database.url.",
        )
    for schema, name in await (await connection.execute(queries.LIST_TABLES)).fetchall():
        if (schema, name) in LEDGERS or (schema == ENGINE_SCHEMA and name != ENGINE_RUNS):
            continue
        row = await (await connection.execute(SQL(queries.HAS_ROWS).format(table=Identifier(schema, name)))).fetchone()
        if row == (True,):
            raise InputError(
                f"The database is in use: {schema}.{name} has rows.",
                field="storage.database.url",
                hint="Restore into an empty one: set V3_DATA_DIR to a new folder, or storage.database.url to an empty "
                "database. `--drill` tries the backup out beside what is there.",
            )
    return True


async def load_dump(client: Client, pieces: AsyncIterator[bytes], *, drop_empty: bool) -> None:
    """Load a dump in custom format.

    Args:
        client: of the database to load it into.
        pieces: of the dump; what this raises at its end keeps everything from being committed.
        drop_empty: whether councilor's own empty tables go first.

    Raises:
        UnavailableError: a statement failed, or the server went away; the database is as it was.
    """
    # no database: it writes a script
    options = ("--file=-", "--no-owner", "--no-privileges", "--no-comments", "--no-publications", "--no-subscriptions")
    async with client.run("pg_restore", *options) as reader:

        async def feed() -> None:
            abandoned = False
            try:
                async for piece in pieces:
                    if not await reader.write(piece):
                        return
            except asyncio.CancelledError:
                abandoned = True  # nobody reads what it writes any more, so it would never take the rest
                raise
            finally:
                if not abandoned:
                    await reader.end_input()  # also of what is not as it should be: it would wait for more

        async def script() -> AsyncGenerator[bytes, None]:
            while piece := await reader.read():
                yield piece
            await feeding
            await reader.finish()

        feeding = asyncio.create_task(feed())
        try:
            async with aclosing(script()) as statements:
                await load_script(client, statements, drop_empty=drop_empty)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)


async def load_script(client: Client, pieces: AsyncIterator[bytes], *, drop_empty: bool) -> None:
    """Execute an SQL script of `pg_dump` or `pg_restore` in one transaction; arguments and errors as `load_dump`."""
    options = ("--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1", f"--dbname={client.database}")
    async with client.run("psql", *options) as program:
        # not psql's own --single-transaction: that commits where its input ends, also when who writes it was killed
        began = await program.write(b"BEGIN;\n" + (queries.DROP_WHAT_IS_EMPTY.encode() if drop_empty else b""))
        if began and await _pass_on(pieces, program):
            await program.write(b"COMMIT;\n")
        await program.end_input()
        await program.finish()


async def _pass_on(pieces: AsyncIterator[bytes], program: RunningProgram) -> bool:
    """Whether the program took everything."""
    head, whole = b"", False
    async for piece in pieces:
        if not whole:
            head += piece
            if len(head) < HEAD_BYTES:
                continue
            piece, whole = head.replace(NEW_SETTING, b"", 1), True
        if not await program.write(piece):
            return False
    return whole or await program.write(head.replace(NEW_SETTING, b"", 1))
