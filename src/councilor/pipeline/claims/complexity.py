"""The shape of functions: how many ways lead through them, and how deep their loops are nested.

Rules:
- Cyclomatic complexity is 1 + decisions: `if`, `elif`, loops, `except`, `assert`, conditional expressions, each `and`
  or `or`, each condition and loop of a comprehension, each `case` but a bare `_`. A nested function counts for itself.
- A file that cannot be parsed has no functions.

Source: McCabe 1976, "A Complexity Measure"; the decisions are those that radon counts.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from councilor.domain.syntax import parse_module

__all__ = ["Shape", "shapes"]

SIZE_LIMIT_BYTES = 1024 * 1024
Function = ast.FunctionDef | ast.AsyncFunctionDef
APART = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
"""What has a shape of its own."""
LOOPS = (ast.For, ast.AsyncFor, ast.While)
DECISIONS = (ast.If, ast.IfExp, ast.Assert, ast.ExceptHandler, *LOOPS)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """One function's."""

    cyclomatic: int
    loops: int
    """How deep loops and comprehensions are nested in each other."""


def shapes(source: bytes | None) -> dict[str, Shape]:
    """Qualified name -> shape."""
    if source is None or len(source) > SIZE_LIMIT_BYTES:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own invalid escapes are not our business
            return {name: _shape(node) for name, node in _functions(parse_module(source).body, "")}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}


def _functions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, Function]]:
    for node in body:
        if isinstance(node, Function):
            yield f"{prefix}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}.")


def _shape(function: Function) -> Shape:
    own = list(_own(function))
    return Shape(cyclomatic=1 + sum(_decisions(node) for node in own), loops=_depth(function))


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below, nested functions and classes left out."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, APART):
            yield child
            yield from _own(child)


def _decisions(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    if isinstance(node, ast.match_case):
        return 0 if isinstance(node.pattern, ast.MatchAs) and node.pattern.pattern is None and not node.guard else 1
    return int(isinstance(node, DECISIONS))


def _depth(node: ast.AST) -> int:
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, APART):
            continue
        inner = _depth(child)
        if isinstance(child, LOOPS):
            inner += 1
        elif isinstance(child, COMPREHENSIONS):
            inner += len(child.generators)
        deepest = max(deepest, inner)
    return deepest
