"""The operator for constants: another number, text, truth value or None, or a variable instead.

Rules:
- Other constants of the same kind that the function uses come first, nearest first; then those of the file, most used
  first. A constant that nobody wrote anywhere cannot be found, but for the usual ones: 0, 1, -1, "", None, True, False.
- An empty container may have been meant to be a variable, or another kind of container.

Source: constant replacement (CRP) of Offutt et al. 1996; reuse of what the file already says, Barr et al. 2014, "The
plastic surgery hypothesis".
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from councilor.domain.mutation.expressions import replace
from councilor.domain.mutation.mutant import Edit
from councilor.domain.mutation.source import Source

__all__ = ["constant"]

MAX_NEAR = 6
MAX_IN_FILE = 6
MAX_VARIABLES = 4
EMPTY = {ast.List: "[]", ast.Dict: "{}", ast.Tuple: "()"}
USUAL = {bool: ("None",), int: ("0", "1", "None"), float: ("0.0", "1.0"), str: ('""', "None"), bytes: ('b""',)}


def constant(source: Source, node: ast.AST) -> Iterator[Edit]:
    """Another constant, or a variable for an empty container."""
    if isinstance(node, ast.List | ast.Dict | ast.Tuple) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        if _is_empty(node):
            yield from _instead_of_nothing(source, node)
        return
    if not isinstance(node, ast.Constant) or isinstance(source.parent(node), ast.Expr | ast.JoinedStr):
        return
    span = source.span(node)
    for other, weight in _others(source, node):
        yield replace(source, span, other, weight)


def _is_empty(node: ast.List | ast.Dict | ast.Tuple) -> bool:
    return not (node.keys if isinstance(node, ast.Dict) else node.elts)


def _instead_of_nothing(source: Source, node: ast.expr) -> Iterator[Edit]:
    own = EMPTY[type(node)]
    facts = source.scopes.facts(node)
    looped = isinstance(source.parent(node), ast.For | ast.comprehension)
    variables = facts.before(node.lineno)[:MAX_VARIABLES] if facts else []
    for name in variables:
        yield replace(source, source.span(node), name, 0.8 if looped else 0.3)
    for attribute in [name for name, _ in source.scopes.attributes(node).most_common(MAX_VARIABLES)] if looped else []:
        yield replace(source, source.span(node), f"self.{attribute}", 0.4)
    for other in (*EMPTY.values(), "set()", "None"):
        if other != own:
            yield replace(source, source.span(node), other, 0.2)


def _others(source: Source, node: ast.Constant) -> Iterator[tuple[str, float]]:
    value = node.value
    if value is None:
        yield from ((text, weight) for text, weight in (("True", 0.4), ("False", 0.4), ("0", 0.3), ('""', 0.3)))
        yield from ((text, 0.2) for text in ("[]", "{}", "1"))
        return
    if isinstance(value, bool):
        yield str(not value), 1.0
        yield "None", 0.3
        return
    if value is Ellipsis:
        return
    if isinstance(value, int | float):
        yield f"-{source.segment(node)}", 0.4
    yield from ((text, 0.5) for text in USUAL.get(type(value), ()))
    near = _near(source, node)
    yield from ((text, 0.5 - 0.05 * rank) for rank, text in enumerate(near))
    wide = [text for text in _in_file(source, type(value)) if text not in near]
    yield from ((text, 0.15) for text in wide[:MAX_IN_FILE])


def _near(source: Source, node: ast.Constant) -> list[str]:
    same = (
        other
        for other in _constants(source, source.scope(node))
        if type(other.value) is type(node.value) and other.value != node.value
    )
    nearest = sorted(same, key=lambda other: (abs(other.lineno - node.lineno), other.lineno, other.col_offset))
    return list(dict.fromkeys(source.segment(other) for other in nearest))[:MAX_NEAR]


def _constants(source: Source, scope: ast.AST) -> list[ast.Constant]:
    def read() -> list[ast.Constant]:
        inside = source.nodes if scope is source.tree else ast.walk(scope)
        return [
            inner
            for inner in inside
            if isinstance(inner, ast.Constant) and not isinstance(source.parent(inner), ast.Expr | ast.JoinedStr)
        ]

    return source.once(("constants", scope), read)


def _in_file(source: Source, kind: type) -> list[str]:
    def read() -> list[str]:
        texts = Counter(source.segment(inner) for inner in _constants(source, source.tree) if type(inner.value) is kind)
        return [text for text, _ in texts.most_common(2 * MAX_IN_FILE)]

    return source.once(("constants in file", kind), read)
