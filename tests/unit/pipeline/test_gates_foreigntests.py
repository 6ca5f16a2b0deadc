"""Weakened tests in other languages, told from their lines."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from councilor.pipeline.gates.weakening import test_weakening as judge

JS = "test('ten', () => {\n  assert.equal(discount(10), 5);\n  expect(total([])).toBe(0);\n});\n"
PATH = "src/price.test.js"


def rules(make: SimpleNamespace, *changes: Any) -> list[str]:
    result = judge(make.input(*changes, owns=lambda path: ".test." in path or path.endswith("_test.go")))
    return [item.rule for item in result.violations]


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (JS, []),
        (JS.replace("  ", "    "), []),
        (JS + "test('more', () => expect(1).toBe(1));\n", []),
        (JS.replace("), 5", "), 0"), ["WEAK-6"]),
        (JS.replace("  expect(total([])).toBe(0);\n", ""), ["WEAK-4"]),
        (JS.replace("test(", "test.skip("), ["WEAK-3"]),
        (JS.replace("test(", "test.only("), ["WEAK-3"]),
        (JS.replace("test(", "xit("), ["WEAK-3"]),
        ("const x = require('./x');\n".join(["", JS]), []),
        (None, ["WEAK-1"]),
    ],
)
def test_a_javascript_test_that_asks_less(make: SimpleNamespace, new: str | None, expected: list[str]) -> None:
    assert rules(make, make.change(PATH, JS, new)) == expected


def test_a_change_of_an_assertion_only_warns(make: SimpleNamespace) -> None:
    given = make.input(make.change(PATH, JS, JS.replace("), 5", "), 6")), owns=lambda path: True)
    assert judge(given).status.value == "warned"


def test_a_test_file_may_move(make: SimpleNamespace) -> None:
    moved = make.change("lib/price.test.js", None, JS)
    assert rules(make, make.change(PATH, JS, None), moved) == []
    assert rules(make, make.change(PATH, JS, None), make.change("lib/price.test.js", None, "\n")) == ["WEAK-1"]


def test_what_was_switched_off_before_may_stay(make: SimpleNamespace) -> None:
    skipped = JS.replace("test(", "test.skip(")
    assert rules(make, make.change(PATH, skipped, skipped + "\n// more\n")) == []
    assert rules(make, make.change("a_test.go", "t.Error(1)\n", "t.Skip()\nt.Error(1)\n")) == ["WEAK-3"]


def test_code_in_a_folder_of_tests_is_a_test(make: SimpleNamespace) -> None:
    given = make.input(make.change("test/price.js", JS, "const x = require('x');\n"), owns=lambda path: True)
    assert [item.rule for item in judge(given).violations] == ["WEAK-4"]
    imports = make.change("test/price.js", "const x = require('x');\n", "\n")
    assert judge(make.input(imports, owns=lambda path: True)).violations == (), "an import asserts nothing"


def test_other_files_and_bytes_are_left_alone(make: SimpleNamespace) -> None:
    assert rules(make, make.change("src/expect.js", "expect(1)\n", "\n")) == []
    assert rules(make, make.change(PATH, "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "x\n")) == []
