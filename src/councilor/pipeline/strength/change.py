"""The changed sources of a candidate, parsed: their changed lines, the functions around them, and the pieces.

Rules:
- Only Python that is no test code counts, and only what this interpreter can parse.
- A function counts as changed when a piece lies in it; where none does, the changed lines of the module stand alone.

It runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from councilor.domain.change import Candidate, ChangeKind, FileChange
from councilor.domain.mutation import Source, normal_form
from councilor.domain.mutation.source import FunctionNode
from councilor.domain.piece import Piece, changed_lines, pieces_of
from councilor.errors import InputError

__all__ = ["ChangedSource", "changed_sources", "function_at", "new_test_modules"]


@dataclass(frozen=True, kw_only=True)
class ChangedSource:
    """One changed source file."""

    path: str
    old: Source | None
    """None for a new file."""
    new: Source

    @cached_property
    def lines(self) -> frozenset[int]:
        """Its changed lines, 1-based, in the candidate."""
        return changed_lines(self.old.text if self.old else "", self.new.text)

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """What can be taken back alone; a new file has none."""
        return pieces_of(self.old.text, self.new.text) if self.old else ()

    def means_the_same(self, text: str) -> bool:
        """Whether another text of this file does what the candidate's does, as far as both tell."""
        old = self.old.text if self.old else ""
        return normal_form(old, text) == self._form

    @cached_property
    def _form(self) -> str:
        return normal_form(self.old.text if self.old else "", self.new.text)

    @cached_property
    def around(self) -> frozenset[int]:
        """The lines of the changed functions, in the candidate."""
        return _spans(self.new, self.lines)

    @cached_property
    def old_lines(self) -> frozenset[int]:
        """The lines of the base that it changes or removes, and those beside what it adds."""
        return frozenset(line for piece in self.pieces for line in _touched(piece.old_lines))

    @cached_property
    def old_around(self) -> frozenset[int]:
        """The lines of the same functions in the base."""
        if self.old is None:
            return frozenset()
        names = {function_at(self.new, line) for line in self.lines} - {""}
        named = {
            node.lineno
            for node in self.old.nodes
            if isinstance(node, FunctionNode) and function_at(self.old, node.lineno) in names
        }
        return _spans(self.old, self.old_lines | named)


def changed_sources(candidate: Candidate, owns: Callable[[str], bool]) -> tuple[ChangedSource, ...]:
    """The changed sources that can be measured."""
    return tuple(_read(candidate.changes, owns))


def _read(changes: Sequence[FileChange], owns: Callable[[str], bool]) -> Iterator[ChangedSource]:
    for change in changes:
        if change.new is None or change.is_symlink or not change.path.endswith(".py") or owns(change.path):
            continue
        try:
            new = Source.read(change.path, change.new)
            old = None if change.old is None else Source.read(change.path, change.old)
        except InputError:
            continue
        yield ChangedSource(path=change.path, old=old, new=new)


def new_test_modules(candidate: Candidate, is_test_module: Callable[[str], bool]) -> tuple[str, ...]:
    """Test modules that the candidate brings or edits."""
    return tuple(
        change.path
        for change in candidate.changes
        if change.kind is not ChangeKind.DELETED and change.path.endswith(".py") and is_test_module(change.path)
    )


def function_at(source: Source, line: int) -> str:
    """The dotted name of the innermost function or class around a line; empty at module level."""
    return ".".join(scope.name for scope in source.scopes_at(line))


def _spans(source: Source, lines: Collection[int]) -> frozenset[int]:
    """The lines of the outermost functions around some lines, or the lines themselves where there is none."""
    found: set[int] = set()
    for line in lines:
        functions = [each for each in source.scopes_at(line) if isinstance(each, FunctionNode)]
        if functions:
            found |= set(range(functions[0].lineno, (functions[0].end_lineno or functions[0].lineno) + 1))
        else:
            found.add(line)
    return frozenset(found)


def _touched(lines: tuple[int, int]) -> range | tuple[int, int]:
    first, last = lines
    return range(first, last + 1) if last >= first else (max(1, last), first)
