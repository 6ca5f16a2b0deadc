"""Throw-away databases beside the one that matters, on the same server.

Rules:
- Made empty, with the same encoding and locale; dropped when the context ends, however it ends.
- Its maker holds a lock on its name for as long as it lives. What a killed maker left has no lock, and goes when the
  next one is made from the same database.
- Nothing in the database that matters is read but its name and locale, and nothing of it is changed.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import conninfo, errors
from psycopg.sql import SQL, Identifier, Literal

from councilor.adapters.postgres.catalogue import connect
from councilor.adapters.postgres.failures import url_parameters
from councilor.adapters.postgres.pool import Connection
from councilor.adapters.postgres.programs import BACKEND
from councilor.adapters.postgres.queries import schema as queries
from councilor.errors import UnavailableError

__all__ = ["PREFIX", "throwaway_database"]

PREFIX = "councilor_throwaway_"
TIMEOUT_S = 120.0


@asynccontextmanager
async def throwaway_database(url: str) -> AsyncIterator[str]:
    """The URL of a fresh database on the server of `url`; a secret, as that is.

    Raises:
        UnavailableError: the user may not create databases, or the server does not answer.
    """
    async with connect(url, timeout_s=TIMEOUT_S) as admin:
        row = await (await admin.execute(queries.DESCRIBE_DATABASE)).fetchone()
        assert row is not None, "a connection is to a database"
        oid, *locale = row
        await _remove_left_behind(admin, f"{PREFIX}{oid}_")
        name = f"{PREFIX}{oid}_{secrets.token_hex(6)}"
        await admin.execute(queries.HOLD_NAME, [name])
        try:
            await _create(admin, name, *locale)
            yield conninfo.make_conninfo("", **url_parameters(url) | {"dbname": name})
        finally:
            await _drop(url, admin, name)


async def _create(admin: Connection, name: str, encoding: str, collate: str, ctype: str) -> None:
    statement = SQL(queries.CREATE_DATABASE).format(
        name=Identifier(name), encoding=Literal(encoding), collate=Literal(collate), ctype=Literal(ctype)
    )
    try:
        await admin.execute(statement)
    except errors.InsufficientPrivilege as error:
        user = admin.info.user
        raise UnavailableError(
            f"The database user {user!r} may not create a throw-away database.",
            backend=BACKEND,
            hint=f'Give it the right: ALTER ROLE "{user}" CREATEDB. A drill can also use the embedded server: set '
            "V3_STORAGE__DATABASE__URL=null for it.",
        ) from error


async def _drop(url: str, admin: Connection, name: str) -> None:
    statement = SQL(queries.DROP_DATABASE).format(name=Identifier(name))
    if not admin.broken:
        await admin.execute(statement)
        return
    async with connect(url, timeout_s=TIMEOUT_S) as another:  # the server came back meanwhile, or this says why not
        await another.execute(statement)


async def _remove_left_behind(admin: Connection, prefix: str) -> None:
    for (name,) in await (await admin.execute(queries.LIST_THROWAWAYS, [prefix])).fetchall():
        if await (await admin.execute(queries.HOLD_NAME, [name])).fetchone() == (True,):
            await admin.execute(SQL(queries.DROP_DATABASE).format(name=Identifier(name)))
            await admin.execute(queries.LET_GO_OF_NAME, [name])
