"""The deadline guard: no call to a backend waits for ever.

Rules:
- Every async method of the wrapped port gets one deadline in seconds; when it passes, the call is cancelled and a
  `DeadlineError` names the backend. A method without a deadline of its own has the default one.
- A tighter deadline around the call (the task's own) wins, and its `TimeoutError` is passed on untouched.
- Sync members and async generators pass through: the first do not wait, the second wait for others on purpose.
- Each call is timed (`v3.port.seconds`); each one that raises is counted by class (`v3.port.errors`). A cancelled call
  is neither a success nor an error.
- A cancellation that the backend swallowed is raised again once it has answered.

It does not retry and does not trip. A backend that swallows cancellation and goes on outlives its deadline.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, cast

from councilor.errors import (
    CouncilorError,
    DeadlineError,
    InputError,
    IntegrityError,
    NotFoundError,
    UnavailableError,
)
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend

__all__ = ["with_deadline"]

P = TypeVar("P")

_CLASSES: tuple[tuple[type[CouncilorError], str], ...] = (
    (DeadlineError, "deadline"),
    (UnavailableError, "unavailable"),
    (IntegrityError, "integrity"),
    (InputError, "input"),
    (NotFoundError, "not_found"),
)


def with_deadline(
    adapter: P,
    *,
    port: str,
    backend: str,
    default_s: float,
    methods_s: Mapping[str, float] | None = None,
    metrics: MetricsBackend,
    clock: Clock,
) -> P:
    """The same port, each async method under a deadline.

    Args:
        adapter: any object that implements a port.
        port: the port's name, for metrics: `artifacts`.
        backend: the adapter's name, for errors: `postgres`.
        default_s: seconds for every async method.
        methods_s: seconds for single methods, by name.

    Raises:
        ValueError: a deadline is not positive, or is for something that is no async method.
    """
    deadlines = dict(methods_s or {})
    for name, deadline_s in {"default": default_s, **deadlines}.items():
        if not deadline_s > 0:
            raise ValueError(f"{port}.{name}: a deadline of {deadline_s} s cannot be met")
    for name in deadlines:
        if not inspect.iscoroutinefunction(getattr(adapter, name, None)):
            raise ValueError(f"{port}.{name} is not an async method of {type(adapter).__name__}")
    return cast("P", _Guarded(adapter, port, backend, default_s, deadlines, metrics, clock))


class _Guarded:
    """Stands in for `adapter`; methods are wrapped when they are first asked for."""

    def __init__(
        self,
        adapter: object,
        port: str,
        backend: str,
        default_s: float,
        deadlines: Mapping[str, float],
        metrics: MetricsBackend,
        clock: Clock,
    ) -> None:
        self._adapter = adapter
        self._port = port
        self._backend = backend
        self._default_s = default_s
        self._deadlines = deadlines
        self._metrics = metrics
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        member = getattr(self._adapter, name)
        if not inspect.iscoroutinefunction(member):
            return member
        guarded = self._guard(name, member)
        self.__dict__[name] = guarded
        return guarded

    def __repr__(self) -> str:
        return f"<{self._adapter!r} under a deadline>"

    def _guard(self, method: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        deadline_s = self._deadlines.get(method, self._default_s)

        @functools.wraps(call)
        async def guarded(*args: object, **kwargs: object) -> Any:
            started_s = self._clock.monotonic()
            try:
                result = await self._within(deadline_s, method, call(*args, **kwargs))
            except Exception as error:
                self._metrics.counter("v3.port.errors", {"port": self._port, "error": _class_of(error)})
                self._observe(method, started_s)
                raise
            self._observe(method, started_s)
            return result

        return guarded

    async def _within(self, deadline_s: float, method: str, answer: Awaitable[Any]) -> Any:
        timer, task = asyncio.timeout(deadline_s), asyncio.current_task()
        asked = task.cancelling() if task else 0
        try:
            async with timer:
                result = await answer
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise DeadlineError(
                f"{self._backend} did not answer {self._port}.{method} within {deadline_s:g} s.",
                backend=self._backend,
                deadline_s=deadline_s,
            ) from error
        if task and task.cancelling() > asked:
            raise asyncio.CancelledError
        return result

    def _observe(self, method: str, started_s: float) -> None:
        elapsed_s = self._clock.monotonic() - started_s
        self._metrics.histogram("v3.port.seconds", {"port": self._port, "method": method}, elapsed_s)


def _class_of(error: Exception) -> str:
    return next((name for kind, name in _CLASSES if isinstance(error, kind)), "unexpected")
