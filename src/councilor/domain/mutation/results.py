"""Statements that give what a function has worked out: returned, yielded, put into a collection, counted.

Rules:
- A function that returns nothing, and builds something at its own level, needs a `return` of it.
- A collection that begins empty and is never filled needs filling; a counter needs counting.
- What nothing reads comes first.

Source: our own reading of what simple statements do in Python, as in `shapes`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from councilor.domain.mutation.donors import donors
from councilor.domain.mutation.gap import Gap

__all__ = ["MISSING", "computed_nearby", "counting", "growth", "results"]

GROWING = {"[]": "append", "list()": "append", "set()": "add", "deque()": "append", "{}": "", "dict()": ""}
MADE_FROM = (
    "list({})", "tuple({})", "dict({})", "set({})", "len({})", "sorted({})", "str({})", "int({})", '"".join({})',
    "zip(*{})", "iter({})", "{}[0]", "cls({})", "self.__class__({})", '"\\n".join({})', '", ".join({})', "not {}",
)  # fmt: skip
"""What a result is often made of."""
MAX_RETURNED = 6
MAX_COMPUTED = 12
MAX_KEPT = 8
MAX_VALUES = 5
MISSING = 1.3
"""For what the text itself shows to be missing."""


def results(gap: Gap, empty: bool) -> Iterator[tuple[str, float]]:
    """Something returned at the end of a block, or yielded; more likely where the block is `empty`."""
    function = gap.facts.function
    if gap.following or (not gap.is_last and not gap.parents):
        return
    at_end = gap.is_last and not any(isinstance(node, ast.Return) and node.value is None for node in gap.facts.nodes)
    weight = 1.0 if at_end else 0.6 if empty else 0.35
    if gap.facts.is_generator:
        yield "return", 0.3 * weight
        yield from (
            (f"yield {name}", 0.7 * weight - 0.05 * rank) for rank, name in enumerate(gap.variables[:MAX_VALUES])
        )
        return
    unused = [name for name in gap.variables if name in gap.facts.unused]
    built = _built(gap) if at_end and not _gives(gap) else []
    yield from ((f"return {name}", MISSING) for name in built)
    level = _set_here(gap)
    yield from ((f"return {name}", weight * (1.2 if at_end and not _gives(gap) else 0.9)) for name in level)
    for rank, name in enumerate(list(dict.fromkeys([*unused, *gap.variables]))[:MAX_RETURNED]):
        yield f"return {name}", weight * (1.0 if name in unused else 0.8 - 0.08 * rank)
    if "self" in gap.facts.parameters:
        yield from ((f"return self.{name}", weight * share) for name, share in _kept(gap))
    values = (
        ("self", "True", "False", "None", "0") if "self" in gap.facts.parameters else ("True", "False", "None", "0")
    )
    yield from ((f"return {value}", 0.4 * weight) for value in values)
    yield from ((f"return {text}", 0.3 * weight) for text in computed_nearby(gap))
    for node in gap.facts.nodes:
        if isinstance(node, ast.Return) and node.value is not None:
            yield f"return {gap.source.segment(node.value)}", 0.5 * weight
    if isinstance(function, ast.FunctionDef) and not gap.is_last:
        yield "return", 0.4 * weight


def _kept(gap: Gap) -> list[tuple[str, float]]:
    """Attributes of the class, those named as the function is first, with how likely one is its result."""
    name = gap.facts.function.name.strip("_")
    known = gap.source.scopes.attribute_bindings(gap.anchor)
    named = [each for each in known if name in each or (len(each) > 2 and each.strip("_") in name)]
    others = [each for each in known if each not in named][:MAX_KEPT]
    return [*((each, 1.0) for each in named), *((each, 0.45 - 0.03 * rank) for rank, each in enumerate(others))]


def _gives(gap: Gap) -> bool:
    """Whether the function returns a value anywhere."""
    return any(isinstance(node, ast.Return) and node.value is not None for node in gap.facts.nodes)


def _set_here(gap: Gap) -> list[str]:
    """Variables that the gap's own block assigns before it, not in a loop or branch of it, the latest first."""
    block = gap.source.block(gap.anchor)
    targets = [
        target
        for statement in block[: block.index(gap.anchor) + 1]
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and target.id in gap.visible
    ]
    return list(dict.fromkeys(target.id for target in reversed(targets)))[:MAX_VALUES]


