"""A survey of single edits: of each, which tests fail. Bases and wrong patches are both made of it.

Rules:
- Functions are drawn by the seed, each as likely as another among those that tests execute; then edits of each.
- An edit that no test notices is kept out: nobody can say that it is wrong.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from planting import own
from planting.edit import Edit, is_proper, rank

from acceptance import features, operators
from acceptance.functions import Place
from acceptance.plot import Plot

__all__ = ["Finding", "is_removal", "survey"]

SMALL, LARGE, SAME = 20, 6, 4
"""Most small edits and most removals that are tried in one function, and most of one category."""
PER_MODULE = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One edit of the original, and what it breaks."""

    edit: Edit
    function: str
    failing: frozenset[str]


async def survey(plot: Plot, *, seed: int, functions: int) -> list[Finding]:
    """Try many edits; those that some test notices, in the seed's order."""
    tried = []
    async with asyncio.TaskGroup() as group:
        for path, place, edits in _drawn(plot, seed, functions):
            tests = plot.tests_of(path, place)
            content = plot.ground.content(path)
            tried += [
                (edit, place, group.create_task(plot.failing(path, edit.apply(content), tests))) for edit in edits
            ]
    found = [
        Finding(edit=edit, function=place.name, failing=failing)
        for edit, place, task in tried
        if (failing := task.result())
    ]
    return sorted(found, key=lambda each: rank(seed, "survey", each.edit.path, each.edit.start, each.edit.new))


def _drawn(plot: Plot, seed: int, functions: int) -> list[tuple[str, Place, list[Edit]]]:
    chosen: list[tuple[str, Place]] = []
    for path in plot.ground.sources:
        executed = [place for place in plot.places[path] if plot.tests_of(path, place)]
        executed.sort(key=lambda place: rank(seed, "function", path, place.name))
        limit = PER_MODULE if len(plot.ground.sources) > 3 else functions
        chosen += [(path, place) for place in executed[:limit]]
    chosen.sort(key=lambda each: rank(seed, "place", each[0], each[1].name))
    chosen = chosen[:functions]
    return [(path, place, _edits(plot, path, place, seed)) for path, place in chosen]


def _edits(plot: Plot, path: str, place: Place, seed: int) -> list[Edit]:
    content = plot.ground.content(path)
    executed = plot.lines.get(path, {})
    small = [*own.propose(path, content), *operators.propose(path, content)]
    large = list(features.propose(path, content))
    drawn: list[Edit] = []
    for edits, most in ((small, SMALL), (large, LARGE)):
        of_place = [edit for edit in edits if place.first < edit.line <= place.last and edit.line in executed]
        drawn += _proper(of_place, content, most, seed)
    return drawn


def _proper(edits: Sequence[Edit], content: bytes, most: int, seed: int) -> list[Edit]:
    kept: dict[bytes, Edit] = {}
    categories: Counter[str] = Counter()
    for edit in sorted(edits, key=lambda each: rank(seed, each.path, each.start, each.end, each.new, each.variant)):
        if len(kept) >= most:
            break
        edited, category = edit.apply(content), edit.operator if is_removal(edit) else edit.category
        if categories[category] < SAME and edited not in kept and is_proper(edit, content):
            kept[edited] = edit
            categories[category] += 1
    return list(kept.values())


def is_removal(edit: Edit) -> bool:
    """Whether an edit takes away several lines."""
    return edit.operator.startswith("feature-")
