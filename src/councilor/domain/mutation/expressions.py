"""Operators on expressions: arithmetic, comparison, boolean connective, negation.

Rules:
- Every sign may become every other of its kind; the near ones (`-` for `+`, `>=` for `<`) weigh more than the rest.
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

__all__ = [
    "STRICTNESS",
    "arithmetic",
    "boolean",
    "comparison",
    "is_condition",
    "is_text",
    "negation",
    "relations",
    "replace",
    "replace_whole",
    "says_replaced",
    "wrapped",
]

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
"""Sign -> the ones that it is most easily confused with."""
NUMERIC = ("+", "-", "*", "/", "//", "%", "**")
BITWISE = ("&", "|", "^", "<<", ">>")
COMPARISON = {
    "<": (">=", ">"), "<=": (">", ">="), ">": ("<=", "<"), ">=": ("<", "<="), "==": ("!=",), "!=": ("==",),
    "in": ("not in",), "not in": ("in",), "is": ("is not",), "is not": ("is",),
}  # fmt: skip
"""Relation -> its opposite and its mirror image."""
ORDERED = ("<", "<=", ">", ">=")
EQUALITY = ("==", "!=")
OTHER_RELATIONS = ("is", "is not", "in", "not in")
STRICTNESS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
PRECEDENCE = {"**": 6, "*": 5, "/": 5, "//": 5, "%": 5, "@": 5, "+": 4, "-": 4, "<<": 3, ">>": 3, "&": 2, "^": 1}
ATOMS = (ast.Name, ast.Constant, ast.Attribute, ast.Call, ast.Subscript, ast.List, ast.Dict, ast.Set, ast.JoinedStr)
OPERATOR_NODES = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Await)
COMMENT = re.compile(r"#[^\r\n]*")
CONDITIONS = (ast.If, ast.While, ast.IfExp, ast.Assert)
SIGNED = (ast.Return, ast.Call, ast.Assign, ast.BinOp, ast.Slice, ast.Subscript, ast.Tuple, ast.List)
"""Where a sign may be missing before a value."""
MAX_OTHER_CONDITIONS = 3


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


def replace(source: Source, span: tuple[int, int], text: str, weight: float = 1.0) -> Edit:
    """The edit that puts a text in place of a span."""
    says = says_replaced(source.text[span[0] : span[1]], text)
    return Edit(start=span[0], end=span[1], replacement=text, description=says, weight=weight)


def says_replaced(old: str, new: str) -> str:
    """The end of the sentence "The change ..."."""
    return f"replaces {_quoted(old)} by {_quoted(new)}"


def _quoted(text: str) -> str:
    flat = " ".join(text.split())
    return f"`{flat if len(flat) <= 60 else flat[:57] + '...'}`"


def replace_whole(source: Source, node: ast.expr, text: str, weight: float = 1.0) -> Edit:
    """The edit that puts another expression in place of one, in parentheses inside another operator."""
    nested = isinstance(source.parent(node), OPERATOR_NODES)
    return replace(source, source.span(node), f"({text})" if nested else text, weight)


def is_text(node: ast.AST) -> bool:
    """Whether a node is a literal text, so that `%` and `+` have another meaning."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))


