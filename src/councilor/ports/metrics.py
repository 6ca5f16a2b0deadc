"""Where measurements go. Names, units and labels are declared in `domain/metric.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["Exposition", "Labels", "MetricsBackend", "NoMetrics"]

Labels = Mapping[str, str]


class MetricsBackend(Protocol):
    """A sink for counters, gauges and histograms; never raises and never blocks."""

    def counter(self, name: str, labels: Labels, v: float = 1) -> None:
        """Add v >= 0 to a counter."""
        ...

    def gauge(self, name: str, labels: Labels, v: float) -> None:
        """Set a gauge."""
        ...

    def histogram(self, name: str, labels: Labels, v: float) -> None:
        """Observe v >= 0 in the metric's declared unit (seconds for durations)."""
        ...

    def bind(self, labels: Labels) -> MetricsBackend:
        """The same sink with these labels added to every call, for hot loops."""
        ...


class Exposition(Protocol):
    """Everything measured so far, as text that a scraper reads."""

    def render(self, accept: str) -> tuple[str, bytes]:
        """The content type and the text, in the form that an `Accept` header asks for."""
        ...


class NoMetrics:
    """The default: measurements go nowhere."""

    def counter(self, name: str, labels: Labels, v: float = 1) -> None:
        """Do nothing."""

    def gauge(self, name: str, labels: Labels, v: float) -> None:
        """Do nothing."""

    def histogram(self, name: str, labels: Labels, v: float) -> None:
        """Do nothing."""

    def bind(self, labels: Labels) -> NoMetrics:
        """This sink."""
        return self
