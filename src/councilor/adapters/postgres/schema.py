"""Schemas compared, copied and tried out: what the canary (`councilor db check`) does in throw-away databases.

Rules:
- A schema is compared by its catalogue: columns, constraints, indexes, triggers and whether they are switched on,
  functions, views. What somebody added is no difference; what is missing or otherwise is.
- Which tables refuse changes is read from the triggers of a freshly migrated database, not from a list here.
- A refusal is the trigger's own error; a change that fails for another reason was not refused.
- A change is tried in a transaction that is always undone, or made for good where verification must find it.

Nothing here may be called with the URL of a database that matters, but for `copy_schema`, which only reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from enum import Enum
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Composed, Identifier

from councilor.adapters.postgres.catalogue import connect, read_ledger
from councilor.adapters.postgres.client import check_dumpable, make_client
from councilor.adapters.postgres.dump import dump_schema
from councilor.adapters.postgres.pool import Connection
from councilor.adapters.postgres.queries import schema as queries
from councilor.adapters.postgres.restore import load_script

__all__ = [
    "Tamper",
    "copy_schema",
    "describe_schema",
    "find_differences",
    "list_refusals",
    "tamper",
    "try_forbidden_changes",
]

TIMEOUT_S = 120.0
OPERATIONS: Mapping[int, tuple[str, LiteralString]] = {
    16: ("UPDATE", queries.TRY_UPDATE),
    8: ("DELETE", queries.TRY_DELETE),
    32: ("TRUNCATE", queries.TRY_TRUNCATE),
}


class Tamper(Enum):
    """A change that verification must find, made with the triggers off."""

    BODY = queries.FLIP_INLINE_BODY
    CHUNK = queries.FLIP_CHUNK
    NAME = queries.ALTER_NAME
    STATEMENT = queries.FLIP_STATEMENT
    INPUTS = queries.CUT_INPUTS


async def copy_schema(url: str, target: str, *, copies: Path, embedded: bool) -> int:
    """Copy a database's schema and its migration ledger into an empty one; gives the number of ledger lines.

    Raises:
        UnavailableError: it cannot be dumped, or not be loaded.
    """
    async with connect(url, timeout_s=TIMEOUT_S) as original, connect(target, timeout_s=TIMEOUT_S) as copy:
        check_dumpable(original.info.server_version)
        source = await make_client(original, copies=copies, embedded=embedded)
        destination = await make_client(copy, copies=copies, embedded=embedded)
        async with aclosing(dump_schema(source)) as script:
            await load_script(destination, script, drop_empty=False)
        ledger = await read_ledger(original)
        for line in ledger:
            values = [line.number, line.name, bytes.fromhex(line.sha256)]
            await copy.execute(queries.ADD_TO_MIGRATION_LEDGER, values)
        return len(ledger)


async def describe_schema(url: str) -> Mapping[str, str]:
    """Everything in the schema `public`: what it is called, and a text that says all about it."""
    async with connect(url, timeout_s=TIMEOUT_S) as connection:
        rows = await (await connection.execute(queries.DESCRIBE_SCHEMA)).fetchall()
        return dict(rows)


def find_differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> Sequence[str]:
    """What is missing in `found`, or otherwise than wanted; a sentence each."""
    return [
        f"the {name} is missing" if name not in found else f"the {name} is {found[name]!r}, not {text!r}"
        for name, text in sorted(wanted.items())
        if found.get(name) != text
    ]


async def list_refusals(url: str) -> Sequence[tuple[str, str, int, str]]:
    """Schema and name of each table that refuses changes, bits of what it refuses, and a column of it."""
    async with connect(url, timeout_s=TIMEOUT_S) as connection:
        rows = await (await connection.execute(queries.LIST_REFUSALS)).fetchall()
        return [(schema, table, int(bits), column) for schema, table, bits, column in rows]


async def try_forbidden_changes(url: str, *, like: str) -> tuple[Sequence[str], Sequence[str]]:
    """Try every change that the database at `like` has a refusing trigger for, and undo it.

    Returns:
        What was refused, and what was not, such as `TRUNCATE event`. Of a table without rows only TRUNCATE is tried.
    """
    refused: list[str] = []
    accepted: list[str] = []
    forbidden = await list_refusals(like)
    async with connect(url, timeout_s=TIMEOUT_S) as connection:
        for schema, table, bits, column in forbidden:
            place = Identifier(schema, table)
            row = await (await connection.execute(SQL(queries.HAS_ROWS).format(table=place))).fetchone()
            for bit, (operation, query) in OPERATIONS.items():
                if bits & bit and (row == (True,) or operation == "TRUNCATE"):
                    statement = SQL(query).format(table=place, column=Identifier(column))
                    is_refused = await _is_refused(connection, statement)
                    (refused if is_refused else accepted).append(f"{operation} {table}")
    return refused, accepted


async def _is_refused(connection: Connection, statement: Composed) -> bool:
    try:
        async with connection.transaction(force_rollback=True):
            await connection.execute(statement)
    except errors.RestrictViolation as error:
        return "is immutable" in str(error)
    except psycopg.Error:
        return False
    return False


async def tamper(url: str, artifact_id: str, kind: Tamper) -> int:
    """Alter what is stored of an artifact, for good; gives the number of rows that were altered."""
    async with connect(url, timeout_s=TIMEOUT_S) as connection, connection.transaction():
        places = [
            Identifier(schema, name)
            for schema, name in await (await connection.execute(queries.LIST_TABLES)).fetchall()
            if schema == "public"
        ]
        for place in places:
            await connection.execute(SQL(queries.SWITCH_TRIGGERS_OFF).format(table=place))
        altered = (await connection.execute(kind.value, [artifact_id])).rowcount
        for place in places:
            await connection.execute(SQL(queries.SWITCH_TRIGGERS_ON).format(table=place))
        return altered
