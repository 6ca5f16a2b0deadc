"""Ochiai on real coverage of small functions, and its laws."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.domain.localization import executing, import_lines, ochiai, rank

SOURCE = """\
LIMIT = 11
def rate(n):
    if n < 0:
        raise ValueError(n)
    if n >= LIMIT:
        return 5
    return 0
def other():
    return 1
"""


def covered(call: Callable[[dict[str, Any]], object]) -> tuple[int, ...]:
    """The lines of SOURCE that a call really executes."""
    lines: set[int] = set()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if event == "line" and frame.f_code.co_filename == "m.py":
            lines.add(frame.f_lineno)
        return trace

    namespace: dict[str, Any] = {}
    exec(compile(SOURCE, "m.py", "exec"), namespace)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call(namespace)
    finally:
        sys.settrace(before)
    return tuple(sorted(lines))


@pytest.fixture
def coverage() -> dict[str, dict[str, tuple[int, ...]]]:
    return {
        "few": {"m.py": covered(lambda m: m["rate"](1))},
        "many": {"m.py": covered(lambda m: m["rate"](20))},
        "ten": {"m.py": covered(lambda m: m["rate"](10))},
        "other": {"m.py": covered(lambda m: m["other"]())},
    }


def test_lines_of_failing_tests_come_first(coverage: dict[str, dict[str, tuple[int, ...]]]) -> None:
    ranked = rank(coverage, failing=["ten"], passing=["few", "many", "other"])
    assert [(item.line, item.failed, item.passed) for item in ranked] == [(7, 1, 1), (3, 1, 2), (5, 1, 2)]
    assert ranked[0].score == pytest.approx(1 / 2**0.5)


def test_lines_of_the_import_are_suspected_less(coverage: dict[str, dict[str, tuple[int, ...]]]) -> None:
    ranked = rank(coverage, failing=["ten"], passing=["few", "many", "other"], imported={"m.py": [1], "n.py": [4]})
    assert [item.line for item in ranked] == [7, 3, 5, 1]
    assert ranked[-1].passed == 3


def test_a_line_without_failing_tests_is_not_suspected(coverage: dict[str, dict[str, tuple[int, ...]]]) -> None:
    assert rank(coverage, failing=[], passing=["few"]) == ()
    assert rank(coverage, failing=["unknown"], passing=["few"]) == ()


def test_executing_keeps_the_order(coverage: dict[str, dict[str, tuple[int, ...]]]) -> None:
    assert executing(coverage, "m.py", [3], ["ten", "other", "few"]) == ("ten", "few")
    assert executing(coverage, "n.py", [3], ["ten"]) == ()


def test_import_lines_are_those_outside_of_function_bodies() -> None:
    assert import_lines(ast.parse(SOURCE)) == {1, 2, 8}
    inside = (
        "class A:\n    x = (1,\n         2)\n    def f(self, y=3):\n        return 4\n"
        "try:\n    import a\nexcept E:\n    a = 5\n"
    )
    assert import_lines(ast.parse(inside)) == {1, 2, 3, 4, 6, 7, 8, 9}


@given(failed=st.integers(0, 50), passed=st.integers(0, 50), extra=st.integers(0, 50))
def test_ochiai_is_a_share_and_falls_with_every_passing_test(failed: int, passed: int, extra: int) -> None:
    all_failed = failed + extra
    score = ochiai(failed=failed, passed=passed, all_failed=all_failed)
    assert 0 <= score <= 1
    assert score >= ochiai(failed=failed, passed=passed + 1, all_failed=all_failed)
    assert (score == 0) == (failed == 0)
