"""Chooses wrong patches that look like the right ones, so that size betrays nothing; and says how well that went.

Rules:
- Of all patches that bases offer, `per_right` for each right one, at most `MOST_OF_BASE` of a base and two of a kind.
- 28 of 100 pass all visible tests (`HARD_SHARE`), as measured before on planted wrong patches (.22 to .29): so the
  baseline's rate is a property of this mix, and no finding. The share among all that was offered is told apart.
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

HARD_SHARE = 0.28
MOST_OF_BASE, MOST_OF_KIND = 4, 2
MIX: Mapping[Kind, float] = {
    Kind.LINE: 0.18, Kind.NEAR: 0.27, Kind.ELSEWHERE: 0.35, Kind.PARTIAL: 0.07, Kind.SPLICE: 0.13,
}  # fmt: skip
EXCHANGES = 20_000
HUNKS = (1, 2, 3)
"""The last one stands for more, too."""
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
    """Exchanges chosen patches for others while that brings the choice nearer to what is wanted.

    Each patch is a row of numbers whose mean over the choice has a target: shares below it in size, its hunks, whether
    it is hard, its kind.
    """

    def __init__(self, rights: Sequence[Size], offered: Sequence[Case], number: int, dice: random.Random) -> None:
        self._offered, self._dice = offered, dice
        hunks = Counter(min(size.hunks, 3) for size in rights)
        targets = [*[0.5] * len(SIZES), *(hunks[each] / len(rights) for each in HUNKS), HARD_SHARE, *MIX.values()]
        weights = [*[6.0] * len(SIZES), *[1.0] * len(HUNKS), 6.0, *[1.0] * len(MIX)]
        self._wanted = list(zip(targets, weights, strict=True))
        self._rows = [_row(rights, case) for case in offered]
        self._taken: Counter[tuple[str, Kind | None]] = Counter()
        self._sums = [0.0] * len(targets)
        self.chosen: list[int] = []
        order = list(range(len(offered)))
        dice.shuffle(order)
        for index in order:
            if len(self.chosen) < number and self._allowed(index):
                self.chosen.append(index)
                self._count(index, 1)

    def run(self) -> None:
        """Improve the choice."""
        best, spare = self._distance(), sorted(set(range(len(self._offered))) - set(self.chosen))
        for _ in range(EXCHANGES if spare and self.chosen else 0):
            place, other = self._dice.randrange(len(self.chosen)), self._dice.randrange(len(spare))
            gone, new = self.chosen[place], spare[other]
            self._count(gone, -1)
            allowed = self._allowed(new)
            self._count(new, 1)
            distance = self._distance()
            if allowed and distance < best:
                best, self.chosen[place], spare[other] = distance, new, gone
            else:
                self._count(new, -1)
                self._count(gone, 1)

    def _count(self, index: int, sign: int) -> None:
        case = self._offered[index]
        self._taken[case.base, None] += sign
        self._taken[case.base, case.kind] += sign
        for column, value in enumerate(self._rows[index]):
            self._sums[column] += sign * value

    def _allowed(self, index: int) -> bool:
        case = self._offered[index]
        return self._taken[case.base, None] < MOST_OF_BASE and self._taken[case.base, case.kind] < MOST_OF_KIND

    def _distance(self) -> float:
        number = len(self.chosen) or 1
        pairs = zip(self._sums, self._wanted, strict=True)
        return sum(weight * abs(total / number - target) for total, (target, weight) in pairs)


def _row(rights: Sequence[Size], case: Case) -> list[float]:
    return [
        *(_share_below(rights, of, case.size) for of in SIZES.values()),
        *(float(min(case.size.hunks, 3) == each) for each in HUNKS),
        float(case.hard),
        *(float(case.kind is kind) for kind in MIX),
    ]


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
