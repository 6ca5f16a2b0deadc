"""Whether an edit compiles, and whether it makes a syntax tree that no earlier edit made.

Rules:
- Only as much is compiled as the answer needs: a simple statement, or a compound one's header with `pass` below it, in
  a shell of the same kind of function; an inserted guard by itself; anything else in the outermost definition around
  it, classes not counted. Compiling a function of 300 lines for each of its 3,000 edits would take a minute.
- Removals are always compiled in their definition: without its assignment a `nonlocal` name is an error.
- An edit changes one statement only, so edits of different statements never give equal trees: each place keeps its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from councilor.domain.mutation.mutant import Edit
from councilor.domain.mutation.source import FunctionNode, Source, compiles, parse

__all__ = ["Checker"]

HEADED = (ast.If, ast.While, ast.For, ast.AsyncFor, ast.With, ast.AsyncWith)
SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr, ast.Raise, ast.Assert, ast.Delete)


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of the text, and what to put around it so that it compiles by itself."""

    start: int
    end: int
    before: str = ""
    after: str = ""


class Checker:
    """Admits an edit if it compiles and gives a tree that was not seen before."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._units = sorted(_units(source), key=lambda place: place.start)
        self._whole = Place(0, len(source.text))
        self._seen: dict[Place, set[str]] = {}

    def admits(self, edit: Edit, node: ast.AST) -> bool:
        """Whether to keep an edit that an operator proposed for `node`."""
        if self._source.text[edit.start : edit.end] == edit.replacement:
            return False
        if edit.start == edit.end:
            return self._is_statement(edit)
        place = self._place(edit, node)
        seen = self._seen.setdefault(place, {self._form(place, None) or ""})
        form = self._form(place, edit)
        if form is None or form in seen:
            return False
        seen.add(form)
        return True

    def _is_statement(self, edit: Edit) -> bool:
        line = self._source.position(edit.start)[0]
        indentation = self._source.text[self._source.line_starts[line - 1] : edit.start]
        return parse(f"if 1:\n{indentation}{edit.replacement}pass") is not None

    def _place(self, edit: Edit, node: ast.AST) -> Place:
        statement = None if isinstance(node, ast.stmt | ast.ExceptHandler) else self._source.statement(node)
        small = self._statement_place(statement) if statement is not None else None
        if small is not None and small.start <= edit.start and edit.end <= small.end:
            return small
        around = (unit for unit in self._units if unit.start <= edit.start and edit.end <= unit.end)
        return next(around, self._whole)

    def _statement_place(self, statement: ast.stmt) -> Place | None:
        start, end = self._source.span(statement)
        indentation = self._source.indentation(statement)
        shell = self._shell(statement, indentation or "")
        if isinstance(statement, SIMPLE):
            return Place(start, end, (shell or "if 1:\n") + " " if indentation is None else shell + indentation)
        if not isinstance(statement, HEADED) or indentation is None or hasattr(statement.body[0], "decorator_list"):
            return None
        if self._source.text[start:].startswith("elif"):
            start += len("el")
        return Place(start, self._source.span(statement.body[0])[0], shell + indentation, "pass")

    def _shell(self, statement: ast.stmt, indentation: str) -> str:
        scope = self._source.scope(statement)
        if isinstance(scope, FunctionNode):
            return "async def _():\n" if isinstance(scope, ast.AsyncFunctionDef) else "def _():\n"
        return "if 1:\n" if indentation else ""

    def _form(self, place: Place, edit: Edit | None) -> str | None:
        text = self._source.text[place.start : place.end]
        if edit is not None:
            text = text[: edit.start - place.start] + edit.replacement + text[edit.end - place.start :]
        tree = parse(place.before + text + place.after)
        return ast.dump(tree) if tree is not None and compiles(tree) else None


def _units(source: Source) -> Iterator[Place]:
    """The outermost statements that are not classes, as whole lines."""
    waiting: list[ast.stmt] = list(source.tree.body)
    while waiting:
        statement = waiting.pop()
        if isinstance(statement, ast.ClassDef):
            waiting.extend(statement.body)
        elif (unit := _unit(source, statement)) is not None:
            yield unit


def _unit(source: Source, statement: ast.stmt) -> Place | None:
    indentation = source.indentation(statement)
    if indentation is None:
        return None
    decorators = statement.decorator_list if isinstance(statement, FunctionNode) else []
    first = min([statement.lineno, *(decorator.lineno for decorator in decorators)])
    start = source.line_starts[first - 1]
    last = source.position(source.span(statement)[1])[0]
    end = source.line_starts[last] if last < len(source.line_starts) else len(source.text)
    return Place(start, end, "if 1:\n" if indentation else "")