def _built(gap: Gap) -> list[str]:
    """Variables that are only filled or set, never read for anything else: what is built to be returned."""

    def read() -> list[str]:
        uses: dict[str, int] = {}
        for node in gap.facts.nodes:
            match node:
                case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store()):
                    uses[name] = uses.get(name, 0) + 1
                case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
                    uses[name] = uses.get(name, 0) + 1
                case ast.AugAssign(target=ast.Name(id=name)):
                    uses[name] = uses.get(name, 0) + 1
        return [name for name in gap.facts.bound if gap.facts.loads[name] <= uses.get(name, 0)]

    return gap.source.once(("built", gap.facts.function), read)


def growth(gap: Gap) -> Iterator[tuple[str, float]]:
    """Something put into a collection, or yielded."""
    if not gap.in_loop and not gap.parents:
        return
    values = [name for name in gap.variables if name not in _collections(gap)][:4]
    for name, method in _collections(gap).items():
        changed = _is_changed(gap, name)
        weight = 0.4 if changed else 0.9
        for rank, value in enumerate(values):
            if method:
                yield f"{name}.{method}({value})", weight - 0.08 * rank
            else:
                yield from (
                    (f"{name}[{value}] = {other}", 0.7 * weight - 0.08 * rank) for other in values if other != value
                )
    for name in _indexed(gap):
        for key, value in [(key, value) for key in values for value in values if len({name, key, value}) == 3]:
            yield f"{name}[{key}] = {value}", 0.25
    if gap.facts.is_generator:
        yield from ((f"yield {value}", 0.4 - 0.05 * rank) for rank, value in enumerate(values))


def _indexed(gap: Gap) -> list[str]:
    """Variables of which items are read or set, collections that begin empty left out."""
    found = [
        node.value.id
        for node in gap.facts.nodes
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in gap.visible
    ]
    return [name for name in dict.fromkeys(found) if name not in _collections(gap)][:2]


def _collections(gap: Gap) -> dict[str, str]:
    """Variables that begin empty -> the method that fills them."""

    def read() -> dict[str, str]:
        found: dict[str, str] = {}
        for node in gap.facts.nodes:
            if isinstance(node, ast.Assign):
                method = GROWING.get(gap.source.segment(node.value))
                for target in node.targets if method is not None else ():
                    if isinstance(target, ast.Name):
                        found[target.id] = method or ""
        return found

    return gap.source.once(("collections", gap.facts.function), read)


def _is_changed(gap: Gap, name: str) -> bool:
    for node in gap.facts.nodes:
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=other))) if other == name:
                return True
            case ast.Subscript(value=ast.Name(id=other), ctx=ast.Store()) if other == name:
                return True
    return False


def counting(gap: Gap) -> Iterator[tuple[str, float]]:
    """One more or one less of what begins as a number."""
    for node in gap.facts.nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and type(node.value.value) is int:
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id in gap.visible:
                    weight = 0.5 if gap.in_loop else 0.2
                    yield f"{target.id} += 1", weight
                    yield f"{target.id} -= 1", 0.4 * weight
    for name, statements in gap.source.scopes.attribute_bindings(gap.anchor).items():
        if "self" in gap.facts.parameters and any(_is_number(statement) for statement in statements):
            yield f"self.{name} += 1", 0.35
            yield f"self.{name} -= 1", 0.15


def _is_number(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.AugAssign):
        return True
    value = statement.value if isinstance(statement, ast.Assign) else None
    return isinstance(value, ast.Constant) and type(value.value) is int


def computed_nearby(gap: Gap) -> list[str]:
    """Values that the same function or class computes from what is visible here, nearest first."""
    owner = gap.source.scopes.class_of(gap.anchor)
    near = [
        donor
        for donor in donors(gap.source)
        if isinstance(donor.node, ast.Assign | ast.Return)
        and isinstance(donor.node.value, ast.Call | ast.Attribute | ast.BinOp | ast.Subscript)
        and (donor.function is gap.facts.function or (owner is not None and donor.owner is owner))
    ]
    near.sort(key=lambda donor: (donor.function is not gap.facts.function, abs(donor.node.lineno - gap.line)))
    found = (donor.node.value for donor in near if isinstance(donor.node, ast.Assign | ast.Return))
    readable = [
        value
        for value in found
        if value is not None
        and all(inner.id in gap.visible for inner in ast.walk(value) if isinstance(inner, ast.Name))
    ]
    return list(dict.fromkeys(gap.source.segment(value) for value in readable))[:MAX_COMPUTED]
