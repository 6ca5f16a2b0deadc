"""A metrics backend on top of any way to write a number: the rules that hold for every backend, in one place.

Rules:
- A call never raises, whatever it is given. One that cannot be taken (not in the catalogue, another kind, no finite
  number, a counter or duration below zero, a backend that raises) is dropped, counted in `v3.metrics.failures`, and
  logged once for each metric and reason.
- A value that is refused makes no series: a gauge that nobody measured would be a zero.
- A label that is not declared is left out; one that is missing is empty. What else becomes of labels, `Cardinality`
  decides; each value whose labels it folded is counted in `v3.metrics.overflow`.
- Safe to use from several threads: what is found once is found again in one dictionary, without a lock.
- What is kept is bounded by the catalogue: only labels that are declared and were admitted as they are get an entry.

It has no series of its own and sends nothing.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Hashable, Mapping
from operator import itemgetter
from threading import RLock

from councilor.domain.metric import CATALOGUE, Metric, MetricKind
from councilor.guards.cardinality import OWN, Cardinality
from councilor.ports.metrics import Labels, MetricsBackend

__all__ = ["Instruments", "Write", "shown_error", "shown_name"]

Write = Callable[[float], None]
"""Adds to, sets or observes one series."""

_Shelf = tuple[Callable[[Labels], Hashable], int, dict[Hashable, Write]]
"""Of one metric: what takes the label values out of a call in declared order, how many, and what is found by them."""

_log = logging.getLogger(__name__)
_MOST = sys.float_info.max
_MOST_COMPLAINTS = 256
_MOST_SHOWN_CHARS = 100
_NO_AMOUNT = "not a finite number, or below zero"
_NO_NUMBER = "not a finite number"


class Instruments:
    """A `MetricsBackend` that writes through what `make` gives.

    Args:
        make: gives the way to write one series: its metric, and its label values in declared order. It is called once
            for each series, never by two threads at a time.
        backend: the backend's name, for what is counted and logged about it.
        cardinality: how many series it takes.
        catalogue: every metric that there is.
        report: where this backend's own failures are counted; None for in itself.
    """

    def __init__(
        self,
        make: Callable[[Metric, tuple[str, ...]], Write],
        *,
        backend: str,
        cardinality: Cardinality,
        catalogue: Mapping[str, Metric] = CATALOGUE,
        report: MetricsBackend | None = None,
    ) -> None:
        self._make = make
        self._backend = backend
        self._cardinality = cardinality
        self._catalogue = catalogue
        self._report: MetricsBackend = report or self
        self._lock = RLock()
        self._made: dict[tuple[str, tuple[str, ...]], Write] = {}
        self._complaints: set[tuple[str, str]] = set()
        self._shelves = {
            kind: {metric.id: _shelf(metric) for metric in catalogue.values() if metric.kind is kind}
            for kind in MetricKind
        }
        self._counters = self._shelves[MetricKind.COUNTER]
        self._gauges = self._shelves[MetricKind.GAUGE]
        self._histograms = self._shelves[MetricKind.HISTOGRAM]

    def counter(self, name: str, labels: Labels, v: float = 1) -> None:
        """Add v >= 0."""
        try:
            if not 0 <= v <= _MOST:
                raise ValueError(_NO_AMOUNT)
            try:
                pick, size, known = self._counters[name]
                write = known[pick(labels)] if len(labels) == size else self._find(MetricKind.COUNTER, name, labels)
            except KeyError:
                write = self._find(MetricKind.COUNTER, name, labels)
            write(v)
        except Exception as error:
            self.failed(name, error)

    def gauge(self, name: str, labels: Labels, v: float) -> None:
        """Set."""
        try:
            if not -_MOST <= v <= _MOST:
                raise ValueError(_NO_NUMBER)
            try:
                pick, size, known = self._gauges[name]
                write = known[pick(labels)] if len(labels) == size else self._find(MetricKind.GAUGE, name, labels)
            except KeyError:
                write = self._find(MetricKind.GAUGE, name, labels)
            write(v)
        except Exception as error:
            self.failed(name, error)

    def histogram(self, name: str, labels: Labels, v: float) -> None:
        """Observe v >= 0 in the declared unit."""
        try:
            if not 0 <= v <= _MOST:
                raise ValueError(_NO_AMOUNT)
            try:
                pick, size, known = self._histograms[name]
                write = known[pick(labels)] if len(labels) == size else self._find(MetricKind.HISTOGRAM, name, labels)
            except KeyError:
                write = self._find(MetricKind.HISTOGRAM, name, labels)
            write(v)
        except Exception as error:
            self.failed(name, error)

    def bind(self, labels: Labels) -> MetricsBackend:
        """This backend with `labels` added to every call."""
        try:
            return _Bound(self, dict(labels))
        except Exception as error:
            self.failed("bind", error)
            return self

    def failed(self, name: object, error: Exception) -> None:
        """Count a value that was not taken, and say why once."""
        shown = shown_name(name)
        reason = (shown, type(error).__name__)
        with self._lock:
            is_news = reason not in self._complaints and len(self._complaints) < _MOST_COMPLAINTS
            if is_news:
                self._complaints.add(reason)
        if is_news:
            told = {"backend": self._backend, "metric": shown, "problem": shown_error(error)}
            _log.warning("a measurement was dropped", extra=told)
        if shown not in OWN:
            self.count_lost(1)

    def count_lost(self, values: int) -> None:
        """Count values that did not get where they should."""
        self._report.counter("v3.metrics.failures", {"backend": self._backend}, values)

    def find(self, kind: MetricKind, name: str, labels: Labels) -> tuple[Write, bool]:
        """The way to write one series, and whether it is the same for these labels from now on.

        Raises:
            LookupError: the catalogue has no such metric.
            TypeError: it is of another kind.
        """
        metric = self._catalogue.get(name)
        if metric is None:
            raise LookupError("not in the metric catalogue")
        if metric.kind is not kind:
            raise TypeError(f"a {metric.kind}, not a {kind}")
        with self._lock:
            values, folded = self._cardinality.admit(metric, labels)
            write = _drop if values is None else self._made.get((metric.id, values))
            if write is None:
                assert values is not None
                write = self._made[metric.id, values] = self._make(metric, values)
        if folded and metric.id not in OWN:
            self.counter("v3.metrics.overflow", {"metric": metric.id})
        return write, not folded

    def _find(self, kind: MetricKind, name: str, labels: Labels) -> Write:
        write, lasts = self.find(kind, name, labels)
        if lasts and labels.keys() == self._catalogue[name].label_names and all(map(_is_text, labels.values())):
            pick, _, known = self._shelves[kind][name]
            known[pick(labels)] = write
        return write


class _Bound:
    """Instruments with labels fixed beforehand; what is found is kept by name alone."""

    __slots__ = ("_counters", "_gauges", "_histograms", "_labels", "_whole")

    def __init__(self, whole: Instruments, labels: dict[str, str]) -> None:
        self._whole = whole
        self._labels = labels
        self._counters: dict[str, Write] = {}
        self._gauges: dict[str, Write] = {}
        self._histograms: dict[str, Write] = {}

    def counter(self, name: str, labels: Labels, v: float = 1) -> None:
        try:
            if labels:
                return self._whole.counter(name, {**self._labels, **labels}, v)
            if not 0 <= v <= _MOST:
                raise ValueError(_NO_AMOUNT)
            write = self._counters.get(name)
            if write is None:
                write = self._find(MetricKind.COUNTER, name, self._counters)
            write(v)
        except Exception as error:
            self._whole.failed(name, error)

    def gauge(self, name: str, labels: Labels, v: float) -> None:
        try:
            if labels:
                return self._whole.gauge(name, {**self._labels, **labels}, v)
            if not -_MOST <= v <= _MOST:
                raise ValueError(_NO_NUMBER)
            write = self._gauges.get(name)
            if write is None:
                write = self._find(MetricKind.GAUGE, name, self._gauges)
            write(v)
        except Exception as error:
            self._whole.failed(name, error)

    def histogram(self, name: str, labels: Labels, v: float) -> None:
        try:
            if labels:
                return self._whole.histogram(name, {**self._labels, **labels}, v)
            if not 0 <= v <= _MOST:
                raise ValueError(_NO_AMOUNT)
            write = self._histograms.get(name)
            if write is None:
                write = self._find(MetricKind.HISTOGRAM, name, self._histograms)
            write(v)
        except Exception as error:
            self._whole.failed(name, error)

    def bind(self, labels: Labels) -> MetricsBackend:
        try:
            return _Bound(self._whole, {**self._labels, **labels})
        except Exception as error:
            self._whole.failed("bind", error)
            return self

    def _find(self, kind: MetricKind, name: str, known: dict[str, Write]) -> Write:
        write, lasts = self._whole.find(kind, name, self._labels)
        if lasts:
            known[name] = write
        return write


def _shelf(metric: Metric) -> _Shelf:
    names = [label.name for label in metric.labels]
    return (itemgetter(*names) if names else _nothing), len(names), {}


def _nothing(_labels: Labels) -> Hashable:
    return ()


def shown_name(name: object) -> str:
    """What may be a metric's name, or anything else, fit to be looked up and shown."""
    return name[:_MOST_SHOWN_CHARS] if isinstance(name, str) else f"<{type(name).__name__}>"


def shown_error(error: Exception) -> str:
    """Its class and the beginning of its message, if it has one that can be had."""
    try:
        return f"{type(error).__name__}: {error}"[:_MOST_SHOWN_CHARS]
    except Exception:
        return type(error).__name__


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _drop(_v: float) -> None:
    """For a value that no series has room for."""
