"""Statements and branches, and which of them a tracer saw: what coverage itself says of the same run."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import coverage
import pytest

from councilor.domain.executed import branches_of, statements_of, taken

PROGRAM = """\
import os

LIMIT = 3


def walk(items, first=None):
    \"\"\"Docstring.\"\"\"
    global LIMIT
    found: list
    found = []
    for item in [
        each for each in items
    ]:
        if (item > 1
                and item < LIMIT):
            found.append(item)
        elif item == 9: found.append(0)
        while item:
            item -= 1
            if item == 50:
                break
    match first:
        case None:
            return found
        case _:
            return [
                first,
            ]


def never():
    return os
"""


def traced(tmp_path: Path, *calls: str) -> tuple[set[int], set[tuple[int, int]]]:
    """Lines and steps of these calls, measured while the file was loaded already."""
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    space: dict[str, object] = {}
    exec(compile(PROGRAM, str(file), "exec"), space)
    meter = coverage.Coverage(data_file=None, config_file=False, include=[str(file)], branch=True)
    previous = sys.gettrace()
    meter.start()
    for call in calls:
        eval(call, space)  # the calls stand in this file
    meter.stop()
    sys.settrace(previous)
    data = meter.get_data()
    return set(data.lines(str(file)) or ()), set(data.arcs(str(file)) or ())


def test_statements_are_told_without_bodies_and_without_what_is_silent() -> None:
    found = {(each.line, each.last): each.imported for each in statements_of(ast.parse(PROGRAM))}
    assert found[1, 1] and found[3, 3] and found[6, 6]
    assert (11, 13) in found and (14, 15) in found and (26, 28) in found
    assert not {7, 8, 9} & {line for line, _ in found}


def test_executed_statements(tmp_path: Path) -> None:
    lines, _ = traced(tmp_path, "walk([2])")
    missed = {each.line for each in statements_of(ast.parse(PROGRAM)) if not each.was_executed(lines)}
    assert missed == {17, 21, 26, 32}
    assert not any(each.was_executed(set()) for each in statements_of(ast.parse(PROGRAM)))


@pytest.mark.parametrize(
    ("calls", "ways"),
    [
        (["walk([])"], {11: 1, 14: 0, 18: 0, 20: 0, 23: 1}),
        (["walk([2])"], {11: 2, 14: 1, 18: 2, 20: 1, 23: 1}),
        (["walk([2, 0])", "walk([], 1)"], {11: 2, 14: 2, 18: 2, 20: 1, 23: 2}),
        (["walk([51])"], {11: 2, 14: 1, 18: 1, 20: 1, 23: 1}),
    ],
)
def test_ways_out_of_branches(tmp_path: Path, calls: list[str], ways: dict[int, int]) -> None:
    _, steps = traced(tmp_path, *calls)
    branches = [each for each in branches_of(ast.parse(PROGRAM)) if each.line in ways]
    assert {each.line: taken(each, steps) for each in branches} == ways


def test_what_cannot_be_left_in_two_ways() -> None:
    text = "while True:\n    pass\nif a: b\nmatch a:\n    case _:\n        pass\nif a:\n    b\n"
    assert [(each.line, each.ways) for each in branches_of(ast.parse(text))] == [(1, 1), (5, 1), (7, 2)]
