"""What the gates on tests say of a suite that was run in part, and of tests that do not always end the same.

Rules:
- Tests that were left out are BASE-7, an open question, in tiers 1 and 2, where they may execute a changed file, and
  where a run was stopped by tests that hang. Otherwise they are BASE-6, a warning.
- A test is unsteady on the evidence of its runs on one tree. What only depends on its place in the suite is not.

It decides nothing about failures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from councilor.domain.evidence import EvidenceBundle, Gap, Outcome, Shortfall
from councilor.domain.gate import Severity, Violation
from councilor.domain.nodeid import file_of
from councilor.pipeline.gates.input import broken

__all__ = ["left_out", "unsteady_tests", "unsteady_warnings"]

NAMED = 3
LENIENT_TIER = 3


def left_out(bundle: EvidenceBundle, tier: int) -> Sequence[Violation]:
    """What of the suite was not compared, as one violation."""
    gap = bundle.gap
    if gap is None:
        return []
    where = "on the base" if gap.on_base else "on the candidate"
    count, total = gap.left_out, gap.left_out + gap.compared
    if gap.shortfall is Shortfall.HUNG:
        why = f"the run {where} stopped after too many tests that did not end"
    else:
        why = f"the budget of {gap.budget_s:.0f} s for one run ended {where}"
    if gap.reaching or tier < LENIENT_TIER or gap.shortfall is Shortfall.HUNG:
        about = f"{len(gap.reaching)} of them may execute the change" if gap.reaching else "none imports the change"
        message = f"{count} of {total} tests were left out, {about}: {why} ({_some(gap.reaching or gap.apart)})"
        return [broken("BASE-7", Severity.HIGH, message, _more_time(gap, tier))]
    message = f"{count} of {total} tests were left out, none imports the change: {why} ({_some(gap.apart)})"
    return [broken("BASE-6", Severity.MEDIUM, message, _more_time(gap, tier))]


def _more_time(gap: Gap, tier: int) -> str:
    if gap.shortfall is Shortfall.HUNG:
        return "Repair the tests that do not end, or give each more time with evidence.test_timeout_s."
    minutes = ceil(max(gap.needed_s, gap.budget_s * 2) / 60)
    return (
        f"Give a run of the suite about {minutes} minutes: evidence.budget_s.tier_{tier}={minutes * 60}, with "
        f"evidence.timeout_s.tier_{tier}={minutes * 75} and a deadline of the task that leaves room for it."
    )


def _some(nodeids: Sequence[str]) -> str:
    more = f", and {len(nodeids) - NAMED} more" if len(nodeids) > NAMED else ""
    return ", ".join(nodeids[:NAMED]) + more


def unsteady_tests(bundle: EvidenceBundle) -> Mapping[str, str]:
    """Tests that do not always end the same on one tree, with what was seen."""
    found: dict[str, str] = {}
    runs = (
        ("the base", bundle.base),
        ("the candidate", bundle.candidate),
        ("the base", bundle.new_on_base),
        ("the candidate", bundle.new_on_candidate),
    )
    for where, run in runs:
        if run is None:
            continue
        for nodeid in sorted(run.unsteady):
            outcomes = [run.outcome(nodeid), *run.again.get(nodeid, ())]
            passed = sum(outcome is Outcome.PASSED for outcome in outcomes)
            seen = f"on {where} it passed {passed} of {len(outcomes)} times"
            found.setdefault(nodeid, seen if len(outcomes) > 1 else f"on {where} a plugin ran it again until it passed")
    for nodeid in bundle.flaky:
        found.setdefault(nodeid, "it failed and then passed on the same tree")
    for nodeid in bundle.base_flaky:
        found.setdefault(nodeid, "earlier runs of the base disagree about it")
    return found


def unsteady_warnings(bundle: EvidenceBundle, names: Mapping[str, str]) -> Sequence[Violation]:
    """A warning for each test that is flaky, depends on its place in the suite, or is named anew in each run.

    Args:
        names: ids of the base -> ids of the candidate of tests that are named anew in each run.
    """
    warnings = [
        broken("BASE-5", Severity.LOW, f"{nodeid}: {seen}", "Make the test deterministic.", path=file_of(nodeid))
        for nodeid, seen in sorted(unsteady_tests(bundle).items())
    ]
    remedy = "Let each test set up what it needs, and undo what it does."
    warnings += [
        broken("BASE-8", Severity.LOW, f"{nodeid} depends on what runs before it", remedy, path=file_of(nodeid))
        for nodeid in bundle.order_dependent
    ]
    remedy = "Give its parameters lasting ids (`pytest.param(..., id=...)`)."
    warnings += [
        broken("BASE-9", Severity.LOW, f"{old} is called {new} in another run", remedy, path=file_of(old))
        for old, new in sorted(names.items())
    ]
    return warnings
