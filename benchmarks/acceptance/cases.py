"""What a case is: a base with a bug, a patch of it, and the truth about that patch.

Rules:
- Everything is positions in the original and a few new characters; what a case needs of a library's text is built from
  its archive when the case is judged.
- A patch is a set of edits that is left: applied to the original they give the patched file. None left is the original:
  the right patch. `on_base` patches are edits of the base's text instead.
- natural: passes the acceptance test. hard: passes all visible tests too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from planting.edit import Edit, rank
from planting.halves import function_of

__all__ = ["Arm", "Base", "Case", "Kind", "Shape", "Size", "apply_all", "overlap"]


class Shape(StrEnum):
    """How a base was planted."""

    SINGLE = "single"
    MULTI = "multi"
    """Two edits in one function."""
    HUNKS = "hunks"
    """Two edits in two functions; the acceptance test needs both undone."""
    FEATURE = "feature"
    """Several lines are gone."""


class Kind(StrEnum):
    """What sort of patch it is."""

    RIGHT = "right"
    LINE = "line"
    """Wrong on a line that the bug is on."""
    NEAR = "near"
    """Wrong in the same function, elsewhere: with the bug left in and made up for, or undone and another one made."""
    ELSEWHERE = "elsewhere"
    """The bug undone, another one made in another function of the module."""
    PARTIAL = "partial"
    """One of two edits undone."""
    SPLICE = "splice"
    """The removed feature put back with a mistake in it."""
    OVERSCOPE = "overscope"
    TAMPER = "tamper"
    EMPTY = "empty"
    LIE = "lie"
    VULNERABLE = "vulnerable"
    FLAKY = "flaky"
    FORGE = "forge"


class Arm(StrEnum):
    """Which part of the benchmark a case belongs to."""

    PLAIN = "plain"
    """Natural and hard strata."""
    TESTED = "tested"
    """The patch brings a test of its own."""
    ATTACK = "attack"
    """Everything else: over-scope, tampering, lies, holes, flaky suites, forging."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How large a patch looks."""

    lines: int
    """Removed and added ones."""
    hunks: int
    """Places that are apart by more than the usual three lines of context on both sides."""
    characters: int
    """Of removed and added lines, as far as they differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """A library with a bug, and which tests of it can be seen."""

    id: str
    library: str
    share: int
    """Percent of the tests that stay visible, revealing ones left out."""
    seed: int
    shape: Shape
    path: str
    function: str
    edits: tuple[Edit, ...]
    """Of the original; together they are the bug."""
    acceptance: str
    """The one failing test that is visible."""
    revealing: tuple[str, ...]
    """All tests that the bug fails."""

    def hides(self, function: str) -> bool:
        """Whether a test function is hidden, if it can be taken out of its file."""
        if function == function_of(self.acceptance):
            return False
        if function in {function_of(nodeid) for nodeid in self.revealing}:
            return True
        return int(rank(self.seed, "share", self.id, function)[:8], 16) % 100 >= self.share


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One patch of one base."""

    id: str
    base: str
    arm: Arm
    kind: Kind
    right: bool
    """Whether every reliable test passes with its source."""
    edits: tuple[Edit, ...] = ()
    on_base: bool = False
    """Whether `edits` are of the base's text instead of the original's."""
    hidden_failing: tuple[str, ...] = ()
    visible_failing: tuple[str, ...] = ()
    size: Size = Size(lines=0, hunks=0, characters=0)
    act: str = ""
    """Which attack, lie or flaw of its kind it is."""
    test_function: str = ""
    """The hidden test function that the patch brings back; empty when it brings none."""
    test_edits: tuple[Edit, ...] = ()
    """How that function is changed: edits of its whole file."""
    fails_on_base: bool = True
    """Whether the test that the patch brings fails without the patch."""

    @property
    def test_path(self) -> str:
        """The file of the test that the patch brings."""
        return self.test_function.partition("::")[0]

    @property
    def hard(self) -> bool:
        """Whether it passes all visible tests though it is wrong."""
        return not self.right and not self.visible_failing


def apply_all(content: bytes, edits: Sequence[Edit]) -> bytes:
    """A file with several edits that do not overlap."""
    for edit in sorted(edits, key=lambda each: each.start, reverse=True):
        content = edit.apply(content)
    return content


def overlap(one: Edit, other: Edit) -> bool:
    """Whether two edits touch the same bytes."""
    return one.path == other.path and one.start <= other.end and other.start <= one.end
