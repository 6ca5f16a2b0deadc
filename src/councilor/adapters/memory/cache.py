"""The local tier: values in this process's memory, the least recently used go first.

Rules:
- Bounded twice: by values and by bytes, those of keys included. What does not fit in at all is not kept.
- A value that has outlived its time is never given out; its memory is free again at the next change.
- What goes early is counted (`v3.cache.evictions`): `size` for want of room, `ttl` for its age.

One event loop uses it: it has no lock. It is not shared with other processes, and a worker cannot reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from cachetools import TLRUCache

from councilor.ports.cache import check_lifetime, check_place
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend

__all__ = ["MemoryCache"]

Place = tuple[str, str]


class _Kept(NamedTuple):
    value: bytes
    ttl_s: float
    size_bytes: int


class MemoryCache:
    """A `Cache` in memory.

    Args:
        max_items: most values.
        max_bytes: most bytes of values and keys.
        ttl_s: seconds to keep a value for whose writer does not say.
        clock: its monotonic time.
        metrics: evictions, and how many values there are.
    """

    def __init__(self, *, max_items: int, max_bytes: int, ttl_s: float, clock: Clock, metrics: MetricsBackend) -> None:
        if min(max_items, max_bytes) < 1:
            raise ValueError("a cache has room for at least one value of one byte")
        self._max_items = max_items
        self._ttl_s = check_lifetime(ttl_s)
        self._metrics = metrics
        self._values = _Values(max_bytes, clock.monotonic, self._count)
        for reason in ("size", "ttl"):  # a rate needs a beginning
            self._count(reason, 0)
        self._tell()

    def __len__(self) -> int:
        return len(self._values)

    @property
    def size_bytes(self) -> int:
        """Bytes of values and keys."""
        return int(self._values.currsize)

    async def get(self, namespace: str, key: str) -> bytes | None:
        """The value, or None."""
        try:
            return self._values[namespace, key].value
        except KeyError:
            check_place(namespace, key)
            return None

    async def get_many(self, namespace: str, keys: Iterable[str]) -> Mapping[str, bytes]:
        """The values that are there, by key."""
        found = {key: await self.get(namespace, key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    async def set(self, namespace: str, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Keep a value, for want of room in place of the least recently used."""
        check_place(namespace, key)
        place = namespace, key
        lives_s = self._ttl_s if ttl_s is None else check_lifetime(ttl_s)
        kept = _Kept(bytes(value), lives_s, len(value) + len(key.encode("utf-8", "surrogatepass")))
        self._values.expire()
        if place not in self._values:
            while len(self._values) >= self._max_items:
                self._values.popitem()
        if kept.size_bytes > self._values.maxsize:
            self._values.pop(place, None)
            self._count("size", 1)
        else:
            self._values[place] = kept
        self._tell()

    async def delete(self, namespace: str, *keys: str) -> None:
        """Forget values."""
        check_place(namespace, *keys)
        for key in keys:
            self._values.pop((namespace, key), None)
        self._tell()

    async def clear(self, namespace: str) -> None:
        """Forget every value of a namespace."""
        check_place(namespace)
        for place in [place for place in self._values if place[0] == namespace]:
            self._values.pop(place, None)
        self._tell()

    def _count(self, reason: str, number: int) -> None:
        self._metrics.counter("v3.cache.evictions", {"reason": reason}, number)

    def _tell(self) -> None:
        self._metrics.gauge("v3.cache.entries", {}, len(self._values))


class _Values(TLRUCache[Place, _Kept]):
    """Tells how many values it gave up by itself, and why."""

    def __init__(self, max_bytes: int, now_s: Callable[[], float], gave_up: Callable[[str, int], None]) -> None:
        super().__init__(max_bytes, lambda _, kept, now: now + kept.ttl_s, now_s, lambda kept: kept.size_bytes)
        self._gave_up = gave_up

    def popitem(self) -> tuple[Place, _Kept]:
        item = super().popitem()
        self._gave_up("size", 1)
        return item

    def expire(self, time: float | None = None) -> Any:
        expired = list(super().expire(time))
        if expired:
            self._gave_up("ttl", len(expired))
        return expired
