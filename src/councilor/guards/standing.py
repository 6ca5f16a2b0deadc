"""Whether something that may be away is there: told to the log when that changes, not at every call.

Rules:
- It is away from the first failure on. It is back when every kind of call that failed has worked again, and none has
  failed for `calm_s` seconds: a server that is merely slow does not fill the log.
- After `FORGOTTEN_S` seconds without a failure any call that works will do: a kind that failed may not be called again.
- What a message quotes is an error of ours, or the name of a foreign error's class.
"""

from __future__ import annotations

import logging

from councilor.errors import CouncilorError
from councilor.ports.clock import Clock

__all__ = ["FORGOTTEN_S", "Standing"]

FORGOTTEN_S = 300.0

_log = logging.getLogger(__name__)


class Standing:
    """The standing of one backend.

    Args:
        backend: its name, for people.
        clock: its monotonic time.
        calm_s: seconds without a failure before it counts as back.
    """

    def __init__(self, backend: str, *, clock: Clock, calm_s: float = 5.0) -> None:
        self._backend = backend
        self._clock = clock
        self._calm_s = calm_s
        self._failing: set[str] = set()
        self._failed_s: float | None = None

    def failed(self, kind: str, reason: str, error: Exception) -> None:
        """A call of this kind failed."""
        if self._failed_s is None:
            told = error.message if isinstance(error, CouncilorError) else type(error).__name__
            _log.warning(
                "a backend fails, another answers",
                extra={"backend": self._backend, "call": kind, "reason": reason, "problem": told},
            )
        self._failing.add(kind)
        self._failed_s = self._clock.monotonic()

    def worked(self, kind: str) -> None:
        """A call of this kind worked."""
        if self._failed_s is None:
            return
        self._failing.discard(kind)
        calm_s = self._clock.monotonic() - self._failed_s
        if calm_s >= (FORGOTTEN_S if self._failing else self._calm_s):
            self._failed_s = None
            self._failing.clear()
            _log.info("the backend answers again", extra={"backend": self._backend})
