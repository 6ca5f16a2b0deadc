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
import re
from collections.abc import Iterator
from itertools import chain

from councilor.domain.mutation.callees import named_after, takers
from councilor.domain.mutation.donors import donors, parted
from councilor.domain.mutation.echoes import echoes
from councilor.domain.mutation.gap import Gap
from councilor.domain.mutation.results import MISSING, computed_nearby, counting, growth, results
from councilor.domain.mutation.scope import BUILTINS, called
from councilor.domain.mutation.source import Source

__all__ = ["missing_names", "shapes"]

START_VALUES = ("None", "[]", "{}", "0", '""', "False", "True", "set()", "1")
FITTING = {"append": "[]", "extend": "[]", "add": "set()", "setdefault": "{}", "items": "{}", "get": "{}", "join": '""'}
KEPT_AS = ("list({})", "dict({})", "tuple({})", "set({})", "str({})", "int({})", "{} or []", "{} or {{}}")
"""What a parameter is often turned into when it is kept."""
MAX_VALUES = 5
MAX_RAISED = 4


def shapes(gap: Gap) -> Iterator[tuple[str, float]]:
    """Statements for a gap, with their weights."""
    empty = isinstance(gap.anchor, ast.Pass)
    yield from chain(
        _definitions(gap), _attributes(gap), _uses(gap), results(gap, empty), growth(gap), counting(gap),
        _leaving(gap, empty), _settings(gap, empty), _delegation(gap), echoes(gap), takers(gap),
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
    yield from ((text, 1.0) for text in _analogous(gap, name))
    yield from ((text, 1.0 - 0.05 * rank) for rank, text in enumerate(named_after(gap, name)))
    for text in _assigned_elsewhere(gap.source, name):
        yield text, 0.9
    yield from ((text, 0.35) for text in computed_nearby(gap))
    if "self" in gap.facts.parameters:
        known = gap.source.scopes.attributes(gap.anchor)
        yield from ((f"self.{attribute}", 1.0 if attribute in known else 0.5) for attribute in (name, f"_{name}"))
    yield from ((value, 0.6 - 0.05 * rank) for rank, value in enumerate(START_VALUES))
    yield from ((other, 0.5 - 0.05 * rank) for rank, other in enumerate(gap.variables[:MAX_VALUES]))


def _analogous(gap: Gap, name: str) -> list[str]:
    """Values of like names, with the differing word exchanged: `right_end = right.end` for `left_end`."""
    found = []
    for donor in donors(gap.source):
        match donor.node:
            case ast.Assign(targets=[ast.Name(id=other)], value=value) if other != name:
                old, new = parted(other, name)
                text = gap.source.segment(value)
                if old and new and re.search(rf"\b{re.escape(old)}", text):
                    found.append(re.sub(rf"\b{re.escape(old)}", new, text))
    return list(dict.fromkeys(found))[:MAX_VALUES]


def _assigned_elsewhere(source: Source, name: str) -> list[str]:
    def read() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for donor in donors(source):
            if isinstance(donor.node, ast.Assign) and isinstance(donor.node.targets[0], ast.Name):
                found.setdefault(donor.node.targets[0].id, []).append(source.segment(donor.node.value))
        return found

    return list(dict.fromkeys(source.once(("assigned",), read).get(name, ())))[:MAX_VALUES]


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
    for name in _unread_outside(gap):
        yield from ((f"{other}.{name} = {name}", 0.8) for other in gap.variables[:MAX_VALUES])
    for name in [name for name in gap.facts.unused if name in gap.visible]:
        if "self" in gap.facts.parameters:
            weight = 0.8 if gap.facts.function.name == "__init__" else 0.3
            yield from ((f"self.{attribute} = {name}", weight) for attribute in (name, f"_{name}"))


def _unread_outside(gap: Gap) -> list[str]:
    """Parameters of the function around this one that nothing reads."""
    around = gap.source.scopes.facts(gap.facts.function)
    return [name for name in around.parameters if name in around.unused] if around is not None else []


def _flags(gap: Gap) -> list[str]:
    """Assignments of the opposite truth value to variables that the function sets to one."""
    found: list[str] = []
    for node in gap.facts.nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=bool(value))):
                found.append(f"{name} = {not value}")
    return list(dict.fromkeys(found))[:MAX_VALUES]


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
    yield from ((text, 0.9 if empty else 0.4) for text in _flags(gap))
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
