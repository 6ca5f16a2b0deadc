"""The connection to a Redis server: one command, one answer, and never redis-py's defaults.

Rules:
- Each wait is limited: for a free connection, for connecting, for an answer. Nothing is repeated: a cache that has to
  be asked twice is slower than none. Source: measured with a hung server, redis-py's defaults wait 5 s (version 8.1)
  to 58 s (earlier ones); `make bench-cache`.
- All connections in use is no fault of the server's: a `DeclinedError`, as when it has no memory for a write.
- A connection whose call was cut off is closed: the next caller cannot read its answer.
- Every new connection asks which life of the server it talks to (`run_id`).
- Neither the password nor an address that may hold one is in a message.

It knows nothing of values. The extra `redis` is imported when a client is made.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Any

from councilor.errors import DeadlineError, DeclinedError, InputError, MissingExtraError, UnavailableError

__all__ = ["RedisClient"]

_BACKEND = "redis"
_RUN_ID = re.compile(rb"^run_id:([0-9a-f]{40})\s*$", re.MULTILINE)
_REFUSALS = ("MISCONF", "NOREPLICAS")
"""First words of answers with which a working server refuses a write, where redis-py has no class for them.

Source: Redis 7.0, shared error replies."""


class RedisClient:
    """Executes commands.

    Args:
        url: `redis://[[user]:password@]host:port/number`; `rediss://` for TLS.
        timeout_s: seconds for each wait.
        max_connections: calls at the same time; further ones wait half of `timeout_s`.

    Raises:
        MissingExtraError: the extra is not installed.
        InputError: the URL is none.
    """

    def __init__(self, *, url: str, timeout_s: float, max_connections: int) -> None:
        try:
            import redis.asyncio as library
            from redis import exceptions
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
            from redis.maint_notifications import MaintNotificationsConfig
        except ImportError as error:
            raise MissingExtraError(extra=_BACKEND) from error
        self._errors = exceptions
        self._declined = (exceptions.OutOfMemoryError, exceptions.ReadOnlyError, exceptions.NoPermissionError)
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(max_connections)
        self.run_id: str | None = None
        """Which life of the server the newest connection talks to; None before the first one."""
        try:
            pool = library.BlockingConnectionPool.from_url(
                url,
                max_connections=max_connections,
                timeout=timeout_s,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
                redis_connect_func=self._greet,
                health_check_interval=0,
                driver_info=None,
                maint_notifications_config=MaintNotificationsConfig(enabled=False),
            )
        except ValueError as error:
            # Its text may hold the password.
            raise InputError("redis.url is not the URL of a Redis server.", field="redis.url") from error
        self._client: Any = library.Redis.from_pool(pool)

    async def execute(self, *command: str | bytes | int) -> Any:
        """The answer to a command.

        Raises:
            DeclinedError: it was not executed, and the server works.
            DeadlineError: no answer in time; it may be executed yet.
            UnavailableError: the server did not do it.
        """
        await self._enter()
        try:
            return await self._client.execute_command(*command)
        except self._errors.RedisError as error:
            raise self._translate(error) from error
        except OSError as error:
            raise UnavailableError("The connection to Redis broke.", backend=_BACKEND) from error
        finally:
            self._free.release()

    async def close(self) -> None:
        """Close every connection, whatever state the server is in."""
        with suppress(TimeoutError, self._errors.RedisError, OSError):
            async with asyncio.timeout(self._timeout_s):
                await self._client.aclose(close_connection_pool=True)

    async def _enter(self) -> None:
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout(self._timeout_s / 2):
                await self._free.acquire()
        except TimeoutError as error:
            raise DeclinedError(
                "Every connection to Redis is in use.", backend=_BACKEND, hint="Raise redis.max_connections."
            ) from error

    async def _greet(self, connection: Any) -> None:
        await connection.on_connect()
        await connection.send_command("INFO", "server", check_health=False)
        answer = await connection.read_response()
        found = _RUN_ID.search(answer if isinstance(answer, bytes) else str(answer).encode())
        if found is None:
            raise self._errors.ConnectionError("the server does not tell its run_id")
        self.run_id = found[1].decode()

    def _translate(self, error: Exception) -> UnavailableError:
        kinds, text = self._errors, str(error)
        if isinstance(error, kinds.TimeoutError):
            return DeadlineError(
                f"Redis did not answer within {self._timeout_s:g} s.", backend=_BACKEND, deadline_s=self._timeout_s
            )
        if isinstance(error, kinds.AuthenticationError) or text.startswith("NOAUTH"):
            return UnavailableError(
                "Redis does not accept the password.", backend=_BACKEND, hint="Correct the password in redis.url."
            )
        if isinstance(error, self._declined) or text.startswith(_REFUSALS):
            return DeclinedError("Redis refused a command.", backend=_BACKEND)
        if isinstance(error, kinds.ConnectionError):
            return UnavailableError(
                "Redis cannot be reached.", backend=_BACKEND, hint="Start it, or correct redis.url; nothing is lost."
            )
        return UnavailableError(f"Redis refused a command ({type(error).__name__}).", backend=_BACKEND)
