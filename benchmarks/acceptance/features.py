"""Removed features: a branch, a few statements or a small function's body gone, so that the right patch adds lines.

Rules:
- branch: an `if`, `for`, `while`, `try` or `with` of several lines gone; an `else` or `elif` gone.
- run: two to four neighbouring statements gone.
- body: a function of three to fifteen lines raises NotImplementedError instead; its description stays.
- What is gone goes with its lines; the rest keeps its layout.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from planting.edit import Category, Edit
from planting.source import Function, SourceFile, inside

__all__ = ["propose"]

BRANCHES = (ast.If, ast.For, ast.While, ast.Try, ast.With)
FEWEST_LINES, MOST_LINES = 2, 15


def propose(path: str, content: bytes) -> Iterator[Edit]:
    """Every removal that a file allows, proper or not."""
    file = SourceFile(path, content)
    for node in ast.walk(file.tree):
        if isinstance(node, Function):
            yield from _body(file, node)
            for owner in (node, *inside(node)):
                for field in ("body", "orelse"):
                    block = getattr(owner, field, None)
                    if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                        yield from _branches(file, block)
                        yield from _runs(file, block)
                if isinstance(owner, ast.If) and owner.orelse:
                    yield from _else(file, owner)


def _branches(file: SourceFile, block: list[ast.stmt]) -> Iterator[Edit]:
    for statement in block:
        is_elif = file.content[: file.span(statement)[0]].rsplit(b"\n", 1)[-1].strip() == b"" and file.text(
            statement
        ).startswith("elif")
        if isinstance(statement, BRANCHES) and not is_elif and _fits(statement, statement):
            span, new = file.without(statement, alone=len(block) == 1)
            yield file.edit(Category.STATEMENT, "feature-branch", span, new)


def _runs(file: SourceFile, block: list[ast.stmt]) -> Iterator[Edit]:
    for length in (2, 3, 4):
        for first, last in zip(block, block[length - 1 :], strict=False):
            if length < len(block) and _fits(first, last) and not _describes(first):
                start, end = file.without(first, alone=False)[0], file.without(last, alone=False)[0]
                if file.content[start[0] : end[0]].count(b"\n"):
                    yield file.edit(Category.STATEMENT, "feature-run", (start[0], end[1]), "", length)


def _else(file: SourceFile, owner: ast.If) -> Iterator[Edit]:
    last = owner.orelse[-1]
    if _fits(owner.orelse[0], last):
        start = file.span(owner.body[-1])[1]
        yield file.edit(Category.STATEMENT, "feature-else", (start, file.span(last)[1]), "")


def _body(file: SourceFile, function: Function) -> Iterator[Edit]:
    body = function.body[1:] if _describes(function.body[0]) else function.body
    if body and _fits(body[0], body[-1], 3):
        span = (file.span(body[0])[0], file.span(body[-1])[1])
        yield file.edit(Category.STATEMENT, "feature-body", span, "raise NotImplementedError")


def _fits(first: ast.stmt, last: ast.stmt, fewest: int = FEWEST_LINES) -> bool:
    assert last.end_lineno is not None
    return fewest <= last.end_lineno - first.lineno + 1 <= MOST_LINES


def _describes(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
