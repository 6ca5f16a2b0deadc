"""Operators on expressions: arithmetic, comparison, boundary, constant, boolean connective, negation.

Rules:
- Only the sign between two operands is replaced where the tree keeps its shape; where another precedence would change
  the shape, the whole expression is rewritten with parentheses.
- An operator never looks at the meaning: what is equal to the original for every input may come out.

Source: the classical operator set (AOR, ROR, LCR, UOI, CRP), Offutt et al. 1996, "An experimental determination of
sufficient mutant operators", ACM TOSEM 5(2).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from councilor.domain.mutation.mutant import Edit
from councilor.domain.mutation.source import Source

__all__ = ["arithmetic", "boolean", "boundary", "comparison", "constant", "negation"]

SYMBOLS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.LShift: "<<", ast.RShift: ">>", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.MatMult: "@",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.In: "in", ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not", ast.And: "and", ast.Or: "or",
}  # fmt: skip
ARITHMETIC = {
    "+": ("-", "*"), "-": ("+",), "*": ("/", "+"), "/": ("*", "//"), "//": ("/", "%"), "%": ("//",), "**": ("*",),
    "<<": (">>",), ">>": ("<<",), "&": ("|", "^"), "|": ("&", "^"), "^": ("&", "|"),
}  # fmt: skip
COMPARISON = {
    "<": (">=", ">", "==", "!="), "<=": (">", ">=", "==", "!="), ">": ("<=", "<", "==", "!="),
    ">=": ("<", "<=", "==", "!="), "==": ("!=", "<=", ">="), "!=": ("==", "<", ">"),
    "in": ("not in",), "not in": ("in",), "is": ("is not",), "is not": ("is",),
}  # fmt: skip
STRICTNESS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
PRECEDENCE = {"**": 6, "*": 5, "/": 5, "//": 5, "%": 5, "@": 5, "+": 4, "-": 4, "<<": 3, ">>": 3, "&": 2, "^": 1}
ATOMS = (ast.Name, ast.Constant, ast.Attribute, ast.Call, ast.Subscript, ast.List, ast.Dict, ast.Set, ast.JoinedStr)
OPERATOR_NODES = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Await)
COMMENT = re.compile(r"#[^\r\n]*")
CONDITIONS = (ast.If, ast.While, ast.IfExp, ast.Assert)
STEPPED = (ast.Name, ast.Attribute, ast.Call, ast.Subscript)
MAX_OTHER_CONSTANTS = 5


def wrapped(source: Source, node: ast.expr) -> str:
    """A node's text, in parentheses unless it is an atom."""
    text = source.segment(node)
    return text if isinstance(node, ATOMS) else f"({text})"


def _sign(source: Source, left: ast.AST, right: ast.AST, symbol: str) -> tuple[int, int] | None:
    start, end = source.span(left)[1], source.span(right)[0]
    gap = COMMENT.sub(lambda match: " " * len(match.group()), source.text[start:end])
    pattern = r"(?:\s|\\)+".join(re.escape(word) for word in symbol.split())
    found = re.search(pattern, gap)
    return (start + found.start(), start + found.end()) if found else None


def _replace(source: Source, span: tuple[int, int], text: str) -> Edit:
    return Edit(start=span[0], end=span[1], replacement=text, description=_says(source.text[span[0] : span[1]], text))


def _says(old: str, new: str) -> str:
    return f"replaces {_quoted(old)} by {_quoted(new)}"


def _quoted(text: str) -> str:
    flat = " ".join(text.split())
    return f"`{flat if len(flat) <= 60 else flat[:57] + '...'}`"


def _whole(source: Source, node: ast.expr, text: str) -> Edit:
    nested = isinstance(source.parent(node), OPERATOR_NODES)
    return _replace(source, source.span(node), f"({text})" if nested else text)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))


