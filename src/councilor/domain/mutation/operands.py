"""The operator for names: another name or attribute of the scope.

Rules:
- A name is replaced only by one that exists where it stands: bound earlier in the same function, a constant of the
  module for a constant of the module, or its well-known counterpart.
- The most similar names come first, and at most `MAX_OTHER_NAMES` of them.

Source: Liu et al. 2019, "TBar: revisiting template-based automated program repair", FP13 (variable replacer) and FP10
(method name). The counterparts are our own.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher

from councilor.domain.mutation.expressions import says_replaced
from councilor.domain.mutation.mutant import Edit
from councilor.domain.mutation.scope import RECEIVERS, is_receiver
from councilor.domain.mutation.source import Source

__all__ = ["names", "nearest"]

MAX_OTHER_NAMES = 6
MAX_RECEIVER = 60
COUNTERPARTS = (
    ("min", "max"), ("any", "all"), ("ceil", "floor"), ("round", "int"), ("len", "sum"), ("sorted", "list"),
    ("startswith", "endswith"), ("lower", "upper"), ("lstrip", "rstrip"), ("find", "rfind"), ("index", "rindex"),
    ("split", "rsplit"), ("partition", "rpartition"), ("ljust", "rjust"), ("append", "extend"), ("add", "discard"),
    ("keys", "values"), ("values", "items"), ("items", "keys"), ("first", "last"), ("update", "setdefault"),
    ("bisect_left", "bisect_right"), ("insort_left", "insort_right"), ("union", "intersection"),
    ("issubset", "issuperset"), ("copy", "deepcopy"), ("match", "fullmatch"), ("match", "search"),
    ("ROUND_HALF_UP", "ROUND_HALF_EVEN"), ("ROUND_HALF_UP", "ROUND_DOWN"), ("ROUND_UP", "ROUND_DOWN"),
    ("is_file", "is_dir"), ("pop", "popleft"), ("append", "appendleft"), ("int", "float"),
    ("ROUND_CEILING", "ROUND_FLOOR"), ("total_seconds", "seconds"), ("weekday", "isoweekday"),
)  # fmt: skip


def nearest(name: str, others: Iterable[str], limit: int = MAX_OTHER_NAMES) -> list[str]:
    """The names most like `name`, itself left out; equally similar ones by the alphabet."""
    ranked = sorted(set(others) - {name}, key=lambda other: (-SequenceMatcher(None, name, other).ratio(), other))
    return ranked[:limit]


def _counterparts(name: str) -> list[str]:
    return [right if name == left else left for left, right in COUNTERPARTS if name in (left, right)]


def _edit(start: int, end: int, old: str, new: str, weight: float) -> Edit:
    return Edit(start=start, end=end, replacement=new, description=says_replaced(old, new), weight=weight)


def names(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Another variable, constant, function or attribute that exists at the same place."""
    match node:
        case ast.Name(ctx=ast.Load()) if source.segment(node) == node.id and node.id not in RECEIVERS:
            start, end = source.span(node)
            for other, weight in _names_for(source, node):
                yield _edit(start, end, node.id, other, weight)
        case ast.Attribute(ctx=ast.Load()):
            end = source.span(node)[1]
            start = end - len(node.attr)
            if source.text[start:end] == node.attr:
                for other, weight in _attributes_for(source, node):
                    yield _edit(start, end, node.attr, other, weight)
                yield from _bare(source, node)
        case ast.Tuple(
            ctx=ast.Store(), elts=[ast.Name() | ast.Attribute() as first, ast.Name() | ast.Attribute() as second]
        ):
            text = source.segment(node)
            if "(" not in text:
                swapped = f"{source.segment(second)}, {source.segment(first)}"
                yield _edit(*source.span(node), text, swapped, 0.3)


def _bare(source: Source, node: ast.Attribute) -> Iterator[Edit]:
    """A variable for the attribute of the same name on `self`."""
    facts = source.scopes.facts(node)
    if facts is not None and is_receiver(node.value):
        names = [name for name in (node.attr, node.attr.lstrip("_")) if name in facts.before(node.lineno)]
        for name in dict.fromkeys(names):
            yield _edit(*source.span(node), source.segment(node), name, 0.5)


def _names_for(source: Source, node: ast.Name) -> Iterator[tuple[str, float]]:
    known, facts = source.scopes.module_names, source.scopes.facts(node)
    counterparts = [name for name in _counterparts(node.id) if name in known or hasattr(builtins, name)]
    yield from ((name, 1.0) for name in counterparts)
    if _is_called(source, node):
        functions = {name for name in source.scopes.functions if name in known}
        yield from _by_likeness(node.id, functions if node.id in functions else set(), 0.3)
        return
    local = set(facts.before(node.lineno)) if facts else set()
    in_local = facts is not None and (node.id in facts.bound or node.id in facts.parameters)
    yield from _by_likeness(node.id, local, 0.8 if in_local else 0.3)
    attributes = {*source.scopes.attributes(node), *source.scopes.attribute_bindings(node)}
    yield from ((f"self.{name}", 0.4) for name in (node.id, f"_{node.id}") if name in attributes)
    if not in_local:
        constants = {name for name in known if name.isupper()}
        yield from _by_likeness(node.id, constants if node.id in constants else set(), 0.5)


def _by_likeness(name: str, others: Iterable[str], weight: float) -> Iterator[tuple[str, float]]:
    return ((other, weight * (1 - 0.1 * rank)) for rank, other in enumerate(nearest(name, others)))


def _is_called(source: Source, node: ast.expr) -> bool:
    parent = source.parent(node)
    return isinstance(parent, ast.Call) and parent.func is node


def _attributes_for(source: Source, node: ast.Attribute) -> Iterator[tuple[str, float]]:
    yield from ((name, 1.0) for name in _counterparts(node.attr))
    receiver, is_called = source.segment(node.value), _is_called(source, node)
    if len(receiver) <= MAX_RECEIVER:
        others = _attributes_of(source, _shared_by(source, node)).get((receiver, is_called), set())
        yield from _by_likeness(node.attr, others, 0.7)
    if not is_called and is_receiver(node.value):
        others = set(source.scopes.attribute_bindings(node)) | set(source.scopes.members(node))
        yield from _by_likeness(node.attr, others, 0.4)
    elif is_called and is_receiver(node.value):
        methods = {name for name in source.scopes.members(node) if name in source.scopes.functions}
        yield from _by_likeness(node.attr, methods, 0.4)


def _attributes_of(source: Source, scope: ast.AST) -> dict[tuple[str, bool], set[str]]:
    """Receiver and whether it is called -> the attributes that are read of it."""

    def read() -> dict[tuple[str, bool], set[str]]:
        found: dict[tuple[str, bool], set[str]] = {}
        for other in ast.walk(scope):
            if isinstance(other, ast.Attribute) and isinstance(other.value, ast.Name | ast.Attribute):
                found.setdefault((source.segment(other.value), _is_called(source, other)), set()).add(other.attr)
        return found

    return source.once(("attributes", scope), read)


def _shared_by(source: Source, node: ast.Attribute) -> ast.AST:
    if isinstance(node.value, ast.Name) and node.value.id in RECEIVERS:
        return next((above for above in source.ancestors(node) if isinstance(above, ast.ClassDef)), source.tree)
    return source.function(node) or source.tree
