"""Planting: candidates by category, in the seed's order, until each quota is full of edits that are bugs.

An edit is a bug when, of the tests that pass on the original source,
1. at least one fails, and at least one of those is visible,
2. every test file can still be collected, and nothing runs into its time limit,
3. the test that the task will name fails again where only the visible half is there.

Rules:
- The seed alone chooses among the bugs; nothing here knows whether one can be repaired.
- Equal quotas over the categories, divided over the libraries; what one lacks another gives.
- No two bugs on one line. A number that an off-by-one edit would take is no `constant`.
- Only lines that a test executes are tried: other edits cannot be bugs in this sense.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from councilor.domain.evidence import TestRun
from planting import foreign, own
from planting.catalogue import PLANTER_VERSION, Bug, Catalogue
from planting.edit import Category, Edit, draw, is_proper, rank
from planting.ground import TEST_TIMEOUT_S, Ground, failed
from planting.halves import function_of, is_drawn

__all__ = ["plant"]

TRIED = 60
"""Most candidates of one category in one library."""
PARALLEL = 2


async def plant(grounds: Sequence[Ground], *, seed: int, per_category: int, say: Callable[[str], None]) -> Catalogue:
    """The list of bugs for these libraries."""
    nurseries = [_Nursery(ground, seed) for ground in grounds]
    for nursery in nurseries:
        await nursery.open()
        say(f"{nursery.name}: " + ", ".join(f"{name} {len(found)}" for name, found in nursery.candidates.items()))
    found: list[Bug] = []
    for category in Category:
        of_category: list[Bug] = []
        for number, nursery in enumerate(nurseries):
            missing = per_category - len(of_category)
            share = -(-missing // (len(nurseries) - number))
            of_category += await nursery.grow(category, share)
        for nursery in nurseries:  # what one library lacks another gives
            if len(of_category) < per_category:
                of_category += await nursery.grow(category, per_category - len(of_category))
        counts = Counter(bug.library for bug in of_category)
        say(f"{category}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))
        found += of_category
    return Catalogue(
        planter=PLANTER_VERSION,
        seed=seed,
        libraries={each.name: each.entry() for each in nurseries},
        bugs=[replace(bug, id=number) for number, bug in enumerate(found, 1)],
    )


class _Nursery:
    """One library's candidates and what became of them."""

    def __init__(self, ground: Ground, seed: int) -> None:
        self._ground, self._seed = ground, seed
        self.name = ground.library.name
        self._reliable: frozenset[str] = frozenset()
        self._taken: set[tuple[str, int]] = set()
        self.candidates: dict[Category, list[Edit]] = {}

    async def open(self) -> None:
        """Find the tests that can be relied on, and the candidates."""
        again = await self._ground.run({})
        self._reliable = self._ground.passing & again.passed
        self.candidates = await asyncio.to_thread(self._propose)

    def entry(self) -> dict[str, object]:
        """What the catalogue says of the library."""
        library, ran = self._ground.library, self._ground.original.records
        unreliable = sorted(each.nodeid for each in ran if each.nodeid not in self._reliable)
        return {"version": library.version, "sha256": library.sha256, "unreliable": unreliable}

    def _propose(self) -> dict[Category, list[Edit]]:
        contents = {path: self._ground.content(path) for path in self._ground.sources}
        executed = self._executed()
        edits = [edit for path, content in contents.items() for edit in own.propose(path, content)]
        numbers = {(edit.path, edit.start, edit.end) for edit in edits if edit.category is Category.OFF_BY_ONE}
        lists = {}
        for category in (Category.ARGUMENT, Category.OFF_BY_ONE, Category.STATEMENT):
            lists[category] = self._proper(
                draw((each for each in edits if each.category is category and (each.path, each.line) in executed),
                     self._seed),
                contents,
            )  # fmt: skip
        texts = {path: content.decode() for path, content in contents.items()}
        positions = [each for each in foreign.list_positions(texts) if (each.path, each.start[0]) in executed]
        for category in foreign.OPERATORS:
            drawn = foreign.draw_positions([each for each in positions if each.category is category], self._seed)
            made = foreign.mutate(texts, drawn[: 3 * TRIED])
            if category is Category.CONSTANT:
                made = [edit for edit in made if not _within(edit, numbers)]
            lists[category] = self._proper(made, contents)
        return {category: lists[category] for category in Category}

    def _proper(self, edits: Iterable[Edit], contents: dict[str, bytes]) -> list[Edit]:
        kept: list[Edit] = []
        for edit in edits:
            if len(kept) < TRIED and is_proper(edit, contents[edit.path]):
                kept.append(edit)
        return kept

    def _executed(self) -> set[tuple[str, int]]:
        by_test = self._ground.original.coverage.values()
        return {(path, line) for files in by_test for path, lines in files.items() for line in lines}

    async def grow(self, category: Category, wanted: int) -> list[Bug]:
        """The next bugs of a category, at most `wanted`."""
        bugs: list[Bug] = []
        waiting = self.candidates[category]
        while waiting and len(bugs) < wanted:
            batch: list[Edit] = []
            while waiting and len(batch) < max(wanted - len(bugs), PARALLEL):
                edit = waiting.pop(0)
                if (edit.path, edit.line) not in self._taken:
                    batch.append(edit)
            limit = asyncio.Semaphore(PARALLEL)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._screen(edit, limit)) for edit in batch]
            for task in tasks:
                bug = task.result()
                if bug and len(bugs) < wanted and (bug.edit.path, bug.edit.line) not in self._taken:
                    bugs.append(bug)
                    self._taken.add((bug.edit.path, bug.edit.line))
                elif bug:
                    waiting.insert(0, bug.edit)
        return bugs

    async def _screen(self, edit: Edit, limit: asyncio.Semaphore) -> Bug | None:
        async with limit:
            files = {edit.path: edit.apply(self._ground.content(edit.path))}
            run = await self._ground.run(files)
            caught = failed(run) & self._reliable
            visible = sorted(
                (each for each in caught if not is_drawn(function_of(each), self._seed)),
                key=lambda nodeid: rank(self._seed, "named", edit.path, edit.start, nodeid),
            )
            if not visible or not _is_clean(run):
                return None
            shown = await self._ground.run(files, visible=True)
            named = [each for each in visible if each in failed(shown)]
            if not named or not _is_clean(shown):
                return None
        return Bug(
            id=0, library=self.name, test=named[0], caught_by=len(caught), visible=len(visible), edit=edit
        )  # fmt: skip


def _is_clean(run: TestRun) -> bool:
    hung = any(each.duration_s >= TEST_TIMEOUT_S for each in run.records)
    return run.believable and not run.timed_out and not run.collection_errors and not hung


def _within(edit: Edit, places: set[tuple[str, int, int]]) -> bool:
    return any(path == edit.path and start <= edit.start and edit.end <= end for path, start, end in places)
