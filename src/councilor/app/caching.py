"""The cache of a process: a local tier, and Redis behind it where that is switched on.

Rules:
- Redis is a cache and nothing else: whatever it does, a process goes on with its local tier.
- What decides, or leads to what decides, never leaves the process: its namespaces are `PRIVATE`.
- Every value in Redis is sealed with a secret that lies in the data folder (`SEAL`), so that who can only write to the
  server can put nothing there that a process believes. Machines that are to share a cache share that file.
- What Redis has not been told is told within a second of its return, whether or not anybody asks for anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from councilor.adapters.memory.cache import MemoryCache
from councilor.adapters.redis import RedisCache
from councilor.app.guarding import Guarding
from councilor.errors import InputError
from councilor.guards.loading import LoadingCache
from councilor.guards.meanwhile import meanwhile
from councilor.guards.tiers import TieredCache
from councilor.pipeline import reach
from councilor.ports.cache import Cache
from councilor.ports.clock import Clock, Randomness
from councilor.ports.metrics import MetricsBackend
from councilor.settings import Settings

__all__ = ["PRIVATE", "SEAL", "open_cache"]

PRIVATE = frozenset({reach.NAMESPACE})
"""Namespaces that no other process can read or write."""
SEAL = "cache.seal"
"""The secret's file in the data folder."""
SETTLE_S = 1.0
SLOW_SHARE = 0.5
"""Share of a call's time beyond which it is slow."""


@asynccontextmanager
async def open_cache(
    settings: Settings, *, guarding: Guarding, clock: Clock, metrics: MetricsBackend, randomness: Randomness
) -> AsyncIterator[LoadingCache]:
    """The cache, until this is left.

    Raises:
        MissingExtraError: Redis is switched on and not installed.
        InputError: the seal cannot be read or made.
    """
    chosen = settings.cache
    async with AsyncExitStack() as opened:
        shared = None
        if settings.observability.redis:
            shared = await opened.enter_async_context(_open_redis(settings, guarding, randomness))
        tiers = TieredCache(
            local=MemoryCache(
                max_items=chosen.max_items,
                max_bytes=chosen.max_bytes,
                ttl_s=chosen.ttl_s,
                clock=clock,
                metrics=metrics,
            ),
            shared=shared,
            ttl_s=chosen.ttl_s,
            fresh_s=chosen.fresh_s,
            private=PRIVATE,
            clock=clock,
            metrics=metrics,
        )
        if shared is not None:
            await opened.enter_async_context(_settling(tiers, clock))
        yield LoadingCache(tiers, ttl_s=chosen.ttl_s, randomness=randomness)


@asynccontextmanager
async def _open_redis(settings: Settings, guarding: Guarding, randomness: Randomness) -> AsyncIterator[Cache]:
    chosen = settings.redis
    redis = RedisCache(
        url=chosen.url.get_secret_value(),
        timeout_s=chosen.timeout_s,
        max_connections=chosen.max_connections,
        ttl_s=settings.cache.ttl_s,
        randomness=randomness,
        seal=_seal(settings.data_dir / SEAL, randomness),
    )
    try:
        yield guarding.around(
            redis,
            port="cache",
            backend="redis",
            default_s=chosen.timeout_s,
            slow_s=chosen.timeout_s * SLOW_SHARE,
        )
    finally:
        await redis.close()


@asynccontextmanager
async def _settling(tiers: TieredCache, clock: Clock) -> AsyncIterator[None]:
    """Tell the shared tier what it has not been told, again and again, and once more in the end."""

    async def go_on() -> None:
        while True:
            await clock.sleep(SETTLE_S)
            await tiers.settle()

    try:
        async with meanwhile(go_on(), name="cache"):
            yield
    finally:
        await tiers.settle()


def _seal(file: Path, randomness: Randomness) -> bytes:
    """The secret of all processes that have this data folder, made by the first one."""
    try:
        if not file.exists():
            _make_seal(file, f"{randomness.token()}{randomness.token()}\n")
        with file.open("rb") as opened:
            text = opened.read(256).strip()
    except OSError as error:
        raise InputError(
            f"The cache's seal {file} cannot be read or made: {error.strerror}.",
            hint="Make the data folder writable, or leave observability.redis off.",
            field="data_dir",
        ) from error
    if not re.fullmatch(rb"[0-9a-f]{64}", text):
        raise InputError(
            f"The cache's seal {file} is not 64 hexadecimal digits.",
            hint="Remove it: a new one is made, and what is in Redis is made again.",
            field="data_dir",
        )
    return bytes.fromhex(text.decode())


def _make_seal(file: Path, text: str) -> None:
    # Whole or not at all, and never over another process's.
    own = file.with_name(f"{file.name}.{os.getpid()}")
    file.parent.mkdir(parents=True, exist_ok=True)  # with a database elsewhere this may be the first thing in it
    try:
        with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as opened:
            opened.write(text)
        with suppress(FileExistsError):
            os.link(own, file)
    finally:
        own.unlink(missing_ok=True)
