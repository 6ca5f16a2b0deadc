"""One planted edit: which bytes of which file become what, and in which order a seed draws from many.

Rules:
- A position is a pair of byte offsets in a file of a source distribution that is pinned by its hash; so the list of
  bugs needs none of the library's text beyond the few new characters.
- An edit is proper when the file still compiles and means something else: its syntax tree differs.
- The seed alone orders: places first, each as likely as another, then one of the edits that a place allows.
"""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from councilor.domain.syntax import parse_module

__all__ = ["Category", "Edit", "draw", "is_proper", "rank", "same_meaning"]


class Category(StrEnum):
    """What kind of mistake it is; the quotas are equal."""

    NEGATION = "negation"
    BOUNDARY = "boundary"
    CONSTANT = "constant"
    OPERATOR = "operator"
    ARGUMENT = "argument"
    OFF_BY_ONE = "off-by-one"
    STATEMENT = "statement"


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """One edit of one file."""

    category: Category
    operator: str
    """Whose idea it is: cosmic-ray's operator, or one of ours."""
    path: str
    """Relative to the library's top folder."""
    line: int
    """Counted from 1."""
    start: int
    end: int
    """Byte offsets of what is replaced."""
    new: str
    variant: int = 0
    """Tells several edits of one place apart."""

    def apply(self, content: bytes) -> bytes:
        """The file's bytes with the edit made."""
        return content[: self.start] + self.new.encode() + content[self.end :]

    def excerpt(self, content: bytes) -> tuple[str, str]:
        """The lines that the edit touches, before and after."""
        first = content.rfind(b"\n", 0, self.start) + 1
        last = content.find(b"\n", max(self.start, self.end - 1))
        last = len(content) if last < 0 else last
        after = content[first : self.start] + self.new.encode() + content[self.end : last]
        return content[first:last].decode(), after.decode()


def rank(seed: int, *parts: object) -> str:
    """Where something stands when the seed orders it."""
    return hashlib.sha256("\0".join(map(str, (seed, *parts))).encode()).hexdigest()


def draw(edits: Iterable[Edit], seed: int) -> list[Edit]:
    """One edit for each place, in the seed's order."""
    places: defaultdict[tuple[str, int, int], list[Edit]] = defaultdict(list)
    for edit in edits:
        places[edit.path, edit.start, edit.end].append(edit)
    ordered: Sequence[tuple[str, int, int]] = sorted(places, key=lambda place: rank(seed, *place))
    return [min(places[place], key=lambda edit: rank(seed, edit.operator, edit.variant, *place)) for place in ordered]


def same_meaning(one: bytes, other: bytes) -> bool:
    """Whether two files have the same syntax tree; False when one has none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.dump(parse_module(one)) == ast.dump(parse_module(other))
    except (SyntaxError, ValueError):
        return False


def is_proper(edit: Edit, content: bytes) -> bool:
    """Whether the edited file compiles and has another syntax tree."""
    edited = edit.apply(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(edited, edit.path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return not same_meaning(content, edited)
