"""Where a bug probably is: the lines that failing tests execute and passing tests do not.

Rules:
- A line's suspicion is Ochiai's coefficient: failed(line) / sqrt(all failed * (failed(line) + passed(line))), 0 to 1.
- A line that no failing test executes is not suspected at all.
- A line that runs while its file is imported belongs to no test. It counts as executed by every test that executes any
  line of its file, so that a wrong module constant is suspected, but less than the code which uses it alone.
- Equal suspicion keeps the order of path and line.

It does not decide which tests count; skipped tests say nothing and are left out by the caller.

Source: Abreu, Zoeteweij & van Gemund 2007, "On the accuracy of spectrum-based fault localization", section 3;
Jones & Harrold 2005, "Empirical evaluation of the Tarantula automatic fault-localization technique".
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

__all__ = ["Coverage", "Suspicion", "executing", "import_lines", "ochiai", "rank"]

Coverage = Mapping[str, Mapping[str, Sequence[int]]]
"""Test -> path -> 1-based executed lines."""
Line = tuple[str, int]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspicion:
    """How much one line is suspected."""

    path: str
    line: int
    score: float
    """0 to 1."""
    failed: int
    """Failing tests that execute it."""
    passed: int
    """Passing tests that execute it."""


def ochiai(*, failed: int, passed: int, all_failed: int) -> float:
    """Ochiai's coefficient of one line; 0 where no failing test executes it."""
    return failed / sqrt(all_failed * (failed + passed)) if failed else 0.0


def rank(
    coverage: Coverage,
    *,
    failing: Collection[str],
    passing: Collection[str],
    imported: Mapping[str, Collection[int]] | None = None,
) -> tuple[Suspicion, ...]:
    """The suspected lines, most suspected first.

    Args:
        failing: tests that fail because of the bug.
        passing: tests that pass.
        imported: path -> lines that run while the file is imported; those that a test executes itself are left out.
    """
    failed = _counts(coverage, failing, imported or {})
    passed = _counts(coverage, passing, imported or {})
    all_failed = len(set(failing))
    found = (
        Suspicion(
            path=path,
            line=line,
            score=ochiai(failed=count, passed=passed[path, line], all_failed=all_failed),
            failed=count,
            passed=passed[path, line],
        )
        for (path, line), count in failed.items()
    )
    return tuple(sorted(found, key=lambda item: (-item.score, item.path, item.line)))


def _counts(coverage: Coverage, tests: Collection[str], imported: Mapping[str, Collection[int]]) -> Counter[Line]:
    counts: Counter[Line] = Counter()
    for test in set(tests):
        for path, lines in coverage.get(test, {}).items():
            counts.update((path, line) for line in {*lines, *imported.get(path, ())})
    return counts


def executing(coverage: Coverage, path: str, lines: Collection[int], tests: Collection[str]) -> tuple[str, ...]:
    """Those of `tests` that execute one of the lines, in their own order."""
    wanted = set(lines)
    return tuple(test for test in tests if wanted.intersection(coverage.get(test, {}).get(path, ())))


def import_lines(tree: ast.Module) -> frozenset[int]:
    """The lines that run while a file is imported: everything but the bodies of functions."""
    nodes = list(ast.walk(tree))
    bodies = [(node.body[0].lineno, node.end_lineno or 0) for node in nodes if isinstance(node, FUNCTIONS)]
    statements = [(node.lineno, node.end_lineno or 0) for node in nodes if isinstance(node, ast.stmt)]
    return _numbers(statements) - _numbers(bodies)


def _numbers(spans: Sequence[tuple[int, int]]) -> frozenset[int]:
    return frozenset(line for first, last in spans for line in range(first, last + 1))
