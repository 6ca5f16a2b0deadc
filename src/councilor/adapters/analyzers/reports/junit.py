"""JUnit XML: one record for each test case.

Rules:
- A test's id is `file::names`, or only its names where the report tells no file of the tree; names are those of the
  suites around it, of its class, and its own, joined by ` > `, a repeated one once. What `testsuites` is called is the
  run's title, and no part of it. Of tests with one id the second is `id #2`, and so on.
- `failure` is failed, `error` is error, `skipped` (or a status that says so) is skipped; anything else has passed.
- `flakyFailure` and `flakyError` tell that the test was run again until it passed.
- The root is `testsuites` or `testsuite`, and a test case has a name.

Source: https://github.com/testmoapp/junitxml; maven-surefire's XML schema 3.0 for the flaky elements.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from councilor.adapters.analyzers.reports.places import relative
from councilor.adapters.analyzers.reports.xmlstream import Malformed, stream
from councilor.domain.evidence import Outcome, TestRecord

__all__ = ["read_junit"]

ROOTS = frozenset({"testsuites", "testsuite"})
ENDS = {"failure": Outcome.FAILED, "error": Outcome.ERROR, "skipped": Outcome.SKIPPED}
RERUNS = frozenset({"flakyFailure", "flakyError"})
UNRUN = frozenset({"notrun", "disabled", "skipped", "suppressed", "ignored"})
NAME_LIMIT, ID_LIMIT, MESSAGE_LIMIT, MOST_TESTS = 500, 2_000, 4_000, 200_000


def read_junit(data: bytes, folder: Path) -> tuple[TestRecord, ...]:
    """The tests of a report, in its order.

    Args:
        folder: where the command ran, for absolute paths.

    Raises:
        Malformed: it is no JUnit XML.
    """
    reader = _Reader(folder)
    stream(data, reader)
    return tuple(reader.records)


class _Reader:
    def __init__(self, folder: Path) -> None:
        self.records: list[TestRecord] = []
        self._folder = folder
        self._seen: dict[str, int] = {}
        self._suites: list[tuple[str, str]] = []
        self._case: Mapping[str, str] | None = None
        self._outcome = Outcome.PASSED
        self._message = ""
        self._reruns = 0
        self._begun = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if not self._begun and tag not in ROOTS:
            raise Malformed(f"its root is `{tag[:40]}`, not `testsuites` or `testsuite`")
        self._begun = True
        if tag in ROOTS:
            name = attributes.get("name", "") if tag == "testsuite" else ""
            self._suites.append((name, attributes.get("file", "")))
        elif tag == "testcase":
            self._begin(attributes)
        elif self._case is not None and tag in ENDS:
            if self._outcome in (Outcome.PASSED, Outcome.SKIPPED):
                self._outcome = ENDS[tag]
            self._message = self._message or attributes.get("message", "")
        elif self._case is not None and tag in RERUNS:
            self._reruns += 1

    def end(self, tag: str, text: str) -> None:
        if tag in ROOTS:
            self._suites.pop()
        elif tag in ENDS:
            self._message = self._message or text.strip()
        elif tag == "testcase":
            self._finish()

    def _begin(self, attributes: Mapping[str, str]) -> None:
        if self._case is not None:
            raise Malformed("a test case stands in another")
        if not attributes.get("name", "").strip():
            raise Malformed("a test case has no name")
        if len(self.records) >= MOST_TESTS:
            raise Malformed(f"it holds more than {MOST_TESTS} tests")
        words = {attributes.get("status", "").lower(), attributes.get("result", "").lower()}
        self._case, self._message, self._reruns = attributes, "", 0
        self._outcome = Outcome.SKIPPED if words & UNRUN else Outcome.PASSED

    def _finish(self) -> None:
        if self._case is None:
            return
        record = TestRecord(
            nodeid=self._id(self._case),
            outcome=self._outcome,
            duration_s=_seconds(self._case.get("time", "")),
            message=self._message[:MESSAGE_LIMIT],
            reruns=self._reruns,
        )
        self.records.append(record)
        self._case = None

    def _id(self, case: Mapping[str, str]) -> str:
        file = case.get("file") or next((file for _, file in reversed(self._suites) if file), "")
        names: list[str] = []
        for name in (*(name for name, _ in self._suites), case.get("classname", ""), case["name"]):
            line = " ".join(name.split())[:NAME_LIMIT]
            if line and (not names or names[-1] != line):
                names.append(line)
        path = relative(file, self._folder) if file else ""
        known = (f"{path}::{' > '.join(names)}" if path else " > ".join(names))[:ID_LIMIT]
        self._seen[known] = self._seen.get(known, 0) + 1
        return known if self._seen[known] == 1 else f"{known} #{self._seen[known]}"


def _seconds(text: str) -> float:
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value >= 0 else 0.0
