"""Asking a cache for what can be made: made once, however many ask at the same time.

Rules:
- One load for each key at a time in this process. Whoever asks meanwhile waits for it, no longer than its own deadline.
- A load that fails or is cancelled is its caller's matter only: the next of those who wait makes a load of its own.
- What was deleted or overwritten while a load was under way is not brought back by it, and is given to nobody who asks
  later.
- A cache that fails costs a load, never an answer. Lifetimes are shortened by up to a tenth, by chance, so that what
  was made together is not made again all at once.

Other processes may load the same at the same time. It keeps nothing itself, and starts no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

from councilor.errors import UnavailableError
from councilor.ports.cache import Cache, check_lifetime
from councilor.ports.clock import Randomness

__all__ = ["LoadingCache"]

Place = tuple[str, str]

_JITTER_PERMILLE = 100


class _Load:
    """One load under way."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.value: bytes | None = None

    def hand_on(self, value: bytes) -> None:
        """Give the value to those who wait."""
        self.value = value
        self.ended.set()


class LoadingCache:
    """A `Cache` that can be told how to make what it does not have.

    Args:
        cache: what it keeps values in.
        ttl_s: seconds to keep a value for whose writer does not say.
        randomness: shortens lifetimes.
    """

    def __init__(self, cache: Cache, *, ttl_s: float, randomness: Randomness) -> None:
        self._cache = cache
        self._ttl_s = check_lifetime(ttl_s)
        self._randomness = randomness
        self._loads: dict[Place, _Load] = {}

    async def get_or_load(
        self, namespace: str, key: str, load: Callable[[], Awaitable[bytes]], *, ttl_s: float | None = None
    ) -> bytes:
        """The value, made by `load` if it is not there; raises what `load` raises."""
        place = namespace, key
        while (other := self._loads.get(place)) is not None:
            await other.ended.wait()
            if other.value is not None:
                return other.value
        mine = self._loads[place] = _Load()
        try:
            value = await self._find(namespace, key)
            if value is None:
                value = await load()
                if self._loads.get(place) is mine:
                    mine.hand_on(value)
                    await self._keep(namespace, key, value, ttl_s)
            elif self._loads.get(place) is mine:
                mine.hand_on(value)
            return value
        finally:
            if self._loads.get(place) is mine:
                del self._loads[place]
            mine.ended.set()

    async def get(self, namespace: str, key: str) -> bytes | None:
        """The value, or None."""
        return await self._cache.get(namespace, key)

    async def get_many(self, namespace: str, keys: Iterable[str]) -> Mapping[str, bytes]:
        """The values that are there, by key."""
        return await self._cache.get_many(namespace, keys)

    async def set(self, namespace: str, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Keep a value; a load of it that is under way does not replace it."""
        self._loads.pop((namespace, key), None)
        await self._cache.set(namespace, key, value, ttl_s=ttl_s)

    async def delete(self, namespace: str, *keys: str) -> None:
        """Forget values; loads of them that are under way do not bring them back."""
        for key in keys:
            self._loads.pop((namespace, key), None)
        await self._cache.delete(namespace, *keys)

    async def clear(self, namespace: str) -> None:
        """Forget every value of a namespace; nor do loads that are under way bring any back."""
        for place in [place for place in self._loads if place[0] == namespace]:
            del self._loads[place]
        await self._cache.clear(namespace)

    async def _find(self, namespace: str, key: str) -> bytes | None:
        try:
            return await self._cache.get(namespace, key)
        except UnavailableError:
            return None

    async def _keep(self, namespace: str, key: str, value: bytes, ttl_s: float | None) -> None:
        lives_s = (self._ttl_s if ttl_s is None else ttl_s) * (1 - self._randomness.below(_JITTER_PERMILLE) / 1000)
        with suppress(UnavailableError):
            await self._cache.set(namespace, key, value, ttl_s=lives_s)
