"""What the sandboxed tester says is read without believing it; and its parts, as they run inside."""

from __future__ import annotations

import datetime
import importlib
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from councilor.adapters.analyzers import differential
from councilor.adapters.analyzers.differential.findings import Findings
from councilor.ports.differential import DifferentialRequest, Version

SANDBOXED = Path(differential.__file__).parent / "sandboxed"
PARTS = ("describing", "expressing", "scenario", "mutating", "shrinking", "places", "instrumenting")


@pytest.fixture(scope="module")
def parts() -> Iterator[SimpleNamespace]:
    """The modules of the sandboxed program, under their own names only as long as these tests run."""
    sys.path.insert(0, str(SANDBOXED))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in PARTS})
    finally:
        sys.path.remove(str(SANDBOXED))
        for name in PARTS:
            sys.modules.pop(name, None)


@pytest.fixture
def findings() -> Findings:
    return Findings(
        DifferentialRequest(
            folder=Path("/f"),
            environment=None,  # type: ignore[arg-type]  # nothing runs
            targets={"src/shop.py": ["f"]},
            nodeids=(),
            base=Version(files={}),
            alternatives={"rival1": Version(files={})},
        )
    )


def said(kind: str = "difference", **changes: Any) -> str:
    item = {
        "imports": ["from shop import f"],
        "setup": [],
        "call": "f(3)",
        "source": "mutated",
        "place": "shop:f",
        "outcomes": {"": ["value", "4", "int"], "base": ["value", "4", "int"], "rival1": ["value", "5", "int"]},
    }
    return "seal " + json.dumps({kind: item | changes})


def test_a_finding_is_read(findings: Findings) -> None:
    findings.take(said())
    findings.take('seal {"end": "", "recorded": 3, "tried": 40, "compared": {"rival1": 40, "other": 1}}')
    run = findings.run()
    (call,) = run.calls
    assert (call.path, call.function, call.candidate.text) == ("src/shop.py", "f", "4")
    assert {name: each.text for name, each in call.alternatives.items()} == {"rival1": "5"}
    assert (run.tried, run.compared, run.error) == (40, {"rival1": 40}, "")
    assert not run.differs_from_base


@pytest.mark.parametrize(
    "changes",
    [
        {"imports": ["import os; os.system('x')"]},
        {"imports": ["from a import (b,\nc)"]},
        {"call": "f(3); g()"},
        {"call": "f(" + "1," * 2000 + ")"},
        {"setup": ["a = 1; b = 2"]},
        {"setup": ["x = 1"] * 40},
        {"setup": "abc"},
        {"outcomes": {}},
        {"outcomes": {"": ["value", "4"]}},
        {"outcomes": {"": ["won", "4", "int"]}},
        {"outcomes": {"": ["value", "4" * 10_000, "int"]}},
        {"outcomes": {"": ["value", 4, "int"]}},
        {"source": "oracle"},
        {"place": None},
    ],
)
def test_what_was_not_agreed_is_left_out(findings: Findings, changes: dict[str, Any]) -> None:
    findings.take(said(**changes))
    assert findings.run().calls == ()


def test_nonsense_ends_in_an_error_and_floods_are_cut(findings: Findings) -> None:
    for line in ("", "x", "seal [1]", "seal " + "[" * 50_000, 'seal {"difference": 7}'):
        findings.take(line)
    for _ in range(500):
        findings.take(said())
    run = findings.run()
    assert run.error and 0 < len(run.calls) <= 12


def test_versions_that_nobody_asked_about_do_not_count(findings: Findings) -> None:
    findings.take(said(outcomes={"": ["value", "4", "int"], "rival9": ["value", "5", "int"]}))
    assert findings.run().calls[0].alternatives == {}


# --- inside -----------------------------------------------------------------------------------------------------------


class Odd:
    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class Loud:
    def __repr__(self) -> str:
        return "x" * 10_000_000


def test_equal_values_have_one_description(parts: SimpleNamespace) -> None:
    describe = parts.describing.describe
    assert (
        describe({"b": {3, 1, 2}, "a": (1,)}) == describe({"a": (1,), "b": {2, 3, 1}}) == "{'a': (1,), 'b': {1, 2, 3}}"
    )
    assert describe(iter([1, 2])) == describe(each for each in (1, 2)) == "<iterator of [1, 2]>"
    assert describe(float("nan")) == describe(-math.nan) == "nan"
    assert describe(Odd(a=1, b=[2])) == "<Odd a=1, b=[2]>"
    assert describe(object()) == "<object>"
    assert describe(1) != describe(True) and describe(0.0) != describe(-0.0)
    loop: list[Any] = []
    loop.append(loop)
    assert describe(loop) == "[...]"


