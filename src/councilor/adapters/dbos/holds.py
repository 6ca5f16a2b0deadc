"""Who executes what: a hold on a run, which ends with its process.

Rules:
- A hold is a PostgreSQL advisory lock of one session per process: the server drops it as soon as the process dies,
  kill -9 included, because its socket closes. No heartbeat, no clock.
- Within the process a run is held once, too: a session may lock again what it has locked.
- A session that broke is replaced, and the holds that nobody took meanwhile are taken again.

It does not fence: a process that lost its session and does not know yet is kept from writing by DBOS's owner tokens.
It needs a session of its own, so not a transaction pooler between. A frozen process keeps its holds until its lease has
expired and its session is ended (ports/queue.py, `reap`).

Source: https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

import asyncio
import contextlib
from hashlib import sha256

import psycopg

from councilor.adapters.dbos.connecting import connection_parameters
from councilor.domain.queue import session_name
from councilor.errors import UnavailableError

__all__ = ["Holds"]


GIVE_BACK_S = 1.0
"""Seconds for giving back what nobody waits for any more."""


class Holds:
    """The runs that this process executes.

    Args:
        database_url: of the engine's database.
        executor_id: of this process; names its session, so that others can end it when this process is frozen.
    """

    def __init__(self, *, database_url: str, executor_id: str) -> None:
        self._database_url = database_url
        self._session_name = session_name(executor_id, "holds")
        self._session: psycopg.AsyncConnection[tuple[bool]] | None = None
        self._connecting = asyncio.Lock()
        self._claimed: set[str] = set()
        """What callers of this process hold or are about to."""
        self._held: set[str] = set()
        """What the session has locked."""

    async def take(self, run_id: str) -> bool:
        """Whether the run is now held by this caller; False when anyone else holds it.

        Raises:
            UnavailableError: the database does not answer.
        """
        if run_id in self._claimed:
            return False
        self._claimed.add(run_id)
        try:
            if await self._lock_in_live_session(run_id):
                self._held.add(run_id)
        except psycopg.Error as error:
            raise UnavailableError(f"The engine's database does not answer: {error}", backend="dbos") from error
        except asyncio.CancelledError:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GIVE_BACK_S):
                    await self.drop(run_id)  # the server may have given it before it heard
            raise
        finally:
            if run_id not in self._held:
                self._claimed.discard(run_id)
        return run_id in self._held

    async def drop(self, run_id: str) -> None:
        """Give the run free. A session that is gone has dropped it already."""
        self._held.discard(run_id)
        try:
            if self._session is not None:
                with contextlib.suppress(psycopg.Error):
                    await self._session.execute("SELECT pg_advisory_unlock(%s)", (_key(run_id),))
        finally:
            self._claimed.discard(run_id)

    async def close(self) -> None:
        """Give everything free."""
        session, self._session = self._session, None
        self._held.clear()
        self._claimed.clear()
        if session is not None:
            await session.close()

    async def _connected(self) -> psycopg.AsyncConnection[tuple[bool]]:
        async with self._connecting:
            if self._session is None or self._session.closed:
                self._session = await psycopg.AsyncConnection.connect(
                    self._database_url,
                    autocommit=True,
                    **connection_parameters(self._database_url, self._session_name),  # type: ignore[arg-type]  # libpq's
                )
                for run_id in list(self._held):
                    await self._lock(self._session, run_id)
            return self._session

    async def _lock_in_live_session(self, run_id: str) -> bool:
        session = await self._connected()
        try:
            return await self._lock(session, run_id)
        except psycopg.OperationalError:
            if not session.closed:
                raise
        # Only its use shows that a session broke: the server was restarted, or an administrator ended it.
        return await self._lock(await self._connected(), run_id)

    async def _lock(self, session: psycopg.AsyncConnection[tuple[bool]], run_id: str) -> bool:
        cursor = await session.execute("SELECT pg_try_advisory_lock(%s)", (_key(run_id),))
        row = await cursor.fetchone()
        return row is not None and bool(row[0])


def _key(run_id: str) -> int:
    """64 bits of a hash, signed: PostgreSQL's bigint."""
    return int.from_bytes(sha256(f"councilor run {run_id}".encode()).digest()[:8], "big", signed=True)
