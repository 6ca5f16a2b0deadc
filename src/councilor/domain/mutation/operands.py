"""Operators on names: call arguments swapped, another name or attribute of the scope.

Rules:
- A name is replaced only by one that exists where it stands: bound earlier in the same function, a constant of the
  module for a constant of the module, or its well-known counterpart.
- The most similar names come first, and at most `MAX_OTHER_NAMES` of them.

Source: argument swaps after Rice et al. 2017, "Detecting argument selection defects", OOPSLA. The counterparts are
our own.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from itertools import combinations

from councilor.domain.mutation.mutant import Edit
from councilor.domain.mutation.source import FunctionNode, Source

__all__ = ["arguments", "names", "nearest"]

MAX_OTHER_NAMES = 6
MAX_SWAPPED_ARGUMENTS = 4
RECEIVERS = frozenset({"self", "cls"})
COUNTERPARTS = (
    ("min", "max"), ("any", "all"), ("ceil", "floor"), ("round", "int"), ("len", "sum"), ("sorted", "list"),
    ("startswith", "endswith"), ("lower", "upper"), ("lstrip", "rstrip"), ("find", "rfind"), ("index", "rindex"),
    ("split", "rsplit"), ("partition", "rpartition"), ("ljust", "rjust"), ("append", "extend"), ("add", "discard"),
    ("keys", "values"), ("values", "items"), ("items", "keys"), ("first", "last"), ("update", "setdefault"),
    ("bisect_left", "bisect_right"), ("insort_left", "insort_right"), ("union", "intersection"),
    ("issubset", "issuperset"), ("copy", "deepcopy"), ("match", "fullmatch"), ("match", "search"),
    ("ROUND_HALF_UP", "ROUND_HALF_EVEN"), ("ROUND_HALF_UP", "ROUND_DOWN"), ("ROUND_UP", "ROUND_DOWN"),
    ("ROUND_CEILING", "ROUND_FLOOR"), ("total_seconds", "seconds"), ("weekday", "isoweekday"),
)  # fmt: skip


def nearest(name: str, others: Iterable[str], limit: int = MAX_OTHER_NAMES) -> list[str]:
    """The names most like `name`, itself left out; equally similar ones by the alphabet."""
    ranked = sorted(set(others) - {name}, key=lambda other: (-SequenceMatcher(None, name, other).ratio(), other))
    return ranked[:limit]


def _counterparts(name: str) -> list[str]:
    return [right if name == left else left for left, right in COUNTERPARTS if name in (left, right)]


def _edit(start: int, end: int, old: str, new: str) -> Edit:
    return Edit(start=start, end=end, replacement=new, description=f"replaces `{old}` by `{new}`")


def arguments(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Two positional arguments of a call exchanged."""
    if not isinstance(node, ast.Call) or len(node.args) > MAX_SWAPPED_ARGUMENTS:
        return
    for left, right in combinations(node.args, 2):
        first, second = source.segment(left), source.segment(right)
        if first == second or isinstance(left, ast.Starred) or isinstance(right, ast.Starred):
            continue
        (start, left_end), (right_start, end) = source.span(left), source.span(right)
        text = second + source.text[left_end:right_start] + first
        called = source.segment(node.func)
        says = f"exchanges two arguments of `{called if len(called) <= 60 else 'the call'}`"
        yield Edit(start=start, end=end, replacement=text, description=says)


def names(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Another variable, constant, function or attribute that exists at the same place."""
    match node:
        case ast.Name(ctx=ast.Load()) if source.segment(node) == node.id and node.id not in RECEIVERS:
            start, end = source.span(node)
            for other in _names_for(source, node):
                yield _edit(start, end, node.id, other)
        case ast.Attribute(ctx=ast.Load()):
            end = source.span(node)[1]
            start = end - len(node.attr)
            if source.text[start:end] == node.attr:
                for other in _attributes_for(source, node):
                    yield _edit(start, end, node.attr, other)


def _names_for(source: Source, node: ast.Name) -> list[str]:
    known = _module_names(source)
    counterparts = [name for name in _counterparts(node.id) if name in known or hasattr(builtins, name)]
    if _is_called(source, node):
        return counterparts
    local = _local_names(source, node)
    if node.id in local:
        return nearest(node.id, local - RECEIVERS)
    constants = {name for name in known if name.isupper()}
    return list(dict.fromkeys([*counterparts, *(nearest(node.id, constants) if node.id in constants else [])]))


def _is_called(source: Source, node: ast.expr) -> bool:
    parent = source.parent(node)
    return isinstance(parent, ast.Call) and parent.func is node


def _local_names(source: Source, node: ast.Name) -> set[str]:
    function = source.function(node)
    if function is None:
        return set()
    given = function.args
    found = {argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    found |= {argument.arg for argument in (given.vararg, given.kwarg) if argument}
    return found | {
        other.id
        for other in ast.walk(function)
        if isinstance(other, ast.Name)
        and isinstance(other.ctx, ast.Store)
        and other.lineno <= node.lineno
        and _belongs(source, other, function)
    }


def _belongs(source: Source, node: ast.AST, function: FunctionNode) -> bool:
    inner = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda, ast.ClassDef, FunctionNode)
    return next((above for above in source.ancestors(node) if isinstance(above, inner)), None) is function


def _module_names(source: Source) -> set[str]:
    found: set[str] = set()
    for statement in source.tree.body:
        match statement:
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                found |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Assign(targets=targets):
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
    return found


def _attributes_for(source: Source, node: ast.Attribute) -> list[str]:
    called = _is_called(source, node)
    others = {
        other.attr
        for other in ast.walk(_shared_by(source, node))
        if isinstance(other, ast.Attribute)
        and isinstance(other.value, ast.Name)
        and isinstance(node.value, ast.Name)
        and other.value.id == node.value.id
        and _is_called(source, other) == called
    }
    return list(dict.fromkeys([*_counterparts(node.attr), *nearest(node.attr, others)]))[:MAX_OTHER_NAMES]


def _shared_by(source: Source, node: ast.Attribute) -> ast.AST:
    if isinstance(node.value, ast.Name) and node.value.id in RECEIVERS:
        return next((above for above in source.ancestors(node) if isinstance(above, ast.ClassDef)), source.tree)
    return source.function(node) or source.tree
