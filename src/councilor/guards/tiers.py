"""Two tiers of one cache: this process's own, and one that processes share, which may be away.

Rules:
- Reading asks the local tier, then the shared one. A local value is fresh for `fresh_s` seconds; after that the shared
  tier is asked again, so that what another process changed is seen. While the shared tier does not answer, a local
  value is good for as long as it was to be kept.
- Writing goes to both, the local one first. What the shared tier was not told is remembered (`tombstones`) and told
  before it is read again: it never gives back what this process deleted or overwrote.
- A call makes one trip to the shared tier at most: either to tell, or to ask. It waits for nobody else's.
- No failure of the shared tier reaches the caller. Each is counted with its reason (`v3.fallback.used`), and told once
  when the tier is lost and once when it is back. A caller without time is no failure of the tier.
- Namespaces in `private` never leave the process.

What other processes can rely on is in docs/adr/0010-cache.md. It neither limits nor trips: the guards around the shared
tier do.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from councilor.errors import BreakerOpenError, BudgetSpentError, DeclinedError
from councilor.guards.fallback import fallback_reason
from councilor.guards.standing import Standing
from councilor.guards.tombstones import Ending, Tombstones
from councilor.ports.cache import LONGEST_S, Cache, check_lifetime, check_place
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend

__all__ = ["TieredCache"]

_FRESH = struct.Struct("!d")
"""Before a local value: until when, in monotonic seconds, it need not be looked at again."""
_EXPIRY = struct.Struct("!dd")
"""Before a shared value: when it ends, in seconds since 1970, and how long it was to be kept."""


@dataclass(slots=True, eq=False)
class _Reading:
    """A question to the shared tier that has no answer yet."""

    namespace: str
    changed: set[str] = field(default_factory=set)
    """Keys that were written meanwhile."""
    cleared: bool = False

    def is_old(self, key: str) -> bool:
        return self.cleared or key in self.changed


class TieredCache:
    """A `Cache` over two.

    Args:
        local: in this process; never fails.
        shared: with guards around it; None: there is none.
        ttl_s: seconds to keep a value for whose writer does not say.
        fresh_s: seconds for which a local value is not compared with the shared one.
        private: namespaces that never leave this process.
        backend: the shared tier's name, for the log.
        clock: both its times.
        metrics: requests, fallbacks and tombstones.
        tombstones: what the shared tier has not been told.
    """

    def __init__(
        self,
        *,
        local: Cache,
        shared: Cache | None,
        ttl_s: float,
        clock: Clock,
        metrics: MetricsBackend,
        fresh_s: float = 5.0,
        private: frozenset[str] = frozenset(),
        backend: str = "redis",
        tombstones: Tombstones | None = None,
    ) -> None:
        self._local = local
        self._shared = shared
        self._ttl_s = check_lifetime(ttl_s)
        self._fresh_s = fresh_s
        self._private = private
        self._clock = clock
        self._metrics = metrics
        self._tombstones = Tombstones() if tombstones is None else tombstones
        self._readings: set[_Reading] = set()
        self._settling = False
        self._standing = Standing(backend, clock=clock)
        if shared is not None:
            self._gauge()

    # --- the port

    async def get(self, namespace: str, key: str) -> bytes | None:
        """The value, or None."""
        held, fresh = await self._look(namespace, key)
        if fresh:
            self._count(namespace, "local")
            return held
        return (await self._ask(namespace, {key: held})).get(key)

    async def get_many(self, namespace: str, keys: Iterable[str]) -> Mapping[str, bytes]:
        """The values that are there, by key."""
        found: dict[str, bytes] = {}
        doubtful: dict[str, bytes | None] = {}
        for key in dict.fromkeys(keys):
            held, fresh = await self._look(namespace, key)
            if fresh and held is not None:
                self._count(namespace, "local")
                found[key] = held
            else:
                doubtful[key] = held
        return found | await self._ask(namespace, doubtful) if doubtful else found

    async def set(self, namespace: str, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Keep a value, in both tiers."""
        check_place(namespace, key)
        lives_s = self._ttl_s if ttl_s is None else check_lifetime(ttl_s)
        await self._keep(namespace, key, value, lives_s)
        expires_s = self._clock.now().timestamp() + lives_s
        dated = _EXPIRY.pack(expires_s, lives_s) + value
        await self._tell(
            namespace, (key,), lambda shared: shared.set(namespace, key, dated, ttl_s=lives_s), value=value
        )

    async def delete(self, namespace: str, *keys: str) -> None:
        """Forget values, in both tiers."""
        check_place(namespace, *keys)
        await self._local.delete(namespace, *keys)
        await self._tell(namespace, keys, lambda shared: shared.delete(namespace, *keys), value=None)

    async def clear(self, namespace: str) -> None:
        """Forget every value of a namespace, in both tiers."""
        check_place(namespace)
        await self._local.clear(namespace)
        for reading in self._readings:
            reading.cleared |= reading.namespace == namespace
        if self._shares(namespace):
            self._tombstones.void(namespace)
            await self._settle(namespace)

    async def settle(self) -> bool:
        """Tell the shared tier what it has not been told; whether it knows everything now."""
        for namespace in self._tombstones.namespaces:
            if not await self._settle(namespace):
                return False
        return not len(self._tombstones)

    # --- the local tier

    async def _look(self, namespace: str, key: str) -> tuple[bytes | None, bool]:
        """The local value, and whether nobody else need be asked."""
        kept = await self._local.get(namespace, key)
        if kept is None:
            return None, False
        (until_s,) = _FRESH.unpack_from(kept)
        return kept[_FRESH.size :], self._clock.monotonic() < until_s

    async def _keep(self, namespace: str, key: str, value: bytes, lives_s: float) -> None:
        until_s = self._clock.monotonic() + self._fresh_s if self._shares(namespace) else math.inf
        await self._local.set(namespace, key, _FRESH.pack(until_s) + value, ttl_s=lives_s)

    # --- asking the shared tier

    async def _ask(self, namespace: str, held: Mapping[str, bytes | None]) -> dict[str, bytes]:
        """The values of these keys, local ones where the shared tier cannot be asked."""
        keys = [key for key in held if not self._tombstones.is_underway(namespace, key)]
        reading, raws = _Reading(namespace), None
        if keys and await self._may_ask(namespace):
            raws = await self._read(reading, keys)
        found: dict[str, bytes] = {}
        for key, value in held.items():
            if raws is None or key not in keys or reading.is_old(key):
                value, outcome = value if raws is None else (await self._look(namespace, key))[0], "local"
            else:
                value, outcome = await self._take(namespace, key, raws.get(key)), "shared"
            self._count(namespace, "miss" if value is None else outcome)
            if value is not None:
                found[key] = value
        return found

    async def _may_ask(self, namespace: str) -> bool:
        if not self._shares(namespace):
            return False
        if self._tombstones.owes(namespace):
            await self._settle(namespace)
            return False
        return True

    async def _read(self, reading: _Reading, keys: Sequence[str]) -> Mapping[str, bytes] | None:
        assert self._shared is not None
        self._readings.add(reading)
        try:
            raws = await self._shared.get_many(reading.namespace, keys)
        except Exception as error:
            self._fall_back("get", error)
            return None
        finally:
            self._readings.discard(reading)
        self._standing.worked("get")
        return raws

    async def _take(self, namespace: str, key: str, dated: bytes | None) -> bytes | None:
        """The shared tier's answer, kept locally for what is left of its time."""
        left_s = _left_s(dated, self._clock.now().timestamp())
        if dated is None or not left_s:
            await self._local.delete(namespace, key)
            return None
        value = dated[_EXPIRY.size :]
        await self._keep(namespace, key, value, left_s)
        return value

    # --- telling the shared tier

    async def _tell(
        self, namespace: str, keys: tuple[str, ...], act: Callable[[Cache], Awaitable[None]], *, value: bytes | None
    ) -> None:
        if self._shared is None or not self._shares(namespace):
            return
        for reading in self._readings:
            if reading.namespace == namespace:
                reading.changed.update(keys)
        write = self._tombstones.begin(namespace, keys, value=value)
        if write is None:
            await self._settle(namespace)
            return
        ending = Ending.UNKNOWN
        try:
            await act(self._shared)
            ending = Ending.DONE
        except Exception as error:
            ending = Ending.NOT_DONE if isinstance(error, BreakerOpenError | DeclinedError) else Ending.UNKNOWN
            self._fall_back("delete" if value is None else "set", error)
        finally:
            self._tombstones.end(write, ending)
            self._gauge()
        if ending is Ending.DONE:
            self._standing.worked("delete" if value is None else "set")

    async def _settle(self, namespace: str) -> bool:
        """Tell what is to be told about a namespace, unless somebody is at it; whether it was told."""
        bill = self._tombstones.bill(namespace)
        if self._shared is None or bill is None or self._settling:
            return False
        self._settling = True
        try:
            if bill.voided is None:
                await self._shared.delete(namespace, *bill.marks)
            else:
                await self._shared.clear(namespace)
        except Exception as error:
            self._fall_back("settle", error)
            return False
        finally:
            self._settling = False
        self._tombstones.paid(bill)
        self._gauge()
        self._standing.worked("settle")
        return True

    # --- telling people

    def _shares(self, namespace: str) -> bool:
        return self._shared is not None and namespace not in self._private

    def _count(self, namespace: str, outcome: str) -> None:
        self._metrics.counter("v3.cache.requests", {"namespace": namespace, "outcome": outcome})

    def _gauge(self) -> None:
        self._metrics.gauge("v3.cache.tombstones", {}, len(self._tombstones))

    def _fall_back(self, kind: str, error: Exception) -> None:
        if isinstance(error, BudgetSpentError):
            return
        reason = fallback_reason(error) or "unavailable"  # declined: it works, and did not take this call
        self._metrics.counter("v3.fallback.used", {"port": "cache", "reason": reason})
        self._standing.failed(kind, reason, error)


def _left_s(dated: bytes | None, now_s: float) -> float:
    """Seconds that are left of a shared value's time; 0 when it has none, or says nonsense."""
    if dated is None or len(dated) < _EXPIRY.size:
        return 0.0
    expires_s, lives_s = _EXPIRY.unpack_from(dated)
    left_s: float = min(expires_s - now_s, lives_s)  # a clock that was set back lengthens nothing
    return left_s if 0 < left_s <= LONGEST_S else 0.0
