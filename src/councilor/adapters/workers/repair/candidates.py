"""Which edits are worth trying, and in which order.

Rules:
- Only Python files of the base tree inside the scope, never test code, never a symbolic link.
- Mutants of the `MAX_LINES` most suspected lines; each is weighed by its line's suspicion times its operator's prior,
  and the smaller edit comes first among equals.
- Removing statements comes last: it often makes tests pass by hiding what they test.

The priors are our own order and were not fitted to data. Source: weighing edits by location and kind after Le Goues et
al. 2012, "GenProg"; the caution about removal, Qi et al. 2015.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from councilor.domain.evidence import Outcome, TestRun
from councilor.domain.localization import Coverage, Suspicion, import_lines, rank
from councilor.domain.mutation import Mutant, Source, mutants
from councilor.errors import InputError

__all__ = ["Base", "Fix", "ranked_fixes", "readable", "suspects"]

PRIORS = {
    "boundary": 1.0, "comparison": 0.85, "argument": 0.8, "boolean": 0.75, "name": 0.7, "arithmetic": 0.65,
    "negation": 0.6, "constant": 0.55, "exception": 0.45, "guard": 0.35, "return": 0.25, "removal": 0.15,
}  # fmt: skip
NUMBER_DISCOUNT = 0.8
MAX_LINES = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """What the suite does before any change."""

    run: TestRun
    targets: tuple[str, ...]
    """Failing tests that a fix must make pass."""
    others: tuple[str, ...]
    """Other failing tests; they may go on failing."""

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
    """One edit that could be the fix."""

    mutant: Mutant
    suspicion: Suspicion
    source: Source

    @property
    def score(self) -> float:
        """Suspicion times prior."""
        prior = PRIORS[self.mutant.operator]
        # A written number is more often what was meant than the comparison with it.
        return self.suspicion.score * (prior * NUMBER_DISCOUNT if self.mutant.original[:1].isdecimal() else prior)

    @property
    def content(self) -> bytes:
        """The whole file, changed."""
        return self.source.encoded(self.mutant.apply(self.source.text))

    @property
    def files(self) -> Mapping[str, bytes]:
        """Path -> its whole new content."""
        return {self.mutant.path: self.content}

    @property
    def lines(self) -> Mapping[str, frozenset[int]]:
        """Path -> 1-based lines of the base's file that it changes."""
        return {self.mutant.path: frozenset(self.mutant.lines)}

    @property
    def digest(self) -> str:
        """SHA-256 of path and changed content: what makes two fixes the same."""
        return digest(self.mutant.path, self.content)

    @property
    def label(self) -> str:
        """`path:line: what it does`."""
        return f"{self.mutant.path}:{self.mutant.line}: {self.mutant.description}"


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
    ranked = rank(base.coverage, failing=base.targets, passing=base.passing, imported=imported)
    return tuple(item for item in ranked if item.path in sources)[:MAX_LINES]


def ranked_fixes(suspected: Sequence[Suspicion], sources: Mapping[str, Source]) -> list[Fix]:
    """Every fix on the suspected lines, the most promising first."""
    by_path: dict[str, dict[int, Suspicion]] = {}
    for item in suspected:
        by_path.setdefault(item.path, {})[item.line] = item
    found = [fix for path, lines in by_path.items() for fix in _fixes(sources[path], lines)]
    return sorted(found, key=lambda fix: (-round(fix.score, 6), fix.mutant.size, fix.mutant.path, fix.mutant.start))


def _fixes(source: Source, lines: Mapping[int, Suspicion]) -> Iterator[Fix]:
    for mutant in mutants(source, lines=lines.keys()):
        reached = (lines[line] for line in mutant.lines if line in lines)
        yield Fix(mutant=mutant, suspicion=max(reached, key=lambda item: item.score), source=source)
