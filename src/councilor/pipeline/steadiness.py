"""Whether a test always ends the same: flaky tests, and tests whose outcome depends on what ran before them.

Rules:
- What a verdict rests on is run again alone, in fresh processes with other hash seeds. If it does not end the same, it
  is run as often again behind the tests that precede it in the suite, on a fresh export: the same outcome as in the
  suite each time makes it order-dependent, anything else unsteady.
- A test that passed on the base and does not on the candidate is run again behind the tests that precede it there.
  Passing then makes it flaky, or order-dependent where it fails alone. One that never passes is broken; if it passes
  alone, the candidate breaks it through another test. One that fails so on the base, too, is flaky.
- More than `MOST_FLIPPED` such tests are a broken candidate, and not run again.

It does not decide how much unsteadiness is allowed: gates do.
Source: Lam et al. 2019, "iDFlakies: A framework for detecting and partially classifying flaky tests", section 2.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from councilor.domain.evidence import EvidenceKind, Outcome, TestRun
from councilor.domain.nodeid import file_of, renamed
from councilor.pipeline.measurement import Meter, Trees
from councilor.ports.analyzer import TestRequest

__all__ = ["Flips", "confirmed", "flips", "in_place", "settled"]

MOST_FLIPPED = 20
"""More flipped tests than this are a broken candidate, not flaky tests."""
PLACE_S = 30.0
"""Tests before a test are run with it only while they take no longer than this."""
CONFIRMED_SHARE = 0.25
"""Share of the suite's budget that confirmations may take; what does not fit is not confirmed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flips:
    """What became of tests that pass on the base and did not on the candidate."""

    flaky: tuple[str, ...] = ()
    order_dependent: tuple[str, ...] = ()


async def confirmed(meter: Meter, folder: Path, run: TestRun, nodeids: Collection[str]) -> TestRun:
    """A run with the outcomes of some of its tests when they are run again alone, in the same folder."""
    chosen = _affordable(meter, run, nodeids)
    if not chosen or not run.believable or run.timed_out:
        return run
    again: dict[str, tuple[Outcome, ...]] = {}
    log = run.log
    for seed in range(1, meter.limits.confirmations + 1):
        more = await meter.run(_quietly(meter, chosen, seed), folder)
        again = {nodeid: (*again.get(nodeid, ()), _outcome(more, nodeid)) for nodeid in chosen}
        log += b"____ RUN AGAIN\n" + more.log
    return replace(run, again={**run.again, **again}, log=log)


async def settled(
    meter: Meter, kind: EvidenceKind, trees: Trees, run: TestRun, order: Sequence[TestRun]
) -> tuple[TestRun, tuple[str, ...]]:
    """Tell order-dependent tests from unsteady ones among those that did not end the same alone.

    Args:
        order: a run whose records give the order of the suite, and their durations.
    Returns:
        the run, in which only unsteady tests disagree with themselves, and the tests that depend on their order.
    """
    doubtful = [nodeid for nodeid in run.again if nodeid in run.unsteady]
    if not doubtful:
        return run, ()
    agreeing = set(doubtful)
    place = in_place(order[0], doubtful)
    for seed in range(1, meter.limits.confirmations + 1):
        more, _ = await meter.tests(kind, trees, _quietly(meter, place, seed))
        agreeing = {
            nodeid for nodeid in agreeing if (_outcome(more, nodeid) is Outcome.PASSED) == (nodeid in run.passed)
        }
    again = {nodeid: outcomes for nodeid, outcomes in run.again.items() if nodeid not in agreeing}
    return replace(run, again=again), tuple(sorted(agreeing))


async def flips(meter: Meter, trees: Trees, base: TestRun, run: TestRun) -> Flips:
    """Run again what passed on the base and did not on the candidate."""
    names = renamed(base.passed, run.passed)
    flipped = sorted(base.passed - run.passed - set(run.unrun) - names.keys())
    if not run.believable or run.timed_out or not flipped or len(flipped) > MOST_FLIPPED:
        return Flips()
    if not meter.limits.flaky_reruns:
        return Flips()
    place = in_place(base, flipped)
    recovered: set[str] = set()
    for _ in range(meter.limits.flaky_reruns):
        still = [nodeid for nodeid in flipped if nodeid not in recovered]
        if not still:
            break
        again, _ = await meter.tests(EvidenceKind.TESTS_CANDIDATE, trees, replace(meter.request, nodeids=tuple(place)))
        recovered |= again.passed & set(still)
    alone = await _alone(meter, trees, flipped)
    lost = set(flipped) - recovered
    shaky = await _failing_on_base(meter, trees, sorted(lost - alone), place)
    return Flips(
        flaky=tuple(sorted((recovered & alone) | shaky)),
        order_dependent=tuple(sorted((recovered - alone) | (lost & alone))),
    )


async def _alone(meter: Meter, trees: Trees, nodeids: Sequence[str]) -> frozenset[str]:
    """Which of these tests pass without any other before them; together in reverse order, each before its neighbour."""
    request = replace(meter.request, nodeids=tuple(nodeids), first=tuple(reversed(nodeids)))
    run, _ = await meter.tests(EvidenceKind.TESTS_CANDIDATE, trees, request)
    return run.passed & set(nodeids)


async def _failing_on_base(meter: Meter, trees: Trees, nodeids: Sequence[str], place: Sequence[str]) -> set[str]:
    """Which of these tests, which passed on the base, do not when they are run there again."""
    if not nodeids:
        return set()
    base = replace(trees, tree=trees.base_tree, run_tree=trees.base_tree)
    request = replace(meter.request, nodeids=tuple(place), canaries=0)
    run, _ = await meter.tests(EvidenceKind.TESTS_BASE, base, request)
    bad = {Outcome.FAILED, Outcome.ERROR}
    return {nodeid for nodeid in nodeids if run.believable and run.outcome(nodeid) in bad}


def in_place(order: TestRun, nodeids: Collection[str]) -> Sequence[str]:
    """Tests with those that precede them in a suite, or in their files, or alone: as much as `PLACE_S` allows."""
    wanted, files = set(nodeids), {file_of(nodeid) for nodeid in nodeids}
    last = max((index for index, record in enumerate(order.records) if record.nodeid in wanted), default=-1)
    before = order.records[: last + 1]
    of_files = [record for record in before if file_of(record.nodeid) in files]
    for records in (before, of_files):
        if sum(record.duration_s for record in records) <= PLACE_S:
            return [*(record.nodeid for record in records), *sorted(wanted - {record.nodeid for record in records})]
    return sorted(wanted)


def _affordable(meter: Meter, run: TestRun, nodeids: Collection[str]) -> tuple[str, ...]:
    """Those of the tests that can be confirmed, the quick ones first."""
    left_s = meter.limits.suite_s * CONFIRMED_SHARE
    chosen = []
    for record in sorted(run.records, key=lambda record: record.duration_s):
        left_s -= record.duration_s * meter.limits.confirmations if record.nodeid in nodeids else 0.0
        if record.nodeid in nodeids and left_s > 0:
            chosen.append(record.nodeid)
    return tuple(sorted(chosen)) if meter.limits.confirmations else ()


def _quietly(meter: Meter, nodeids: Sequence[str], seed: int) -> TestRequest:
    """A request that can only cast doubt on tests, so that nothing is gained by forging it."""
    return replace(meter.request, nodeids=tuple(nodeids), canaries=0, hash_seed=seed)


def _outcome(run: TestRun, nodeid: str) -> Outcome:
    return run.outcome(nodeid) if run.believable else Outcome.ERROR
