"""The one composition of guards around whatever is outside this process.

Rules:
- The order is fallback( metrics( breaker( retry( deadline( adapter ))))): each try has a deadline, tries together have
  it, too; the breaker counts what is left after the tries; a refusal is measured; the fallback answers last. Around
  them all, within a task, is a span.
- One breaker per backend, whichever ports lead there; its name is the backend's, in metrics, logs and commands.
- Only methods that are named are repeated, and only where there is a service level are calls slow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from typing import TypeVar

from stamina.instrumentation import set_on_retry_hooks

from councilor.app.breakers import obeying
from councilor.domain.breaker import STATE_VALUES, BreakerPolicy
from councilor.guards.breaker import Register, reporting, with_breaker
from councilor.guards.deadline import with_deadline
from councilor.guards.fallback import with_fallback
from councilor.guards.measuring import with_measuring
from councilor.guards.retry import with_retry
from councilor.guards.spans import with_spans
from councilor.ports.clock import Clock, Randomness
from councilor.ports.metrics import MetricsBackend
from councilor.ports.tracing import NO_TRACING, Tracer
from councilor.settings import Settings

__all__ = ["Guarding", "make_guarding", "open_guarding"]

P = TypeVar("P")

UNTOLD = frozenset({"cache", "chat", "events"})
"""Ports whose calls have no span here: a cache is asked too often, a worker's heartbeats alone are two events a second,
and a model's call has a span that says more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guarding:
    """What guards need, and the order they are put in."""

    clock: Clock
    metrics: MetricsBackend
    breakers: Register
    """Those of this process; `states()` is how they stand."""
    tracer: Tracer = NO_TRACING
    """Where the spans of calls go."""

    def around(
        self,
        adapter: P,
        *,
        port: str,
        backend: str,
        default_s: float,
        methods_s: Mapping[str, float] | None = None,
        slow_s: float = inf,
        methods_slow_s: Mapping[str, float] | None = None,
        idempotent: Collection[str] = (),
        fallback: P | None = None,
    ) -> P:
        """The same port, each async method guarded.

        Args:
            adapter: implements the port.
            port: the port's name, for metrics: `artifacts`.
            backend: the adapter's name, for errors and breakers: `postgres`.
            default_s: seconds for each async method.
            methods_s: seconds for single methods, by name.
            slow_s: seconds beyond which a call is slow; more than 1 % of those open the breaker.
            methods_slow_s: the same for single methods, by name.
            idempotent: methods that may be repeated, even when they were done and only the answer was lost.
            fallback: answers when the adapter cannot.
        """
        deadlines_s = dict(methods_s or {})
        guarded = with_deadline(adapter, port=port, backend=backend, default_s=default_s, methods_s=deadlines_s)
        if idempotent:
            tries_s = {name: deadlines_s.get(name, default_s) for name in idempotent}
            guarded = with_retry(guarded, port=port, methods_s=tries_s, metrics=self.metrics)
        breaker = self.breakers.of(backend)
        self.metrics.gauge("v3.breaker.state", {"breaker": backend}, STATE_VALUES[breaker.snapshot().state])
        guarded = with_breaker(guarded, port=port, breaker=breaker, slow_s=slow_s, methods_slow_s=methods_slow_s)
        guarded = with_measuring(guarded, port=port, metrics=self.metrics, clock=self.clock)
        if fallback is not None:
            guarded = with_fallback(guarded, fallback, port=port, backend=backend, metrics=self.metrics)
        return guarded if port in UNTOLD else with_spans(guarded, port=port, backend=backend, tracer=self.tracer)


def make_guarding(
    settings: Settings,
    *,
    clock: Clock,
    metrics: MetricsBackend,
    randomness: Randomness,
    tracer: Tracer = NO_TRACING,
) -> Guarding:
    """Guards as the settings say, for who obeys no orders and publishes nothing."""
    # Every repetition is counted by the retry guard; stamina's own counter and log lines would tell it twice.
    set_on_retry_hooks(())
    register = Register(
        policy=BreakerPolicy(open_s=settings.breakers.open_s, longest_open_s=settings.breakers.longest_open_s),
        clock=clock,
        randomness=randomness,
        listener=reporting(metrics),
    )
    return Guarding(clock=clock, metrics=metrics, breakers=register, tracer=tracer)


@asynccontextmanager
async def open_guarding(
    settings: Settings, *, clock: Clock, metrics: MetricsBackend, randomness: Randomness, tracer: Tracer = NO_TRACING
) -> AsyncIterator[Guarding]:
    """Guards of a process: their breakers obey an operator, and are seen by other processes."""
    guarding = make_guarding(settings, clock=clock, metrics=metrics, randomness=randomness, tracer=tracer)
    async with obeying(settings, guarding.breakers, clock):
        yield guarding
