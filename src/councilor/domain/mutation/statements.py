"""Operators on statements: return value, removal, another way to leave, another exception type.

Rules:
- A removed statement leaves no trace where its block has others and it stands alone on its lines; else `pass` stays.
- Definitions, imports, docstrings and declarations are never removed.

Source: removal after Qi et al. 2015, "An analysis of patch plausibility and correctness" (its warning too: removal
often only hides a bug); exception types after Liu et al. 2019, "TBar".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from councilor.domain.mutation.expressions import wrapped
from councilor.domain.mutation.mutant import Edit
from councilor.domain.mutation.operands import nearest
from councilor.domain.mutation.source import Source

__all__ = ["exceptions", "jumps", "removal", "returns"]

REMOVABLE = (ast.Assign, ast.AugAssign, ast.Delete, ast.Raise, ast.Assert, ast.Continue, ast.Break, ast.Return)
TRUTH_CALLS = ("is", "has", "can", "should", "starts", "ends")
EXCEPTIONS = ("ArithmeticError", "AttributeError", "IndexError", "KeyError", "LookupError", "OSError", "OverflowError",
    "RuntimeError", "StopIteration", "TypeError", "UnicodeDecodeError", "ValueError", "ZeroDivisionError")  # fmt: skip
MAX_RESULTS = 5


def returns(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Nothing returned, the opposite truth value, or a variable."""
    if not isinstance(node, ast.Return):
        return
    facts = source.scopes.facts(node)
    variables = facts.before(node.lineno)[:MAX_RESULTS] if facts else []
    if node.value is None:
        end = source.span(node)[1]
        for rank, name in enumerate([*variables, "True", "False"]):
            yield _result(end, end, f" {name}", f"returns `{name}`", 0.8 - 0.08 * rank)
        return
    start, end = source.span(node.value)
    if _is_truth(node.value):
        negated = f"not {wrapped(source, node.value)}"
        yield _result(start, end, negated, "returns the opposite truth value", 1.0)
    yield _result(start, end, "None", "returns `None`", 0.4)
    if not isinstance(node.value, ast.Name):  # names are the other operator's
        for rank, name in enumerate(variables):
            yield _result(start, end, name, f"returns `{name}`", 0.6 - 0.08 * rank)
    if isinstance(node.value, ast.Name | ast.Call | ast.Subscript | ast.Attribute):
        for shape in ("bool({})", "list({})", "tuple({})", "not {}"):
            says = f"returns `{shape.format('...')}` of it"
            yield _result(start, end, shape.format(source.segment(node.value)), says, 0.15)


def _result(start: int, end: int, text: str, says: str, weight: float) -> Edit:
    return Edit(start=start, end=end, replacement=text, description=says, weight=weight)


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


def jumps(source: Source, node: ast.AST) -> Iterator[Edit]:
    """`break` for `continue`, or no jump."""
    if not isinstance(node, ast.Continue | ast.Break):
        return
    start, end = source.span(node)
    others = ("break" if isinstance(node, ast.Continue) else "continue", "pass", "return")
    for rank, other in enumerate(others):
        says = f"replaces `{source.text[start:end]}` by `{other}`"
        yield Edit(start=start, end=end, replacement=other, description=says, weight=1.0 if not rank else 0.4)


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
