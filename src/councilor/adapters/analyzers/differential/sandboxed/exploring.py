"""More and more inputs: what executes new lines of the changed functions is varied further.

Rules:
- Each input runs on the candidate once, traced. One that executes a set of lines, or ends in a way, that no other did,
  becomes a seed itself; seeds that execute lines in which versions differ come first.
- Neighbours of the seeds first, in a fixed order, then several changes at once, drawn with a fixed seed.
- Ends when the time or `MOST` inputs are used up, or when there is no neighbour left and `IDLE` rounds of drawn inputs
  did nothing new.

Python 3.9 and later, standard library only. Source: the corpus of AFL, Zalewski 2014.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from scenario import Outcome, Scenario  # type: ignore[import-not-found]  # it stands beside this file

__all__ = ["Explorer", "Input"]

MOST, BATCH, IDLE = 2500, 120, 4


class Input(NamedTuple):
    """An input that ran on the candidate."""

    scenario: Scenario
    outcome: Outcome
    lines: frozenset[int]
    """Lines of the changed functions that it executes."""


class Explorer:
    """Runs inputs on the candidate.

    Args:
        candidate: its version.
        mutator: makes neighbours.
        telling: lines in which some version differs.
    """

    def __init__(self, candidate: Any, mutator: Any, telling: frozenset[int]) -> None:
        self._candidate, self._mutator, self._telling = candidate, mutator, telling
        self._known: set[Any] = set()
        self._seen: set[Any] = set()
        self._seeds: list[list[tuple[Scenario, Iterator[Scenario]]]] = [[], []]
        self._draw = random.Random(0)  # noqa: S311  # the same inputs each time
        self._novel: list[Input] = []
        self._others: list[Input] = []

    def explore(self, given: list[Scenario], until_s: float) -> None:
        """Run the given scenarios, and what can be made of them."""
        self._run(given, until_s)
        idle = 0
        while time.monotonic() < until_s and len(self._novel) + len(self._others) < MOST and idle < IDLE:
            batch, varied = self._batch()
            before = len(self._seen)
            self._run(batch, until_s)
            idle = 0 if varied or len(self._seen) > before else idle + 1

    @property
    def ordered(self) -> list[Input]:
        """The inputs: first those that did something new, then the rest, easy ones first."""
        return [*self._novel, *sorted(self._others, key=lambda each: each.scenario.cost[1])]

    def _run(self, scenarios: list[Scenario], until_s: float) -> None:
        new = [each for each in dict.fromkeys(scenarios) if each.key not in self._known]
        self._known.update(each.key for each in new)
        for start in range(0, len(new), BATCH):
            some = new[start : start + BATCH]
            if time.monotonic() >= until_s:
                return
            for scenario, (outcome, lines) in zip(some, self._candidate.traced(some, until_s)):  # noqa: B905  # 3.9
                if outcome is not None and outcome.kind != "setup":
                    self._take(Input(scenario, outcome, lines))

    def _take(self, found: Input) -> None:
        mark = (found.scenario.place, found.lines, found.outcome.kind, found.outcome.type)
        if (found.scenario.source == "recorded" or mark not in self._seen) and found.outcome.told:
            self._seen.add(mark)
            self._novel.append(found)
            tells = not self._telling.isdisjoint(found.lines)
            self._seeds[0 if tells else 1].append((found.scenario, self._mutator.neighbours(found.scenario)))
        else:
            self._others.append(found)

    def _batch(self) -> tuple[list[Scenario], bool]:
        """The next inputs, mostly of seeds that execute what differs, and whether neighbours are among them."""
        first, others = self._seeds
        batch = self._next(first, BATCH * 3 // 4 if others else BATCH)
        batch += self._next(others, BATCH - len(batch))
        varied = bool(batch)
        for _ in range(BATCH - len(batch)):
            seeds = first or others
            if seeds:
                drawn = self._mutator.drawn(self._draw.choice(seeds)[0], self._draw)
                batch += [] if drawn is None or drawn.key in self._known else [drawn]
        return batch, varied

    def _next(self, seeds: list[tuple[Scenario, Iterator[Scenario]]], count: int) -> list[Scenario]:
        found: list[Scenario] = []
        waiting = list(seeds)
        while waiting and len(found) < count:
            for seed in list(waiting):
                each = next(seed[1], None)
                while each is not None and each.key in self._known:
                    each = next(seed[1], None)
                if each is None:
                    waiting.remove(seed)
                else:
                    found.append(each)
        return found
