"""The order in which one job's tests are handed out, and where it ends.

Rules:
- The collected order is kept, so that fixtures of classes, modules and sessions live as long as in any run; only what
  the request names comes first.
- Tests that share a node id are all handed out.
- After the budget's end, and after a failure where that ends the run, only what must run is left. A test that was
  announced already runs: fixtures were kept for it.
- A test that is known to take longer than what is left of the budget is not begun.

It runs nothing and judges no outcome.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from councilor.adapters.analyzers.pytest.source import base_id, file_of

__all__ = ["Budget", "Lineup"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What one job may take, and what comes first in it; times are the clock's monotonic seconds."""

    ends: float | None = None
    """No test is begun from then on; None: all are begun."""
    first: tuple[str, ...] = ()
    """Node ids, with or without parameters, and files."""
    known_s: Mapping[str, float] = field(default_factory=dict)
    """Seconds that tests are known to take."""


class Lineup:
    """The tests of one job that have not been handed out yet.

    Args:
        collected: node ids in the collected order; a test is handed out by its index in it.
        wanted: whether to run a test at all.
        must: whether to run it whatever happens.
        now: the clock.
    """

    def __init__(
        self,
        collected: Sequence[str],
        *,
        wanted: Callable[[str], bool],
        must: Callable[[str], bool],
        budget: Budget,
        now: Callable[[], float],
    ) -> None:
        tests = [(index, nodeid) for index, nodeid in enumerate(collected) if wanted(nodeid)]
        self._queue = deque(_ordered(tests, budget.first) if budget.first else tests)
        self._must, self._budget, self._now = must, budget, now
        self.unrun: list[str] = []
        """Tests that the budget left out."""

    def next(self) -> tuple[int, str] | None:
        """Index and node id of the test to run now; None when there is no other."""
        left_s = None if self._budget.ends is None else self._budget.ends - self._now()
        while self._queue:
            index, nodeid = self._queue.popleft()
            if left_s is None or self._must(nodeid) or 0 < left_s >= self._budget.known_s.get(nodeid, 0.0):
                return index, nodeid
            self.unrun.append(nodeid)
        return None

    def cut(self) -> None:
        """Leave only what must run."""
        self._queue = deque(each for each in self._queue if self._must(each[1]))

    @property
    def left(self) -> list[str]:
        """Tests that were not handed out, whatever the reason."""
        return [*self.unrun, *(nodeid for _, nodeid in self._queue)]


def _ordered(tests: Sequence[tuple[int, str]], first: Sequence[str]) -> list[tuple[int, str]]:
    ranks = {name: rank for rank, name in reversed([*enumerate(first)])}

    def place(test: tuple[int, str]) -> tuple[int, int]:
        index, nodeid = test
        bare = base_id(nodeid)
        names = (nodeid, bare, bare.rpartition("::")[0], file_of(nodeid))
        return min((ranks[name] for name in names if name in ranks), default=len(ranks)), index

    return sorted(tests, key=place)
