"""The numbers behind the series: one cell for each combination of labels.

Rules:
- A change is whole: a scrape sees an observation in a histogram's bucket, count and sum, or in none of them.
- A bucket holds what is at most its edge; as text, buckets add up.
- A signal's handler or a destructor that measures in the middle of another change does not wait for itself for ever:
  the locks are re-entrant.

prometheus_client's own cells take several times as long for one change (docs/adr/0008-metrics.md) and change a
histogram in two steps.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from threading import RLock

__all__ = ["Distribution", "Number"]


class Number:
    """A counter's or a gauge's value."""

    __slots__ = ("_lock", "_value")

    def __init__(self) -> None:
        self._lock = RLock()
        self._value = 0.0

    def add(self, v: float) -> None:
        """Count."""
        with self._lock:
            self._value += v

    def put(self, v: float) -> None:
        """Set."""
        self._value = v

    def read(self) -> tuple[float]:
        """The value."""
        return (self._value,)


class Distribution:
    """A histogram's observations.

    Args:
        edges: of its buckets, ascending, without infinity.
    """

    __slots__ = ("_counts", "_edges", "_lock", "_sum")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self._edges = edges
        self._lock = RLock()
        self._counts = [0] * (len(edges) + 1)
        self._sum = 0.0

    def observe(self, v: float) -> None:
        """Put one observation into its bucket."""
        place = bisect_left(self._edges, v)
        with self._lock:
            self._sum += v
            self._counts[place] += 1

    def read(self) -> tuple[float, ...]:
        """How many are at most each edge and infinity, how many there are, and their sum."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        upto = list(accumulate(counts))
        return (*upto, upto[-1], total)