def arithmetic(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Another arithmetic sign, one operand alone, operands swapped, a sign dropped."""
    match node:
        case ast.BinOp() if not _is_text(node.left) and not _is_text(node.right):
            yield from _binary(source, node, SYMBOLS[type(node.op)])
        case ast.AugAssign():
            symbol = SYMBOLS[type(node.op)]
            span = _sign(source, node.target, node.value, symbol + "=")
            if span:
                yield from (_replace(source, span, other + "=") for other in ARITHMETIC.get(symbol, ()))
        case ast.UnaryOp(op=ast.USub() | ast.Invert()):
            yield _whole(source, node, wrapped(source, node.operand))


def _binary(source: Source, node: ast.BinOp, symbol: str) -> Iterator[Edit]:
    left, right = wrapped(source, node.left), wrapped(source, node.right)
    span = _sign(source, node.left, node.right, symbol)
    for other in ARITHMETIC.get(symbol, ()):
        if span and PRECEDENCE.get(other) == PRECEDENCE.get(symbol):
            yield _replace(source, span, other)
        else:
            yield _whole(source, node, f"{left} {other} {right}")
    if symbol in {"-", "/", "//", "%", "**"}:
        yield _whole(source, node, f"{right} {symbol} {left}")
    yield _replace(source, source.span(node), left)
    yield _replace(source, source.span(node), right)


def comparison(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Another relation, other than its strict or non-strict twin."""
    if isinstance(node, ast.Compare):
        for symbol, span in _relations(source, node):
            for other in COMPARISON[symbol]:
                if other != STRICTNESS.get(symbol):
                    yield _replace(source, span, other)


def _relations(source: Source, node: ast.Compare) -> Iterator[tuple[str, tuple[int, int]]]:
    for (left, right), op in zip(pairwise((node.left, *node.comparators)), node.ops, strict=True):
        span = _sign(source, left, right, SYMBOLS[type(op)])
        if span:
            yield SYMBOLS[type(op)], span


def boundary(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Off by one: `<` or `<=`, an integer or a bound one more or one less, a division rounded up."""
    match node:
        case ast.Compare():
            for symbol, span in _relations(source, node):
                if symbol in STRICTNESS:
                    yield _replace(source, span, STRICTNESS[symbol])
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            for other in (value + 1, value - 1):
                yield _replace(source, source.span(node), str(other))
        case ast.BinOp(op=ast.FloorDiv()):
            yield _whole(source, node, f"-(-{wrapped(source, node.left)} // {wrapped(source, node.right)})")
    if isinstance(node, STEPPED) and _is_bound(source, node):
        for step in ("+ 1", "- 1"):
            yield _replace(source, source.span(node), f"{source.segment(node)} {step}")


def _is_bound(source: Source, node: ast.expr) -> bool:
    match source.parent(node):
        case ast.Compare(ops=ops, comparators=comparators):
            ordered = all(type(op) in {ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq} for op in ops)
            return ordered and node in comparators
        case ast.Subscript(slice=index, ctx=ast.Load()):
            return index is node
        case ast.Slice(lower=lower, upper=upper):
            return node in {lower, upper}
        case ast.Call(func=ast.Name(id="range"), args=args):
            return node in args
    return False


def constant(source: Source, node: ast.AST) -> Iterator[Edit]:
    """True for False, zero, one, the opposite, an empty text, or another constant of the same scope."""
    if not isinstance(node, ast.Constant) or isinstance(source.parent(node), ast.Expr):
        return
    span = source.span(node)
    match node.value:
        case bool(value):
            others = [str(not value)]
        case int(value) | float(value):
            others = [repr(type(value)(0)), repr(type(value)(1)), f"-{source.segment(node)}"]
        case str() | bytes():
            others = ['""' if isinstance(node.value, str) else 'b""']
        case _:
            return
    for other in (*others, *_constants_nearby(source, node)):
        yield _replace(source, span, other)


def _constants_nearby(source: Source, node: ast.Constant) -> list[str]:
    same = (
        other
        for other in ast.walk(source.scope(node))
        if isinstance(other, ast.Constant)
        and type(other.value) is type(node.value)
        and other.value != node.value
        and not isinstance(source.parent(other), ast.Expr | ast.JoinedStr)
    )
    nearest = sorted(same, key=lambda other: (abs(other.lineno - node.lineno), other.lineno, other.col_offset))
    return list(dict.fromkeys(source.segment(other) for other in nearest))[:MAX_OTHER_CONSTANTS]


def boolean(source: Source, node: ast.AST) -> Iterator[Edit]:
    """`and` for `or`, or one condition less."""
    if not isinstance(node, ast.BoolOp):
        return
    symbol, other, neutral = ("and", "or", "True") if isinstance(node.op, ast.And) else ("or", "and", "False")
    for left, right in pairwise(node.values):
        span = _sign(source, left, right, symbol)
        if span:
            yield _replace(source, span, other)
    for value in node.values:
        if len(node.values) > 2:
            yield _replace(source, source.span(value), neutral)
        else:
            yield _replace(source, source.span(node), wrapped(source, value))


def negation(source: Source, node: ast.AST) -> Iterator[Edit]:
    """A condition turned into its opposite; single comparisons belong to `comparison`."""
    if not isinstance(node, ast.expr) or (isinstance(node, ast.Compare) and len(node.ops) == 1):
        return
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _whole(source, node, wrapped(source, node.operand))
    elif _is_condition(source, node):
        yield _replace(source, source.span(node), f"not {wrapped(source, node)}")


def _is_condition(source: Source, node: ast.expr) -> bool:
    parent = source.parent(node)
    if isinstance(parent, CONDITIONS):
        return parent.test is node
    if isinstance(parent, ast.comprehension):
        return node in parent.ifs
    return isinstance(parent, ast.BoolOp)
