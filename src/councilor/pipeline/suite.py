"""A suite that may not fit into its time: which tests come first, and what was left out.

Rules:
- A suite that is known to fit runs whole, in its own order. Else first the acceptance tests and those that fail on the
  base, then what may execute a changed file, then the rest; within each, the quicker files first, and tests that would
  take a tenth of the budget by themselves last.
- The base runs in its own order for half of the budget. If that is not enough, it goes on with what matters first.
- The candidate runs only what the base ran: nothing else can be compared.
- What was not run on both trees is a gap, and always told: the tests that may execute a changed file apart from the
  others.

It runs nothing, and does not decide whether a gap matters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from councilor.domain.evidence import Gap, Shortfall, TestRun
from councilor.domain.nodeid import file_of

__all__ = ["fits", "gap_between", "in_order", "joined", "slowed_down"]

ROOM = 1.25
"""How much longer than on the base the same tests may take before they are said not to fit."""
LONG_SHARE = 0.1
SLOWED = 2.0

Reaches = Callable[[str], bool]


def fits(base: TestRun, budget_s: float) -> bool:
    """Whether the whole suite is expected to fit."""
    return not base.partial and base.duration_s * ROOM <= budget_s


def in_order(
    nodeids: Collection[str], *, urgent: Collection[str], reaches: Reaches, base: TestRun, budget_s: float
) -> Sequence[str]:
    """These tests in the order in which they should run.

    Args:
        urgent: acceptance tests, and tests that fail on the base.
        reaches: whether a file may execute a changed one.
        base: tells how long tests take; unknown ones count as quick.
    """
    known_s = {record.nodeid: record.duration_s for record in base.records}
    file_s: defaultdict[str, float] = defaultdict(float)
    for nodeid in nodeids:
        file_s[file_of(nodeid)] += known_s.get(nodeid, 0.0)

    def place(nodeid: str) -> tuple[int, bool, float, str]:
        path = file_of(nodeid)
        rank = 0 if nodeid in urgent else 1 if reaches(path) else 2
        return rank, known_s.get(nodeid, 0.0) > budget_s * LONG_SHARE, file_s[path], path

    return sorted(nodeids, key=place)


def joined(first: TestRun, second: TestRun) -> TestRun:
    """One suite's run of two parts; the second continues the first."""
    return replace(
        second,
        records=(*first.records, *(each for each in second.records if each.nodeid not in first.outcomes)),
        breaches=tuple(dict.fromkeys((*first.breaches, *second.breaches))),
        log=first.log + second.log,
        duration_s=first.duration_s + second.duration_s,
        coverage={**first.coverage, **second.coverage},
        collection_errors=tuple(dict.fromkeys((*first.collection_errors, *second.collection_errors))),
        again={**first.again, **second.again},
        exit_code=max((code for code in (first.exit_code, second.exit_code) if code is not None), default=None)
        if None not in (first.exit_code, second.exit_code)
        else None,
    )


def slowed_down(base: TestRun, run: TestRun) -> bool:
    """Whether the candidate did not get done in more than twice what its tests took on the base."""
    return run.shortfall is Shortfall.BUDGET and not base.partial and run.duration_s > SLOWED * base.duration_s


def gap_between(base: TestRun, run: TestRun, *, reaches: Reaches, budget_s: float) -> Gap | None:
    """What was not run on both trees; None when nothing is missing."""
    left = [*base.unrun, *(nodeid for nodeid in run.unrun if nodeid in base.passed)]
    shortfall = base.shortfall or run.shortfall
    if not left or shortfall is None:
        return None
    reaching = tuple(nodeid for nodeid in left if reaches(file_of(nodeid)))
    slower = base if base.partial else run
    per_test_s = slower.duration_s / max(1, len(slower.records))
    return Gap(
        reaching=reaching,
        apart=tuple(sorted(set(left) - set(reaching))),
        compared=len(base.passed & run.outcomes.keys()),
        shortfall=shortfall,
        on_base=base.partial,
        budget_s=budget_s,
        needed_s=per_test_s * (len(slower.records) + len(slower.unrun)) * ROOM,
    )
