"""The operator for call arguments: exchanged, dropped, added, or another one in its place.

Rules:
- What is added comes from what is known of the function: a parameter that its definition in this file has and the call
  lacks, an argument that other calls of it in this file give, else a variable that is visible.
- Variables that nothing reads come first: something was meant to read them.

Source: argument swaps after Rice et al. 2017, "Detecting argument selection defects", OOPSLA; the other three after Kim
et al. 2013, PAR (parameter adder, remover, replacer), and Liu et al. 2019, "TBar" (FP10).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import combinations

from councilor.domain.mutation.expressions import replace
from councilor.domain.mutation.mutant import Edit
from councilor.domain.mutation.scope import called
from councilor.domain.mutation.source import FunctionNode, Source

__all__ = ["arguments", "visible_values"]

MAX_SWAPPED_ARGUMENTS = 5
MAX_VALUES = 6
MAX_OTHER_CALLS = 12
LITERALS = ("None", "True", "False", "0")


def arguments(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Another list of arguments of a call."""
    if not isinstance(node, ast.Call) or not called(node):
        return
    if len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
        return
    yield from _exchanged(source, node)
    yield from _added(source, node)
    yield from _dropped(source, node)
    yield from _replaced(source, node)


def _exchanged(source: Source, node: ast.Call) -> Iterator[Edit]:
    for left, right in combinations(node.args[:MAX_SWAPPED_ARGUMENTS], 2):
        first, second = source.segment(left), source.segment(right)
        if first == second or isinstance(left, ast.Starred) or isinstance(right, ast.Starred):
            continue
        (start, left_end), (right_start, end) = source.span(left), source.span(right)
        text = second + source.text[left_end:right_start] + first
        says = f"exchanges two arguments of {_name(source, node)}"
        adjacent = node.args.index(right) == node.args.index(left) + 1
        yield Edit(start=start, end=end, replacement=text, description=says, weight=1.0 if adjacent else 0.6)


def _name(source: Source, node: ast.Call) -> str:
    name = " ".join(source.segment(node.func).split())
    return f"`{name}`" if len(name) <= 60 else "the call"


def _dropped(source: Source, node: ast.Call) -> Iterator[Edit]:
    every = _listed(node)
    for place, argument in enumerate(every):
        start, end = source.span(argument)
        if place + 1 < len(every):
            end = source.span(every[place + 1])[0]
        elif place:
            start = source.span(every[place - 1])[1]
        says = f"drops the argument `{' '.join(source.segment(argument).split())[:40]}` of {_name(source, node)}"
        yield Edit(start=start, end=end, replacement="", description=says, weight=0.4)


def _listed(node: ast.Call) -> list[ast.expr | ast.keyword]:
    every: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
    return sorted(every, key=lambda argument: (argument.lineno, argument.col_offset))


def _added(source: Source, node: ast.Call) -> Iterator[Edit]:
    for text, weight in _keywords(source, node):
        yield _insert(source, node, len(_listed(node)), text, weight)
    last = len(node.args)
    for text, weight in _positionals(source, node):
        yield _insert(source, node, last, text, weight)
    for rank, name in enumerate(visible_values(source, node)):
        for place in range(last, -1, -1) if last < 3 else (last, 0):
            yield _insert(source, node, place, name, (0.5 if place == last else 0.35) - 0.04 * rank)
    for text in LITERALS:
        yield _insert(source, node, last, text, 0.15)


def _insert(source: Source, node: ast.Call, place: int, text: str, weight: float) -> Edit:
    every = _listed(node)
    if not every:
        at = source.span(node)[1] - 1
        replacement = text
    elif place:
        at = source.span(every[place - 1])[1]
        replacement = f", {text}"
    else:
        at = source.span(every[0])[0]
        replacement = f"{text}, "
    says = f"adds the argument `{' '.join(text.split())[:40]}` to {_name(source, node)}"
    return Edit(start=at, end=at, replacement=replacement, description=says, weight=weight)


def _keywords(source: Source, node: ast.Call) -> Iterator[tuple[str, float]]:
    given = {keyword.arg for keyword in node.keywords}
    for other in _other_calls(source, node):
        for keyword in other.keywords:
            if keyword.arg and keyword.arg not in given and _readable(source, keyword.value, node):
                yield source.segment(keyword), 0.8
    facts = source.scopes.facts(node)
    unread = [name for name in facts.unused if name in facts.parameters] if facts else []
    yield from ((f"{name}={name}", 0.5) for name in unread if name not in given)
    for function in source.scopes.functions.get(called(node), ()):
        for name in _missing(function, node, given):
            if source.scopes.is_visible(name, node):
                yield f"{name}={name}", 0.8
            if name in source.scopes.attributes(node):
                yield f"{name}=self.{name}", 0.5
            yield from ((f"{name}={text}", 0.25) for text in ("True", "False"))


def _missing(function: FunctionNode, node: ast.Call, given: set[str | None]) -> list[str]:
    named = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    bound = named[1:] if named[:1] in (["self"], ["cls"]) else named
    keywords = [argument.arg for argument in function.args.kwonlyargs]
    return [name for name in (*bound[len(node.args) :], *keywords) if name not in given]


def _positionals(source: Source, node: ast.Call) -> Iterator[tuple[str, float]]:
    for function in source.scopes.functions.get(called(node), ()):
        for name in _missing(function, node, {keyword.arg for keyword in node.keywords})[:1]:
            if source.scopes.is_visible(name, node):
                yield name, 1.0
            if name in source.scopes.attributes(node):
                yield f"self.{name}", 0.6
    for other in _other_calls(source, node):
        for argument in other.args[len(node.args) :][:1]:
            if _readable(source, argument, node):
                yield source.segment(argument), 0.6


def _other_calls(source: Source, node: ast.Call) -> list[ast.Call]:
    others = [other for other in source.scopes.calls.get(called(node), ()) if other is not node]
    return sorted(others, key=lambda other: abs(other.lineno - node.lineno))[:MAX_OTHER_CALLS]


def _readable(source: Source, value: ast.expr, node: ast.AST) -> bool:
    names = (inner.id for inner in ast.walk(value) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load))
    return all(source.scopes.is_visible(name, node) for name in names)


def visible_values(source: Source, node: ast.AST) -> list[str]:
    """Variables that are visible at a node, those that nothing reads first, then the latest bound."""
    facts = source.scopes.facts(node)
    if facts is None:
        return []
    known = facts.before(getattr(node, "lineno", 0))
    return sorted(known, key=lambda name: name not in facts.unused)[:MAX_VALUES]


def _replaced(source: Source, node: ast.Call) -> Iterator[Edit]:
    values = visible_values(source, node)
    for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
        if isinstance(argument, ast.Starred):
            continue
        others = [] if isinstance(argument, ast.Name) else values[:4]  # names are the other operator's
        certain = isinstance(argument, ast.Constant)
        for rank, name in enumerate(others):
            yield replace(source, source.span(argument), name, (0.5 if certain else 0.25) - 0.04 * rank)
        if not certain:
            yield replace(source, source.span(argument), "None", 0.1)
