"""Mutants of the changed lines and of those around them, and the pieces of the difference taken back one at a time.

Rules:
- The base's tests are asked first. Only what they let pass is tried on the worker's own new tests, where there are any.
- A mutant is tried on the tests that execute its lines; a piece on those that execute the functions around the change,
  for what a piece removes has no lines.
- What runs while a file is imported makes every trial load the file anew; of such mutants `MOST_IMPORTED` are tried.
- A survivor that means the same as the candidate, as far as both texts tell, is no mutant.
- Each phase ends when its time is over; what is left then is not among the results.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat, zip_longest

from councilor.domain.localization import import_lines
from councilor.domain.mutation import Mutant
from councilor.domain.mutation.sampling import sample
from councilor.domain.strength import Fate, MutantTrial, PieceTrial
from councilor.pipeline.strength.change import ChangedSource, function_at
from councilor.pipeline.strength.loaded import Facts, LoadedSuite, Tried

__all__ = ["Witnesses", "as_trial", "try_mutants", "try_pieces"]

MOST_IMPORTED = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Witnesses:
    """One loaded suite with what its tests do on the candidate."""

    suite: LoadedSuite | None
    """None: no test can reach the change."""
    facts: Facts
    first: tuple[str, ...] = ()
    """The acceptance tests among them."""
    lost: bool = False
    """Whether there are tests that could not be loaded: then they say nothing of any change."""

    async def ask(self, files: Mapping[str, bytes], nodeids: Sequence[str], seen: set[str]) -> Tried | None:
        """What these tests say of a change; None for one whose code is among what was seen."""
        if self.lost:
            return Tried(fate=Fate.UNTRIED)
        if self.suite is None or not nodeids:
            return Tried(fate=Fate.UNREACHED)
        first = [nodeid for nodeid in self.first if nodeid in set(nodeids)]
        return await self.suite.try_out(files, nodeids, seen=seen, first=first)


async def try_mutants(
    sources: Sequence[ChangedSource],
    base: Witnesses,
    own: Witnesses | None,
    *,
    lines: Callable[[ChangedSource], Collection[int]],
    seed: int,
    most: int,
    more: Callable[[], bool],
) -> tuple[MutantTrial, ...]:
    """Try a sample of the mutants of some lines.

    Args:
        lines: which lines of a changed file.
        most: how many are tried.
        more: whether there is time for another one.
    """
    found: list[MutantTrial] = []
    imported, seen = 0, {base.facts.key}
    for source, mutant in _mutants(sources, lines, seed):
        if len(found) >= most or not more():
            break
        if _is_imported(source, mutant):
            imported += 1
            if imported > MOST_IMPORTED:
                continue
        text = mutant.apply(source.new.text)
        files = {source.path: source.new.encoded(text)}
        tried, by_own = await _ask_both(base, own, files, partial(_reaching, source, mutant), seen)
        if tried is not None and (tried.fate is not Fate.SURVIVED or not source.means_the_same(text)):
            found.append(as_trial(mutant, function_at(source.new, mutant.line), tried, by_own=by_own))
    return tuple(found)


async def try_pieces(
    sources: Sequence[ChangedSource], base: Witnesses, own: Witnesses | None, *, more: Callable[[], bool]
) -> tuple[PieceTrial, ...]:
    """Take every piece back alone, as long as there is time."""
    found: list[PieceTrial] = []
    seen = {base.facts.key}
    for source in sources:
        for piece in source.pieces:
            tried: Tried | None = Tried(fate=Fate.UNTRIED)
            by_own = False
            if more():
                files = {source.path: source.new.encoded(piece.taken_back(source.new.text))}
                tried, by_own = await _ask_both(base, own, files, partial(_around, source), seen)
            if tried is None:
                continue  # without it, the code is the same
            found.append(
                PieceTrial(
                    path=source.path,
                    lines=piece.lines,
                    text=piece.text,
                    needed=_needed(tried),
                    killer=tried.killer,
                    by_own=by_own,
                )
            )
    return tuple(found)


def as_trial(mutant: Mutant, function: str, tried: Tried, *, by_own: bool = False) -> MutantTrial:
    """The record of a tried edit."""
    return MutantTrial(
        path=mutant.path, line=mutant.line, start=mutant.start, operator=mutant.operator, original=mutant.original,
        replacement=mutant.replacement, description=mutant.description, fate=tried.fate, killer=tried.killer,
        by_own=by_own, function=function,
    )  # fmt: skip


async def _ask_both(
    base: Witnesses,
    own: Witnesses | None,
    files: Mapping[str, bytes],
    reaching: Callable[[Facts], list[str]],
    seen: set[str],
) -> tuple[Tried | None, bool]:
    tried = await base.ask(files, reaching(base.facts), seen)
    if tried is None or own is None or tried.fate not in {Fate.SURVIVED, Fate.UNREACHED}:
        return tried, False
    further = await own.ask(files, reaching(own.facts), set())
    if further is None or further.fate is Fate.UNREACHED:
        return tried, False
    if further.fate is Fate.SURVIVED:
        return Tried(fate=Fate.SURVIVED), False
    return further, True


def _mutants(
    sources: Sequence[ChangedSource], lines: Callable[[ChangedSource], Collection[int]], seed: int
) -> Iterator[tuple[ChangedSource, Mutant]]:
    """A sample over all files in turn; what is imported comes last."""
    queues = [zip(repeat(source), sample(source.new, lines(source), seed=seed)) for source in sources]
    random.Random(seed).shuffle(queues)  # noqa: S311  # a sample that can be drawn again, no secret
    later: list[tuple[ChangedSource, Mutant]] = []
    for turn in zip_longest(*queues):
        for item in turn:
            if item is None:
                continue
            if _is_imported(*item):
                later.append(item)
            else:
                yield item
    yield from later


def _is_imported(source: ChangedSource, mutant: Mutant) -> bool:
    return mutant.line in source.new.once(("import lines",), lambda: import_lines(source.new.tree))


def _reaching(source: ChangedSource, mutant: Mutant, facts: Facts) -> list[str]:
    return facts.touching(source.path) if _is_imported(source, mutant) else facts.reaching(source.path, mutant.lines)


def _around(source: ChangedSource, facts: Facts) -> list[str]:
    return facts.reaching(source.path, source.around) or facts.touching(source.path)


def _needed(tried: Tried) -> bool | None:
    if tried.fate is Fate.UNTRIED:
        return None
    return tried.fate in {Fate.KILLED, Fate.SLOW}
