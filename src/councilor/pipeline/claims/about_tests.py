"""Claims about tests: that they pass, that they were added, that the fix is tested.

Rules:
- A void run supports nothing and contradicts nothing; evidence about another tree only makes a claim stale.
- "All N tests pass" has to name the number of tests that the candidate's own suite has; a bare "N passed" may be about
  a part, so a smaller number is unverifiable, a greater one false.
- A failing test that already failed on the base makes "all tests pass" false, but is no veto; nor is a wrong number.
- "46 of 48" has to be what the candidate's suite gives.
- A number of added tests is one of functions or of parametrised cases. Said of a part ("two tests for x"), a smaller
  number is unverifiable.
- That one symbol is tested is supported when a test that fails on the base is in a file that names it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from councilor.domain.claim import AtomicClaim, CheckedClaim, ClaimStatus, Verifiability
from councilor.domain.evidence import EvidenceBundle, EvidenceKind, Outcome, TestRun
from councilor.domain.nodeid import bare, file_of
from councilor.pipeline.claims.context import ClaimContext, either, say, unknown
from councilor.pipeline.gates.testcode import read_tests
from councilor.pipeline.gates.tests import demonstrating_tests

__all__ = ["fix_tested", "test_passes", "tests_added", "tests_pass"]

K = EvidenceKind
BAD = frozenset({Outcome.FAILED, Outcome.ERROR, Outcome.MISSING})
FAILING = frozenset({Outcome.FAILED, Outcome.ERROR})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Suite:
    """What was run on the candidate."""

    all: Mapping[str, Outcome]
    """The base's tests and the new ones."""
    own: Mapping[str, Outcome]
    """The tests as the candidate has them."""
    new: frozenset[str]
    """Those of `own` that the base does not have."""

    @classmethod
    def of(cls, bundle: EvidenceBundle, context: ClaimContext) -> _Suite:
        changed = {change.path for change in context.given.candidate.changes}
        old = bundle.candidate.outcomes
        run = bundle.new_on_candidate.outcomes if bundle.new_on_candidate else {}
        own = {name: outcome for name, outcome in old.items() if file_of(name) not in changed} | run
        return cls(all=run | old, own=own, new=frozenset(run) - bundle.base.outcomes.keys())


def _runs(bundle: EvidenceBundle) -> list[TestRun]:
    return [run for run in (bundle.candidate, bundle.new_on_candidate) if run is not None]


