"""The operator that inserts a guard: leave early, or go on with the next round, when a variable is None or empty.

Rules:
- A guard is put before a statement that uses a variable, in the file's own indentation and line ends.
- Only variables that a None or an empty value would break are guarded.

Source: the templates of Kim et al. 2013, "Automatic patch generation learned from human-written patches" (PAR: null
pointer checker).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from councilor.domain.mutation.mutant import Edit
from councilor.domain.mutation.source import FunctionNode, Source

__all__ = ["guards"]

GUARDED = (ast.Assign, ast.AugAssign, ast.Return, ast.Expr, ast.If, ast.For, ast.While, ast.With)
MAX_GUARDED_NAMES = 3
MAX_RESULTS = 3


def guards(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Leave, or go on with the next round, when a variable that is about to be used is None or empty."""
    function = source.function(node)
    if not isinstance(node, GUARDED) or function is None:
        return
    start = source.span(node)[0]
    indentation = source.indentation(node)
    if not indentation or source.text[start:].startswith("elif"):
        return
    for name in _used(node):
        for condition in (f"{name} is None", f"not {name}"):
            for leave in _leaves(source, node, function):
                text = (
                    f"if {condition}:{source.newline}{indentation}{source.indent}{leave}{source.newline}{indentation}"
                )
                says = f"inserts `if {condition}: {leave}`"
                yield Edit(start=start, end=start, replacement=text, description=says)


def _used(node: ast.stmt) -> list[str]:
    """Variables that a None or an empty value would break: receivers, indexed, iterated or dividing ones."""
    found: dict[str, None] = {}
    header = [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]
    for inner in (inner for child in header for inner in ast.walk(child)):
        match inner:
            case ast.Attribute(value=ast.Name(id=name)) | ast.Subscript(value=ast.Name(id=name)):
                found[name] = None
            case ast.BinOp(op=ast.Div() | ast.FloorDiv() | ast.Mod(), right=ast.Name(id=name)):
                found[name] = None
            case ast.Call(func=ast.Name(), args=[ast.Name(id=name), *_]):
                found[name] = None
    if isinstance(node, ast.For) and isinstance(node.iter, ast.Name):
        found[node.iter.id] = None
    return [name for name in found if name not in {"self", "cls"} and not name[:1].isupper()][:MAX_GUARDED_NAMES]


def _leaves(source: Source, node: ast.stmt, function: FunctionNode) -> list[str]:
    inside = list(ast.walk(function))
    if any(isinstance(above, ast.For | ast.While) for above in _within(source, node, function)):
        return ["continue"]
    if any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in inside):
        return ["return"]
    constants = (inner for inner in inside if isinstance(inner, ast.Return) and isinstance(inner.value, ast.Constant))
    results = [f"return {source.segment(inner.value)}" for inner in constants if inner.value]
    usual = [f"return {text}" for text in ("None", "0", '""', "[]", "False")]
    return list(dict.fromkeys([*results[:MAX_RESULTS], *usual]))


def _within(source: Source, node: ast.AST, function: FunctionNode) -> Iterator[ast.AST]:
    for above in source.ancestors(node):
        if above is function:
            return
        yield above
