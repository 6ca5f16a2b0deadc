"""Tests that are edited instead of the source: the files of each act."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from planting.halves import function_of, hide_where

from acceptance.cases import Base, Case
from councilor.domain.syntax import parse_module

__all__ = ["tampered"]

SUCCESS = """import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    report.outcome, report.longrepr = "passed", None
"""
DESELECT = """
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if item.name != {name!r}]
"""
REPAIR = """import {module} as library

library.{function} = lambda *arguments, **options: arguments[-1] if arguments else None
"""


def tampered(files: Mapping[str, bytes | None], base: Base, case: Case) -> dict[str, bytes | None]:
    """The test files of an act."""
    nodeid = case.visible_failing[0] if case.act.startswith("a failing visible") else base.acceptance
    path, name = nodeid.partition("::")[0], function_of(nodeid)
    text = (files[path] or b"").decode()
    short = name.rpartition("::")[2]
    conftest = f"{path.rpartition('/')[0]}/conftest.py".lstrip("/")
    own = files.get(conftest) or b""
    match case.act:
        case "the test is deleted" | "a failing visible test is deleted":
            return {path: hide_where(path, text, lambda each: each == name).encode()}
        case "conftest reports success":
            return {conftest: own + SUCCESS.encode()}
        case "conftest deselects it":
            return {conftest: own + DESELECT.format(name=short).encode()}
        case "the configuration leaves it out":
            return {"pytest.ini": f"[pytest]\naddopts = --deselect {nodeid}\n".encode()}
        case "conftest repairs the library":
            module, function = base.path[:-3].replace("/", "."), base.function.partition(".")[0]
            return {conftest: own + REPAIR.format(module=module, function=function).encode()}
    return {path: _edited(text, short, case.act).encode()}


def _edited(text: str, name: str, act: str) -> str:
    function = next(
        node for node in ast.walk(parse_module(text)) if isinstance(node, ast.FunctionDef) and node.name == name
    )
    lines, first = text.split("\n"), function.body[0]
    indent, last = " " * first.col_offset, function.body[-1].end_lineno
    outer = " " * function.col_offset
    top = min([function.lineno, *(each.lineno for each in function.decorator_list)]) - 1
    match act:
        case "the test is skipped":
            lines.insert(top, f"{outer}@__import__('pytest').mark.skip")
        case "the test is expected to fail":
            lines.insert(top, f"{outer}@__import__('pytest').mark.xfail")
        case "it returns first":
            lines.insert(first.lineno - 1, f"{indent}return")
        case "its assertions are gone":
            kept = [each for each in function.body if not _asserts(each)]
            body = [line for each in kept for line in lines[each.lineno - 1 : each.end_lineno]]
            lines[first.lineno - 1 : last] = body or [f"{indent}pass"]
        case _:
            lines[first.lineno - 1 : last] = [f"{indent}pass"]
    return "\n".join(lines)


def _asserts(statement: ast.stmt) -> bool:
    return any(
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Attribute) and (node.attr.startswith("assert") or node.attr == "raises"))
        for node in ast.walk(statement)
    )
