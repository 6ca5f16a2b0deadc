"""Typical statements that a gap may be missing, inferred from the names around it.

Rules:
- A name or attribute of `self` that is read and bound nowhere needs an assignment: from a parameter of the same name,
  from a call or constant bound to it elsewhere, or an empty start value that fits its use.
- A parameter or variable that nothing reads needs a use: kept on `self`, returned, collected, passed to `super`.
- A collection or counter that never grows needs growing; an empty branch needs to leave, raise or set something.

Source: our own reading of what simple statements do in Python; the missing-use and missing-definition faults are those
of data-flow testing (Rapps & Weyuker 1985).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import chain

from councilor.domain.mutation.donors import donors
from councilor.domain.mutation.gap import Gap
from councilor.domain.mutation.scope import BUILTINS, called
from councilor.domain.mutation.source import Source

__all__ = ["missing_names", "shapes"]

START_VALUES = ("None", "[]", "{}", "0", '""', "False", "True", "set()", "1")
FITTING = {"append": "[]", "extend": "[]", "add": "set()", "setdefault": "{}", "items": "{}", "get": "{}", "join": '""'}
GROWING = {"[]": "append", "list()": "append", "set()": "add", "deque()": "append", "{}": "", "dict()": ""}
KEPT_AS = ("list({})", "dict({})", "tuple({})", "set({})", "str({})", "int({})", "{} or []", "{} or {{}}")
"""What a parameter is often turned into when it is kept."""
MADE_FROM = (
    "list({})", "tuple({})", "dict({})", "set({})", "len({})", "sorted({})", "str({})", "int({})", '"".join({})',
    "zip(*{})", "iter({})", "{}[0]", "cls({})", "self.__class__({})", '"\\n".join({})', '", ".join({})', "not {}",
)  # fmt: skip
"""What a result is often made of."""
MISSING = 1.3
"""For what the text itself shows to be missing."""
MAX_VALUES = 5
MAX_RETURNED = 6
MAX_COMPUTED = 12
MAX_RAISED = 4


def shapes(gap: Gap) -> Iterator[tuple[str, float]]:
    """Statements for a gap, with their weights."""
    empty = isinstance(gap.anchor, ast.Pass)
    yield from chain(
        _definitions(gap), _attributes(gap), _uses(gap), _results(gap, empty), _growth(gap), _counting(gap),
        _leaving(gap, empty), _settings(gap, empty), _delegation(gap),
    )  # fmt: skip


def missing_names(gap: Gap) -> list[str]:
    """Names that the function reads and nobody binds, or binds only behind the gap or in another branch."""
    facts, source = gap.facts, gap.source
    late = {name for name, lines in facts.bound.items() if facts.first_read.get(name, lines[0]) < lines[0]}
    outer = {*facts.outer, *facts.declared, *source.scopes.module_names, *BUILTINS, "__class__"}
    known = {*facts.parameters, *(set(facts.bound) - late), *outer}
    inner = _bound_inside(gap) - late
    return [name for name in facts.loads if name not in known and name not in inner]


def _bound_inside(gap: Gap) -> frozenset[str]:
    def read() -> frozenset[str]:
        inside = list(ast.walk(gap.facts.function))
        changed = {id(node.target) for node in inside if isinstance(node, ast.AugAssign)}
        names = (node for node in inside if isinstance(node, ast.Name) and id(node) not in changed)
        stored = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
        return frozenset(stored | {node.arg for node in inside if isinstance(node, ast.arg)})

    return gap.source.once(("bound inside", gap.facts.function), read)


def _definitions(gap: Gap) -> Iterator[tuple[str, float]]:
    for name in missing_names(gap):
        share = MISSING if gap.line <= gap.facts.first_read[name] else 0.3
        yield from ((f"{name} = {value}", share * weight) for value, weight in _values_of(gap, name))


def _values_of(gap: Gap, name: str) -> Iterator[tuple[str, float]]:
    """What a missing variable may have been."""
    for text in _fitting(gap, name):
        yield text, 1.0
    for text in _assigned_elsewhere(gap.source, name):
        yield text, 0.9
    yield from ((text, 0.35) for text in _computed_nearby(gap))
    if "self" in gap.facts.parameters:
        known = gap.source.scopes.attributes(gap.anchor)
        yield from ((f"self.{attribute}", 0.8 if attribute in known else 0.5) for attribute in (name, f"_{name}"))
    yield from ((value, 0.6 - 0.05 * rank) for rank, value in enumerate(START_VALUES))
    yield from ((other, 0.5 - 0.05 * rank) for rank, other in enumerate(gap.variables[:MAX_VALUES]))


def _assigned_elsewhere(source: Source, name: str) -> list[str]:
    def read() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for donor in donors(source):
            if isinstance(donor.node, ast.Assign) and isinstance(donor.node.targets[0], ast.Name):
                found.setdefault(donor.node.targets[0].id, []).append(source.segment(donor.node.value))
        return found

    return list(dict.fromkeys(source.once(("assigned",), read).get(name, ())))[:MAX_VALUES]


def _computed_nearby(gap: Gap) -> list[str]:
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


def _fitting(gap: Gap, name: str) -> list[str]:
    """Start values that fit how a name or an attribute of `self` is used."""
    found: list[str] = []
    for node in ast.walk(gap.facts.function):
        match node:
            case ast.Attribute(value=ast.Name(id=other), attr=attribute) if other == name and attribute in FITTING:
                found.append(FITTING[attribute])
            case ast.AugAssign(target=ast.Name(id=other)) if other == name:
                found.extend(('""', "0") if isinstance(node.value, ast.Constant | ast.JoinedStr) else ("0", "[]"))
            case ast.Subscript(value=ast.Name(id=other), ctx=ast.Store()) if other == name:
                found.append("{}")
    return list(dict.fromkeys(found))


def _attributes(gap: Gap) -> Iterator[tuple[str, float]]:
    scopes = gap.source.scopes
    read, bound, members = (
        scopes.attributes(gap.anchor),
        scopes.attribute_bindings(gap.anchor),
        scopes.members(gap.anchor),
    )
    if "self" not in gap.facts.parameters:
        return
    starting = gap.facts.function.name in {"__init__", "__new__", "clear", "reset", "setup", "__enter__"}
    missing = [name for name in read if name not in bound and name not in members]
    for name in (*missing, *(bound if starting else ())):
        share = 1.0 if name in missing else 0.6 if _is_elsewhere(gap, bound[name]) else 0.4
        share *= 1.0 if starting else 0.3
        for parameter in (name, name.lstrip("_")):
            if parameter in gap.facts.parameters:
                yield f"self.{name} = {parameter}", share * (1.0 if parameter in gap.facts.unused else 0.8)
        for statement in bound.get(name, ())[:3]:
            if isinstance(statement, ast.Assign):
                yield f"self.{name} = {gap.source.segment(statement.value)}", share * 0.8
        for rank, value in enumerate(START_VALUES):
            yield f"self.{name} = {value}", share * (0.5 - 0.05 * rank)
        for rank, other in enumerate(dict.fromkeys([*gap.facts.unused, *gap.variables])):
            if rank < MAX_VALUES and other in gap.visible:
                yield f"self.{name} = {other}", share * (0.6 - 0.05 * rank)
        for parameter in [name.lstrip("_")] if name.lstrip("_") in gap.facts.parameters else []:
            yield from ((f"self.{name} = {shape.format(parameter)}", 0.3 * share) for shape in KEPT_AS)


def _is_elsewhere(gap: Gap, statements: list[ast.stmt]) -> bool:
    return all(gap.source.function(statement) is not gap.facts.function for statement in statements)


def _uses(gap: Gap) -> Iterator[tuple[str, float]]:
    """Uses of what nothing reads."""
    for name in [name for name in gap.facts.unused if name in gap.visible]:
        if "self" in gap.facts.parameters:
            weight = 0.8 if gap.facts.function.name == "__init__" else 0.3
            yield from ((f"self.{attribute} = {name}", weight) for attribute in (name, f"_{name}"))


def _results(gap: Gap, empty: bool) -> Iterator[tuple[str, float]]:
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
    for rank, name in enumerate(list(dict.fromkeys([*unused, *gap.variables]))[:MAX_RETURNED]):
        yield f"return {name}", weight * (1.0 if name in unused else 0.8 - 0.08 * rank)
    values = (
        ("self", "True", "False", "None", "0") if "self" in gap.facts.parameters else ("True", "False", "None", "0")
    )
    yield from ((f"return {value}", 0.4 * weight) for value in values)
    yield from ((f"return {text}", 0.3 * weight) for text in _computed_nearby(gap))
    for node in gap.facts.nodes:
        if isinstance(node, ast.Return) and node.value is not None:
            yield f"return {gap.source.segment(node.value)}", 0.5 * weight
    if isinstance(function, ast.FunctionDef) and not gap.is_last:
        yield "return", 0.4 * weight


def _gives(gap: Gap) -> bool:
    """Whether the function returns a value anywhere."""
    return any(isinstance(node, ast.Return) and node.value is not None for node in gap.facts.nodes)


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


def _growth(gap: Gap) -> Iterator[tuple[str, float]]:
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


def _counting(gap: Gap) -> Iterator[tuple[str, float]]:
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


def _leaving(gap: Gap, empty: bool) -> Iterator[tuple[str, float]]:
    if gap.following or not gap.parents:
        return
    weight = 1.0 if empty else 0.5
    if gap.in_loop:
        yield "continue", 0.7 * weight
        yield "break", 0.6 * weight
    if any(isinstance(above, ast.ExceptHandler) for above in gap.parents):
        yield "raise", 0.6 * weight
    raised = [
        donor.text for donor in donors(gap.source) if isinstance(donor.node, ast.Raise) and donor.reads <= gap.visible
    ]
    near = sorted(dict.fromkeys(raised), key=lambda text: text.split("(")[0])
    yield from ((text, 0.4 * weight) for text in near[:MAX_RAISED])
    yield from ((f"raise {name}()", 0.35 * weight) for name in ("ValueError", "TypeError", "KeyError", "IndexError"))


def _settings(gap: Gap, empty: bool) -> Iterator[tuple[str, float]]:
    """A value for the variable that the branch is about: `if x is None: x = []`."""
    parent = gap.parents[0] if gap.parents else None
    if not isinstance(parent, ast.If):
        return
    tested = dict.fromkeys(node.id for node in ast.walk(parent.test) if isinstance(node, ast.Name))
    weight = 1.0 if empty else 0.4
    for name in [name for name in tested if name in gap.facts.parameters or name in gap.facts.bound]:
        for rank, value in enumerate((*_fitting(gap, name), *START_VALUES)):
            yield f"{name} = {value}", weight * (0.7 - 0.04 * rank)
        for other in gap.variables[:MAX_VALUES]:
            if other != name:
                yield f"{name} = {other}", 0.4 * weight
        yield from (
            (f"{name} = {function}({name})", 0.3 * weight) for function in ("list", "str", "int", "tuple", "float")
        )
    assigned = [name for name in gap.facts.bound if name not in tested][:MAX_VALUES]
    for name in assigned:
        for rank, value in enumerate(("None", "True", "False", "0", "[]", *gap.variables[:2])):
            if value != name:
                yield f"{name} = {value}", weight * (0.35 - 0.02 * rank)


def _delegation(gap: Gap) -> Iterator[tuple[str, float]]:
    """The same method of the super class, and own methods that need no argument."""
    around = gap.source.scopes.class_of(gap.anchor)
    if around is None or "self" not in gap.facts.parameters:
        return
    function = gap.facts.function
    given = [name for name in gap.facts.parameters if name != "self"]
    if around.bases and not any(called(node) == "super" for node in gap.facts.nodes if isinstance(node, ast.Call)):
        arguments = _passed_on(function)
        for text in dict.fromkeys([arguments, "", ", ".join(given[:1])]):
            yield f"super().{function.name}({text})", 0.5
    for name in sorted(gap.source.scopes.members(gap.anchor)):
        for method in gap.source.scopes.functions.get(name, ()):
            if name.startswith("__") or gap.source.parent(method) is not around or name == function.name:
                continue
            needed = len(method.args.args) - len(method.args.defaults) - 1
            if needed == 0:
                yield f"self.{name}()", 0.2
            elif needed == len(given):
                yield f"self.{name}({', '.join(given)})", 0.2


def _passed_on(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    given = function.args
    parts = [argument.arg for argument in (*given.posonlyargs, *given.args)][1:]
    parts += [f"*{given.vararg.arg}"] if given.vararg else []
    parts += [f"{argument.arg}={argument.arg}" for argument in given.kwonlyargs]
    parts += [f"**{given.kwarg.arg}"] if given.kwarg else []
    return ", ".join(parts)
