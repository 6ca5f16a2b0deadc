"""The operator for boundaries: off by one, wherever a number says where something begins or ends.

Rules:
- `<` becomes `<=`; an integer becomes one more or one less; so does a bound: what an order is compared with, an index,
  an end of a slice, an argument of `range`, a size or position when it is assigned, returned or passed on.
- An end of a slice may be left out, or put where there was none.
- It does not know types: `+ 1` on what is no number fails in the trial.

Source: the fence-post faults of Offutt et al. 1996 (ROR, UOI); Kim et al. 2013, PAR (range checks).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from councilor.domain.mutation.expressions import STRICTNESS, relations, replace, replace_whole, wrapped
from councilor.domain.mutation.mutant import Edit
from councilor.domain.mutation.scope import called
from councilor.domain.mutation.source import Source

__all__ = ["boundary"]

STEPPED = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.BinOp)
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
MEASURES = frozenset({"len", "find", "rfind", "index", "rindex", "count", "bisect", "bisect_left", "bisect_right"})


def boundary(source: Source, node: ast.AST) -> Iterator[Edit]:
    """One more or one less, or strict for not strict."""
    match node:
        case ast.Compare():
            for symbol, span in relations(source, node):
                if symbol in STRICTNESS:
                    yield replace(source, span, STRICTNESS[symbol])
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            # A written number is more often what was meant than the comparison with it.
            for other in (value + 1, value - 1):
                yield replace(source, source.span(node), str(other), 0.8)
        case ast.BinOp(op=ast.FloorDiv()):
            yield replace_whole(source, node, f"-(-{wrapped(source, node.left)} // {wrapped(source, node.right)})", 0.3)
        case ast.Slice():
            yield from _ends(source, node)
    if isinstance(node, STEPPED) and (weight := _likelihood(source, node)):
        nested = isinstance(source.parent(node), ast.BinOp)
        for step in ("+ 1", "- 1"):
            text = f"{_term(source, node)} {step}"
            yield replace(source, source.span(node), f"({text})" if nested else text, weight)


def _term(source: Source, node: ast.expr) -> str:
    is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
    return source.segment(node) if is_sum else wrapped(source, node)


def _ends(source: Source, node: ast.Slice) -> Iterator[Edit]:
    start, end = source.span(node)
    if node.step is not None:
        return
    lower, upper = (source.segment(bound) if bound else "" for bound in (node.lower, node.upper))
    others = [(lower, ""), ("", upper), (upper, lower)]
    others += [(lower, "-1")] if not upper else []
    others += [("1", upper)] if not lower else []
    for first, last in others:
        yield replace(source, (start, end), f"{first}:{last}", 0.4)


def _likelihood(source: Source, node: ast.expr) -> float:
    """How likely a bound is one off; 0 for what is none."""
    match source.parent(node):
        case ast.Compare(ops=ops, comparators=comparators):
            ordered = all(isinstance(op, ORDER) for op in ops)
            return (0.7 if node in comparators else 0.3) if ordered else 0.0
        case ast.Subscript(slice=index) if index is node:
            return 0.7
        case ast.Slice(lower=lower, upper=upper) if node in {lower, upper}:
            return 0.8
        case ast.Call(func=ast.Name(id="range"), args=args) if node in args:
            return 0.8
        case ast.Assign() | ast.Return() | ast.Call() | ast.Tuple() | ast.AugAssign():
            return 0.3 if isinstance(node, ast.Call) and called(node) in MEASURES else 0.0
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            return 0.2 if isinstance(node, ast.Call) and called(node) in MEASURES else 0.0
    return 0.0
