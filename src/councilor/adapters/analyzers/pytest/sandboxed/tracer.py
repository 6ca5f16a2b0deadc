"""Which lines one test executes, measured by coverage.

Rules:
- Only files of the repository's folder; what runs while tests are being collected belongs to no test.
- One context per test, in memory; no data file, no configuration of the repository's.
- Where files are named, only these are measured, and the steps from line to line in them are kept, too.

Runs with coverage 5.5 and later on Python 3.9 and later.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

__all__ = ["line_tracer", "ranges"]


def line_tracer(
    folder: str, paths: Collection[str] = (), steps: dict[str, set[tuple[int, int]]] | None = None
) -> Callable[[], Callable[[], dict[str, str]]]:
    """A function that begins one test's measurement and gives the function that ends it.

    Args:
        paths: the files to measure, relative; empty: all.
        steps: gets path -> the steps that tests took, as (line, next line).

    Returns:
        Ending gives relative path -> executed lines, written like `3,7-9`.
    """
    import coverage

    include = [f"{folder}/{path}" for path in paths] or [f"{folder}/*"]
    meter = coverage.Coverage(data_file=None, config_file=False, include=include, branch=steps is not None)
    meter._warn_no_data = False
    tests = 0

    def begin() -> Callable[[], dict[str, str]]:
        nonlocal tests
        tests += 1
        context = str(tests)
        meter.start()
        meter.switch_context(context)
        return lambda: end(context)

    def end(context: str) -> dict[str, str]:
        meter.stop()
        data = meter.get_data()
        data.set_query_context(context)
        if steps is not None:
            for path in data.measured_files():
                steps.setdefault(os.path.relpath(path, folder), set()).update(data.arcs(path) or ())
        found = ((path, data.lines(path)) for path in data.measured_files())
        return {os.path.relpath(path, folder): ranges(sorted(lines)) for path, lines in found if lines}

    return begin


def ranges(lines: list[int]) -> str:
    """Sorted line numbers, written like `3,7-9`."""
    groups: list[list[int]] = []
    for line in lines:
        if groups and line == groups[-1][1] + 1:
            groups[-1][1] = line
        else:
            groups.append([line, line])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in groups)
