"""In which order edits are tried: the most likely first, made only when their turn comes.

Rules:
- An edit's score is the suspicion of its line, times its operator's prior, times its weight among the operator's own
  proposals, times what the failure's message hints at.
- The r-th best proposal of an operator at one place is discounted, so that no place is exhausted before the next.
- A kind of edit at a place is opened when nothing opened so far can be better; an edit is compiled when it is next: the
  first comes at once, however long the file.
- Removing statements comes last: it often makes tests pass by hiding what they test.

The priors are our own order and were not fitted to data. Source: weighing edits by location and kind after Le Goues et
al. 2012, "GenProg"; frequent kinds of small fixes, Martinez & Monperrus 2015, "Mining software repair models"; the
caution about removal, Qi et al. 2015.
"""

from __future__ import annotations

import ast
import heapq
import re
from collections.abc import Iterator, Mapping, Sequence

from councilor.domain.failure import Failure
from councilor.domain.localization import Suspicion
from councilor.domain.mutation.fix import Fix
from councilor.domain.mutation.generation import Generator, Proposal, Site
from councilor.domain.mutation.source import Source

__all__ = ["PRIORS", "ranked_fixes"]

PRIORS = {
    "boundary": 1.0, "comparison": 0.9, "argument": 0.8, "boolean": 0.8, "negation": 0.8, "jump": 0.75, "name": 0.75,
    "constant": 0.75, "arithmetic": 0.75, "insertion": 0.7, "exception": 0.5, "return": 0.45, "guard": 0.3,
    "removal": 0.15,
}  # fmt: skip
OF_STATEMENTS = frozenset({"insertion", "guard", "removal", "return", "jump", "exception"})
DISCOUNT = 0.06
DEEPEST, PASSED_THROUGH = 1.5, 1.2
STRONG, MILD = 3.0, 1.5
BY_EXCEPTION = {
    "IndexError": {"boundary": MILD, "arithmetic": 1.2},
    "ZeroDivisionError": {"guard": STRONG, "boundary": MILD, "arithmetic": MILD},
    "RecursionError": {"boundary": MILD, "comparison": MILD, "negation": MILD},
    "KeyError": {"constant": MILD, "name": 1.2, "guard": MILD},
}
"""What an exception makes more likely, by kind of edit."""


def ranked_fixes(
    suspected: Sequence[Suspicion], sources: Mapping[str, Source], failure: Failure | None = None
) -> Iterator[Fix]:
    """Every fix on the suspected lines, the most promising first, made one at a time.

    Args:
        failure: what the failing tests' messages say.
    """
    yield from _Queue(sources, failure or Failure()).fixes(suspected)


class _Queue:
    def __init__(self, sources: Mapping[str, Source], failure: Failure) -> None:
        self._generators = {path: Generator(source) for path, source in sources.items()}
        self._hints = _Hints(failure)
        self._waiting: list[tuple[float, int, _Place | _Edit]] = []
        self._count = 0

    def fixes(self, suspected: Sequence[Suspicion]) -> Iterator[Fix]:
        for place in self._places(suspected):
            self._push(place.bound, place)
        while self._waiting:
            score, _, item = heapq.heappop(self._waiting)
            if isinstance(item, _Place):
                self._open(item)
                continue
            generator = self._generators[item.suspicion.path]
            if (mutant := generator.admit(item.proposal)) is not None:
                yield Fix(mutant=mutant, suspicion=item.suspicion, source=generator.source, score=-score)

    def _push(self, score: float, item: _Place | _Edit) -> None:
        self._count += 1  # equal scores keep their order: by path and line
        heapq.heappush(self._waiting, (-round(score, 6), self._count, item))

    def _places(self, suspected: Sequence[Suspicion]) -> Iterator[_Place]:
        by_path: dict[str, dict[int, Suspicion]] = {}
        for item in suspected:
            by_path.setdefault(item.path, {})[item.line] = item
        for path, lines in by_path.items():
            for site in self._generators[path].sites(lines.keys()):
                reached = [lines[line] for line in site.lines if line in lines]
                most = max(reached, key=lambda item: item.score)
                yield from self._kinds(path, site, most)

    def _kinds(self, path: str, site: Site, suspicion: Suspicion) -> Iterator[_Place]:
        factor = suspicion.score * self._hints.place(path, site)
        statement = isinstance(site.node, ast.stmt | ast.ExceptHandler)
        for kind, prior in PRIORS.items():
            # Expressions have no statement to insert, and simple statements nothing to compare.
            if statement or kind not in OF_STATEMENTS:
                most = self._hints.most(kind, self._generators[path].source, site)
                yield _Place(site, suspicion, kind, factor * prior, factor * prior * most)

    def _open(self, place: _Place) -> None:
        proposals = self._generators[place.suspicion.path].proposals(place.site, place.kind)
        weighed = [(proposal.edit.weight * self._hints.edit(proposal), proposal) for proposal in proposals]
        weighed.sort(key=lambda item: -item[0])
        for rank, (weight, proposal) in enumerate(weighed):
            self._push(place.factor * weight / (1 + DISCOUNT * rank), _Edit(proposal, place.suspicion))


