"""Where the database is: the configured server, or the embedded one.

Rules:
- Asking for its state starts nothing; everything else starts the embedded server when it is down.
- A URL holds a password: it is handed on, never shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from councilor.adapters.postgres.embedded import EmbeddedPostgres
from councilor.adapters.postgres.migrate import migrate
from councilor.adapters.postgres.pool import Pool
from councilor.settings import Settings

__all__ = ["answering_url", "database_state", "database_url", "embedded_server", "external_url", "migrate_database"]


async def database_url(settings: Settings) -> str:
    """The URL of a migrated database: the configured server's, or the embedded one's, started if it is down.

    Raises:
        UnavailableError: no server answers, or it is too old.
        InputError: its schema is newer than this councilor.
    """
    url = await answering_url(settings)
    await asyncio.to_thread(migrate, url)
    return url


async def migrate_database(settings: Settings) -> Sequence[str]:
    """Bring the schema up to date; gives the names of the migrations that were applied."""
    return await asyncio.to_thread(migrate, await answering_url(settings))


async def database_state(settings: Settings) -> dict[str, object]:
    """Where the database is and whether it answers; starts nothing.

    Raises:
        UnavailableError: an external server does not answer.
    """
    url = external_url(settings)
    if url is None:
        status = await asyncio.to_thread(embedded_server(settings).status)
        where: dict[str, object] = {"kind": "embedded", "folder": str(status.folder), "log": str(status.log)}
        if not status.running:
            return where | {"answers": False, "version": None, "pid": status.pid}
        url, where = status.url, where | {"pid": status.pid}
    else:
        where = {"kind": "external"}
    async with Pool(url, max_connections=1) as pool, pool.connection() as connection:
        version = connection.info.server_version
    return where | {"answers": True, "version": f"{version // 10000}.{version % 10000}"}


def embedded_server(settings: Settings) -> EmbeddedPostgres:
    """The embedded server of these settings, whether it runs or not."""
    return EmbeddedPostgres(settings.database_dir)


async def answering_url(settings: Settings) -> str:
    """The URL of the database as it is, migrated or not; starts the embedded server if it is down."""
    configured = external_url(settings)
    return configured if configured is not None else await asyncio.to_thread(embedded_server(settings).up)


def external_url(settings: Settings) -> str | None:
    """The configured server's URL, a secret; None for the embedded one."""
    configured = settings.storage.database.url
    return configured.get_secret_value() if configured else None
