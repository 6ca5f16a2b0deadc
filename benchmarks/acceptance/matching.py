"""Chooses wrong patches that look like the right ones, so that size betrays nothing; and says how well that went.

Rules:
- Of all patches that bases offer, `per_right` for each right one, at most `MOST_OF_BASE` of a base and two of a kind.
- One in three passes all visible tests (`HARD_SHARE`), as published measurements of wrong patches find (.22 to .36): so
  the baseline's rate is a property of this mix, and no finding. The share among all that was offered is told apart.
- Kinds come near to `MIX`; lines, hunks and characters near to those of right patches: a seeded search by exchanges.
- The check is the area under the curve of each size as a discriminator (.5: it tells nothing) with Mann and Whitney's
  test. Source: Mann and Whitney 1947, with the normal approximation and ties corrected.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from acceptance.cases import Case, Kind, Size

__all__ = ["Check", "check", "choose"]

HARD_SHARE = 1 / 3
MOST_OF_BASE, MOST_OF_KIND = 4, 2
MIX: Mapping[Kind, float] = {
    Kind.LINE: 0.18, Kind.NEAR: 0.27, Kind.ELSEWHERE: 0.35, Kind.PARTIAL: 0.07, Kind.SPLICE: 0.13,
}  # fmt: skip
EXCHANGES = 12_000
SIZES: Mapping[str, Callable[[Size], int]] = {
    "lines": lambda size: size.lines,
    "hunks": lambda size: size.hunks,
    "characters": lambda size: size.characters,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """How well a size tells wrong from right."""

    area: float
    """P(a wrong one is larger than a right one), ties half."""
    p_value: float
    """Two-sided: how likely such a difference is by chance."""


def choose(rights: Sequence[Size], offered: Sequence[Case], *, number: int, seed: int) -> list[Case]:
    """The wrong patches of the plain arm, in the order in which they were offered."""
    search = _Search(rights, offered, number, random.Random(seed))
    search.run()
    return [offered[index] for index in sorted(search.chosen)]


class _Search:
    """Exchanges chosen patches for others while that brings the choice nearer to what is wanted."""

    def __init__(self, rights: Sequence[Size], offered: Sequence[Case], number: int, dice: random.Random) -> None:
        self._offered, self._dice = offered, dice
        self._above = [[_share_below(rights, of, case.size) for of in SIZES.values()] for case in offered]
        self._hunks = Counter(min(size.hunks, 3) for size in rights)
        self._rights = len(rights)
        order = list(range(len(offered)))
        dice.shuffle(order)
        self.chosen: set[int] = set()
        for index in order:
            if len(self.chosen) < number and self._allowed(index, None):
                self.chosen.add(index)

    def run(self) -> None:
        """Improve the choice."""
        best = self._distance()
        spare = sorted(set(range(len(self._offered))) - self.chosen)
        for _ in range(EXCHANGES if spare and self.chosen else 0):
            gone, place = self._dice.choice(sorted(self.chosen)), self._dice.randrange(len(spare))
            new = spare[place]
            if not self._allowed(new, gone):
                continue
            self.chosen.symmetric_difference_update({gone, new})
            distance = self._distance()
            if distance < best:
                best, spare[place] = distance, gone
            else:
                self.chosen.symmetric_difference_update({gone, new})

    def _allowed(self, index: int, without: int | None) -> bool:
        case = self._offered[index]
        same = [self._offered[each] for each in self.chosen if each != without]
        of_base = [each for each in same if each.base == case.base]
        return len(of_base) < MOST_OF_BASE and sum(each.kind is case.kind for each in of_base) < MOST_OF_KIND

    def _distance(self) -> float:
        number = len(self.chosen)
        cases = [self._offered[index] for index in self.chosen]
        areas = [sum(self._above[index][size] for index in self.chosen) / number for size in range(len(SIZES))]
        kinds, hunks = Counter(case.kind for case in cases), Counter(min(case.size.hunks, 3) for case in cases)
        hard = sum(case.hard for case in cases) / number
        return (
            6 * sum(abs(area - 0.5) for area in areas)
            + sum(abs(hunks[each] / number - self._hunks[each] / self._rights) for each in (1, 2, 3))
            + 6 * abs(hard - HARD_SHARE)
            + sum(abs(kinds[kind] / number - share) for kind, share in MIX.items())
        )


def _share_below(rights: Sequence[Size], of: Callable[[Size], int], size: Size) -> float:
    value = of(size)
    return sum((of(each) < value) + 0.5 * (of(each) == value) for each in rights) / len(rights)


def check(rights: Sequence[Size], wrongs: Sequence[Size]) -> dict[str, Check]:
    """How well each size tells wrong from right."""
    return {name: _check([of(size) for size in rights], [of(size) for size in wrongs]) for name, of in SIZES.items()}


def _check(rights: Sequence[int], wrongs: Sequence[int]) -> Check:
    one, two = len(rights), len(wrongs)
    if not one or not two:
        return Check(area=0.5, p_value=1.0)
    wins = sum((right < wrong) + 0.5 * (right == wrong) for right in rights for wrong in wrongs)
    ties = sum(count**3 - count for count in Counter([*rights, *wrongs]).values())
    total = one + two
    variance = one * two / 12 * (total + 1 - ties / (total * (total - 1)))
    z = abs(wins - one * two / 2) / math.sqrt(variance) if variance else 0.0
    return Check(area=wins / (one * two), p_value=math.erfc(z / math.sqrt(2)))
