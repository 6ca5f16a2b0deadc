"""The gate `test_weakening`: whether the change makes the tests ask less.

Rules:
- WEAK-1: a test file is deleted. WEAK-2: a test is removed. A test that reappears under its name in another changed
  file has moved. WEAK-3: a test, class or file is skipped, expected to fail, or no longer collected.
- WEAK-4: an assertion is removed. WEAK-5: an assertion is loosened, or exceptions are swallowed. WEAK-6: what a test
  expects is changed. WEAK-7: parametrised cases are removed. WEAK-8: a test file can no longer be parsed.
- WEAK-9: the test runner's configuration leaves tests out.
- WEAK-10: an example in documentation that the base ran as a test is removed or expects something else (`examples`).
- In other languages lines tell (`foreigntests`).
- Only tests that the base has are compared: a new test cannot weaken anything.

Evidence uses the base's test code anyway, so weakening gains a worker nothing; it is still refused, because the
weakened tests would be published. Source: by AST, `testcode`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from councilor.domain.change import ChangeKind, FileChange
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.pipeline.gates.examples import changed_examples
from councilor.pipeline.gates.foreigntests import changed_foreign_tests, weakened_foreign_tests
from councilor.pipeline.gates.input import GateInput, broken, ruled
from councilor.pipeline.gates.testcode import Assertion, TestFunction, read_tests

__all__ = ["test_weakening"]

LEAVES_OUT = re.compile(
    rb"--(?:ignore|deselect|ignore-glob|maxfail|exitfirst|last-failed|lf\b)"
    rb"|(?:addopts[^#]{0,300}?(?<![\w-])|^\s*[\"']?)-(?:k|m|x|p)(?=[ =\"',]|$)"
    rb"|^\s*(?:norecursedirs|testpaths|python_files|python_functions|python_classes|collect_ignore\w*)\s*="
)
"""Options and settings of pytest that leave tests out."""
SEVERE = Severity.HIGH


def test_weakening(given: GateInput) -> GateResult:
    """Whether every test that the base has asks as much as before."""
    owned = [change for change in given.candidate.changes if given.owns(change.path)]
    moved = _moved(owned)
    failures = [violation for change in owned for violation in _weaker(change, moved)]
    failures += changed_examples(given)
    failures += weakened_foreign_tests(owned)
    return ruled(
        "test_weakening",
        failures,
        passed=f"{len(owned)} changed test files ask as much as before",
        warnings=[*changed_foreign_tests(owned)],
    )


def _moved(changes: list[FileChange]) -> dict[str, list[TestFunction]]:
    """Tests that a changed file has now and had not before, by name: where removed ones may have gone."""
    found: dict[str, list[TestFunction]] = {}
    for change in changes:
        old = {test.name for test in _tests(change.old)}
        for test in _tests(change.new):
            if test.name not in old:
                found.setdefault(test.name, []).append(test)
    return found


def _tests(source: bytes | None) -> tuple[TestFunction, ...]:
    file = read_tests(source) if source is not None else None
    return file.tests if file else ()


def _weaker(change: FileChange, moved: dict[str, list[TestFunction]]) -> Iterator[Violation]:
    path = change.path
    if change.old is None:
        return
    if not path.endswith(".py"):
        yield from _configuration(change)
        return
    old, new = read_tests(change.old), read_tests(change.new) if change.new is not None else None
    if old is None:
        return
    if change.new is not None and new is None:
        yield broken("WEAK-8", SEVERE, f"{path} can no longer be parsed", "Correct its syntax.", path=path)
        return
    now = {test.name: test for test in (new.tests if new else ())}
    gone = [test for test in old.tests if test.name not in now]
    lost = [test for test in gone if not moved.get(test.name)]
    if change.kind is ChangeKind.DELETED and (lost or not old.tests):
        message = f"the test file {path} with {len(old.tests)} tests is deleted"
        yield broken("WEAK-1", SEVERE, message, "Restore the file.", path=path)
        return
    for test in lost:
        yield broken(
            "WEAK-2", SEVERE, f"the test {test.name} is removed", "Restore the test.", path=path, line=test.line
        )
    if new is not None:
        yield from _switched(path, old.switched_off, new.switched_off, "the whole file", 1)
    for test in old.tests:
        after = now.get(test.name) or next(iter(moved.get(test.name, ())), None)
        if after is not None:
            yield from _weaker_test(path, test, after)


def _switched(path: str, old: tuple[str, ...], new: tuple[str, ...], what: str, line: int) -> Iterator[Violation]:
    for switch in Counter(new) - Counter(old):
        message = f"{what} is switched off by {switch!r}"
        yield broken("WEAK-3", SEVERE, message, "Remove it, and repair the code.", path=path, line=line)


def _weaker_test(path: str, old: TestFunction, new: TestFunction) -> Iterator[Violation]:
    yield from _switched(path, old.switched_off, new.switched_off, old.name, new.line)
    if new.swallows and not old.swallows:
        message = f"{old.name} now swallows exceptions"
        yield broken("WEAK-5", SEVERE, message, "Let the exception out.", path=path, line=new.line)
    if new.cases < old.cases and new.cases:
        message = f"{old.name} has {new.cases} parametrised cases, {old.cases} before"
        yield broken("WEAK-7", SEVERE, message, "Restore the cases.", path=path, line=new.line)
    yield from _weaker_assertions(path, old, new)


def _weaker_assertions(path: str, old: TestFunction, new: TestFunction) -> Iterator[Violation]:
    gone = _without(old.assertions, new.assertions)
    fresh = _without(new.assertions, old.assertions)
    for assertion in gone:
        match = next((item for item in fresh if item.subject == assertion.subject), None)
        match = match or (fresh[0] if fresh else None)
        if match is None:
            message = f"{old.name} no longer asserts `{assertion.text}`"
            yield broken("WEAK-4", SEVERE, message, "Restore the assertion.", path=path, line=new.line)
            continue
        fresh.remove(match)
        change = f"`{assertion.text}` became `{match.text}` in {old.name}"
        remedy = "Restore the assertion, and repair the code."
        if match.strength < assertion.strength:
            yield broken("WEAK-5", SEVERE, change, remedy, path=path, line=match.line)
        elif match.subject == assertion.subject and match.strength == assertion.strength:
            yield broken("WEAK-6", SEVERE, change, remedy, path=path, line=match.line)


def _without(left: tuple[Assertion, ...], right: tuple[Assertion, ...]) -> list[Assertion]:
    """Assertions of `left` that `right` has not, counted."""
    counts = Counter(item.text for item in right)
    rest: list[Assertion] = []
    for item in left:
        if counts[item.text] > 0:
            counts[item.text] -= 1
        else:
            rest.append(item)
    return rest


def _configuration(change: FileChange) -> Iterator[Violation]:
    """Lines of a test configuration that are new and leave tests out."""
    before = Counter((change.old or b"").splitlines())
    for number, line in enumerate((change.new or b"").splitlines(), start=1):
        if before[line] > 0:
            before[line] -= 1
        elif LEAVES_OUT.search(line[:1000]):
            message = f"the test configuration leaves tests out: `{line[:100].decode('utf-8', 'replace').strip()}`"
            yield broken("WEAK-9", SEVERE, message, "Restore the configuration.", path=change.path, line=number)
