"""Several metrics backends as one: each gets every call, and none can stop another or the caller.

Rules:
- A backend that raises has its value dropped; the others still get theirs. It is counted in `v3.metrics.failures`, and
  logged when it begins to fail and when it works again.
- Nothing that a backend raises reaches the caller, short of the interpreter being ended.
- One that cannot bind labels has no part in what was bound.

It checks nothing: whatever is wrong with a call, each backend judges by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from councilor.guards.cardinality import OWN
from councilor.guards.instruments import shown_error, shown_name
from councilor.ports.metrics import Labels, MetricsBackend

__all__ = ["Fanout"]

_log = logging.getLogger(__name__)
_Emits = list[tuple[str, Callable[[str, Labels, float], None]]]
"""One kind of call of each backend, by the backend's name."""


class Fanout:
    """A `MetricsBackend` that hands every call to several.

    Args:
        backends: by name, as in `v3.metrics.failures`.
        whole: what this is a part of with labels fixed beforehand; None for a whole one.
    """

    def __init__(self, backends: Mapping[str, MetricsBackend], *, whole: Fanout | None = None) -> None:
        self._whole = whole or self
        self._backends = dict(backends)
        self._counters: _Emits = [(name, metrics.counter) for name, metrics in backends.items()]
        self._gauges: _Emits = [(name, metrics.gauge) for name, metrics in backends.items()]
        self._histograms: _Emits = [(name, metrics.histogram) for name, metrics in backends.items()]
        self._failing: set[str] = set()

    def counter(self, name: str, labels: Labels, v: float = 1) -> None:
        """Add v >= 0 in each."""
        self._hand_on(self._counters, name, labels, v)

    def gauge(self, name: str, labels: Labels, v: float) -> None:
        """Set in each."""
        self._hand_on(self._gauges, name, labels, v)

    def histogram(self, name: str, labels: Labels, v: float) -> None:
        """Observe v in each."""
        self._hand_on(self._histograms, name, labels, v)

    def bind(self, labels: Labels) -> MetricsBackend:
        """The same backends with `labels` added to every call."""
        bound = {}
        for backend, metrics in self._backends.items():
            try:
                bound[backend] = metrics.bind(labels)
            except Exception as error:
                self._whole._fail(backend, "bind", error)
        return Fanout(bound, whole=self._whole)

    def _hand_on(self, emits: _Emits, name: str, labels: Labels, v: float) -> None:
        for backend, emit in emits:
            try:
                emit(name, labels, v)
            except Exception as error:
                self._whole._fail(backend, name, error)
            else:
                if backend in self._whole._failing and shown_name(name) not in OWN:
                    self._whole._recover(backend)

    def _fail(self, backend: str, name: str, error: Exception) -> None:
        shown = shown_name(name)
        if backend not in self._failing:
            self._failing.add(backend)
            told = {"backend": backend, "metric": shown, "problem": shown_error(error)}
            _log.warning("a metrics backend fails", extra=told)
        if shown not in OWN:
            self.counter("v3.metrics.failures", {"backend": backend})

    def _recover(self, backend: str) -> None:
        self._failing.discard(backend)
        _log.warning("a metrics backend works again", extra={"backend": backend})
