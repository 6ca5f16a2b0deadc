"""Bases: bugs of four shapes out of a survey, each with one visible test that fails.

Rules:
- The acceptance test is the only failing one of its function, and every other test that fails can be hidden.
- A bug fails two to `MOST` tests, so that something stays hidden and the suite is not in ruins.
- The seed draws; no two bases of a library share a bug, and at most `PER_FUNCTION` a function.
- Of each base the visible suite is run on the bug: its only failing test must be the acceptance test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from planting.edit import Edit, rank
from planting.ground import failed
from planting.halves import function_of

from acceptance.cases import Base, Shape, apply_all, overlap
from acceptance.functions import Place
from acceptance.plot import Plot
from acceptance.survey import Finding, is_removal
from acceptance.texts import planted, visible_files
from councilor.domain.evidence import TestRun

__all__ = ["MOST", "grow"]

MOST = 12
PER_FUNCTION = 3
PAIRS = 400
"""Most pairs of edits that are looked at for one shape."""


async def grow(plot: Plot, found: Sequence[Finding], *, seed: int, wanted: Mapping[Shape, int]) -> list[Base]:
    """Bases of a library: `wanted` of each shape for each share."""
    bases: list[Base] = []
    taken: set[tuple[str, int, int]] = set()
    functions: Counter[tuple[str, str]] = Counter()
    for shape, number in wanted.items():
        grown = 0
        async for base in _of_shape(plot, found, shape, seed):
            if grown == number:
                break
            places = {(base.path, edit.start, edit.end) for edit in base.edits}
            if places & taken or functions[base.path, base.function] >= PER_FUNCTION:
                continue
            share = (50, 75)[grown % 2]
            ready = replace(base, share=share, id=f"{plot.name}-{shape}-{grown + 1}")
            if await _stands(plot, ready):
                bases.append(ready)
                taken |= places
                functions[base.path, base.function] += 1
                grown += 1
    return bases


async def _of_shape(plot: Plot, found: Sequence[Finding], shape: Shape, seed: int) -> AsyncIterator[Base]:
    if shape in {Shape.SINGLE, Shape.FEATURE}:
        for finding in found:
            if is_removal(finding.edit) is (shape is Shape.FEATURE):
                base = _base(plot, shape, (finding,), finding.failing, finding.failing, seed)
                if base:
                    yield base
        return
    for one, two in _pairs(found, shape, seed):
        if base := await _pair(plot, shape, one, two, seed):
            yield base


def _pairs(found: Sequence[Finding], shape: Shape, seed: int) -> Iterator[tuple[Finding, Finding]]:
    """Two small edits of one file: in one function, or in two with a failing test in common."""
    small = [each for each in found if not is_removal(each.edit) and len(each.failing) <= MOST]
    by_path: dict[str, list[Finding]] = {}
    for each in small:
        by_path.setdefault(each.edit.path, []).append(each)
    pairs = []
    for edits in by_path.values():
        for one, two in combinations(edits, 2):
            same = one.function == two.function
            apart = abs(one.edit.line - two.edit.line)
            if same is (shape is Shape.MULTI) and apart and not overlap(one.edit, two.edit):
                if shape is Shape.HUNKS and not (one.failing & two.failing and apart > 8):
                    continue
                if shape is Shape.MULTI and one.failing == two.failing:
                    continue
                pairs.append((one, two))
    pairs.sort(key=lambda pair: rank(seed, shape, *(f"{e.edit.path}:{e.edit.start}:{e.edit.new}" for e in pair)))
    used: Counter[tuple[str, str]] = Counter()
    for one, two in pairs:
        if used[one.edit.path, one.function] < PAIRS // 20:
            used[one.edit.path, one.function] += 1
            yield one, two


async def _pair(plot: Plot, shape: Shape, one: Finding, two: Finding, seed: int) -> Base | None:
    path = one.edit.path
    content = apply_all(plot.ground.content(path), (one.edit, two.edit))
    places = [place for place in plot.places[path] if place.name in {one.function, two.function}]
    failing = await plot.failing(path, content, _tests(plot, path, places))
    if not failing:
        return None
    both = one.failing & two.failing & failing
    apart = failing & (one.failing ^ two.failing)  # undone alone, one edit makes it pass: partial patches exist
    return _base(plot, shape, (one, two), failing, both if shape is Shape.HUNKS else (apart or both), seed)


def _tests(plot: Plot, path: str, places: Sequence[Place]) -> Collection[str]:
    return {test for place in places for test in plot.tests_of(path, place)}


def _base(
    plot: Plot,
    shape: Shape,
    findings: Sequence[Finding],
    failing: frozenset[str],
    eligible: Collection[str],
    seed: int,
) -> Base | None:
    """The base, if one of the eligible tests can be its acceptance test."""
    if not 2 <= len(failing) <= MOST:
        return None
    functions = Counter(function_of(nodeid) for nodeid in failing)
    edits: tuple[Edit, ...] = tuple(each.edit for each in findings)
    ordered = sorted(eligible, key=lambda nodeid: rank(seed, "acceptance", edits[0].path, edits[0].start, nodeid))
    for nodeid in ordered:
        others = set(functions) - {function_of(nodeid)}
        if functions[function_of(nodeid)] == 1 and others and others <= plot.hideable:
            return Base(
                id="", library=plot.name, share=0, seed=seed, shape=shape, path=edits[0].path,
                function=findings[0].function, edits=edits, acceptance=nodeid, revealing=tuple(sorted(failing)),
            )  # fmt: skip
    return None


async def _stands(plot: Plot, base: Base) -> bool:
    """Whether the acceptance test, and nothing else, fails of what is visible."""
    run: TestRun = await plot.ground.run({**visible_files(plot.ground, base), base.path: planted(plot.ground, base)})
    clean = run.believable and not run.timed_out and not run.collection_errors
    return clean and failed(run) & plot.reliable == {base.acceptance} and not (failed(run) - {base.acceptance})
