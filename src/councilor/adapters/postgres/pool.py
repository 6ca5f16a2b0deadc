"""Connections to the database.

Rules:
- Every connection has a connect timeout, a statement timeout, an application name and the time zone UTC.
- A connection that the server ended, or that was idle for a second, is checked before it is given out: after a restart
  of the server nobody gets a dead one, and who works without a pause does not pay for it.
- Where one connection was ended, the others were, too: they are all made anew, because the pool alone would find that
  out of one after the other, with growing pauses.
- Outside `transaction` each statement commits by itself.
- A statement whose caller is cancelled is cancelled in the server. One that goes on, as a server hangs, costs its
  connection after `GRACE_S` seconds: nobody waits longer for it, and psycopg by itself would wait ten.
- Leaving `connection` or `transaction` with an exception of psycopg raises one of ours.
"""

from __future__ import annotations

import asyncio
import logging
import math
import select
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, OperationalError, waiting
from psycopg.abc import RV, PQGen
from psycopg.conninfo import make_conninfo
from psycopg.errors import QueryCanceled
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool

from councilor.adapters.postgres.failures import check_server, translated, url_parameters

__all__ = ["Connection", "Pool", "connection_string"]

_log = logging.getLogger(__name__)

Connection = AsyncConnection[tuple[Any, ...]]
IDLE_S = 1.0
GRACE_S = 0.25
SILENT_S = 15.0
"""Seconds without any sign of the server's host after which a connection is broken; TCP itself takes minutes."""
ABANDONED_S = 60.0
"""Seconds without a statement after which a transaction is ended: who was stopped (Ctrl-Z) keeps its locks."""
WAKE_S = 0.1
"""Seconds after which a wait for the server looks around, as psycopg's own."""


class _Connection(AsyncConnection[tuple[Any, ...]]):
    """Does not outlive a server that hangs."""

    async def wait(self, gen: PQGen[RV], interval: float = WAKE_S, timeout: float | None = None) -> RV:
        """As psycopg's, but for what follows a cancellation."""
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        except asyncio.CancelledError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                await self._end_statement(gen, interval)
            raise

    async def _end_statement(self, gen: PQGen[RV], interval: float) -> None:
        ended = False
        try:
            async with asyncio.timeout(GRACE_S):
                await self.cancel_safe(timeout=GRACE_S)
                await waiting.wait_async(gen, self.pgconn.socket, interval=interval)
            ended = True
        except QueryCanceled:
            ended = True
        except Exception as error:  # whatever it is, the cancellation is what the caller has to hear of
            _log.debug("a cancelled statement did not end, and its connection is given up", exc_info=error)
        finally:
            if not ended:
                self.pgconn.finish()


def connection_string(
    url: str,
    *,
    connect_timeout_s: float,
    statement_timeout_s: float,
    application_name: str,
    abandoned_s: float = 0.0,
) -> str:
    """Libpq's connection string for a URL and our settings.

    Args:
        abandoned_s: seconds after which a transaction in which nothing happens is ended; 0: never.

    Raises:
        InputError: the URL is not one; its text is not repeated.
    """
    given = url_parameters(url)
    silent_ms = int(min(statement_timeout_s, SILENT_S) * 1000)
    patience = {"tcp_user_timeout": silent_ms, "keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 3}
    ours = f"-c statement_timeout={int(statement_timeout_s * 1000)} -c TimeZone=UTC -c client_encoding=UTF8"
    if abandoned_s:
        ours += f" -c idle_in_transaction_session_timeout={int(abandoned_s * 1000)}"
    return make_conninfo(
        **{name: str(value) for name, value in patience.items()}
        | given
        | {
            "options": f"{given.get('options', '')} {ours}".strip(),
            "connect_timeout": str(max(2, round(connect_timeout_s))),  # libpq takes 1 for 2
            "application_name": application_name,
        }
    )


class Pool:
    """A pool of connections; use it with `async with`.

    Args:
        url: of the database.
        max_connections: the most that are open at once.
        connect_timeout_s: seconds a new connection, or the wait for a free one, may take.
        statement_timeout_s: seconds one statement may take.
    """

    def __init__(
        self,
        url: str,
        *,
        max_connections: int = 10,
        connect_timeout_s: float = 5.0,
        statement_timeout_s: float = 30.0,
        application_name: str = "councilor",
    ) -> None:
        self._connection_string = connection_string(
            url,
            connect_timeout_s=connect_timeout_s,
            statement_timeout_s=statement_timeout_s,
            application_name=application_name,
            abandoned_s=ABANDONED_S,
        )
        self._connect_timeout_s = connect_timeout_s
        self._statement_timeout_s = statement_timeout_s
        self._drained_at = -math.inf
        self._used_at: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            self._connection_string,
            connection_class=_Connection,
            min_size=1,
            max_size=max_connections,
            open=False,
            timeout=connect_timeout_s,
            # given up, so that the next caller connects at once: pauses between tries would double for five minutes
            reconnect_timeout=connect_timeout_s,
            kwargs={"autocommit": True},
            check=self._check,
            reset=self._note_use,
        )

    async def _check(self, connection: Connection) -> None:
        # a server that ended the connection has said so by now, which makes its socket readable
        told = select.poll()
        told.register(connection.fileno(), select.POLLIN)
        if told.poll(0) or time.monotonic() - self._used_at.get(connection, -math.inf) > IDLE_S:
            try:
                await AsyncConnectionPool.check_connection(connection)
            except OperationalError:
                if time.monotonic() - self._drained_at > IDLE_S:
                    self._drained_at = time.monotonic()
                    await self._pool.drain()
                raise

    async def _note_use(self, connection: Connection) -> None:
        self._used_at[connection] = time.monotonic()

    async def open(self) -> None:
        """Connect.

        Raises:
            UnavailableError: the server does not answer, refuses us, or is too old.
        """
        # first alone: the pool would report a timeout where one connection tells the cause
        async with self.alone() as connection:
            check_server(connection.info.server_version)
        with translated(deadline_s=self._connect_timeout_s):
            await self._pool.open(wait=True, timeout=self._connect_timeout_s)

    async def close(self) -> None:
        """Close every connection that is not in use, and the others as they come back."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def usage(self) -> Mapping[str, int]:
        """Connections that are `idle` and `used`, and callers that are `waiting` for one."""
        told = self._pool.get_stats()
        idle = told.get("pool_available", 0)
        used = max(0, told.get("pool_size", 0) - idle)
        return {"idle": idle, "used": used, "waiting": told.get("requests_waiting", 0)}

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection on which each statement commits by itself."""
        with translated(deadline_s=self._statement_timeout_s):
            async with self._connected() as connection:
                yield connection

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        # Before Python 3.12 asyncio.wait_for, by which the pool waits for a free connection, gives that and forgets a
        # cancellation that came at the same moment.
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        async with self._pool.connection() as connection:
            if task is not None and task.cancelling() > before:
                raise asyncio.CancelledError
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside one transaction: committed at the end, undone by an exception."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[Connection]:
        """A connection outside the pool, for what keeps one for long."""
        with translated(deadline_s=self._connect_timeout_s):
            connection = await AsyncConnection.connect(self._connection_string, autocommit=True)
            async with connection:
                yield connection
