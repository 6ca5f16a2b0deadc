"""What waits to be sent to StatsD: sums of counters, the last value of gauges, and every observation.

Rules:
- A counter's values are added up and a gauge's last one stands, so that both take one line however often they are set.
- At most `MOST_SAMPLES` observations wait; one more is dropped and counted.
- Whatever waits is bounded: the series are, by the catalogue, and the observations are.

Safe to use from several threads, and by a signal's handler in the middle of another change; nothing here waits for
anything but the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import RLock

from councilor.adapters.statsd.wire import Line

__all__ = ["MOST_SAMPLES", "Batch", "Buffer"]

MOST_SAMPLES = 20_000
"""Some 1.5 MB on the wire."""

_MANY_SAMPLES = 2_000


@dataclass(kw_only=True, slots=True)
class Batch:
    """What came together since the last one was taken."""

    sums: dict[Line, float] = field(default_factory=dict)
    """Counters."""
    levels: dict[Line, float] = field(default_factory=dict)
    """Gauges."""
    samples: list[tuple[Line, float]] = field(default_factory=list)
    """Observations, in their order."""
    dropped: int = 0
    """Observations that there was no room for."""

    def values(self) -> Iterator[tuple[Line, float]]:
        """Everything to send."""
        yield from self.sums.items()
        yield from self.levels.items()
        yield from self.samples


class Buffer:
    """Collects values until they are taken.

    Args:
        hurry: called when many observations wait, so that they are taken before there is no room.
    """

    def __init__(self, hurry: Callable[[], None]) -> None:
        self._hurry = hurry
        self._lock = RLock()
        self._batch = Batch()

    def add(self, line: Line, v: float) -> None:
        """To a counter."""
        amount = float(v)
        with self._lock:
            sums = self._batch.sums
            sums[line] = sums.get(line, 0.0) + amount

    def put(self, line: Line, v: float) -> None:
        """As a gauge's value."""
        level = float(v)
        with self._lock:
            self._batch.levels[line] = level

    def append(self, line: Line, v: float) -> None:
        """To a histogram's observations."""
        sample = line, float(v)
        with self._lock:
            waiting = len(self._batch.samples)
            if waiting < MOST_SAMPLES:
                self._batch.samples.append(sample)
            else:
                self._batch.dropped += 1
        if waiting == _MANY_SAMPLES:
            self._hurry()

    def take(self) -> Batch:
        """Everything that waits."""
        with self._lock:
            taken, self._batch = self._batch, Batch()
        return taken

    def drop_samples(self) -> int:
        """Give up all observations, because nobody can be told in time; sums and levels wait on. Gives how many."""
        with self._lock:
            count = len(self._batch.samples) + self._batch.dropped
            self._batch.samples, self._batch.dropped = [], 0
        return count
