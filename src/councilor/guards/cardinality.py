"""How many series there may be: which labels of a call are kept, and which become `other`.

Rules:
- A closed label keeps its declared values, an open one the first `cap` different ones that are printable and at most
  `MOST_VALUE_CHARS` long. Every other value is `other`, whatever it is; an object's own `__str__` is never asked.
- A metric keeps its first `max_sets` combinations of labels. Further ones go to its overflow series, all of whose
  labels are `other`.
- All series together stay within the budget. Where not even an overflow series fits, the value is dropped.
- What counts these very losses (`OWN`) has its room from the start.
- What is kept here is bounded by the catalogue, never by what callers pass.

It neither counts nor locks: `Instruments` does both. Each backend has a `Cardinality` of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from councilor.domain.metric import CATALOGUE, OTHER, SERIES_BUDGET, Label, Metric
from councilor.ports.metrics import Labels

__all__ = ["MOST_VALUE_CHARS", "OWN", "Admission", "Cardinality"]

MOST_VALUE_CHARS = 100
"""The longest value of an open label. Names of tests, paths and sentences are no labels."""

OWN = frozenset({"v3.metrics.overflow", "v3.metrics.failures"})
"""The metrics about metrics."""


class Admission(NamedTuple):
    """What becomes of a call's labels."""

    values: tuple[str, ...] | None
    """The label values in their declared order; None where nothing fits any more."""
    folded: bool
    """Whether a value was replaced by `other`, or lost."""


class Cardinality:
    """Which combinations of labels exist.

    Args:
        budget: most series of all metrics together.
        catalogue: every metric that there is.
    """

    def __init__(self, *, budget: int = SERIES_BUDGET, catalogue: Mapping[str, Metric] = CATALOGUE) -> None:
        own = [catalogue[name] for name in OWN if name in catalogue]
        self._room = budget - sum(metric.max_series + _series(metric) for metric in own)
        self._sets: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
        self._seen: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def admit(self, metric: Metric, labels: Labels) -> Admission:
        """Decide on one call's labels; a combination that is admitted once is admitted for good."""
        given = [_text(labels.get(label.name, "")) for label in metric.labels]
        values = tuple(self._kept(metric, label, value) for label, value in zip(metric.labels, given, strict=True))
        if self._has_room(metric, values):
            return Admission(values, folded=list(values) != given)
        other = _overflow(metric)
        return Admission(other if self._has_room(metric, other) else None, folded=True)

    def _kept(self, metric: Metric, label: Label, value: str | None) -> str:
        if value is None:
            return OTHER
        if value in ("", OTHER) or value in label.values:
            return value
        seen = self._seen[metric.id, label.name]
        return value if value in seen or len(seen) < label.cap else OTHER

    def _has_room(self, metric: Metric, values: tuple[str, ...]) -> bool:
        sets, other = self._sets[metric.id], _overflow(metric)
        if values in sets:
            return True
        full = len(sets) - (other in sets) >= metric.max_sets and values != other
        cost = 0 if metric.id in OWN else _series(metric)
        if full or cost > max(self._room, 0):
            return False
        self._room -= cost
        sets.add(values)
        for label, value in zip(metric.labels, values, strict=True):
            if not label.values and value not in ("", OTHER):
                self._seen[metric.id, label.name].add(value)
        return True


def _overflow(metric: Metric) -> tuple[str, ...]:
    return (OTHER,) * len(metric.labels)


def _series(metric: Metric) -> int:
    """Of one combination of labels."""
    return metric.max_series // metric.max_sets


def _text(value: object) -> str | None:
    """None for what no label may be."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool | int | float):
        value = str(value)
    if not isinstance(value, str) or len(value) > MOST_VALUE_CHARS or not value.isprintable():
        return None
    return str(value)
