"""Coverage that commands report, beside what our own tracer measured, for the gate `coverage_changed_lines`.

Rules:
- Only changed lines of files that are neither tests nor Python count: those are the tracer's.
- A changed file that the report does not know, and that ends like one it knows, was never loaded: none of its changed
  lines ran.
- Reported figures are added to the tracer's. They are weaker evidence (`gates/reported.py` says why).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from councilor.domain.coverage import Coverage, changed_lines_of, joined, measure
from councilor.domain.strength import Strength
from councilor.pipeline.gates.input import GateInput

__all__ = ["with_reported_coverage"]

OF_THE_TRACER = (".py", ".pyi")


def with_reported_coverage(strength: Strength | str, given: GateInput) -> Strength | str:
    """What our tracer measured, or why it did not, with what commands report of the changed lines."""
    coverage = _reported(given)
    if coverage is None:
        return strength
    suffixes = {PurePosixPath(path).suffix for path in coverage.files}
    lines = {
        path: numbers
        for path, numbers in changed_lines_of(given.candidate).items()
        if not given.owns(path) and not path.endswith(OF_THE_TRACER) and PurePosixPath(path).suffix in suffixes
    }
    if not lines:
        return strength
    found = measure(coverage, lines)
    never_loaded = {path: tuple(lines[path]) for path in found.unmeasured}
    base = strength if isinstance(strength, Strength) else Strength(complete=True)
    return replace(
        base,
        lines=base.lines + found.lines + sum(map(len, never_loaded.values())),
        covered=base.covered + found.covered,
        branches=base.branches + found.branches,
        branches_taken=base.branches_taken + found.taken,
        missed_lines={**base.missed_lines, **_missed(coverage, lines), **never_loaded},
        missed_branches={**base.missed_branches, **_partial(coverage, lines)},
    )


def _reported(given: GateInput) -> Coverage | None:
    runs = given.bundle.acceptance.values() if given.bundle is not None else ()
    found = [run.report.coverage for run in runs if run.believable and run.report and run.report.coverage]
    return joined(found) if found else None


def _missed(coverage: Coverage, lines: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    found = {
        path: tuple(sorted(set(numbers) & set(coverage.files[path].uncovered)))
        for path, numbers in lines.items()
        if path in coverage.files
    }
    return {path: numbers for path, numbers in found.items() if numbers}


def _partial(coverage: Coverage, lines: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    found = {}
    for path in lines.keys() & coverage.files.keys():
        file = coverage.files[path]
        partial = {line for line, choice in file.branches.items() if choice.taken < choice.total}
        found[path] = tuple(sorted((partial & set(lines[path])) - set(file.uncovered)))
    return {path: numbers for path, numbers in sorted(found.items()) if numbers}
