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
from dataclasses import dataclass

from councilor.domain.mutation.bounds import boundary
from councilor.domain.mutation.calls import arguments
from councilor.domain.mutation.checking import Checker
from councilor.domain.mutation.constants import constant
from councilor.domain.mutation.expressions import arithmetic, boolean, comparison, negation
from councilor.domain.mutation.guards import guards
from councilor.domain.mutation.insertion import insertion
from councilor.domain.mutation.mutant import Edit, Mutant, Operator
from councilor.domain.mutation.operands import names
from councilor.domain.mutation.source import Source
from councilor.domain.mutation.statements import exceptions, jumps, removal, returns
from councilor.domain.syntax import parse_expression

__all__ = ["OPERATORS", "Generator", "Proposal", "Site", "mutants"]

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
    Operator(name="jump", edits=jumps),
    Operator(name="insertion", edits=insertion),
    Operator(name="guard", edits=guards),
    Operator(name="removal", edits=removal),
)
ANNOTATIONS = frozenset({"annotation", "returns", "type_params"})


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Site:
    """One node that may be changed."""

    node: ast.AST
    lines: tuple[int, ...]
    """1-based lines whose execution reaches it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Proposal:
    """One edit that was not checked yet."""

    site: Site
    operator: str
    edit: Edit


class Generator:
    """Makes the mutants of a source bit by bit, for one who needs few of them soon.

    Args:
        source: the file.
        operators: which ones to use.
    """

    def __init__(self, source: Source, operators: Sequence[Operator] = OPERATORS) -> None:
        self.source = source
        self._operators = operators
        self._checker = Checker(source)

    def sites(self, lines: Collection[int] | None = None) -> Iterator[Site]:
        """The nodes that the execution of one of these 1-based lines reaches; None for all."""
        wanted = None if lines is None else frozenset(lines)
        for node, reached in _nodes(self.source, wanted):
            yield Site(node=node, lines=reached)

    def proposals(self, site: Site, kind: str | None = None) -> Iterator[Proposal]:
        """What the operators, or those of one name, say to a node, in their order."""
        for operator in self._operators:
            if kind in (None, operator.name):
                for edit in operator.edits(self.source, site.node):
                    yield Proposal(site=site, operator=operator.name, edit=edit)

    def admit(self, proposal: Proposal) -> Mutant | None:
        """The mutant, unless it does not compile or equals one that was admitted before."""
        if not self._checker.admits(proposal.edit, proposal.site.node):
            return None
        return _mutant(self.source, proposal.edit, proposal.operator, proposal.site.lines)


def mutants(
    source: Source, *, lines: Collection[int] | None = None, operators: Sequence[Operator] = OPERATORS
) -> tuple[Mutant, ...]:
    """The mutants of a source, in order.

    Args:
        lines: only those that the execution of one of these 1-based lines reaches; None for all.
        operators: which ones to use.
    """
    generator = Generator(source, operators)
    ranks = {operator.name: rank for rank, operator in enumerate(operators)}
    proposals = [proposal for site in generator.sites(lines) for proposal in generator.proposals(site)]
    proposals.sort(key=lambda item: (item.edit.start, item.edit.end, ranks[item.operator], item.edit.replacement))
    found = (generator.admit(proposal) for proposal in proposals)
    return tuple(mutant for mutant in found if mutant is not None)


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
        weight=edit.weight,
    )


def _nodes(source: Source, wanted: frozenset[int] | None) -> Iterator[tuple[ast.AST, tuple[int, ...]]]:
    """Each node that may be changed and that one of the lines reaches, with the lines that reach it."""
    waiting: list[tuple[ast.AST, bool]] = [(source.tree, False)]
    while waiting:
        node, formatted = waiting.pop()
        if hasattr(node, "lineno"):
            reached = _lines(source, node)
            chosen = wanted is None or not wanted.isdisjoint(reached)
            if chosen and (not formatted or _position_is_right(source, node)):
                yield node, reached
        formatted = formatted or isinstance(node, ast.JoinedStr)
        for name, value in ast.iter_fields(node):
            if name not in ANNOTATIONS:
                children = value if isinstance(value, list) else [value]
                waiting.extend((child, formatted) for child in children if isinstance(child, ast.AST))


def _position_is_right(source: Source, node: ast.AST) -> bool:
    try:
        tree = parse_expression(f"({source.segment(node)})")
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
