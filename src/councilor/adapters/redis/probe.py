"""Whether the Redis server answers. It is a cache only, so without it nothing fails."""

from __future__ import annotations

from councilor.adapters.redis.client import RedisClient
from councilor.domain.health import Check, ComponentType, HealthStatus
from councilor.errors import UnavailableError
from councilor.ports.clock import Clock

__all__ = ["RedisProbe"]


class RedisProbe:
    """A `Probe` of Redis, each look over a connection of its own.

    Args:
        url: `redis://[[user]:password@]host:port/number`; a secret.
        wait_s: seconds for each wait of a look.

    Raises:
        MissingExtraError: the extra `redis` is not installed.
        InputError: the URL is none.
    """

    component = "redis"
    kind = ComponentType.DATASTORE
    fallback: str | None = "each process's own memory serves instead"
    every_s: float | None = None
    timeout_s: float | None = None

    def __init__(self, *, url: str, wait_s: float, clock: Clock) -> None:
        RedisClient(url=url, timeout_s=wait_s, max_connections=1)  # says at once what cannot work
        self._url = url
        self._wait_s = wait_s
        self._clock = clock

    async def check(self) -> Check:
        """Connect and ask for an answer."""
        client = RedisClient(url=self._url, timeout_s=self._wait_s, max_connections=1)
        began_s = self._clock.monotonic()
        try:
            answer = await client.execute("PING")
        finally:
            await client.close()
        latency_s = self._clock.monotonic() - began_s
        if answer not in (b"PONG", "PONG", True):
            raise UnavailableError("Something else than Redis answers there.", backend="redis")
        return Check(
            component=self.component,
            kind=self.kind,
            status=HealthStatus.PASS,
            fallback=self.fallback,
            measurement="latency",
            observed=latency_s,
            unit="s",
        )
