"""Which of several candidates goes on, and why."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from councilor.domain.selection import Standing, Turned, rank, spares_of, turn
from councilor.domain.verdict import Decision

BASE = Standing(
    number=1, worker="w", tree="t1", patch="p1", verdict="v1", decision=Decision.ACCEPT, refused_by=(),
    probability=0.98, strength=0.8, changed_lines=10,
)  # fmt: skip
REFUSED = replace(BASE, decision=Decision.REFINE, refused_by=("a", "b"), probability=0.3, strength=None)


def other(of: Standing = BASE, number: int = 2, **changes: object) -> Standing:
    return replace(of, number=number, tree=f"t{number}", verdict=f"v{number}", **changes)


@pytest.mark.parametrize(
    ("one", "two", "reason"),
    [
        (REFUSED, other(), "Candidate 1 lost to 2: refine where the other is accept."),
        (REFUSED, other(decision=Decision.ESCALATE), "Candidate 1 lost to 2: refine where the other is escalate."),
        (REFUSED, other(REFUSED, refused_by=("a",)), "Candidate 1 lost to 2: 2 gates refuse it, 1 the other."),
        (BASE, other(probability=0.99), "Candidate 1 lost to 2: probability 0.9800 to 0.9900."),
        (BASE, other(strength=0.9), "Candidate 1 lost to 2: its tests notice 80% of small edits, the other's 90%."),
        (BASE, other(changed_lines=3), "Candidate 1 lost to 2: 10 changed lines to 3."),
    ],
)  # fmt: skip
def test_the_first_thing_that_differs_decides(one, two, reason):
    for standings in ([one, two], [two, one]):
        ranking = rank(standings)
        assert (ranking.chosen, ranking.reasons) == (two, (reason,))


def test_a_tie_has_an_end_and_says_so():
    ranking = rank([other(), BASE])
    assert ranking.chosen is BASE
    assert ranking.reasons == ("Candidate 2 lost to 1: nothing tells them apart but their numbers.",)


def test_the_same_tree_later_in_the_order_says_so():
    twin = replace(BASE, number=2, same_as=1)
    assert rank([BASE, twin]).reasons == ("Candidate 2 lost to 1: it made the same tree, later in their order.",)


def test_strength_counts_only_where_it_is_known_of_all_so_that_the_order_is_one():
    """Else the first beats the third by strength, the third the second by lines, and the second the first by lines."""
    three = [
        BASE,
        other(number=2, strength=None, changed_lines=5),
        other(number=3, strength=0.5, changed_lines=1),
    ]
    for standings in itertools.permutations(three):
        assert [each.number for each in rank(standings).order] == [3, 2, 1]
    assert rank(three).order[2] is BASE  # what is told is what was measured


def test_spares_are_the_other_accepted_trees_the_best_first():
    ranking = rank([BASE, other(number=2, probability=0.9), replace(BASE, number=3, same_as=1), other(REFUSED, 4)])
    assert spares_of(ranking) == (2,)
    assert spares_of(rank([other(REFUSED), REFUSED])) == ()


def test_a_turned_one_stands_last_and_says_why():
    third = other(number=3, probability=0.8)
    ranking = rank([BASE, other(number=2, probability=0.9), third, replace(BASE, number=4, same_as=1)])
    assert [each.number for each in ranking.order] == [1, 4, 2, 3]
    out = Turned(number=1, verdict="v", decision=Decision.NEEDS_EVIDENCE, against=("a/m",), reason="it is odd")
    once = turn(ranking, out, 2)
    assert [each.number for each in once.order] == [2, 3, 1, 4] and once.chosen.number == 2
    assert once.reasons == (
        "Candidate 3 lost to 2: probability 0.8000 to 0.9000.",
        "Candidate 1 was turned down by the whole council: needs_evidence, rejected by a/m; it is odd.",
        "Candidate 4 made the same tree as 1, which the whole council did not accept.",
    )
    twice = turn(once, Turned(number=2, verdict="w", decision=Decision.ESCALATE), 3)
    assert [each.number for each in twice.order] == [3, 2, 1, 4]
    assert [each.number for each in twice.turned] == [1, 2]
    assert twice.reasons[0] == "Candidate 2 was turned down by the whole council: escalate."


def test_strength_that_is_not_known_of_all_is_no_reason_later_either():
    ranking = rank([BASE, other(number=2, strength=0.5, changed_lines=11), other(number=3, strength=None)])
    again = turn(ranking, Turned(number=1, verdict="v", decision=Decision.ESCALATE), 3)
    assert again.reasons[0] == "Candidate 2 lost to 3: 11 changed lines to 10."
