"""The fallback guard: where a port has a second best, that answers when the first cannot.

Rules:
- Only an error that blames the backend, or a refusal by its breaker, leads there: input that is refused, what is not
  found, and damaged data are answers. A spent budget is not worth a second try.
- Each call that is answered so is counted by its reason (`v3.fallback.used`); that it begins, and that it is over, is
  logged once each.
- The fallback's own error is raised, with the first one behind it.

What a fallback answers must be right, if poorer: it is declared per port in `app/`, and nothing is lost by it.
"""

from __future__ import annotations

import logging
from typing import Any, TypeVar

from councilor.errors import BreakerOpenError, DeadlineError, UnavailableError
from councilor.guards.blame import blames_backend
from councilor.guards.wrapping import AsyncMethod, wrapped
from councilor.ports.metrics import MetricsBackend

__all__ = ["fallback_reason", "with_fallback"]

P = TypeVar("P")

_log = logging.getLogger(__name__)


def with_fallback(adapter: P, fallback: P, *, port: str, backend: str, metrics: MetricsBackend) -> P:
    """The same port, with `fallback` behind each async method.

    Args:
        fallback: implements the port, too; it has no further fallback.
        port: the port's name, for metrics.
        backend: the name of what it stands in for.
    """
    news = _News(port, backend)

    def wrap(name: str, method: AsyncMethod) -> AsyncMethod:
        async def guarded(*args: object, **kwargs: object) -> Any:
            try:
                result = await method(*args, **kwargs)
            except Exception as error:
                reason = fallback_reason(error)
                if reason is None:
                    raise
                metrics.counter("v3.fallback.used", {"port": port, "reason": reason})
                news.failed(reason, error)
                return await getattr(fallback, name)(*args, **kwargs)
            news.worked()
            return result

        return guarded

    return wrapped(adapter, wrap, guard="with a fallback")


def fallback_reason(error: BaseException) -> str | None:
    """Why a fallback has to answer, as `v3.fallback.used` has it; None when it has not."""
    if isinstance(error, BreakerOpenError):
        return "breaker_open"
    if not blames_backend(error):
        return None
    if isinstance(error, DeadlineError):
        return "deadline"
    return "unavailable" if isinstance(error, UnavailableError) else "unexpected"


class _News:
    """Tells the log of a change, not of every call."""

    def __init__(self, port: str, backend: str) -> None:
        self._fields = {"port": port, "backend": backend}
        self._down = False

    def failed(self, reason: str, error: Exception) -> None:
        if not self._down:
            self._down = True
            told = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
            _log.warning("a fallback answers", extra=self._fields | {"reason": reason, "problem": told})

    def worked(self) -> None:
        if self._down:
            self._down = False
            _log.info("the backend answers again", extra=self._fields)
