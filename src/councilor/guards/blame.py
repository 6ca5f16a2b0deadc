"""Whom an error blames: the backend that was called, or somebody else.

Rules:
- A backend that is unavailable or late, and every exception that is none of ours, is the backend's fault.
- Input that is refused, what is not found, and damaged data are answers: the backend works.
- A refusal by a breaker, a call declined for want of room, a spent budget, a shortage on this machine or a missing
  extra say nothing about it.
- Neither does a cancellation, or whatever else is no `Exception`.
"""

from __future__ import annotations

from councilor.errors import (
    BreakerOpenError,
    BudgetSpentError,
    CouncilorError,
    DeclinedError,
    MissingExtraError,
    ShortageError,
    UnavailableError,
)

__all__ = ["blames_backend"]

_OTHERS = (BreakerOpenError, BudgetSpentError, DeclinedError, MissingExtraError, ShortageError)


def blames_backend(error: BaseException) -> bool:
    """Whether a call that ended with `error` shows that the backend does not work."""
    if isinstance(error, CouncilorError):
        return isinstance(error, UnavailableError) and not isinstance(error, _OTHERS)
    return isinstance(error, Exception)
