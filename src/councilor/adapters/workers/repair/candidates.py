"""What is repaired: the suite before any change, and the suspected lines of it.

Rules:
- Only sources that can be parsed are suspected; the caller says which files are in scope.
- A line that no target executes is not suspected; the other failing tests count beside the targets, for most often it
  is the same bug that fails them.
- The `MAX_LINES` most suspected lines count; which edit of them is tried when, `domain/mutation/ranking` decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from councilor.domain.evidence import Outcome, TestRun
from councilor.domain.localization import Coverage, Suspicion, import_lines, rank
from councilor.domain.mutation import Source
from councilor.errors import InputError

__all__ = ["Base", "readable", "suspects"]

MAX_LINES = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """What the suite does before any change."""

    run: TestRun
    targets: tuple[str, ...]
    """Failing tests that a fix must make pass."""
    others: tuple[str, ...]
    """Other failing tests; they may go on failing."""
    whole: bool = True
    """Whether the whole suite was run; else what other tests do is not known."""

    @property
    def passing(self) -> tuple[str, ...]:
        """Tests that pass, and must go on passing."""
        return tuple(record.nodeid for record in self.run.records if record.outcome is Outcome.PASSED)

    @property
    def coverage(self) -> Coverage:
        """Test -> path -> executed lines."""
        return self.run.coverage


def readable(files: Mapping[str, bytes]) -> dict[str, Source]:
    """The sources that can be parsed; the others cannot be repaired by mutation."""
    return dict(_parsed(files))


def _parsed(files: Mapping[str, bytes]) -> Iterator[tuple[str, Source]]:
    for path, data in files.items():
        try:
            yield path, Source.read(path, data)
        except InputError:
            continue


def suspects(base: Base, sources: Mapping[str, Source]) -> tuple[Suspicion, ...]:
    """The most suspected lines of these sources."""
    covered: dict[str, set[int]] = {}
    for per_path in base.coverage.values():
        for path, lines in per_path.items():
            covered.setdefault(path, set()).update(lines)
    imported = {path: import_lines(source.tree) - covered.get(path, set()) for path, source in sources.items()}
    failing = (*base.targets, *base.others)
    ranked = rank(base.coverage, failing=failing, passing=base.passing, imported=imported)
    reached = _lines(base.coverage, base.targets, imported)
    return tuple(item for item in ranked if (item.path, item.line) in reached and item.path in sources)[:MAX_LINES]


def _lines(coverage: Coverage, tests: Collection[str], imported: Mapping[str, Collection[int]]) -> set[tuple[str, int]]:
    return {
        (path, line)
        for test in tests
        for path, lines in coverage.get(test, {}).items()
        for line in {*lines, *imported.get(path, ())}
    }
