"""A candidate: the git tree an iteration produced, and how it differs from the base tree."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Candidate", "ChangeKind", "FileChange", "TreeEntry"]


class ChangeKind(StrEnum):
    """What happened to a path."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeEntry:
    """One file of a git tree."""

    path: str
    """Relative, with `/`, as git stores it (undecodable bytes as surrogate escapes)."""
    mode: str
    """Git's six octal digits: 100644, 100755, 120000 (symbolic link) or 160000 (submodule)."""
    hash: str
    """The blob's object name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FileChange:
    """How one path differs between base and candidate. A rename is a deletion and an addition."""

    path: str
    kind: ChangeKind
    old_mode: str | None
    new_mode: str | None
    old: bytes | None
    """The file's bytes in the base tree (a symbolic link's target); None when added."""
    new: bytes | None
    """The file's bytes in the candidate; None when deleted."""
    added_lines: int
    """Lines added; 0 for a binary file."""
    removed_lines: int
    """Lines removed; 0 for a binary file."""
    changed_lines: tuple[int, ...] = ()
    """1-based numbers, in the candidate's file, of the lines that were added or changed."""

    @property
    def is_symlink(self) -> bool:
        """Whether the candidate holds a symbolic link at this path."""
        return self.new_mode == "120000"

    @property
    def binary(self) -> bool:
        """Whether either side holds a NUL byte in its first 8,000 bytes, git's own rule."""
        return any(b"\0" in (side or b"")[:8000] for side in (self.old, self.new))


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """The tree to judge, and its difference from the base tree, sorted by path."""

    base_commit: str
    base_tree: str
    tree: str
    changes: tuple[FileChange, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing differs from the base."""
        return self.tree == self.base_tree

    @property
    def changed_loc(self) -> int:
        """Lines added plus lines removed."""
        return sum(change.added_lines + change.removed_lines for change in self.changes)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every changed path, sorted."""
        return tuple(change.path for change in self.changes)
