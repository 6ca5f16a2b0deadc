"""Controls: real tests, under their own names, changed so that they must fail.

Rules:
- Where a test compares with a literal (`assert f(x) == 30`, `assertEqual(f(x), 30)`) the literal is changed; an object
  that claims to be equal to everything, or a comparison that was made to do nothing, passes and is found out.
- Else a failing statement goes in front of a random statement of the test's body; at its start where it may return.
- Only tests that passed are controlled: those that matter most first, then random ones.

A control finds what knows its target by name, or acts only while a certain test calls it. It does not find code that
compares the test's own code with a known copy.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from councilor.adapters.analyzers.pytest.canary import Planted, splice
from councilor.adapters.analyzers.pytest.source import (
    Insertion,
    TestFile,
    TestFunction,
    first_line,
    indentation,
    lines_of,
)
from councilor.ports.clock import Randomness

__all__ = ["control"]

Edit = tuple[int, int, int, str]
"""Line, start and end column (bytes) and the new text."""


def control(files: Sequence[TestFile], chosen: frozenset[str], randomness: Randomness) -> Planted:
    """Change these tests (node ids without parameters) where they are found."""
    contents: dict[str, bytes] = {}
    insertions: dict[str, tuple[Insertion, ...]] = {}
    changed: set[str] = set()
    for file in files:
        edits: list[Edit] = []
        lines: list[tuple[int, str]] = []
        for function in file.functions:
            if function.id not in chosen or function.id in changed or _explores(function):
                continue
            edit = _other_literal(function, randomness)
            line = None if edit else _failing_line(file, function, randomness)
            edits += [edit] if edit else []
            lines += [line] if line else []
            if edit or line:
                changed.add(function.id)
        if edits or lines:
            contents[file.path] = splice(_replaced(file.text, edits), lines)
            insertions[file.path] = tuple((at, text.count("\n")) for at, text in lines)
    return Planted(files=contents, insertions=insertions, controls=frozenset(changed))


def _explores(function: TestFunction) -> bool:
    """Whether a failure would start a long search for the smallest example."""
    return any("given" in ast.unparse(mark) for mark in function.node.decorator_list)


def _leaves(function: TestFunction) -> bool:
    kinds = (ast.Return, ast.Yield, ast.YieldFrom)
    return any(isinstance(node, kinds) for statement in function.node.body for node in ast.walk(statement))


def _other_literal(function: TestFunction, randomness: Randomness) -> Edit | None:
    if _leaves(function):
        return None
    constants = [constant for statement in function.node.body if (constant := _compared(statement)) is not None]
    if not constants:
        return None
    constant = constants[randomness.below(len(constants))]
    value, more = constant.value, 1 + randomness.below(9)
    if isinstance(value, str):
        other = repr(value + randomness.token()[:6])
    else:
        assert isinstance(value, int | float)
        other = repr(value * 2 + more if value > 0 else value - more)
    return constant.lineno, constant.col_offset, constant.end_col_offset or 0, other


def _compared(statement: ast.stmt) -> ast.Constant | None:
    """The literal that this statement requires something to equal."""
    sides: list[ast.expr] = []
    if isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Compare):
        compare = statement.test
        if len(compare.ops) == 1 and isinstance(compare.ops[0], ast.Eq):
            sides = [compare.left, compare.comparators[0]]
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        called = statement.value
        if isinstance(called.func, ast.Attribute) and called.func.attr == "assertEqual" and len(called.args) >= 2:
            sides = called.args[:2]
    literals = [side for side in sides if isinstance(side, ast.Constant) and type(side.value) in (int, str, float)]
    return literals[0] if len(literals) == 1 and literals[0].lineno == literals[0].end_lineno else None


def _failing_line(file: TestFile, function: TestFunction, randomness: Randomness) -> tuple[int, str] | None:
    body = function.node.body
    places = [
        statement
        for before, statement in zip([None, *body], body, strict=False)
        if first_line(statement) > (before.end_lineno or 0 if before else function.node.lineno)
        and statement.col_offset > function.node.col_offset
    ]
    if not places or places[0] is not body[0]:
        return None
    place = places[0 if _leaves(function) else randomness.below(len(places))]
    number = 2 + randomness.below(90)
    return first_line(place) - 1, f"{indentation(file.text, place)}assert len(range({number})) == {number + 1}\n"


def _replaced(text: str, edits: Sequence[Edit]) -> str:
    """Replace spans from the last to the first."""
    lines = [line.encode() for line in lines_of(text)]
    for line, column, end, new in sorted(edits, reverse=True):
        lines[line - 1] = lines[line - 1][:column] + new.encode() + lines[line - 1][end:]
    return b"".join(lines).decode()
