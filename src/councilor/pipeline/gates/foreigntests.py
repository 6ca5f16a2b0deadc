"""Weakened tests in languages other than Python, told from their lines: no parser is needed.

Rules:
- WEAK-1: a test file is deleted, and none of its name is there now with as many assertions. WEAK-3: a line that skips
  tests, or lets only some run, is added. WEAK-4: fewer lines assert something than before.
- WEAK-6, a warning: a line that asserts something is changed. Lines do not tell whether it asks less.
- What a line asserts is told by its words (`assert`, `expect`, `should`, ...), in comments, too. Space does not count.
- Test files are those that are called so, and code in folders of tests.

Evidence uses the base's test code anyway; these files would be published.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from councilor.domain.change import ChangeKind, FileChange
from councilor.domain.gate import Severity, Violation
from councilor.domain.integrity import is_test_code
from councilor.domain.layout import FOREIGN_CODE
from councilor.domain.testfile import is_foreign_test
from councilor.pipeline.gates.input import broken

__all__ = ["changed_foreign_tests", "weakened_foreign_tests"]

ASSERTS = re.compile(
    r"\b(?:assert\w*|expect\w*|should\w*|require\.[A-Z]\w*|refute\w*|Assert\w*|CHECK\w*|EXPECT_\w+|ASSERT_\w+)\b|\bt\.(?:Error|Fatal)"
)
SKIPS = re.compile(
    r"\b(?:it|test|describe|suite|context)\.(?:skip|only|todo|fixme)\b|\b(?:xit|xdescribe|xtest|fit|fdescribe)\("
    r"|\bt\.Skip|#\[ignore|@(?:Disabled|Ignore)\b|\bpending\b|\bskip:\s*true|\[(?:Ignore|Fact\(Skip)|\bGTEST_SKIP|\bDISABLED_"
)
LONGEST_BYTES = 1024 * 1024


def weakened_foreign_tests(changes: Sequence[FileChange]) -> Iterator[Violation]:
    """What makes the tests of a change ask less."""
    added = {_name(each.path): len(_asserting(each.new)) for each in changes if each.kind is ChangeKind.ADDED}
    for change in changes:
        if change.old is None or not _is_test(change.path):
            continue
        before = len(_asserting(change.old))
        if change.new is None:
            if added.get(_name(change.path), -1) < before:
                message = f"the test file {change.path} is deleted"
                yield broken("WEAK-1", Severity.HIGH, message, "Restore the file.", path=change.path)
            continue
        yield from _switched_off(change)
        now = len(_asserting(change.new))
        if now < before:
            message = f"{change.path} has {now} lines that assert something, {before} before"
            yield broken("WEAK-4", Severity.HIGH, message, "Restore the assertions.", path=change.path)


def changed_foreign_tests(changes: Sequence[FileChange]) -> Iterator[Violation]:
    """Lines that assert something and are not as they were, where there are as many as before."""
    for change in changes:
        if change.old is None or change.new is None or not _is_test(change.path):
            continue
        before, now = _asserting(change.old), _asserting(change.new)
        gone = Counter(before) - Counter(now)
        if gone and len(now) >= len(before):
            first = next(line for line in before if line in gone)
            message = f"{sum(gone.values())} lines that assert something are changed, such as `{first[:120]}`"
            remedy = "Look whether the tests ask as much as before."
            yield broken("WEAK-6", Severity.MEDIUM, message, remedy, path=change.path)


def _switched_off(change: FileChange) -> Iterator[Violation]:
    old = Counter(line for line in _lines(change.old) if SKIPS.search(line))
    for number, line in enumerate(_lines(change.new), start=1):
        if SKIPS.search(line):
            old[line] -= 1
            if old[line] < 0:
                message = f"`{line[:120]}` leaves tests out"
                yield broken(
                    "WEAK-3", Severity.HIGH, message, "Remove it, and repair the code.", path=change.path, line=number
                )


def _asserting(data: bytes | None) -> list[str]:
    return [line for line in _lines(data) if ASSERTS.search(line)]


def _lines(data: bytes | None) -> list[str]:
    return [" ".join(line.split()) for line in (data or b"")[:LONGEST_BYTES].decode("utf-8", "replace").splitlines()]


def _is_test(path: str) -> bool:
    return is_foreign_test(path) or (path.endswith(FOREIGN_CODE) and is_test_code(path))


def _name(path: str) -> str:
    return path.rpartition("/")[2]