def test_long_descriptions_are_cut_and_still_tell_apart(parts: SimpleNamespace) -> None:
    describe = parts.describing.describe
    assert len(describe(Loud())) <= parts.describing.LONGEST
    assert describe("a" * 9000 + "b") != describe("a" * 9000 + "c")


def test_values_are_written_as_what_makes_them_anew(parts: SimpleNamespace) -> None:
    values: list[Any] = [1, -2.5, "a'b", b"x", None, [1, (2,), {"k": {3}}], range(3), datetime.date(2026, 1, 2)]
    for value in values:
        writer = parts.expressing.Writer()
        text = writer.write(value)
        namespace: dict[str, Any] = {}
        for line in writer.imports:
            exec(line, namespace)
        assert eval(text, namespace) == value
    assert parts.expressing.Writer().write(lambda n: n + 1) == "(lambda n: n + 1)"
    for value in (open, object(), Odd(), "x" * 5000, list(range(1000))):
        if value is not open:
            with pytest.raises(parts.expressing.Inexpressible):
                parts.expressing.Writer().write(value)


def scenario(parts: SimpleNamespace, call: str, *setup: str) -> Any:
    return parts.scenario.Scenario((), setup, call, "recorded", "shop:f")


def test_neighbours_change_one_part(parts: SimpleNamespace) -> None:
    mutator = parts.mutating.Mutator([], {}, {"shop:f": {"deep": "False"}})
    calls = {each.call for each in mutator.neighbours(scenario(parts, "f([1, 2], 'ab', 3)"))}
    assert {"f([1, 2], 'ab', 4)", "f([1, 2], 'ab', 2)", "f([], 'ab', 3)", "f([2, 1], 'ab', 3)"} <= calls
    assert {"f([1, 2], 'AB', 3)", "f([1, 2], '', 3)", "f([1, 2], 'ab', 3, deep=True)"} <= calls


def test_constants_of_the_code_are_tried(parts: SimpleNamespace) -> None:
    code = compile("def f(n):\n    return n > 41 or n == 'xyz'\n", "f", "exec").co_consts[0]
    constants = parts.mutating.constants_of([code])
    assert {40, 41, 42, "xyz"} <= set(constants)
    mutator = parts.mutating.Mutator(constants, {}, {})
    assert {"f(42)", "f(41)"} <= {each.call for each in mutator.neighbours(scenario(parts, "f(7)"))}


def test_a_shrunk_call_still_tells(parts: SimpleNamespace) -> None:
    def tells(some: list[Any]) -> list[bool]:
        return ["7" in each.call for each in some]

    long = scenario(parts, "f([1, 2, 7, 9], 'some text', key='more')", "x = 1")
    short = parts.shrinking.shrunk(long, tells, until_s=1e18)
    assert short.setup == () and "7" in short.call and len(short.call) <= len("f([7])")


def test_an_argument_that_a_call_changes_is_looked_at_afterwards(parts: SimpleNamespace) -> None:
    sorting = parts.scenario.Scenario((), ("f = lambda values: values.sort()",), "f([2, 1])", "recorded", "shop:f")
    assert parts.scenario.changed_arguments(sorting) == [0]
    assert parts.scenario.run(parts.scenario.lifted(sorting, 0)).text == "[1, 2]"
    assert parts.scenario.run(sorting).text == "None"


def test_outcomes_of_calls(parts: SimpleNamespace) -> None:
    run = parts.scenario.run
    assert run(scenario(parts, "1 / 0"))[:2] == ("raised", "ZeroDivisionError: division by zero")
    assert run(scenario(parts, "x", "x = 1 / 0")).kind == "setup"
    assert run(scenario(parts, "exit(3)")).kind == "raised"


def test_where_versions_differ(parts: SimpleNamespace) -> None:
    ours = (
        b"LIMIT = 3\n\ndef f(n):\n    a = n\n    if n > 3:\n        return a\n    return 0\n\ndef g():\n    return 1\n"
    )
    lines = parts.places.differing_lines(ours, ours.replace(b"n > 3", b"n >= 3"))
    assert 5 in lines and 10 not in lines
    assert parts.places.differing_lines(ours, ours.replace(b"LIMIT = 3", b"LIMIT = 4")) is None
    assert parts.places.differing_lines(ours, None) is None
