"""What was measured, and what is made of it.

Rules:
- A ratio compares blocks of one round, which ran within seconds of each other, and is the median over the rounds that
  both took part in: what slows the machine for a while slows both.
- A rate is operations by the seconds that they took.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["OPERATIONS", "Record", "quantile", "table"]

OPERATIONS = ("put", "get", "latest")


@dataclass
class Record:
    """One contender's blocks."""

    name: str
    blocks: dict[str, dict[int, list[float]]] = field(default_factory=lambda: defaultdict(dict))
    """Operation -> round -> the seconds of each operation."""

    def add(self, operation: str, number: int, seconds: Sequence[float]) -> None:
        """Note a block."""
        self.blocks[operation][number] = list(seconds)

    def spent_s(self, operation: str) -> float:
        """What an operation took so far."""
        return sum(sum(block) for block in self.blocks[operation].values())

    def count(self, operation: str) -> int:
        """How many there were."""
        return sum(len(block) for block in self.blocks[operation].values())

    def per_s(self, operation: str) -> float:
        """Operations a second."""
        return self.count(operation) / self.spent_s(operation)

    def quantile_ms(self, operation: str, share: float) -> float:
        """A quantile of the single operations."""
        return 1000 * quantile([each for block in self.blocks[operation].values() for each in block], share)

    def times_as_fast(self, other: Record, operation: str) -> float:
        """How many times as many operations this one does in the same time."""
        mine, theirs = self.blocks[operation], other.blocks[operation]
        return statistics.median(
            statistics.mean(theirs[number]) / statistics.mean(mine[number]) for number in sorted({*mine} & {*theirs})
        )


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def table(ours: Record, others: Sequence[Record]) -> str:
    """Every contender's figures in lines."""
    lines = [f"{'':<32}" + "".join(f"{name:>10}{'per s':>9}{'p50 ms':>9}{'p95 ms':>9}{'x':>7}" for name in OPERATIONS)]
    for record in (ours, *others):
        cells = [
            f"{record.count(name):>10}{record.per_s(name):>9.1f}{record.quantile_ms(name, 0.5):>9.2f}"
            f"{record.quantile_ms(name, 0.95):>9.2f}{ours.times_as_fast(record, name):>7.1f}"
            for name in OPERATIONS
        ]
        lines.append(f"{record.name:<32}" + "".join(cells))
    return "\n".join(lines)
