"""What every part of one process shares: its clock, its measurements, its guards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from councilor.adapters.system import SystemClock, SystemIds, SystemRandomness
from councilor.app.caching import open_cache
from councilor.app.guarding import Guarding, open_guarding
from councilor.app.metrics import open_metrics
from councilor.app.tracing import open_tracer
from councilor.guards.loading import LoadingCache
from councilor.ports.clock import Clock, Ids, Randomness
from councilor.ports.metrics import Exposition, MetricsBackend
from councilor.ports.tracing import Tracer
from councilor.settings import Settings

__all__ = ["Runtime", "open_runtime", "sharing"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """What a process has once."""

    settings: Settings
    executor_id: str
    """This process among those that execute tasks."""
    clock: Clock
    ids: Ids
    randomness: Randomness
    metrics: MetricsBackend
    tracer: Tracer
    guarding: Guarding
    cache: LoadingCache
    """What can be made again; nothing is decided by it."""
    exposition: Exposition | None
    """Everything measured so far, for a scraper; None while nothing exports it."""


@asynccontextmanager
async def open_runtime(settings: Settings) -> AsyncIterator[Runtime]:
    """Open what a process has once, as the settings say."""
    clock, randomness = SystemClock(), SystemRandomness()
    ids = SystemIds(clock=clock)
    async with AsyncExitStack() as opened:
        measuring = opened.enter_context(open_metrics(settings, clock=clock))
        tracer = await opened.enter_async_context(open_tracer(settings, clock=clock))
        guarding = await opened.enter_async_context(
            open_guarding(settings, clock=clock, metrics=measuring.metrics, randomness=randomness, tracer=tracer)
        )
        cache = await opened.enter_async_context(
            open_cache(settings, guarding=guarding, clock=clock, metrics=measuring.metrics, randomness=randomness)
        )
        yield Runtime(
            settings=settings,
            executor_id=ids.new(),
            clock=clock,
            ids=ids,
            randomness=randomness,
            metrics=measuring.metrics,
            exposition=measuring.exposition,
            tracer=tracer,
            guarding=guarding,
            cache=cache,
        )


@asynccontextmanager
async def sharing(settings: Settings, runtime: Runtime | None) -> AsyncIterator[Runtime]:
    """The runtime that is given, or one for as long as this is open."""
    if runtime is not None:
        yield runtime
        return
    async with open_runtime(settings) as opened:
        yield opened
