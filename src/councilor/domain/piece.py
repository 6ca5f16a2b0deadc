"""The difference of two versions of a file, cut into the smallest pieces that can be taken back alone.

Rules:
- A piece is a hunk of whole lines. One that replaces lines by as many is cut into lines, and one of a line into the
  separate edits of its words, where each of them taken back alone leaves something that compiles.
- A piece that changes only comments, white space or docstrings is none.
- Lines are counted in the new file, from 1; of a hunk that only removes, the lines beside it count as changed.

It runs nothing, and does not know whether a piece is needed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from councilor.domain.mutation.source import compiles, parse

__all__ = ["Piece", "changed_lines", "pieces_of"]

MOST_PIECES = 24
MOST_WORDS = 400
SHOWN = 60
WORD = re.compile(r"\w+|\s+|.", re.DOTALL)
LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """One part of the new text that differs from the old one."""

    start: int
    """Offset of its first character in the new text."""
    added: str
    """What stands there; empty where it only removes."""
    removed: str
    """What stood there; empty where it only adds."""
    lines: tuple[int, int]
    """First and last 1-based line in the new text; the last is below the first where it only removes lines."""
    old_lines: tuple[int, int]
    """The same in the old text."""

    def taken_back(self, new: str) -> str:
        """The new text without this piece."""
        return new[: self.start] + self.removed + new[self.start + len(self.added) :]

    @property
    def text(self) -> str:
        """What it removes and adds, in a few words."""
        before, after = (_short(each) for each in (self.removed, self.added))
        if not before:
            return f"adds `{after}`"
        return f"removes `{before}`" if not after else f"`{before}` -> `{after}`"


def pieces_of(old: str, new: str) -> tuple[Piece, ...]:
    """The pieces, in order; the `MOST_PIECES` first ones."""
    hunks = [hunk for hunk in _hunks(old, new) if not _means_the_same(new, hunk.taken_back(new))]
    if len(hunks) >= MOST_PIECES:
        return tuple(hunks[:MOST_PIECES])
    return tuple(piece for hunk in hunks for piece in _cut(hunk, new))[:MOST_PIECES]


def changed_lines(old: str, new: str) -> frozenset[int]:
    """The 1-based lines of the new text that were changed, and those beside what was removed."""
    found: set[int] = set()
    for hunk in _hunks(old, new):
        first, last = hunk.lines
        found |= set(range(first, last + 1)) if last >= first else {max(1, last), first}
    return frozenset(found)


def _hunks(old: str, new: str) -> Iterator[Piece]:
    before, after = LINE.findall(old), LINE.findall(new)
    head = _shared(before, after)
    tail = _shared(before[head:][::-1], after[head:][::-1])
    middle = before[head : len(before) - tail], after[head : len(after) - tail]
    starts = [0]
    for line in after:
        starts.append(starts[-1] + len(line))
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, *middle, autojunk=False).get_opcodes():
        if tag != "equal":
            yield Piece(
                start=starts[head + j1], added="".join(middle[1][j1:j2]), removed="".join(middle[0][i1:i2]),
                lines=(head + j1 + 1, head + j2), old_lines=(head + i1 + 1, head + i2),
            )  # fmt: skip


def _shared(left: Sequence[str], right: Sequence[str]) -> int:
    """How many items both begin with."""
    return next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def _cut(piece: Piece, new: str) -> list[Piece]:
    """The smaller pieces of one, or itself."""
    for cut in (_by_line, _by_word):
        parts = [part for part in cut(piece) if not _means_the_same(new, part.taken_back(new))]
        if len(parts) > 1 and all(_compiles(part.taken_back(new)) for part in parts):
            return [smaller for part in parts for smaller in _cut(part, new)]
    return [piece]


def _by_line(piece: Piece) -> list[Piece]:
    before, after = LINE.findall(piece.removed), LINE.findall(piece.added)
    if len(before) != len(after) or len(after) < 2:
        return []
    found, start = [], piece.start
    for at, (removed, added) in enumerate(zip(before, after, strict=True)):
        line, old_line = piece.lines[0] + at, piece.old_lines[0] + at
        found.append(
            Piece(start=start, added=added, removed=removed, lines=(line, line), old_lines=(old_line, old_line))
        )
        start += len(added)
    return found


def _by_word(piece: Piece) -> list[Piece]:
    before, after = WORD.findall(piece.removed), WORD.findall(piece.added)
    if piece.lines[0] != piece.lines[1] or piece.old_lines[0] != piece.old_lines[1]:
        return []
    if len(before) > MOST_WORDS or len(after) > MOST_WORDS:
        return []
    found = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            start = piece.start + sum(map(len, after[:j1]))
            found.append(
                Piece(
                    start=start,
                    added="".join(after[j1:j2]),
                    removed="".join(before[i1:i2]),
                    lines=piece.lines,
                    old_lines=piece.old_lines,
                )
            )
    return found


def _compiles(text: str) -> bool:
    tree = parse(text)
    return tree is not None and compiles(tree)


def _means_the_same(left: str, right: str) -> bool:
    trees = parse(left), parse(right)
    return None not in trees and _bare(trees[0]) == _bare(trees[1])


def _bare(tree: ast.Module | None) -> str:
    """A syntax tree without docstrings, as text."""
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, DOCUMENTED) and node.body and _is_text(node.body[0]):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree) if tree is not None else ""


def _is_text(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 3] + "..."
