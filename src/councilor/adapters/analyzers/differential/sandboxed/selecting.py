"""Which inputs tell the candidate from the other versions, and which of them are worth showing.

Rules:
- Screening runs all inputs of a version in one process; so what is chosen is confirmed: each input alone, twice, with
  another random seed the second time. An outcome that is not the same both times counts as none.
- Chosen is the input that tells most weight of versions apart that no chosen one does yet, less for what is hard to
  read; it is shrunk, and then run on every version again. Where an argument is just of the wrong type comes after
  that, and differences in nothing but the words of an exception last.
- A crash is an input on which the base gave a value and the candidate raises what nobody means to raise, or never ends.

Python 3.9 and later, standard library only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from scenario import Outcome, Scenario  # type: ignore[import-not-found]  # it stands beside this file
from shrinking import shrunk  # type: ignore[import-not-found]  # the same

__all__ = ["Comparison"]

BASE = "base"
CRASHES = frozenset(
    {"TypeError", "AttributeError", "NameError", "UnboundLocalError", "IndexError", "KeyError", "RecursionError"}
)
MISUSE = frozenset({"TypeError", "AttributeError"})
MOST_CRASHES, TRIES = 4, 30
CHUNK, PLENTY = 120, 25
"""How many inputs a version runs at once, and with how many differences it is told apart well enough."""


class Comparison:
    """The candidate beside the other versions.

    Args:
        weights: version -> how much it matters that it is told apart.
        until_s: when to stop, on the monotonic clock.
    """

    def __init__(self, candidate: Any, others: dict[str, Any], weights: dict[str, float], until_s: float) -> None:
        self._candidate, self._others, self._weights, self._until_s = candidate, others, weights, until_s
        self._inputs: list[Scenario] = []
        self._ours: list[Outcome] = []
        self._told: dict[int, dict[str, Outcome]] = {}
        self._crashing: list[int] = []
        self._compared: dict[str, int] = {}
        self._differing: dict[str, int] = {}

    def screen(self, inputs: list[Any], places: dict[str, frozenset[int] | None], until_s: float) -> None:
        """Run inputs on the versions whose difference they execute.

        Args:
            inputs: with the candidate's outcome and lines.
            places: version -> the lines in which it differs; None where that is not known.
        """
        self._inputs = [each.scenario for each in inputs]
        self._ours = [each.outcome for each in inputs]
        waiting: dict[str, list[int]] = {}
        for name in self._others:
            lines = places.get(name)
            waiting[name] = [
                index
                for index, each in enumerate(inputs)
                if (each.outcome.told or name == BASE) and (lines is None or not lines.isdisjoint(each.lines))
            ]
        while waiting and time.monotonic() < until_s:
            for name in list(waiting):
                some, waiting[name] = waiting[name][:CHUNK], waiting[name][CHUNK:]
                self._compare(name, some, until_s)
                if not waiting[name] or self._differing.get(name, 0) >= PLENTY:
                    del waiting[name]

    def _compare(self, name: str, indices: list[int], until_s: float) -> None:
        theirs = self._others[name].outcomes([self._inputs[index] for index in indices], until_s)
        for index, outcome in zip(indices, theirs):  # noqa: B905  # Python 3.9
            self._note(name, index, outcome)

    def _note(self, name: str, index: int, outcome: Outcome | None) -> None:
        mine = self._ours[index]
        if outcome is None:
            return
        self._compared[name] = self._compared.get(name, 0) + 1
        if name == BASE and outcome.kind == "value" and _is_crash(mine):
            self._crashing.append(index)
        if mine.told and _differ(mine, outcome):
            self._differing[name] = self._differing.get(name, 0) + _differ_plainly(mine, outcome)
            self._told.setdefault(index, {})[name] = outcome

    def counts(self) -> dict[str, Any]:
        """How many inputs were tried, compared and found to differ."""
        return {
            "tried": len(self._inputs),
            "compared": self._compared,
            "differing": self._differing,
            "loaded": [name for name, version in self._others.items() if version.loaded],
        }

    def findings(self) -> Iterator[dict[str, Any]]:
        """A message for each input that is worth showing."""
        yield from self._crashes()
        told: set[str] = set()
        for differ in (_differ_well, _differ_plainly, _differ):
            weighed = {
                index: {name for name, outcome in outcomes.items() if differ(self._ours[index], outcome)} - told
                for index, outcomes in self._told.items()
            }
            yield from self._chosen(weighed, differ, told)

    def _chosen(
        self, told_by: dict[int, set[str]], differ: Callable[[Outcome, Outcome], bool], told: set[str]
    ) -> Iterator[dict[str, Any]]:
        """Inputs one by one, until every version is told apart that any input tells; notes which are."""
        for _ in range(TRIES):
            left = {name for names in told_by.values() for name in names} - told
            best = max(told_by, key=lambda index: self._worth(index, told_by[index] & left), default=None)
            if best is None or not told_by[best] & left or time.monotonic() >= self._until_s:
                return
            scenario, outcomes = self._shown(self._inputs[best], told_by.pop(best) & left, differ)
            found = {name for name, outcome in outcomes.items() if name and differ(outcomes[""], outcome)}
            if found & left:
                told |= found
                yield _message("difference", scenario, outcomes)

    def _worth(self, index: int, names: set[str]) -> float:
        weight = sum(self._weights.get(name, 1.0) for name in names)
        lines, length, odd = self._inputs[index].cost
        return weight - min(0.9, 0.12 * lines + length / 250 + 0.1 * odd) if weight else -1.0

    def _crashes(self) -> Iterator[dict[str, Any]]:
        seen: set[tuple[str, str]] = set()
        for index in sorted(self._crashing, key=lambda each: self._inputs[each].cost)[:TRIES]:
            mine, scenario = self._ours[index], self._inputs[index]
            if (scenario.place, mine.type or mine.kind) in seen:
                continue
            if len(seen) >= MOST_CRASHES or time.monotonic() >= self._until_s:
                return
            outcomes = self._confirmed(scenario, {BASE})
            if outcomes and _is_crash(outcomes[""]) and outcomes.get(BASE, mine).kind == "value":
                seen.add((scenario.place, mine.type or mine.kind))
                yield _message("crash", scenario, outcomes)

    def _shown(
        self, scenario: Scenario, names: set[str], differ: Callable[[Outcome, Outcome], bool]
    ) -> tuple[Scenario, dict[str, Outcome]]:
        """The shrunk scenario with its confirmed outcomes; none when nothing can be confirmed."""
        confirmed = self._confirmed(scenario, names)
        must = sorted(name for name in names if name in confirmed and differ(confirmed[""], confirmed[name]))
        if not must:
            return scenario, {}
        third_s = time.monotonic() + (self._until_s - time.monotonic()) / 3
        short = shrunk(scenario, lambda some: self._tell(some, must, differ), third_s)
        outcomes = self._confirmed(short, set(self._others))
        if all(name in outcomes and differ(outcomes[""], outcomes[name]) for name in must):
            return short, outcomes
        return scenario, self._confirmed(scenario, set(self._others)) or confirmed

    def _tell(
        self, scenarios: list[Scenario], names: list[str], differ: Callable[[Outcome, Outcome], bool]
    ) -> list[bool]:
        mine = self._candidate.outcomes(scenarios, self._until_s)
        tell = [outcome is not None and outcome.told for outcome in mine]
        for name in names:
            asked = [index for index, does in enumerate(tell) if does]
            theirs = self._others[name].outcomes([scenarios[index] for index in asked], self._until_s)
            for index, outcome in zip(asked, theirs):  # noqa: B905  # Python 3.9
                ours = mine[index]
                tell[index] = (
                    ours is not None and outcome is not None and outcome.kind != "setup" and differ(ours, outcome)
                )
        return tell

    def _confirmed(self, scenario: Scenario, names: set[str]) -> dict[str, Outcome]:
        """Version -> its outcome, if it is twice the same; the candidate's under an empty name. Empty without that."""
        until_s = self._until_s + 1.0
        found: dict[str, Outcome] = {}
        for name in ("", *sorted(names)):
            version = self._others[name] if name else self._candidate
            first = version.outcomes([scenario], until_s, alone=True)[0]
            second = version.outcomes([scenario], until_s, alone=True, seed=1)[0]
            if first is not None and first == second:
                found[name] = first
            elif not name:
                return {}
        return found


def _is_crash(outcome: Outcome) -> bool:
    return outcome.kind in ("slow", "died") or (outcome.kind == "raised" and outcome.type in CRASHES)


def _differ(one: Outcome, other: Outcome) -> bool:
    return (one.kind, one.text) != (other.kind, other.text)


def _differ_plainly(one: Outcome, other: Outcome) -> bool:
    """Whether they differ in more than the words of one kind of exception."""
    return _differ(one, other) and not (one.kind == other.kind == "raised" and one.type == other.type)


def _differ_well(one: Outcome, other: Outcome) -> bool:
    """Whether they differ plainly, and neither is what any code does with an argument of the wrong type."""
    return _differ_plainly(one, other) and not {one.type, other.type} & MISUSE


def _message(kind: str, scenario: Scenario, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    return {
        kind: {
            "imports": scenario.imports, "setup": scenario.setup, "call": scenario.call, "source": scenario.source,
            "place": scenario.place, "outcomes": outcomes,
        }
    }  # fmt: skip
