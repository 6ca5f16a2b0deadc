"""Wrong patches of a base: they pass its acceptance test and fail at least one hidden test.

Rules:
- Most are edits of the survey, left in the original: what they fail is known. Patches that leave the bug in and make up
  for it are searched for: small edits of the base's text in the same function, tried with the acceptance test.
- What passes every test is no wrong patch, and what fails more than `MOST` tests nobody would offer.
- What is offered is cut for each kind apart, so that the choice has enough of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from planting import own
from planting.edit import Edit, is_proper, rank, same_meaning
from planting.halves import function_of

from acceptance import operators
from acceptance.cases import Arm, Base, Case, Kind, Shape, apply_all
from acceptance.functions import Place, place_of
from acceptance.plot import Plot
from acceptance.sizes import measure
from acceptance.survey import Finding, is_removal
from acceptance.texts import patched, planted

__all__ = ["is_hidden", "wrong_patches"]

SEARCHED = 24
"""Most edits of the base's text that are tried as a makeshift."""
BESIDE = 30
"""Most further edits of the function that the bug is in."""
OF_KIND = 6
"""Most patches of a kind that a base offers to the choice, of those that visible tests catch and of the others."""
MOST = 40
"""What fails more tests than this nobody would offer."""


async def wrong_patches(plot: Plot, base: Base, found: Sequence[Finding], seed: int) -> list[Case]:
    """Everything that can be offered for a base, in the seed's order."""
    known = {each.edit for each in found}
    cases = list(_left(plot, base, [*found, *await _beside(plot, base, known, seed)]))
    cases += [*await _partial(plot, base), *await _makeshift(plot, base, seed)]
    cases.sort(key=lambda case: rank(seed, "wrong", base.id, case.kind, *(f"{e.start}:{e.new}" for e in case.edits)))
    chosen: list[Case] = []
    texts = {planted(plot.ground, base)}
    for case in cases:
        text = patched(plot.ground, base, case)
        alike = sum((each.kind, each.hard) == (case.kind, case.hard) for each in chosen)
        if text not in texts and alike < OF_KIND:
            texts.add(text)
            chosen.append(case)
    return chosen


async def _beside(plot: Plot, base: Base, known: Collection[Edit], seed: int) -> list[Finding]:
    """More edits of the function that the bug is in: there a person errs most likely."""
    content, place = plot.ground.content(base.path), place_of(plot.places[base.path], base.edits[0])
    assert place is not None, "bases are made of edits in functions"
    edits = [
        each
        for each in (*own.propose(base.path, content), *operators.propose(base.path, content))
        if place.first < each.line <= place.last and each not in known
    ]
    edits.sort(key=lambda each: rank(seed, "beside", each.path, each.start, each.new, each.variant))
    proper = [each for each in edits[: 2 * BESIDE] if is_proper(each, content)][:BESIDE]
    tests = plot.tests_of(base.path, place)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(plot.failing(base.path, each.apply(content), tests)) for each in proper]
    return [
        Finding(edit=each, function=place.name, failing=failing)
        for each, task in zip(proper, tasks, strict=True)
        if (failing := task.result())
    ]


def _left(plot: Plot, base: Base, found: Sequence[Finding]) -> Iterator[Case]:
    """The bug undone, and an edit of the survey left in."""
    original = plot.ground.content(base.path)
    lines = {line for edit in base.edits for line in _lines(original, edit)}
    for each in found:
        if each.edit.path != base.path or each.edit in base.edits or is_removal(each.edit):
            continue
        if each.edit.line in lines:
            kind = Kind.SPLICE if base.shape is Shape.FEATURE else Kind.LINE
        else:
            kind = Kind.NEAR if each.function == base.function else Kind.ELSEWHERE
        if case := _case(plot, base, kind, (each.edit,), each.failing):
            yield case


def _lines(content: bytes, edit: Edit) -> range:
    first = content.count(b"\n", 0, edit.start) + 1
    return range(first, content.count(b"\n", 0, max(edit.start, edit.end - 1)) + 2)


async def _partial(plot: Plot, base: Base) -> list[Case]:
    cases = []
    for edit in base.edits if len(base.edits) > 1 else ():
        content = apply_all(plot.ground.content(base.path), (edit,))
        failing = await plot.failing(base.path, content, _tests(plot, base))
        if failing is not None and (case := _case(plot, base, Kind.PARTIAL, (edit,), failing)):
            cases.append(case)
    return cases


async def _makeshift(plot: Plot, base: Base, seed: int) -> list[Case]:
    """Edits of the base's text that make the acceptance test pass and are no right patch."""
    content, original = planted(plot.ground, base), plot.ground.content(base.path)
    lines = {content.count(b"\n", 0, edit.start) + 1 for edit in base.edits}
    place = _moved(plot, base, len(content.splitlines()) - len(original.splitlines()))
    edits = [each for each in (*own.propose(base.path, content), *operators.propose(base.path, content))
             if place.first < each.line <= place.last]  # fmt: skip
    edits.sort(key=lambda each: (min(abs(each.line - line) for line in lines) > 1, rank(seed, each.start, each.new)))
    proper: list[Edit] = []
    for edit in edits:
        if len(proper) < SEARCHED and is_proper(edit, content) and not same_meaning(edit.apply(content), original):
            proper.append(edit)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(plot.failing(base.path, each.apply(content), (base.acceptance,))) for each in proper]
    cases = []
    for edit, task in zip(proper, tasks, strict=True):
        if task.result() == frozenset():
            failing = await plot.failing(base.path, edit.apply(content), _tests(plot, base))
            kind = Kind.LINE if edit.line in lines and base.shape is not Shape.FEATURE else Kind.NEAR
            if failing and (case := _case(plot, base, kind, (edit,), failing, on_base=True)):
                cases.append(case)
    return cases


def _moved(plot: Plot, base: Base, shift: int) -> Place:
    """The function in the base's text."""
    place = place_of(plot.places[base.path], base.edits[0])
    assert place is not None, "bases are made of edits in functions"
    return Place(name=place.name, first=place.first, last=place.last + min(shift, 0))


def _tests(plot: Plot, base: Base) -> frozenset[str]:
    """Tests that execute a function that the bug is in."""
    found = [place for place in plot.places[base.path] if any(place_of([place], edit) for edit in base.edits)]
    return frozenset(test for place in found for test in plot.tests_of(base.path, place))


def _case(
    plot: Plot, base: Base, kind: Kind, edits: tuple[Edit, ...], failing: frozenset[str], *, on_base: bool = False
) -> Case | None:
    """The case, if it passes the acceptance test and fails a hidden one."""
    if base.acceptance in failing or not 1 <= len(failing) <= MOST:
        return None
    hidden = {test for test in failing if is_hidden(plot, base, test)}
    if not hidden:
        return None
    case = Case(
        id="", base=base.id, arm=Arm.PLAIN, kind=kind, right=False, edits=edits, on_base=on_base,
        hidden_failing=tuple(sorted(hidden)), visible_failing=tuple(sorted(failing - hidden)),
    )  # fmt: skip
    size = measure(planted(plot.ground, base), patched(plot.ground, base, case))
    return replace(case, size=size)


def is_hidden(plot: Plot, base: Base, nodeid: str) -> bool:
    """Whether a test is not in the repository that is judged."""
    return function_of(nodeid) in plot.hideable and base.hides(function_of(nodeid))