def tests_pass(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """All tests pass, all N tests pass, N passed, the new tests pass."""
    bundle, ids = context.bundle, context.fresh(K.TESTS_CANDIDATE, K.NEW_TESTS_CANDIDATE)
    if bundle is None:
        return unknown(claim, "no test was run")
    if not ids:
        return say(claim, ClaimStatus.STALE, "the tests were run on another tree", bundle.of(K.TESTS_CANDIDATE))
    if not all(run.believable for run in _runs(bundle)) or not bundle.candidate.records:
        return unknown(claim, "no believable test run", ids)
    suite = _Suite.of(bundle, context)
    outcomes = suite.all
    if claim.subject == "new":
        outcomes = {name: outcome for name, outcome in suite.own.items() if name in suite.new}
    elif claim.subject == "existing":
        outcomes = bundle.candidate.outcomes
    if not outcomes:
        return unknown(claim, "no such test was run", ids)
    if claim.value is not None and "/" in claim.value:
        return _counted(claim, suite, ids)
    bad = {name for name, outcome in outcomes.items() if outcome in BAD and name not in bundle.flaky}
    replaced = _replaced(bad, suite, bundle)
    if bad and bad <= replaced.keys():
        if Outcome.FAILED in replaced.values():
            told = f"{len(bad)} tests pass as the candidate has them, and not as the base has them"
            return unknown(claim, told, ids)
        bad = set()
    if bad and claim.subject == "some" and claim.value is None:
        return unknown(claim, f"{len(bad)} tests do not pass; which are meant is not said", ids)
    if bad:
        critical = any(bundle.base.outcome(name) not in FAILING for name in bad)
        return either(claim, False, f"{len(bad)} of {len(outcomes)} tests do not pass", ids, critical=critical)
    if claim.value is not None:
        numbered = _numbered(claim, suite, outcomes, ids)
        if numbered is not None:
            return numbered
    return _whole(claim, bundle, outcomes, ids)


def _replaced(bad: Collection[str], suite: _Suite, bundle: EvidenceBundle) -> dict[str, Outcome]:
    """Those of the failing tests that are the base's version of what the candidate has replaced by passing tests.

    A file of the base that cannot be collected any more (it imports what is gone) says nothing of the candidate's own.
    """
    run = bundle.new_on_candidate
    if run is None or any(outcome in BAD for outcome in suite.own.values()):
        return {}
    files = {file_of(name) for name in run.outcomes}
    return {name: bundle.candidate.outcome(name) for name in bad if file_of(name) in files and name not in suite.new}


def _counted(claim: AtomicClaim, suite: _Suite, ids: tuple[str, ...]) -> CheckedClaim:
    """So many of so many pass, as the candidate has its tests."""
    passed, total = (int(part) for part in (claim.value or "0/0").split("/"))
    bad = sum(outcome in BAD for outcome in suite.own.values())
    told = f"{_passed(suite.own)} of {len(suite.own)} tests pass"
    if passed > total or (passed == total and bad):
        return either(claim, False, told, ids, critical=passed == total)
    if (passed, total) == (_passed(suite.own), len(suite.own)):
        return either(claim, True, told, ids)
    if total > len(suite.own) or total == len(suite.own):
        return either(claim, False, told, ids)
    return unknown(claim, f"{told}; which {total} are meant is not said", ids)


def _passed(outcomes: Mapping[str, Outcome]) -> int:
    return sum(outcome in (Outcome.PASSED, Outcome.XPASSED) for outcome in outcomes.values())


def _numbered(
    claim: AtomicClaim, suite: _Suite, outcomes: Mapping[str, Outcome], ids: tuple[str, ...]
) -> CheckedClaim | None:
    """What the number alone decides; None when it is right."""
    counted = outcomes if claim.subject in ("new", "existing") else suite.own
    number, passed, total = int(claim.value or 0), _passed(counted), len(counted)
    if number == passed:
        return None
    if number == total:
        return unknown(claim, f"{passed} of {total} tests pass, the others are skipped or expected to fail", ids)
    if number > passed or claim.subject != "some":
        return either(claim, False, f"{passed} tests pass", ids)
    return unknown(claim, f"{passed} tests pass; which {number} are meant is not said", ids)


def _whole(
    claim: AtomicClaim, bundle: EvidenceBundle, outcomes: Mapping[str, Outcome], ids: tuple[str, ...]
) -> CheckedClaim:
    passed = _passed(outcomes)
    left = bundle.gap.left_out if bundle.gap else sum(len(run.unrun) for run in _runs(bundle))
    if left:
        return unknown(claim, f"{passed} tests pass, and {left} were left out", ids)
    if not passed:
        return unknown(claim, "no test passes: all are skipped or expected to fail", ids)
    if shaky := [name for name in bundle.flaky if name in outcomes]:
        return unknown(claim, f"{passed} tests pass; {shaky[0]} does not always", ids)
    return either(claim, True, f"{passed} tests pass, none fails", ids)


def test_passes(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """One named test passes; a file or a class stands for its tests."""
    bundle, ids = context.bundle, context.fresh(K.TESTS_CANDIDATE, K.NEW_TESTS_CANDIDATE)
    if bundle is None or not ids:
        return unknown(claim, "no test was run on this tree")
    if not all(run.believable for run in _runs(bundle)):
        return unknown(claim, "no believable run of that test", ids)
    found = _find(claim.subject, bundle, context)
    if len({bare(name) for name in found}) > 1 and "/" not in claim.subject and "." not in claim.subject:
        return unknown(claim, f"{claim.subject!r} may mean any of {len(found)} tests", ids)
    if not found:
        return unknown(claim, "no believable run of that test", ids)
    bad = sorted(name for name, outcome in found.items() if outcome in BAD)
    if bad and any(name in bundle.flaky for name in bad):
        return unknown(claim, "the test does not always end the same", ids)
    if bad:
        return either(claim, False, f"{bad[0]} {found[bad[0]].value}", ids, critical=True)
    if any(outcome is not Outcome.PASSED for outcome in found.values()):
        return unknown(claim, "the test is skipped or expected to fail", ids)
    return either(claim, True, f"{len(found)} tests of that name passed", ids)


def _find(name: str, bundle: EvidenceBundle, context: ClaimContext) -> dict[str, Outcome]:
    """Outcomes of the tests that a name means: a node id, its end, or a file."""
    suite = _Suite.of(bundle, context)
    for outcomes in (suite.own, suite.all):
        exact = {key: value for key, value in outcomes.items() if name in (key, bare(key), file_of(key))}
        ending = (f"::{name}", f"/{name}", f"::{name.replace('.', '::')}")
        found = exact or {
            key: value for key, value in outcomes.items() if bare(key).endswith(ending) or file_of(key).endswith(ending)
        }
        if found:
            return found
    return {}


def _new_tests(context: ClaimContext) -> Mapping[str, Counter[str]]:
    """Path -> the test functions that it gained; one that only moved to another file does not count."""
    gained: dict[str, Counter[str]] = {}
    lost: Counter[str] = Counter()
    for change in context.given.candidate.changes:
        if context.given.owns(change.path) and change.path.endswith(".py"):
            old, new = (read_tests(side) if side is not None else None for side in (change.old, change.new))
            before = {test.name for test in old.tests} if old else set()
            after = {test.name for test in new.tests} if new else set()
            gained[change.path] = Counter(after - before)
            lost.update(before - after)
    for path in sorted(gained):
        moved = gained[path] & lost
        gained[path] -= moved
        lost -= moved
    return gained


def tests_added(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """Tests were added, or so many; the subject is a file or a test where the report names one."""
    gained = _new_tests(context)
    run = context.bundle.new_on_candidate if context.bundle else None
    base = set(context.bundle.base.outcomes) if context.bundle else set()
    new = {record.nodeid for record in run.records} - base if run else set()
    if claim.subject and "::" not in claim.subject and claim.subject.endswith(".py"):
        paths = {path for path in gained if path == claim.subject or path.endswith(f"/{claim.subject}")}
        gained = {path: gained[path] for path in paths}
        new = {name for name in new if file_of(name) in paths}
    elif claim.subject:
        return _one_added(claim, context, gained)
    functions, cases = sum(each.total() for each in gained.values()), len(new)
    ids = (*context.diff, *context.fresh(K.NEW_TESTS_CANDIDATE))
    reason = f"{functions} test functions are new, {cases} new tests were run"
    known = {functions, cases} if functions else {cases}
    if claim.value is None or claim.value == "1" or max(known) == 0:
        return _some_added(claim, max(known), reason, ids)
    number = int(claim.value)
    if number in known:
        return either(claim, True, reason, ids)
    whole = claim.verifiability is not Verifiability.NEEDS_CONTEXT
    if number > max(known) or (whole and number < min(known)):
        return either(claim, False, reason, ids)
    return unknown(claim, f"{reason}; which {number} are meant cannot be told", ids)


def _some_added(claim: AtomicClaim, count: int, reason: str, ids: tuple[str, ...]) -> CheckedClaim:
    """Whether there is one at least: "a test" does not say that there is no other."""
    return either(claim, count > 0, reason, ids)


def _one_added(claim: AtomicClaim, context: ClaimContext, gained: Mapping[str, Counter[str]]) -> CheckedClaim:
    path, _, name = claim.subject.rpartition("::") if "::" in claim.subject else ("", "", claim.subject)
    name = name.partition("[")[0].replace("::", ".")
    path = path.partition("::")[0]
    found = [
        at
        for at, names in gained.items()
        if any(item == name or item.endswith(f".{name}") for item in names) and (not path or at.endswith(path))
    ]
    ids = (*context.diff, *context.fresh(K.NEW_TESTS_CANDIDATE))
    return either(claim, bool(found), f"{claim.subject} is {'new' if found else 'not new'}", ids)


def fix_tested(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """A test, or the named one, fails on the base and passes on the candidate."""
    bundle = context.bundle
    if bundle is None:
        return unknown(claim, "no test was run")
    shown = demonstrating_tests(context.given)
    ids = context.fresh(K.TESTS_CANDIDATE, K.NEW_TESTS_CANDIDATE, K.NEW_TESTS_BASE)
    if not ids:
        return say(claim, ClaimStatus.STALE, "the tests were run on another tree", bundle.of(K.TESTS_CANDIDATE))
    if not all(run.believable for run in (bundle.base, bundle.candidate)):
        return unknown(claim, "no believable test run", ids)
    if not shown and bundle.new_on_base is None and bundle.new_on_candidate is not None:
        return unknown(claim, "the new tests were not run on the base", ids)
    if not shown and bundle.gap is not None:
        return unknown(claim, "tests were left out", ids)
    told = f"{len(shown)} tests fail on the base and pass on the candidate"
    if not claim.subject or not shown:
        return either(claim, bool(shown), told, ids)
    return _named_shown(claim, context, shown, ids)


def _named_shown(claim: AtomicClaim, context: ClaimContext, shown: Sequence[str], ids: tuple[str, ...]) -> CheckedClaim:
    name = claim.subject
    last = name.rpartition("::")[2].rpartition(".")[2].partition("[")[0]
    if any(bare(item).endswith(f"::{last}") for item in shown):
        return either(claim, True, f"{name} fails on the base and passes on the candidate", ids)
    if last.startswith("test") or "::" in name:
        known = context.bundle is not None and _find(name, context.bundle, context)
        return (
            either(claim, False, f"{name} does not fail on the base", ids)
            if known
            else unknown(claim, f"no run of {name}", ids)
        )
    files = {file_of(item) for item in shown}
    word = re.compile(rb"\b%b\b" % re.escape(last).encode())
    if any(change.path in files and word.search(change.new or b"") for change in context.given.candidate.changes):
        return either(claim, True, f"{len(shown)} tests in a file that uses {last} fail without the change", ids)
    return unknown(claim, f"{len(shown)} tests fail without the change; whether for {name} is not known", ids)
