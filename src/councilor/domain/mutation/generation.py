"""Every mutant of a source: all operators at all nodes, checked, without doubles, in a fixed order.

Rules:
- A mutant compiles, and its syntax tree differs from the original's and from every other mutant's.
- Annotations, docstrings and the text of f-strings are left alone. A node inside an f-string is used only where its
  position is right: Python 3.11 reports some of them wrongly.
- The order is by position, then by the order of `OPERATORS`, then by replacement; the same source gives the same list.

It does not know which mutant repairs or which one a test should kill.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from councilor.domain.mutation.checking import Checker
from councilor.domain.mutation.expressions import arithmetic, boolean, boundary, comparison, constant, negation
from councilor.domain.mutation.mutant import Edit, Mutant, Operator
from councilor.domain.mutation.operands import arguments, names
from councilor.domain.mutation.source import Source
from councilor.domain.mutation.statements import exceptions, guards, removal, returns

__all__ = ["OPERATORS", "mutants"]

OPERATORS: tuple[Operator, ...] = (
    Operator(name="boundary", edits=boundary),
    Operator(name="comparison", edits=comparison),
    Operator(name="boolean", edits=boolean),
    Operator(name="negation", edits=negation),
    Operator(name="arithmetic", edits=arithmetic),
    Operator(name="constant", edits=constant),
    Operator(name="argument", edits=arguments),
    Operator(name="name", edits=names),
    Operator(name="return", edits=returns),
    Operator(name="exception", edits=exceptions),
    Operator(name="guard", edits=guards),
    Operator(name="removal", edits=removal),
)
ANNOTATIONS = frozenset({"annotation", "returns", "type_params"})


def mutants(
    source: Source, *, lines: Collection[int] | None = None, operators: Sequence[Operator] = OPERATORS
) -> tuple[Mutant, ...]:
    """The mutants of a source, in order.

    Args:
        lines: only those that the execution of one of these 1-based lines reaches; None for all.
        operators: which ones to use.
    """
    wanted = None if lines is None else frozenset(lines)
    proposals = sorted(
        (
            (edit.start, edit.end, rank, edit.replacement, edit, node, reached)
            for node, reached in _nodes(source)
            if wanted is None or wanted.intersection(reached)
            for rank, operator in enumerate(operators)
            for edit in operator.edits(source, node)
        ),
        key=lambda proposal: proposal[:4],
    )
    checker = Checker(source)
    return tuple(
        _mutant(source, edit, operators[rank].name, reached)
        for _, _, rank, _, edit, node, reached in proposals
        if checker.admits(edit, node)
    )


def _mutant(source: Source, edit: Edit, operator: str, reached: tuple[int, ...]) -> Mutant:
    line, column = source.position(edit.start)
    return Mutant(
        path=source.path,
        operator=operator,
        line=line,
        column=column,
        start=edit.start,
        end=edit.end,
        original=source.text[edit.start : edit.end],
        replacement=edit.replacement,
        description=edit.description,
        lines=reached,
    )


def _nodes(source: Source) -> Iterator[tuple[ast.AST, tuple[int, ...]]]:
    """Each node that may be changed, with the lines that reach it."""
    waiting: list[tuple[ast.AST, bool]] = [(source.tree, False)]
    while waiting:
        node, formatted = waiting.pop()
        if hasattr(node, "lineno") and (not formatted or _position_is_right(source, node)):
            yield node, _lines(source, node)
        formatted = formatted or isinstance(node, ast.JoinedStr)
        for name, value in ast.iter_fields(node):
            if name not in ANNOTATIONS:
                children = value if isinstance(value, list) else [value]
                waiting.extend((child, formatted) for child in children if isinstance(child, ast.AST))


def _position_is_right(source: Source, node: ast.AST) -> bool:
    try:
        tree = ast.parse(f"({source.segment(node)})", mode="eval")
    except (SyntaxError, ValueError, IndexError):
        return False
    return ast.dump(tree.body) == ast.dump(node)


def _lines(source: Source, node: ast.AST) -> tuple[int, ...]:
    statement = source.statement(node)
    first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", 1)
    if isinstance(node, ast.ExceptHandler):
        return (first,)
    if statement is node or statement is None:
        return (first,) if hasattr(node, "body") else tuple(range(first, last + 1))
    if not hasattr(statement, "body") and not isinstance(statement, ast.Match):
        return tuple(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
    header = {statement.lineno} if isinstance(statement, ast.If | ast.While | ast.For | ast.With) else set()
    return tuple(sorted(header | set(range(first, last + 1))))
