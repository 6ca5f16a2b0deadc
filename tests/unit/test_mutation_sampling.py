"""A sample of mutants: spread over lines and operators, and the same for the same seed."""

from __future__ import annotations

from itertools import islice

from councilor.domain.mutation import Mutant, Source
from councilor.domain.mutation.sampling import MOST_ALIKE, sample

TEXT = """\
def f(a, b, c):
    if a > 1 and b < 2:
        return a + b - c
    return [a, b, c, 1, 2, 3]
"""


def drawn(lines: set[int], seed: int = 1, most: int = 1000) -> list[Mutant]:
    return list(islice(sample(Source(path="a.py", text=TEXT), lines, seed=seed), most))


def test_the_same_seed_gives_the_same_sample() -> None:
    assert drawn({2, 3}) == drawn({2, 3})
    assert drawn({2, 3}, seed=1) != drawn({2, 3}, seed=2)


def test_lines_come_in_turn() -> None:
    assert [mutant.line for mutant in drawn({2, 3, 4}, most=6)] == [2, 3, 4, 2, 3, 4]


def test_operators_of_a_line_come_in_turn_and_few_of_each() -> None:
    found = [mutant.operator for mutant in drawn({2})]
    assert len(set(found[:4])) == 4
    assert max(map(found.count, found)) <= MOST_ALIKE
    assert not {"insertion", "guard"} & set(found)


def test_only_the_lines_asked_for() -> None:
    assert {mutant.line for mutant in drawn({4})} == {4}
    assert drawn(set()) == []
