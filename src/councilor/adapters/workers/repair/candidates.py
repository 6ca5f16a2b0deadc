"""What is repaired: the suite before any change, the suspected lines of it, and what a fix is.

Rules:
- Only sources that can be parsed are suspected; the caller says which files are in scope.
- A line that no target executes is not suspected; the other failing tests count beside the targets, for most often it
  is the same bug that fails them.
- The `MAX_LINES` most suspected lines count; which edit of them is tried when, `ranking` decides.
- A fix is one edit, or several at places that do not overlap; the bytes of the changed files are its identity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from councilor.domain.evidence import Outcome, TestRun
from councilor.domain.localization import Coverage, Suspicion, import_lines, rank
from councilor.domain.mutation import Mutant, Source
from councilor.errors import InputError

__all__ = ["Base", "Fix", "digest", "readable", "suspects"]

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Fix:
    """One edit that could be the fix, or several that could be it together."""

    mutant: Mutant
    suspicion: Suspicion
    source: Source
    score: float
    """How promising it is, beside others of the same search."""
    more: tuple[Fix, ...] = ()
    """The other edits; they touch other places than this one and than each other."""

    @property
    def parts(self) -> tuple[Fix, ...]:
        """The single edits."""
        return (self, *self.more)

    @property
    def size(self) -> int:
        """Characters removed plus characters inserted."""
        return sum(part.mutant.size for part in self.parts)

    @property
    def texts(self) -> dict[str, tuple[str, str]]:
        """Path -> its text before and after."""
        found: dict[str, tuple[str, str]] = {}
        for part in sorted(self.parts, key=lambda part: (-part.mutant.start, -part.mutant.end)):
            old, new = found.get(part.mutant.path, (part.source.text, part.source.text))
            found[part.mutant.path] = (old, part.mutant.apply(new))
        return found

    @property
    def files(self) -> Mapping[str, bytes]:
        """Path -> its whole new content."""
        sources = {part.mutant.path: part.source for part in self.parts}
        return {path: sources[path].encoded(new) for path, (_, new) in self.texts.items()}

    @property
    def lines(self) -> Mapping[str, frozenset[int]]:
        """Path -> 1-based lines of the base's file that it changes."""
        found: dict[str, frozenset[int]] = {}
        for part in self.parts:
            found[part.mutant.path] = found.get(part.mutant.path, frozenset()) | set(part.mutant.lines)
        return found

    @property
    def digest(self) -> str:
        """SHA-256 of paths and changed contents: what makes two fixes the same."""
        found = [digest(path, content) for path, content in sorted(self.files.items())]
        return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()

    @property
    def label(self) -> str:
        """`path:line: what it does`, each part."""
        return "; ".join(f"{part.mutant.path}:{part.mutant.line}: {part.mutant.description}" for part in self.parts)


def digest(path: str, content: bytes) -> str:
    """SHA-256 over a path and a file's bytes."""
    return hashlib.sha256(path.encode(errors="surrogateescape") + b"\0" + content).hexdigest()


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
