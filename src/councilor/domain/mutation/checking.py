"""Whether an edit compiles, and whether it makes a syntax tree that no earlier edit made.

Rules:
- Only as much is compiled as the answer needs: a simple statement, or a compound one's header with `pass` below it, in
  a shell of the same kind of function; an inserted statement by itself; anything else in the outermost definition
  around it, classes not counted. Compiling a function of 300 lines for each of its 3,000 edits would take a minute.
- A statement inserted behind its equal makes the same tree as one inserted before it.
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
LOOPS = (ast.While, ast.For, ast.AsyncFor)
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
        self._inserted: set[tuple[ast.stmt, int, bool, str]] = set()

    def admits(self, edit: Edit, node: ast.AST) -> bool:
        """Whether to keep an edit that an operator proposed for `node`."""
        if self._source.text[edit.start : edit.end] == edit.replacement:
            return False
        if isinstance(node, ast.stmt) and _is_statement(edit, node):
            return self._admits_statement(edit, node)
        place = self._place(edit, node)
        seen = self._seen.setdefault(place, {self._form(place, None) or ""})
        form = self._form(place, edit)
        if form is None or form in seen:
            return False
        seen.add(form)
        return True

    def _admits_statement(self, edit: Edit, node: ast.stmt) -> bool:
        statement = self._compiled(edit, node)
        facts = self._source.scopes.facts(node)
        if statement is None or facts is None or _stored(statement) & facts.declared:
            return False
        if isinstance(facts.function, ast.AsyncFunctionDef) and _gives(statement) and facts.is_generator:
            return False
        if any(isinstance(above, ast.TryStar) for above in self._source.ancestors(node)) and _leaves(statement):
            return False
        block, form = self._source.block(node), ast.dump(statement)
        index = block.index(node) + (edit.start > self._source.span(node)[0])
        while edit.start == edit.end and index and ast.dump(block[index - 1]) == form:
            index -= 1
        key = (block[0], index, edit.start == edit.end, form)
        if key in self._inserted:
            return False
        self._inserted.add(key)
        return True

    def _compiled(self, edit: Edit, node: ast.stmt) -> ast.stmt | None:
        indentation = self._source.indentation(node) or ""
        lines = [line.removeprefix(indentation) for line in edit.replacement.strip().splitlines()]
        scope = self._source.scope(node)
        kind = "async def" if isinstance(scope, ast.AsyncFunctionDef) else "def"
        loops = (above for above in self._source.ancestors(node) if isinstance(above, (*LOOPS, FunctionNode)))
        shell = " while 1:" if isinstance(next(loops, None), LOOPS) else " if 1:"
        tree = parse("\n".join([f"{kind} _():", shell, *(f"  {line}" for line in lines)]))
        if tree is None or not compiles(tree):
            return None
        outer = tree.body[0].body[0]  # type: ignore[attr-defined]  # the shell's two levels
        return outer.body[0] if len(outer.body) == 1 else None

    def _place(self, edit: Edit, node: ast.AST) -> Place:
        # A bare `return` may stand in an async generator, where one with a value is an error.
        bare = isinstance(node, ast.Return) and node.value is None
        within = isinstance(node, SIMPLE) and edit.start > self._source.span(node)[0] and not bare
        whole = isinstance(node, ast.stmt | ast.ExceptHandler) and not within
        statement = None if whole else self._source.statement(node)
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
        if isinstance(scope, ast.ClassDef):
            return "class _:\n"
        return "if 1:\n" if indentation else ""

    def _form(self, place: Place, edit: Edit | None) -> str | None:
        text = self._source.text[place.start : place.end]
        if edit is not None:
            text = text[: edit.start - place.start] + edit.replacement + text[edit.end - place.start :]
        tree = parse(place.before + text + place.after)
        return ast.dump(tree) if tree is not None and compiles(tree) else None


def _is_statement(edit: Edit, node: ast.stmt) -> bool:
    if isinstance(node, ast.Pass):
        return True
    return edit.start == edit.end and ("\n" in edit.replacement or "\r" in edit.replacement)


def _stored(statement: ast.stmt) -> frozenset[str]:
    names = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
    return frozenset(node.id for node in names if not isinstance(node.ctx, ast.Load))


def _gives(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(statement))


def _leaves(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Return | ast.Break | ast.Continue) for node in ast.walk(statement))


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
    # A class's body forbids what a module's allows, such as naming a value inside a comprehension.
    shell = "class _:\n" if isinstance(source.parent(statement), ast.ClassDef) else "if 1:\n"
    return Place(start, end, shell if indentation else "")
