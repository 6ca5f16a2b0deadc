"""One small edit of a source file, as a splice.

Rules:
- Offsets count characters of the decoded text (`Source.text`), not bytes.
- A mutant differs from its original in `[start, end)` only, and applies only to the text that it was made for.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from councilor.domain.mutation.source import Source
from councilor.errors import InputError

__all__ = ["Edit", "Mutant", "Operator"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """What an operator proposes for one node; not checked yet."""

    start: int
    """Character offset of the first replaced character."""
    end: int
    """Character offset behind the last replaced character."""
    replacement: str
    description: str
    """What is done, as the end of the sentence "The change ..."."""
    weight: float = 1.0
    """0 to 1: how likely it is beside the operator's other proposals, by the operator's own rules."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """One way to change code. `edits` may propose what does not compile; that is dropped afterwards."""

    name: str
    edits: Callable[[Source, ast.AST], Iterator[Edit]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """One checked edit: it compiles, and its syntax tree is not the original's."""

    path: str
    operator: str
    line: int
    """1-based line of `start`."""
    column: int
    """0-based character column of `start`."""
    start: int
    end: int
    original: str
    """The characters that are replaced."""
    replacement: str
    description: str
    lines: tuple[int, ...]
    """1-based lines whose execution reaches the change, as a coverage tool reports them."""
    weight: float = 1.0
    """The edit's."""

    @property
    def size(self) -> int:
        """Characters removed plus characters inserted."""
        return len(self.original) + len(self.replacement)

    def apply(self, text: str) -> str:
        """The mutated text.

        Raises:
            InputError: `text` is not the text that this mutant was made for.
        """
        if text[self.start : self.end] != self.original:
            raise InputError(f"{self.path}:{self.line}: the source is not the one that this mutant was made for.")
        return text[: self.start] + self.replacement + text[self.end :]
