"""Calls through other circuit breakers; runs in the peers environment, driven by `benchmarks/breaker.py`.

Rules:
- A line `NAME CALLS` in, one line out: the nanoseconds of one call, taken here over that many calls. `bare` calls
  without any breaker.
- Each breaker is closed, on its async way, with a window as large as ours; none has a listener.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

from interlock import CircuitBreaker, Config
from purgatory import AsyncCircuitBreakerFactory


async def answer() -> int:
    return 1


async def main() -> None:
    """Answer until there is nothing more to read."""
    ways = {"bare": answer, "interlock": interlock(), "purgatory": purgatory()}
    for line in sys.stdin:
        name, calls = line.split()
        print(await nanoseconds(ways[name], int(calls)), flush=True)


def interlock() -> Callable[[], Awaitable[int]]:
    """Its decorator-less way: both rates, as ours."""
    breaker = CircuitBreaker(
        name="bench",
        config=Config(
            failure_rate_threshold=0.05,
            slow_call_rate_threshold=0.01,
            slow_call_duration_threshold=5.0,
            minimum_number_of_calls=500,
            window_size=1000,
        ),
    )

    async def call() -> int:
        return await breaker.call_async(answer)

    return call


def purgatory() -> Callable[[], Awaitable[int]]:
    """Its decorator: failures in a row only."""
    return AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=30)("bench")(answer)


async def nanoseconds(call: Callable[[], Awaitable[int]], calls: int) -> float:
    began_ns = time.perf_counter_ns()
    for _ in range(calls):
        await call()
    return (time.perf_counter_ns() - began_ns) / calls


if __name__ == "__main__":
    asyncio.run(main())
