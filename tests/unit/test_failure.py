"""Failure messages as pytest writes them, read for what they tell."""

from __future__ import annotations

import pytest

from councilor.domain.failure import Failure, read_failure

LONG = """\
    def test_it():
>       assert shop.price(1) == 2

tests/test_shop.py:5:
_ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ _
shop/core.py:12: in price
    return rate(x)
/usr/lib/python3.11/json/__init__.py:3: in loads
shop/rates.py:40: KeyError
E   KeyError: 'x'
"""


def test_frames_of_the_given_files_count() -> None:
    failure = read_failure([LONG], ["shop/core.py", "shop/rates.py"])
    assert failure.deepest == {("shop/rates.py", 40)}
    assert failure.passed_through == {("shop/core.py", 12)}
    assert failure.raised == {"KeyError"}


@pytest.mark.parametrize(
    ("line", "field", "expected"),
    [
        ("NameError: name 'total' is not defined", "missing_names", {"total"}),
        (
            "UnboundLocalError: cannot access local variable 'n' where it is not associated with a value",
            "missing_names",
            {"n"},
        ),
        ("AttributeError: 'A' object has no attribute '_x'", "missing_attributes", {"_x"}),
        ("Failed: DID NOT RAISE <class 'ValueError'>", "expected", {"ValueError"}),
        ("Failed: DID NOT RAISE <class 'shop.errors.Refused'>", "expected", {"Refused"}),
        ("TypeError: 'NoneType' object is not iterable", "met_none", True),
        ("assert None == 3", "met_none", True),
        ("TypeError: f() missing 1 required positional argument: 'b'", "wrong_call", True),
        ("TypeError: f() got an unexpected keyword argument 'c'", "wrong_call", True),
        ("decimal.InvalidOperation: no", "raised", set()),
        ("shop.errors.OwnError: no", "raised", {"OwnError"}),
    ],
)
def test_lines_that_tell(line: str, field: str, expected: object) -> None:
    assert getattr(read_failure([f"E       {line}"], []), field) == expected


def test_other_text_tells_nothing() -> None:
    assert read_failure(["", "\x00\x1b[0m name 'x' is not defined", "E  " + "a" * 5000], ["a.py"]) == Failure()
