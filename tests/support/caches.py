"""What tests of caches share: each cache made in one place, and a shared tier that fails as it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum, auto

from servers import RedisServer

from councilor.adapters.memory.cache import MemoryCache
from councilor.adapters.memory.clock import FakeClock, SeededRandomness
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.redis import RedisCache
from councilor.adapters.system import SystemRandomness
from councilor.errors import BreakerOpenError, DeadlineError, DeclinedError, UnavailableError
from councilor.guards.tiers import TieredCache
from councilor.guards.tombstones import Tombstones
from councilor.ports.cache import Cache
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend, NoMetrics

TTL_S = 600.0


def memory_cache(clock: Clock | None = None, metrics: MetricsBackend | None = None, **bounds: int) -> MemoryCache:
    chosen = {"max_items": 1000, "max_bytes": 2**20} | bounds
    return MemoryCache(ttl_s=TTL_S, clock=clock or FakeClock(), metrics=metrics or RecordingMetrics(), **chosen)


def redis_cache(server: RedisServer, *, timeout_s: float = 0.2, max_connections: int = 8, **more: object) -> RedisCache:
    return RedisCache(
        url=server.url,
        timeout_s=timeout_s,
        max_connections=max_connections,
        ttl_s=TTL_S,
        randomness=SystemRandomness(),
        **more,  # type: ignore[arg-type]
    )


def tiered_cache(
    shared: Cache,
    *,
    clock: Clock | None = None,
    metrics: MetricsBackend | None = None,
    fresh_s: float = 5.0,
    most: int = 4096,
    local: Cache | None = None,
) -> TieredCache:
    clock = clock or FakeClock()
    return TieredCache(
        local=memory_cache(clock) if local is None else local,
        shared=shared,
        ttl_s=TTL_S,
        fresh_s=fresh_s,
        private=frozenset({"private"}),
        clock=clock,
        metrics=metrics or NoMetrics(),
        tombstones=Tombstones(most=most),
    )


class Fault(Enum):
    """How a call fails."""

    REFUSED = auto()
    DECLINED = auto()
    LOST = auto()
    """Never done."""
    UNHEARD = auto()
    """Done, and the answer got lost."""
    DELAYED = auto()
    """Done later, when `arrive` is called."""


class FlakyCache:
    """A shared tier that several processes use; calls fail by a fault, and writes may arrive late.

    Like the one in Redis, a value belongs to the generation that its namespace had when it was sent.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._kept = memory_cache(clock)
        self._generation: dict[str, int] = {}
        self._random = SeededRandomness()
        self.fault: Fault | None = None
        self.late: list[Callable[[], Awaitable[None]]] = []
        self.calls = 0

    async def get(self, namespace: str, key: str) -> bytes | None:
        return (await self.get_many(namespace, [key])).get(key)

    async def get_many(self, namespace: str, keys: Iterable[str]) -> Mapping[str, bytes]:
        self.calls += 1
        if self.fault is not None:
            raise self._error()
        return await self._kept.get_many(namespace, keys)

    async def set(self, namespace: str, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        generation = self._generation.get(namespace, 0)

        async def do() -> None:
            if generation == self._generation.get(namespace, 0):
                await self._kept.set(namespace, key, value, ttl_s=ttl_s)

        await self._do(do)

    async def delete(self, namespace: str, *keys: str) -> None:
        await self._do(lambda: self._kept.delete(namespace, *keys))

    async def clear(self, namespace: str) -> None:
        async def do() -> None:
            self._generation[namespace] = self._generation.get(namespace, 0) + 1
            await self._kept.clear(namespace)

        await self._do(do)

    async def flush(self, namespace: str) -> None:
        """Lose everything, as FLUSHALL does."""
        self._generation[namespace] = self._generation.get(namespace, 0) + 1
        await self._kept.clear(namespace)

    async def arrive(self) -> None:
        """The oldest late write arrives."""
        await self.late.pop(0)()

    async def _do(self, act: Callable[[], Awaitable[None]]) -> None:
        self.calls += 1
        if self.fault in {None, Fault.UNHEARD}:
            await act()
        elif self.fault is Fault.DELAYED:
            self.late.append(act)
        if self.fault is not None:
            raise self._error()

    def _error(self) -> Exception:
        if self.fault is Fault.REFUSED:
            return BreakerOpenError("open", backend="redis", retry_after_s=1.0)
        if self.fault is Fault.DECLINED:
            return DeclinedError("full", backend="redis")
        if self.fault is Fault.LOST:
            return UnavailableError("away", backend="redis")
        return DeadlineError("late", backend="redis", deadline_s=0.2)
