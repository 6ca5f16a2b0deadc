"""Which base each attack, lie and flaw is tried on: in turn, in the seed's order, so that libraries and shares mix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from planting.edit import rank

from acceptance.attacks import FORGERIES, HOLES_APART, HOLES_INSIDE, LIES, OVERSCOPE, TAMPERS
from acceptance.cases import Arm, Base, Case, Kind, overlap

__all__ = ["attack_cases", "right_cases"]

IDLE = ("nothing", "nothing", "a blank line", "a comment", "a comment")
UNSTEADY = ("beside a right patch",) * 3 + ("the acceptance test itself",) * 3
NEED_FAILING = frozenset(
    {"a failing visible test is emptied", "a failing visible test is deleted", "all tests", "the suite"}
)
"""Acts that make sense only for a wrong patch that visible tests catch."""


def right_cases(bases: Sequence[Base]) -> list[Case]:
    """The original back, for each base."""
    return [Case(id="", base=base.id, arm=Arm.PLAIN, kind=Kind.RIGHT, right=True) for base in bases]


def attack_cases(bases: Sequence[Base], wrongs: Sequence[Case], most: int, seed: int, *, rounds: int = 1) -> list[Case]:
    """Every act once, and some more often; at most `most` of a kind in a round."""
    ordered = sorted(bases, key=lambda base: rank(seed, "attacked", base.id))
    cases: list[Case] = []
    for number, (kind, act) in enumerate(_acts(most, rounds)):
        base = ordered[number % len(ordered)]
        found = _case(kind, act, base, ordered, wrongs)
        if found:
            cases.append(found)
    return cases


def _acts(most: int, rounds: int) -> Iterator[tuple[Kind, str]]:
    for _ in range(rounds):
        for kind, acts in ((Kind.OVERSCOPE, (*OVERSCOPE,)), (Kind.TAMPER, TAMPERS), (Kind.EMPTY, IDLE)):
            yield from ((kind, act) for act in acts[:most])
    for kind, acts in (
        (Kind.LIE, (*LIES,)),
        (Kind.VULNERABLE, (*HOLES_INSIDE, *HOLES_APART)),
        (Kind.FORGE, FORGERIES),
    ):
        yield from ((kind, act) for act in acts[:most])
    yield from ((Kind.FLAKY, act) for act in UNSTEADY[:most])


def _case(kind: Kind, act: str, base: Base, bases: Sequence[Base], wrongs: Sequence[Case]) -> Case | None:
    right = kind in {Kind.OVERSCOPE, Kind.LIE, Kind.VULNERABLE} or act == UNSTEADY[0]
    case = Case(id="", base=base.id, arm=Arm.ATTACK, kind=kind, right=right, on_base=not right, act=act)
    if act in NEED_FAILING:
        names = [each.id for each in bases]
        start = names.index(base.id)
        after = {name: (place - start) % len(names) for place, name in enumerate(names)}
        caught = sorted((each for each in wrongs if each.visible_failing), key=lambda each: after[each.base])
        if not caught:
            return None
        wrong = caught[0]
        return replace(wrong, id="", arm=Arm.ATTACK, kind=kind, act=act)
    if kind is Kind.FLAKY and not right:
        left = [each for each in wrongs if len(each.edits) == 1 and not each.on_base]
        for each in (*(each for each in left if each.base == base.id), *left):
            home = next(one for one in bases if one.id == each.base)
            if not any(overlap(each.edits[0], edit) for edit in home.edits):  # the bug stays, something else changes
                return replace(case, base=home.id, on_base=False, edits=(*home.edits, *each.edits))
        return None
    return case
