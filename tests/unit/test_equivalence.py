"""Edits that mean the same have one form, others have not."""

from __future__ import annotations

import pytest

from councilor.domain.mutation import normal_form


def form(expression: str) -> str:
    return normal_form("def f(a, b):\n    return None\n", f"def f(a, b):\n    return {expression}\n")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("not a == b", "a != b"),
        ("not a < b", "a >= b"),
        ("a > b", "b < a"),
        ("a == b", "b == a"),
        ("a <= 5", "a < 6"),
        ("a >= 1", "a > 0"),
        ("a < b + 1", "a <= b"),
        ("a <= b - 1", "a < b"),
        ("a + 1 <= b", "a < b"),
        ("a + 1 > b", "a >= b"),
        ("a - 1 < 5", "a <= 5"),
        ("a - 1 >= 1", "a > 1"),
        ("1 if -a else b", "1 if a else b"),
        ("not (a and b)", "not a or not b"),
        ("not not a", "a"),
        ("len(a) > 0", "len(a) >= 1"),
        ("len(a) != 0", "0 < len(a)"),
        ("a[0:b]", "a[:b]"),
        ("a - -1", "a + 1"),
        ("a + 1 - 1", "a"),
    ],
)
def test_equal_meaning_is_one_form(left: str, right: str) -> None:
    assert form(left) == form(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("a < b", "a <= b"), ("a == b", "a is b"), ("a and b", "a or b"), ("a[1:]", "a[:1]"), ("a - b", "b - a"),
        ("a > 0", "a != 0"), ("f(a)", "f(b)"), ("a < 5", "a < 6"), ("a + 1 < b", "a < b"), ("-a", "a"),
        ("a - 1 > 1", "a > 1"),
    ],
)  # fmt: skip
def test_other_meanings_keep_apart(left: str, right: str) -> None:
    assert form(left) != form(right)


def test_what_an_exception_says_does_not_count() -> None:
    old = "def f():\n    pass\n"
    first, second, third = (f"def f():\n    raise {text}\n" for text in ("E('a')", "E('b')", "F('a')"))
    assert normal_form(old, first) == normal_form(old, second) != normal_form(old, third)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("a.x = b", "a.y = c", True), ("p = a.tell()", "q = b.tell()", True), ("p = a.x", "a.y = b", True),
        ("p = a.x", "a.x = b", False), ("p = f(a)", "a.x = b", False), ("p = b", "q = p", False),
        ("p = b", "p = c", False), ("a = b", "a.x = c", False), ("f(a)", "p = b", False), ("p += 1", "q = b", False),
        ("p, q = b", "c = d", False),
    ],
)  # fmt: skip
def test_assignments_that_have_nothing_to_do_with_each_other_may_change_places(
    first: str, second: str, same: bool
) -> None:
    one, other = (
        normal_form("def f():\n    pass\n", f"def f(a, b):\n    {left}\n    {right}\n    return a\n")
        for left, right in ((first, second), (second, first))
    )
    assert (one == other) is same
