"""Negation, boundary, constant and operator edits, by positions: what `planting/own.py` lacks, without cosmic-ray.

Rules:
- Only what stands inside a function; a replacement keeps everything around it, layout and comments too.
- negation: a condition turned round, `not` dropped, `in` for `not in`. boundary: `<` for `<=` and the like.
- constant: a number one off or zero, True for False, a short string emptied. operator: another arithmetic, comparing or
  logical operator, or a method's opposite (`lstrip` for `rstrip`, `min` for `max`).

It knows nothing of the product's operators, and neither may import the other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from planting.edit import Category, Edit
from planting.source import Function, SourceFile, inside

__all__ = ["propose"]

NEGATED = {"==": "!=", "!=": "==", "is": "is not", "is not": "is", "in": "not in", "not in": "in"}
MOVED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": ">=", "!=": ">"}
ARITHMETIC = {"+": "-", "-": "+", "*": "+", "/": "//", "//": "/", "%": "//", "**": "*", "|": "&", "&": "|"}
SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitOr: "|", ast.BitAnd: "&",
}  # fmt: skip
OPPOSITES = {
    "lstrip": "rstrip", "rstrip": "lstrip", "startswith": "endswith", "endswith": "startswith", "lower": "upper",
    "upper": "lower", "find": "rfind", "rfind": "find", "split": "rsplit", "rsplit": "split", "min": "max",
    "max": "min", "append": "extend", "any": "all", "all": "any", "partition": "rpartition", "keys": "values",
    "rpartition": "partition", "values": "keys", "ljust": "rjust", "rjust": "ljust", "search": "match",
}  # fmt: skip
LONGEST_STRING = 12


def propose(path: str, content: bytes) -> Iterator[Edit]:
    """Every edit of the four categories that a file allows, proper or not."""
    file = SourceFile(path, content)
    for node in ast.walk(file.tree):
        if isinstance(node, Function):
            strings = _descriptions(node)
            for each in inside(node):
                if id(each) not in strings:
                    yield from _of(file, each)


def _of(file: SourceFile, node: ast.AST) -> Iterator[Edit]:
    match node:
        case ast.If() | ast.While() | ast.IfExp():
            yield from _negated(file, node.test)
        case ast.UnaryOp(op=ast.Not()):
            yield file.edit(Category.NEGATION, "drop-not", file.span(node), file.text(node.operand))
        case ast.Compare(ops=[_], comparators=[right]):
            yield from _compared(file, node.left, right)
        case ast.BoolOp():
            yield from _joined(file, node)
        case ast.BinOp() if type(node.op) in SIGNS:
            sign = SIGNS[type(node.op)]
            yield from _between(file, node.left, node.right, {sign: ARITHMETIC[sign]}, Category.OPERATOR, "arithmetic")
        case ast.AugAssign() if type(node.op) in SIGNS:
            sign = SIGNS[type(node.op)]
            table = {f"{sign}=": f"{ARITHMETIC[sign]}="}
            yield from _between(file, node.target, node.value, table, Category.OPERATOR, "augmented")
        case ast.Constant():
            yield from _constants(file, node)
        case ast.Attribute() if node.attr in OPPOSITES:
            end = file.span(node)[1]
            span = (end - len(node.attr), end)
            yield file.edit(Category.OPERATOR, "opposite", span, OPPOSITES[node.attr])
        case ast.Call(func=ast.Name(id=name)) if name in OPPOSITES:
            yield file.edit(Category.OPERATOR, "opposite", file.span(node.func), OPPOSITES[name])


def _negated(file: SourceFile, test: ast.expr) -> Iterator[Edit]:
    if not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
        atom = isinstance(test, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
        text = file.text(test)
        yield file.edit(Category.NEGATION, "negate", file.span(test), f"not {text}" if atom else f"not ({text})")


def _compared(file: SourceFile, left: ast.expr, right: ast.expr) -> Iterator[Edit]:
    for table, category, name in (
        (NEGATED, Category.NEGATION, "unequal"),
        (MOVED, Category.BOUNDARY, "moved"),
        (TURNED, Category.OPERATOR, "turned"),
    ):
        yield from _between(file, left, right, table, category, name)


def _between(
    file: SourceFile, left: ast.expr, right: ast.expr, table: dict[str, str], category: Category, name: str
) -> Iterator[Edit]:
    """The operator between two operands, where nothing else stands there."""
    start, end = file.span(left)[1], file.span(right)[0]
    text = file.content[start:end].decode()
    if text.strip() in table:
        first = start + len(text) - len(text.lstrip())
        span = (first, first + len(text.strip()))
        yield file.edit(category, name, span, table[text.strip()])


def _joined(file: SourceFile, node: ast.BoolOp) -> Iterator[Edit]:
    word, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    for number, (left, right) in enumerate(zip(node.values, node.values[1:], strict=False)):
        yield from _between(file, left, right, {word: other}, Category.OPERATOR, "logical")
        if len(node.values) == 2:
            kept = (left, right)[number % 2]
            yield file.edit(Category.STATEMENT, "drop-operand", file.span(node), file.text(kept))
            yield file.edit(Category.STATEMENT, "drop-operand", file.span(node), file.text(right), 1)


def _constants(file: SourceFile, node: ast.Constant) -> Iterator[Edit]:
    value = node.value
    if isinstance(value, bool):
        yield file.edit(Category.CONSTANT, "other-truth", file.span(node), str(not value))
    elif type(value) is int and abs(value) < 10**6 and file.text(node).isdigit():
        for number, new in enumerate({value + 1, max(0, value - 1), 0} - {value}):
            yield file.edit(Category.CONSTANT, "number", file.span(node), str(new), number)
    elif isinstance(value, str) and 0 < len(value) <= LONGEST_STRING and file.text(node)[0] in "'\"":
        yield file.edit(Category.CONSTANT, "empty-string", file.span(node), file.text(node)[0] * 2)


def _descriptions(function: Function) -> set[int]:
    """Strings that stand for themselves, and parts of f-strings, which have no place of their own."""
    found = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            found |= {id(each) for each in ast.walk(node)}
    return found
