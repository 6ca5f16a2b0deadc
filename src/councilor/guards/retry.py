"""The retry guard: a call that may be repeated is, when its backend failed in a way that may pass.

Rules:
- Only methods that are named: the adapter makes a repetition harmless, even of a call that was done and not answered.
- Only after an `UnavailableError` that blames the backend, and after no `DeadlineError`: who was late has had its time.
- A bounded number of tries, with pauses that double and have jitter; where the error says when to come back, that long.
- All tries and pauses together take no longer than the method's deadline, nor than what is left of the caller's budget.
  When that is over, the first try's error is raised.
- Each repetition is counted (`v3.retry.repeated`).

Source: https://stamina.hynek.me (backoff: pause * 2^n plus jitter).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import stamina

from councilor.errors import DeadlineError, UnavailableError
from councilor.guards.blame import blames_backend
from councilor.guards.budget import left_s
from councilor.guards.wrapping import AsyncMethod, require_async, wrapped
from councilor.ports.metrics import MetricsBackend

__all__ = ["RetryPolicy", "with_retry"]

P = TypeVar("P")


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often, and with what pauses."""

    tries: int = 3
    """Calls in all, the first among them."""
    pause_s: float = 0.05
    """Seconds before the second try; each further pause is twice as long."""
    longest_pause_s: float = 1.0
    """Seconds that a pause has at most."""
    jitter_s: float = 0.05
    """Seconds that chance adds to a pause at most."""


def with_retry(
    adapter: P,
    *,
    port: str,
    methods_s: Mapping[str, float],
    metrics: MetricsBackend,
    policy: RetryPolicy = RetryPolicy(),
) -> P:
    """The same port, named methods repeated.

    Args:
        port: the port's name, for metrics.
        methods_s: methods that may be repeated, and the seconds for all tries of one call.

    Raises:
        ValueError: one of them is no async method.
    """
    require_async(adapter, methods_s, port=port)

    def wrap(name: str, method: AsyncMethod) -> AsyncMethod:
        if name not in methods_s or policy.tries < 2:
            return method
        total_s = methods_s[name]

        async def guarded(*args: object, **kwargs: object) -> Any:
            began_s = asyncio.get_running_loop().time()
            try:
                return await method(*args, **kwargs)
            except UnavailableError as error:
                rest_s = min(total_s - (asyncio.get_running_loop().time() - began_s), left_s())
                if _pause(error, rest_s) is False:
                    raise
                return await again(error, rest_s, *args, **kwargs)

        async def again(first: UnavailableError, rest_s: float, *args: object, **kwargs: object) -> Any:
            timer = asyncio.timeout(rest_s)
            try:
                async with timer:
                    async for attempt in _attempts(policy, rest_s):
                        with attempt:
                            if attempt.num == 1:
                                raise first  # the try that was made before: stamina pauses after it
                            metrics.counter("v3.retry.repeated", {"port": port})
                            return await method(*args, **kwargs)
            except TimeoutError:
                if not timer.expired():
                    raise
            raise first

        return guarded

    return wrapped(adapter, wrap, guard="repeated")


def _attempts(policy: RetryPolicy, rest_s: float) -> Any:
    return stamina.retry_context(
        on=lambda error: _pause(error, rest_s),
        attempts=policy.tries,
        timeout=None,
        wait_initial=policy.pause_s,
        wait_max=policy.longest_pause_s,
        wait_jitter=policy.jitter_s,
    )


def _pause(error: Exception, rest_s: float) -> bool | float:
    """Whether to try again, or after how many seconds exactly."""
    passes = isinstance(error, UnavailableError) and blames_backend(error) and not isinstance(error, DeadlineError)
    if not passes or rest_s <= 0:
        return False
    after_s = getattr(error, "retry_after_s", None)
    if not isinstance(after_s, int | float):
        return True
    return float(after_s) if after_s < rest_s else False
