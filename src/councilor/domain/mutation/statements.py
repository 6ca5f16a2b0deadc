"""Operators on statements: return value, removal, an inserted guard, another exception type.

Rules:
- A removed statement leaves no trace where its block has others and it stands alone on its lines; else `pass` stays.
- Definitions, imports, docstrings and declarations are never removed.
- A guard is put before a statement that uses a variable, in the file's own indentation and line ends.

Source: removal after Qi et al. 2015, "An analysis of patch plausibility and correctness" (its warning too: removal
often only hides a bug); guards after the templates of Kim et al. 2013, "Automatic patch generation learned from
human-written patches" (PAR).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from councilor.domain.mutation.expressions import wrapped
from councilor.domain.mutation.mutant import Edit
from councilor.domain.mutation.operands import nearest
from councilor.domain.mutation.source import FunctionNode, Source

__all__ = ["exceptions", "guards", "removal", "returns"]

REMOVABLE = (ast.Assign, ast.AugAssign, ast.Delete, ast.Raise, ast.Assert, ast.Continue, ast.Break, ast.Return)
GUARDED = (ast.Assign, ast.AugAssign, ast.Return, ast.Expr, ast.If, ast.For, ast.While, ast.With)
TRUTH_CALLS = ("is", "has", "can", "should", "starts", "ends")
EXCEPTIONS = ("ArithmeticError", "AttributeError", "IndexError", "KeyError", "LookupError", "OSError", "OverflowError",
    "RuntimeError", "StopIteration", "TypeError", "UnicodeDecodeError", "ValueError", "ZeroDivisionError")  # fmt: skip
MAX_GUARDED_NAMES = 3
MAX_RESULTS = 3


def returns(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Nothing returned, or the opposite truth value."""
    if not isinstance(node, ast.Return) or node.value is None:
        return
    start, end = source.span(node.value)
    if _is_truth(node.value):
        says = "returns the opposite truth value"
        yield Edit(start=start, end=end, replacement=f"not {wrapped(source, node.value)}", description=says)
    yield Edit(start=start, end=end, replacement="None", description="returns `None`")


def _is_truth(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        called = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
        return called.startswith(TRUTH_CALLS)
    return isinstance(value, ast.Compare | ast.BoolOp)


def removal(source: Source, node: ast.AST) -> Iterator[Edit]:
    """A statement, or an `if` without `else`, taken out."""
    if not isinstance(node, ast.stmt) or not _is_removable(node):
        return
    start, end = source.span(node)
    alone = source.indentation(node) is not None and not source.text[start:].startswith("elif")
    says = f"removes `{' '.join(source.segment(node).split())[:60]}`"
    if alone and _has_siblings(source, node) and _ends_its_line(source, end):
        start, end = _lines_around(source, start, end)
        yield Edit(start=start, end=end, replacement="", description=says)
    elif not source.text[start:].startswith("elif"):
        yield Edit(start=start, end=end, replacement="pass", description=says)


def _is_removable(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return not isinstance(node.value, ast.Constant)
    return isinstance(node, REMOVABLE) or (isinstance(node, ast.If) and not node.orelse)


def _has_siblings(source: Source, node: ast.stmt) -> bool:
    parent = source.parent(node)
    blocks = (getattr(parent, name, None) for name in ("body", "orelse", "finalbody"))
    return any(isinstance(block, list) and node in block and len(block) > 1 for block in blocks)


def _ends_its_line(source: Source, end: int) -> bool:
    line = source.position(end)[0]
    line_end = source.line_starts[line] if line < len(source.line_starts) else len(source.text)
    return not source.text[end:line_end].strip()


def _lines_around(source: Source, start: int, end: int) -> tuple[int, int]:
    last = source.position(end)[0]
    after = source.line_starts[last] if last < len(source.line_starts) else len(source.text)
    return source.line_starts[source.position(start)[0] - 1], after


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


def exceptions(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Another exception raised or caught, or one more caught."""
    match node:
        case ast.Raise(exc=ast.Name() as raised) | ast.Raise(exc=ast.Call(func=ast.Name() as raised)):
            yield from _other_types(source, raised)
        case ast.ExceptHandler(type=ast.Name() as caught):
            yield from _other_types(source, caught)
            start, end = source.span(caught)
            for other in _types_like(source, caught.id):
                says = f"catches `{other}` too"
                yield Edit(start=start, end=end, replacement=f"({caught.id}, {other})", description=says)
        case ast.ExceptHandler(type=ast.Tuple(elts=elements)):
            for element in elements:
                if isinstance(element, ast.Name):
                    yield from _other_types(source, element)


def _other_types(source: Source, name: ast.Name) -> Iterator[Edit]:
    start, end = source.span(name)
    for other in _types_like(source, name.id):
        says = f"replaces `{name.id}` by `{other}`"
        yield Edit(start=start, end=end, replacement=other, description=says)


def _types_like(source: Source, name: str) -> list[str]:
    seen = {other.id for other in ast.walk(source.tree) if isinstance(other, ast.Name)}
    own = {other for other in seen if other.endswith(("Error", "Exception"))}
    return [*nearest(name, own), *(other for other in EXCEPTIONS if other != name and other not in own)]
