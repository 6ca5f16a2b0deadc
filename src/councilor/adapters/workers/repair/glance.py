"""A first look at the failing tests' own files, so that the search begins before the whole suite was measured.

Rules:
- Loaded are the files of the acceptance tests only, or the whole suite where it is small (`SMALL_BYTES`).
- Their tests are run once on the loaded suite, in their order, each traced: that is what the search goes by at first.
- Nothing is known of other tests. A fix is still confirmed by the whole suite, cold; where a test fails in it that was
  not looked at, the glance was too short: the whole suite of the base has to be measured, as it is where the glance
  shows no failing acceptance test or leads to no fix within `patience_s`.

What a fix is tried on is decided in `trial`; which rivals the other tests tell from it, in `sifting`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from councilor.adapters.workers.repair.candidates import Base
from councilor.adapters.workers.repair.pool import Pool
from councilor.domain.evidence import Outcome, TestRun
from councilor.guards.standstill import Allowance
from councilor.ports.analyzer import TrialMode, TrialRequest

__all__ = ["FAILURES", "glance", "glanced_files", "patience_s", "wanted_failures"]

FAILURES = (Outcome.FAILED, Outcome.ERROR)
SMALL_BYTES = 64 * 1024
TEST_S, START_S = 3.0, 5.0
MOST_S = 30.0
"""Seconds for the traced run; a third of what is left at most."""
PATIENCE_SHARE = 0.2
PATIENCE_S = (2.0, 10.0)


def patience_s(left_s: float) -> float:
    """Seconds to search with what a glance showed before the whole suite is measured.

    Args:
        left_s: seconds until the deadline.
    """
    least_s, most_s = PATIENCE_S
    return min(most_s, max(least_s, PATIENCE_SHARE * left_s))


def glanced_files(folder: Path, test_files: Iterable[str], acceptance: Collection[str]) -> tuple[str, ...] | None:
    """The test files to load.

    Args:
        folder: where the base's files are.
        test_files: every Python file of the tests, relative.
        acceptance: node ids of the acceptance tests.
    Returns:
        Relative paths; empty for the whole suite; None when the acceptance tests' files are not there.
    """
    every = tuple(test_files)
    own = tuple(dict.fromkeys(nodeid.partition("::")[0] for nodeid in acceptance))
    if not own or not set(own) <= set(every):
        return None
    return () if sum(_size(folder / path) for path in every) <= SMALL_BYTES else own


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


async def glance(pool: Pool, acceptance: Collection[str], *, left_s: float) -> Base | None:
    """Run what is loaded once, traced.

    Args:
        left_s: seconds until the deadline.
    Returns:
        The tests until one does not end. None when this shows nothing to begin with: the suite cannot be kept loaded,
        or no acceptance test was seen to fail.
    """
    nodeids = await pool.collected()
    if not nodeids:
        return None
    request = TrialRequest(
        files={}, nodeids=nodeids, tests_s=dict.fromkeys(nodeids, TEST_S), start_s=START_S, stop_at_first_failure=False,
        trace=True,
    )  # fmt: skip
    try:
        async with Allowance(min(MOST_S, left_s / 3)):
            run = await pool.run(request, known=lambda key: False)
    except TimeoutError:
        return None
    if run is None or run.mode is not TrialMode.HOT:
        return None
    failing = [record.nodeid for record in run.records if record.outcome in FAILURES]
    targets = wanted_failures(failing, acceptance)
    if not targets:
        return None
    seen = TestRun(
        records=run.records,
        coverage={test: {path: tuple(lines) for path, lines in files.items()} for test, files in run.coverage.items()},
        duration_s=run.duration_s,
    )
    others = tuple(nodeid for nodeid in failing if nodeid not in targets)
    return Base(run=seen, targets=targets, others=others, whole=False)


def wanted_failures(failing: Iterable[str], acceptance: Collection[str]) -> tuple[str, ...]:
    """Those of some failing tests that are acceptance tests, whatever their parameters."""
    wanted = set(acceptance)
    return tuple(nodeid for nodeid in failing if nodeid in wanted or nodeid.partition("[")[0] in wanted)
