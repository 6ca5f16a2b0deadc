"""Whether two edits mean the same: a normal form of the changed definition.

Rules (what is turned into one form):
- `not a == b` and `a != b`, `not (a and b)` and `not a or not b`, `not not a` in a condition and `a`;
- `a > b` and `b < a`, `a >= b` and `b <= a`, the sides of `==` and `!=`;
- `a <= 5` and `a < 6`, `a < b + 1` and `a <= b`, `a + 1 <= b` and `a < b`: as for whole numbers;
- `-a` in a condition and `a`;
- `len(a) > 0`, `len(a) >= 1` and `len(a) != 0`; `a[0:]` and `a[:]`; `a - -1` and `a + 1`;
- what an exception says: only its type counts;
- assignments that follow each other, in any order, where none names what another one sets; what calls do besides giving
  a value is not looked at.

It errs on both sides: floats tell `a <= 5` from `a < 6`, and equal programs may keep different forms.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from councilor.domain.mutation.source import LINE_END, parse

__all__ = ["normal_form"]

OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Gt: ast.Lt, ast.GtE: ast.LtE}


def normal_form(old: str, new: str) -> str:
    """The normal form of the outermost definitions of `new` that differ from those of `old`."""
    before, after = _outermost(old), _outermost(new)
    if before is None or after is None:
        return new
    others = [node for text, node in after.items() if text not in before]  # equal text need not be compared further
    known = _dumped(old) if others else frozenset()
    changed = [copy.deepcopy(node) for node in others if ast.dump(node) not in known]
    normal = _Normal()
    return "\n".join(ast.dump(normal.visit(node)) for node in changed)


@lru_cache(maxsize=4)
def _dumped(text: str) -> frozenset[str]:
    """The outermost statements of a text, without their places."""
    return frozenset(ast.dump(node) for node in (_outermost(text) or {}).values())


@lru_cache(maxsize=4)
def _outermost(text: str) -> Mapping[str, ast.stmt] | None:
    """The outermost statements of a text by their own text."""
    tree = parse(text)
    if tree is None:
        return None
    lines = LINE_END.split(text)
    firsts = [min(each.lineno for each in (*getattr(node, "decorator_list", ()), node)) for node in tree.body]
    return {
        "\n".join(lines[first - 1 : node.end_lineno]) + f"#{node.col_offset}-{node.end_col_offset}": node
        for first, node in zip(firsts, tree.body, strict=True)
    }


class _Normal(ast.NodeTransformer):
    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            if isinstance(block := getattr(node, name, None), list):
                _put_in_order(block)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=ast.Compare(ops=[op]) as compared):
                compared.ops = [OPPOSITE[type(op)]()]
                return self._compared(compared)
            case ast.UnaryOp(op=ast.Not(), operand=ast.BoolOp(op=op, values=values)):
                other = ast.Or() if isinstance(op, ast.And) else ast.And()
                return ast.BoolOp(
                    op=other, values=[self.visit(ast.UnaryOp(op=ast.Not(), operand=value)) for value in values]
                )
            case ast.UnaryOp(op=ast.Not(), operand=ast.UnaryOp(op=ast.Not(), operand=inner)):
                return inner
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value) | float(value))):
                return ast.Constant(value=-value)
        return node

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        node.test = _unsigned(node.test)
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        self.generic_visit(node)
        node.test = _unsigned(node.test)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        node.test = _unsigned(node.test)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        return self._compared(node)

    def _compared(self, node: ast.Compare) -> ast.expr:
        if len(node.ops) != 1:
            return node
        left, op, right = node.left, node.ops[0], node.comparators[0]
        if type(op) in MIRRORED:
            left, op, right = right, MIRRORED[type(op)](), left
        if isinstance(op, ast.LtE):
            left, op, right = _strict(left, right)
        if isinstance(op, ast.Lt):
            left, right = self._shifted(left, right)
        if isinstance(op, ast.Lt) and _number(left) == 0 and _is_length(right):
            left, op, right = right, ast.NotEq(), ast.Constant(value=0)
        if isinstance(op, ast.Eq | ast.NotEq) and ast.dump(left) > ast.dump(right):
            left, right = right, left
        return ast.Compare(left=left, ops=[op], comparators=[right])

    def _shifted(self, left: ast.expr, right: ast.expr) -> tuple[ast.expr, ast.expr]:
        """Two sides of which the left one ends in no number, nor the right one where the left one is a number."""
        match right:
            case ast.BinOp(left=inner, op=ast.Add(), right=ast.Constant(value=int(value))):
                if (number := _number(left)) is not None:
                    return ast.Constant(value=number - value), inner
        match left:
            case ast.BinOp(left=inner, op=ast.Add(), right=ast.Constant(value=int(value))):
                if (number := _number(right)) is not None:
                    return inner, ast.Constant(value=number - value)
                return inner, self.visit_BinOp(ast.BinOp(left=right, op=ast.Add(), right=ast.Constant(value=-value)))
        return left, right

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        value = _number(node.right)
        if isinstance(node.op, ast.Sub) and value is not None:
            node = ast.BinOp(left=node.left, op=ast.Add(), right=ast.Constant(value=-value))
            value = -value
        if isinstance(node.op, ast.Add) and value is not None and isinstance(node.left, ast.BinOp):
            inner = _number(node.left.right)
            if isinstance(node.left.op, ast.Add) and inner is not None:
                node = ast.BinOp(left=node.left.left, op=ast.Add(), right=ast.Constant(value=inner + value))
                value = inner + value
        return node.left if isinstance(node.op, ast.Add) and value == 0 else node

    def visit_Slice(self, node: ast.Slice) -> ast.expr:
        self.generic_visit(node)
        return ast.Slice(lower=None if _number(node.lower) == 0 else node.lower, upper=node.upper, step=node.step)

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=raised, cause=None)

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        self.generic_visit(node)
        return ast.Return(value=node.value or ast.Constant(value=None))


@dataclass(frozen=True, slots=True)
class _Setting:
    """A simple assignment."""

    keys: frozenset[str]
    """What it sets: `name`, or `name.attribute` and, for who uses the object as a whole, `name.*`."""
    names: frozenset[str]
    """All that it names, what it sets included."""
    text: str

    def is_apart_from(self, other: _Setting) -> bool:
        """Whether the two may be exchanged."""
        return not (self.keys & other.names or other.keys & self.names)


def _put_in_order(block: list[ast.stmt]) -> None:
    """Exchange neighbours that may be exchanged until they stand in the order of their text."""
    settings = [_setting(statement) for statement in block]
    for last in range(len(block) - 1, 0, -1):
        for at in range(last):
            left, right = settings[at], settings[at + 1]
            if left and right and left.text > right.text and left.is_apart_from(right):
                block[at : at + 2] = block[at + 1], block[at]
                settings[at : at + 2] = right, left


def _setting(statement: ast.stmt) -> _Setting | None:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            keys = frozenset({name})
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=name), attr=attribute)]):
            keys = frozenset({f"{name}.{attribute}", f"{name}.*"})
        case _:
            return None
    inside = list(ast.walk(statement))
    dotted = {id(each.value) for each in inside if isinstance(each, ast.Attribute)}
    names = {each.id for each in inside if isinstance(each, ast.Name)}
    names |= {f"{each.id}.*" for each in inside if isinstance(each, ast.Name) and id(each) not in dotted}
    names |= {
        f"{each.value.id}.{each.attr}"
        for each in inside
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name)
    }
    return _Setting(keys, frozenset(names), ast.dump(statement))


def _unsigned(node: ast.expr) -> ast.expr:
    """A condition without a sign, which its truth does not depend on."""
    match node:
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=inner):
            return _unsigned(inner)
    return node


def _number(node: ast.expr | None) -> int | None:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    return None


def _is_length(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def _strict(left: ast.expr, right: ast.expr) -> tuple[ast.expr, ast.cmpop, ast.expr]:
    """`left <= right` of whole numbers, strict where one side is written as a number or ends in one."""
    if (value := _number(right)) is not None:
        return left, ast.Lt(), ast.Constant(value=value + 1)
    if (value := _number(left)) is not None:
        return ast.Constant(value=value - 1), ast.Lt(), right
    match right:
        case ast.BinOp(left=inner, op=ast.Add(), right=ast.Constant(value=int(value))):
            total = value + 1
            added = ast.BinOp(left=inner, op=ast.Add(), right=ast.Constant(value=total))
            return left, ast.Lt(), inner if total == 0 else added
    return left, ast.Lt(), ast.BinOp(left=right, op=ast.Add(), right=ast.Constant(value=1))