def arithmetic(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Another arithmetic sign, one operand alone, operands swapped, a minus dropped or added."""
    match node:
        case ast.BinOp() if is_text(node.left) or is_text(node.right):
            yield from _of_text(source, node, SYMBOLS[type(node.op)])
        case ast.BinOp():
            yield from _binary(source, node, SYMBOLS[type(node.op)])
        case ast.AugAssign():
            yield from _augmented(source, node, SYMBOLS[type(node.op)])
        case ast.Assign(targets=[ast.Name() | ast.Attribute() | ast.Subscript() as target]):
            if span := _sign(source, target, node.value, "="):
                yield from (replace(source, span, f"{symbol}=", 0.15) for symbol in ("+", "-"))
        case ast.UnaryOp(op=ast.USub() | ast.Invert() | ast.UAdd()):
            yield replace_whole(source, node, wrapped(source, node.operand))
            for sign in ("-", "~", "+", "not "):
                yield replace_whole(source, node, sign + wrapped(source, node.operand), 0.3)
        case ast.UnaryOp(op=ast.Not()):
            yield replace_whole(source, node, f"-{wrapped(source, node.operand)}", 0.1)
            yield replace_whole(source, node, f"~{wrapped(source, node.operand)}", 0.1)
        case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()) | ast.Call() | ast.Subscript(ctx=ast.Load()):
            if isinstance(source.parent(node), SIGNED) and not _is_callee(source, node):
                yield replace_whole(source, node, f"-{source.segment(node)}", 0.15)


def _is_callee(source: Source, node: ast.AST) -> bool:
    parent = source.parent(node)
    if isinstance(parent, ast.Subscript):
        return parent.value is node
    return isinstance(parent, ast.Call) and parent.func is node


def _of_text(source: Source, node: ast.BinOp, symbol: str) -> Iterator[Edit]:
    span = _sign(source, node.left, node.right, symbol)
    if span:
        yield from (replace(source, span, other, 0.6) for other in ("%", "+") if other != symbol)
    if symbol == "+":
        yield replace(source, source.span(node), wrapped(source, node.left), 0.4)
        yield replace(source, source.span(node), wrapped(source, node.right), 0.4)


def _others(symbol: str) -> Iterator[tuple[str, float]]:
    near = ARITHMETIC.get(symbol, ())
    yield from ((other, 1.0) for other in near)
    same, different = (BITWISE, NUMERIC) if symbol in BITWISE else (NUMERIC, BITWISE)
    yield from ((other, 0.4) for other in same if other not in {symbol, *near})
    yield from ((other, 0.15) for other in different if other not in near)


def _binary(source: Source, node: ast.BinOp, symbol: str) -> Iterator[Edit]:
    left, right = wrapped(source, node.left), wrapped(source, node.right)
    span = _sign(source, node.left, node.right, symbol)
    for other, weight in _others(symbol):
        if span and PRECEDENCE.get(other) == PRECEDENCE.get(symbol):
            yield replace(source, span, other, weight)
        else:
            yield replace_whole(source, node, f"{left} {other} {right}", weight)
    if symbol in {"-", "/", "//", "%", "**", "<<", ">>"}:
        yield replace_whole(source, node, f"{right} {symbol} {left}", 0.6)
    yield replace(source, source.span(node), left, 0.5)
    yield replace(source, source.span(node), right, 0.5)


def _augmented(source: Source, node: ast.AugAssign, symbol: str) -> Iterator[Edit]:
    span = _sign(source, node.target, node.value, symbol + "=")
    if span:
        yield from (replace(source, span, other + "=", weight) for other, weight in _others(symbol))
        yield replace(source, span, "=", 0.3)


def comparison(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Another relation, other than its strict or non-strict twin."""
    if isinstance(node, ast.Compare):
        for symbol, span in relations(source, node):
            for other, weight in _other_relations(symbol):
                if other not in {symbol, STRICTNESS.get(symbol)}:
                    yield replace(source, span, other, weight)


def _other_relations(symbol: str) -> Iterator[tuple[str, float]]:
    near = COMPARISON[symbol]
    yield from ((other, 1.0) for other in near)
    equal = EQUALITY if symbol in {*ORDERED, "is", "is not"} else ()
    ordered = ORDERED if symbol in EQUALITY else ()
    yield from ((other, 0.4) for other in (*equal, *ordered))
    rest = {*ORDERED, *EQUALITY, *OTHER_RELATIONS} - {*near, *equal, *ordered}
    yield from ((other, 0.1) for other in sorted(rest))


def relations(source: Source, node: ast.Compare) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each relation of a comparison with its span."""
    for (left, right), op in zip(pairwise((node.left, *node.comparators)), node.ops, strict=True):
        span = _sign(source, left, right, SYMBOLS[type(op)])
        if span:
            yield SYMBOLS[type(op)], span


def boolean(source: Source, node: ast.AST) -> Iterator[Edit]:
    """`and` for `or`, one condition less, or one more that the same function tests elsewhere."""
    if isinstance(node, ast.BoolOp):
        yield from _connective(source, node)
    if isinstance(node, ast.expr) and is_condition(source, node) and not isinstance(source.parent(node), ast.BoolOp):
        for other in _conditions_nearby(source, node):
            for symbol in ("and", "or"):
                yield replace(source, source.span(node), f"{wrapped(source, node)} {symbol} {other}", 0.15)


def _connective(source: Source, node: ast.BoolOp) -> Iterator[Edit]:
    symbol, other, neutral = ("and", "or", "True") if isinstance(node.op, ast.And) else ("or", "and", "False")
    for left, right in pairwise(node.values):
        span = _sign(source, left, right, symbol)
        if span:
            yield replace(source, span, other)
    for value in node.values:
        if len(node.values) > 2:
            yield replace(source, source.span(value), neutral, 0.5)
        else:
            yield replace(source, source.span(node), wrapped(source, value), 0.5)


def _conditions_nearby(source: Source, node: ast.expr) -> list[str]:
    facts = source.scopes.facts(node)
    if facts is None:
        return []
    tested = [inner.test for inner in facts.nodes if isinstance(inner, CONDITIONS) and inner.test is not node]
    nearest = sorted(tested, key=lambda other: (abs(other.lineno - node.lineno), other.lineno))
    return list(dict.fromkeys(wrapped(source, other) for other in nearest))[:MAX_OTHER_CONDITIONS]


def negation(source: Source, node: ast.AST) -> Iterator[Edit]:
    """A condition turned into its opposite, or always or never true; single comparisons belong to `comparison`."""
    if not isinstance(node, ast.expr):
        return
    condition = is_condition(source, node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield replace_whole(source, node, wrapped(source, node.operand))
    elif condition and not (isinstance(node, ast.Compare) and len(node.ops) == 1):
        yield replace(source, source.span(node), f"not {wrapped(source, node)}")
    if condition and isinstance(source.parent(node), ast.If | ast.While | ast.IfExp | ast.comprehension):
        yield replace(source, source.span(node), "True", 0.2)
        yield replace(source, source.span(node), "False", 0.2)


def is_condition(source: Source, node: ast.expr) -> bool:
    """Whether an expression is tested for its truth."""
    parent = source.parent(node)
    if isinstance(parent, CONDITIONS):
        return parent.test is node
    if isinstance(parent, ast.comprehension):
        return node in parent.ifs
    return isinstance(parent, ast.BoolOp)
