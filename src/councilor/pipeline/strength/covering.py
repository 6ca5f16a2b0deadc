"""Coverage of the changed lines, from what traced tests executed.

Rules:
- Statements and branches as `domain/executed.py` tells them; a branch is changed when its own line is.
- The base's tests count first; what only the worker's own tests execute is counted apart.

It runs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from councilor.domain.executed import branches_of, statements_of, taken
from councilor.domain.nodeid import bare
from councilor.domain.strength import Strength
from councilor.pipeline.strength.change import ChangedSource
from councilor.pipeline.strength.loaded import Facts

__all__ = ["covered"]

NAMED = 50


def covered(sources: Sequence[ChangedSource], base: Facts, own: Facts) -> Strength:
    """The coverage part of the strength."""
    lines = done = done_by_own = ways = taken_ways = taken_by_own = 0
    missed_lines: dict[str, tuple[int, ...]] = {}
    missed_branches: dict[str, tuple[int, ...]] = {}
    for source in sources:
        path = source.path
        executed, further = base.executed(path), own.executed(path)
        statements = [each for each in statements_of(source.new.tree) if each.lies_in(source.lines)]
        by_base = {each for each in statements if each.was_executed(executed)}
        by_own = {each for each in statements if each.was_executed(further)} - by_base
        branches = [each for each in branches_of(source.new.tree) if each.line in source.lines]
        steps, more_steps = set(base.steps.get(path, ())), set(own.steps.get(path, ()))
        with_base = {each: taken(each, steps) for each in branches}
        with_both = {each: taken(each, steps | more_steps) for each in branches}
        lines, done, done_by_own = lines + len(statements), done + len(by_base), done_by_own + len(by_own)
        ways += sum(each.ways for each in branches)
        taken_ways += sum(with_base.values())
        taken_by_own += sum(with_both.values()) - sum(with_base.values())
        if missed := tuple(each.line for each in statements if each not in by_base | by_own):
            missed_lines[path] = missed
        if missed := tuple(each.line for each in branches if with_both[each] < each.ways):
            missed_branches[path] = missed
    reaching = sorted({nodeid for source in sources for nodeid in base.reaching(source.path, source.lines)})
    return Strength(
        lines=lines, covered=done, covered_by_own=done_by_own, branches=ways, branches_taken=taken_ways,
        branches_taken_by_own=taken_by_own, missed_lines=missed_lines, missed_branches=missed_branches,
        reaching=len(reaching), reaching_functions=len({bare(nodeid) for nodeid in reaching}),
        reaching_tests=tuple(reaching[:NAMED]),
    )  # fmt: skip