class _Place:
    """One kind of edit of one node, not asked for yet."""

    __slots__ = ("bound", "factor", "kind", "site", "suspicion")

    def __init__(self, site: Site, suspicion: Suspicion, kind: str, factor: float, bound: float) -> None:
        self.site, self.suspicion, self.kind, self.factor, self.bound = site, suspicion, kind, factor, bound


class _Edit:
    __slots__ = ("proposal", "suspicion")

    def __init__(self, proposal: Proposal, suspicion: Suspicion) -> None:
        self.proposal, self.suspicion = proposal, suspicion


class _Hints:
    """What the failure makes more likely."""

    def __init__(self, failure: Failure) -> None:
        self._failure = failure
        self._by_kind: dict[str, float] = {}
        for name in failure.raised:
            for kind, factor in BY_EXCEPTION.get(name, {}).items():
                self._by_kind[kind] = max(factor, self._by_kind.get(kind, 1.0))
        if failure.wrong_call:
            self._by_kind["argument"] = STRONG
        names = "|".join(map(re.escape, sorted(failure.missing_names)))
        attributes = "|".join(map(re.escape, sorted(failure.missing_attributes)))
        expected = "|".join(map(re.escape, sorted(failure.expected)))
        self._binds = [
            re.compile(pattern)
            for part, pattern in (
                (names, rf"(?:^|\n|\bfor |, ?)\s*(?:{names})\s*(?:=[^=]|,| in )"),
                (attributes, rf"\.(?:{attributes})\s*=[^=]"),
                (expected, rf"\braise (?:\w+\.)?(?:{expected})\b"),
            )
            if part
        ]
        self._missing = failure.missing_names | failure.missing_attributes

    def most(self, kind: str, source: Source, site: Site) -> float:
        """The largest factor that `edit` can give for an edit of this kind at this place."""
        factor = self._by_kind.get(kind, 1.0)
        if kind in {"name", "argument"} and self._missing:
            factor = max(factor, MILD)
        if kind in {"comparison", "negation", "boolean", "exception"} and self._failure.expected:
            factor = max(factor, 1.2)
        if kind in {"insertion", "guard", "return"} and self._failure.met_none:
            factor = max(factor, 2.0)
        if kind == "insertion" and self._binds and self._concerns(source, site):
            factor = STRONG
        return factor

    def _concerns(self, source: Source, site: Site) -> bool:
        """Whether what is missing is used around a place."""
        if self._failure.expected:
            return True
        facts, attributes = source.scopes.facts(site.node), source.scopes.attributes(site.node)
        return any(facts is not None and facts.loads[name] for name in self._failure.missing_names) or any(
            attributes[name] for name in self._failure.missing_attributes
        )

    def place(self, path: str, site: Site) -> float:
        """How much a frame of the traceback speaks for a place."""
        lines = {(path, line) for line in site.lines}
        if lines & self._failure.deepest:
            return DEEPEST
        return PASSED_THROUGH if lines & self._failure.passed_through else 1.0

    def edit(self, proposal: Proposal) -> float:
        """How much the failure speaks for an edit."""
        edit, kind = proposal.edit, proposal.operator
        factor = self._by_kind.get(kind, 1.0)
        if kind == "insertion" and any(pattern.search(edit.replacement) for pattern in self._binds):
            factor = STRONG
        if kind in {"name", "argument"} and any(f"`{name}`" in edit.description for name in self._missing):
            factor = max(factor, MILD)
        gives = kind == "return" or (kind == "insertion" and edit.replacement.lstrip().startswith("return "))
        if self._failure.met_none and gives:
            factor = max(factor, 2.0)
        if self._failure.expected and kind in {"comparison", "negation", "boolean", "exception"}:
            factor = max(factor, 1.2)
        return factor
