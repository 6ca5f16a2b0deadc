"""Line and branch coverage, whatever measured it: path -> which lines ran, which could have and did not, and branches.

Rules:
- Lines are 1-based; a line that no tool calls executable (blank, comment) is in neither set, and nothing is said of it.
- Where two measurements of one file disagree, a line that ran in either has run, and of a line's branches as many were
  taken as in the better one.
- A share of nothing is None, never 1: lines that nothing measured are not covered.

It reads no report and runs nothing, and does not decide how much is enough: a gate does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from councilor.domain.change import Candidate

__all__ = ["Branches", "Coverage", "FileCoverage", "Measured", "changed_lines_of", "joined", "measure"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Branches:
    """The ways out of one line."""

    taken: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FileCoverage:
    """What ran of one file."""

    covered: tuple[int, ...]
    """Executable lines that ran, sorted."""
    uncovered: tuple[int, ...] = ()
    """Executable lines that did not, sorted; none of `covered`."""
    branches: Mapping[int, Branches] = field(default_factory=dict)
    """Line -> its branches, for lines that have a choice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """What ran of a tree."""

    files: Mapping[str, FileCoverage]
    """Relative path -> coverage; a file that is not here was not measured."""
    source: str = ""
    """What measured it, such as `lcov`; empty for our own tracer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """How much of some lines ran."""

    lines: int
    """Executable ones among them."""
    covered: int
    branches: int
    taken: int
    uncovered_at: tuple[tuple[str, int], ...]
    """Path and line of each executable line that did not run, and of each that left a branch untaken."""
    unmeasured: tuple[str, ...]
    """Paths that no measurement knows."""

    @property
    def line_share(self) -> float | None:
        """Share of the lines that ran; None when there is none to run."""
        return self.covered / self.lines if self.lines else None


def measure(coverage: Coverage, lines: Mapping[str, Collection[int]]) -> Measured:
    """How much of these lines ran.

    Args:
        lines: path -> line numbers, such as those that a change added.
    """
    asked = {path: frozenset(numbers) for path, numbers in lines.items()}
    known = {path: coverage.files[path] for path in sorted(asked) if path in coverage.files}
    covered = {(path, line) for path, file in known.items() for line in asked[path] & set(file.covered)}
    missed = {(path, line) for path, file in known.items() for line in asked[path] & set(file.uncovered)}
    choices = [
        (path, line, choice)
        for path, file in known.items()
        for line, choice in file.branches.items()
        if line in asked[path]
    ]
    partial = {(path, line) for path, line, choice in choices if choice.taken < choice.total}
    return Measured(
        lines=len(covered) + len(missed),
        covered=len(covered),
        branches=sum(choice.total for _, _, choice in choices),
        taken=sum(choice.taken for _, _, choice in choices),
        uncovered_at=tuple(sorted(missed | partial)),
        unmeasured=tuple(path for path in sorted(lines) if path not in coverage.files),
    )


def changed_lines_of(candidate: Candidate, *, leave_out: Collection[str] = ()) -> Mapping[str, tuple[int, ...]]:
    """Path -> lines that a candidate added or changed, of text files that are still there.

    Args:
        leave_out: paths that do not count, such as those of test code.
    """
    return {
        change.path: change.changed_lines
        for change in candidate.changes
        if change.new is not None and change.changed_lines and not change.is_symlink and change.path not in leave_out
    }


def joined(coverages: Iterable[Coverage]) -> Coverage:
    """Several measurements of one tree as one."""
    files: dict[str, FileCoverage] = {}
    sources: list[str] = []
    for coverage in coverages:
        sources.append(coverage.source)
        for path, file in coverage.files.items():
            files[path] = _both(files[path], file) if path in files else file
    return Coverage(files=files, source=", ".join(dict.fromkeys(filter(None, sources))))


def _both(one: FileCoverage, other: FileCoverage) -> FileCoverage:
    covered = {*one.covered, *other.covered}
    branches = dict(one.branches)
    for line, choice in other.branches.items():
        known = branches.get(line, choice)
        branches[line] = Branches(taken=max(known.taken, choice.taken), total=max(known.total, choice.total))
    return FileCoverage(
        covered=tuple(sorted(covered)),
        uncovered=tuple(sorted({*one.uncovered, *other.uncovered} - covered)),
        branches=branches,
    )
