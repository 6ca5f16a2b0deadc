"""The metrics guard: how long calls to a port take, and how they fail.

Rules:
- Each call is timed (`v3.port.seconds`); each one that raises is counted by class (`v3.port.errors`), a refusal of the
  breaker as `unavailable`.
- What is no fault of the backend counts as `input`: also a caller without time, a quota that is used up, and a run that
  another process has taken over.
- A cancelled call is neither a success nor an error.

Bytes are the metering guard's, streams are not measured.
"""

from __future__ import annotations

from typing import Any, TypeVar

from councilor.errors import (
    BudgetSpentError,
    CouncilorError,
    DeadlineError,
    FencedError,
    InputError,
    IntegrityError,
    NotFoundError,
    ShortageError,
    UnavailableError,
)
from councilor.guards.wrapping import AsyncMethod, wrapped
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend

__all__ = ["with_measuring"]

P = TypeVar("P")

_CLASSES: tuple[tuple[type[CouncilorError], str], ...] = (
    (BudgetSpentError, "input"),
    (ShortageError, "input"),
    (FencedError, "input"),
    (DeadlineError, "deadline"),
    (UnavailableError, "unavailable"),
    (IntegrityError, "integrity"),
    (InputError, "input"),
    (NotFoundError, "not_found"),
)


def with_measuring(adapter: P, *, port: str, metrics: MetricsBackend, clock: Clock) -> P:
    """The same port, each async method measured.

    Args:
        port: the port's name: `artifacts`.
    """

    def wrap(name: str, method: AsyncMethod) -> AsyncMethod:
        bound = metrics.bind({"port": port, "method": name})

        async def guarded(*args: object, **kwargs: object) -> Any:
            began_s = clock.monotonic()
            try:
                result = await method(*args, **kwargs)
            except Exception as error:
                metrics.counter("v3.port.errors", {"port": port, "error": _class_of(error)})
                bound.histogram("v3.port.seconds", {}, clock.monotonic() - began_s)
                raise
            bound.histogram("v3.port.seconds", {}, clock.monotonic() - began_s)
            return result

        return guarded

    return wrapped(adapter, wrap, guard="measured")


def _class_of(error: Exception) -> str:
    return next((name for kind, name in _CLASSES if isinstance(error, kind)), "unexpected")
