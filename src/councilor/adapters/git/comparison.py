"""How a candidate's tree differs from the base's: one `FileChange` for each path, with the lines that changed.

Rules:
- No renames: a rename is a deletion and an addition.
- Lines are git's own (Myers, no context); a binary file has none.
- A submodule's bytes are the line that git shows for it.

The list of paths comes NUL-separated; the patch is read for its line numbers only, hunk by hunk by the counts that each
hunk's head gives, so that no content can pass for a header.
Source: git-diff-tree(1), "Raw output format" and "Generating patch text".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from councilor.adapters.git.command import Git, check_name, run_together
from councilor.adapters.git.objects import decode_path, read_blobs
from councilor.domain.change import Candidate, ChangeKind, FileChange
from councilor.errors import InputError, IntegrityError
from councilor.ports.repository import Commit

__all__ = ["compare", "write_patch"]

_PLAIN = ("-r", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--full-index")
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_SUBMODULE = "160000"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pair:
    """One path's two sides."""

    path: str
    status: str
    old_mode: str | None
    new_mode: str | None
    old: str
    new: str


@dataclass(slots=True)
class _Lines:
    """What the patch says of one path."""

    added: int = 0
    removed: int = 0
    changed: list[int] = field(default_factory=list)


async def compare(git: Git, base: Commit, tree: str) -> Candidate:
    """The candidate that `tree` makes on top of `base`."""
    pairs = await _pairs(git, base.tree, tree)
    changes: tuple[FileChange, ...] = ()
    if pairs:
        names = [
            name
            for pair in pairs
            for name, mode in ((pair.old, pair.old_mode), (pair.new, pair.new_mode))
            if mode not in {None, _SUBMODULE}
        ]
        patch, blobs = await run_together(
            git.ask("diff-tree", "--patch", "--unified=0", *_PLAIN, base.tree, tree), read_blobs(git, names)
        )
        lines = _lines(pairs, patch)
        changes = tuple(_change(pair, lines[pair.path], blobs) for pair in pairs)
    ordered = tuple(sorted(changes, key=lambda change: change.path))
    return Candidate(base_commit=base.hash, base_tree=base.tree, tree=tree, changes=ordered)


async def write_patch(git: Git, base_tree: str, tree: str) -> bytes:
    """The patch, binary files included, that turns one tree into the other."""
    done = await git.run("diff-tree", "--patch", "--binary", *_PLAIN, check_name(base_tree), check_name(tree))
    if done.code:
        raise InputError(f"{base_tree} and {tree} cannot be compared: {done.reason}")
    return done.output


async def _pairs(git: Git, base_tree: str, tree: str) -> list[_Pair]:
    done = await git.run("diff-tree", "--raw", "-z", *_PLAIN, check_name(base_tree), check_name(tree))
    if done.code:
        raise InputError(f"{base_tree} and {tree} cannot be compared: {done.reason}")
    fields = done.output.split(b"\0")[:-1]
    return [_pair(meta.decode(), path) for meta, path in zip(fields[::2], fields[1::2], strict=True)]


def _pair(meta: str, path: bytes) -> _Pair:
    old_mode, new_mode, old, new, status = meta.removeprefix(":").split(" ")
    return _Pair(
        path=decode_path(path),
        status=status[0],
        old_mode=None if status[0] == "A" else old_mode,
        new_mode=None if status[0] == "D" else new_mode,
        old=old,
        new=new,
    )


def _lines(pairs: list[_Pair], patch: bytes) -> Mapping[str, _Lines]:
    """Line figures by path. The patch follows the order of `pairs`; a changed type is shown as two parts."""
    parts = _parts(patch)
    found: dict[str, _Lines] = {}
    for pair in pairs:
        figures = [next(parts, None) for _ in range(2 if pair.status == "T" else 1)]
        total = _Lines()
        for part in figures:
            if part is None:
                raise IntegrityError(f"git's patch says nothing of {pair.path!r}.")
            total.added += part.added
            total.removed += part.removed
            total.changed += part.changed
        found[pair.path] = total
    return found


def _parts(patch: bytes) -> Iterator[_Lines]:
    """One `_Lines` for each `diff --git` of a patch without context."""
    current: _Lines | None = None
    rows = iter(patch.split(b"\n"))
    for row in rows:
        if row.startswith(b"diff --git "):
            if current is not None:
                yield current
            current = _Lines()
        elif current is not None and (hunk := _HUNK.match(row)):
            removed, added = int(hunk[1] or 1), int(hunk[3] or 1)
            current.removed += removed
            current.added += added
            current.changed += range(int(hunk[2]), int(hunk[2]) + added)
            _skip(rows, removed + added)
    if current is not None:
        yield current


def _skip(rows: Iterator[bytes], count: int) -> None:
    """Pass over a hunk's lines; the notes about a missing last newline are not counted."""
    while count:
        if not next(rows).startswith(b"\\"):
            count -= 1


def _change(pair: _Pair, lines: _Lines, blobs: Mapping[str, bytes]) -> FileChange:
    kind = {"A": ChangeKind.ADDED, "D": ChangeKind.DELETED}.get(pair.status, ChangeKind.MODIFIED)
    return FileChange(
        path=pair.path,
        kind=kind,
        old_mode=pair.old_mode,
        new_mode=pair.new_mode,
        old=_side(pair.old_mode, pair.old, blobs),
        new=_side(pair.new_mode, pair.new, blobs),
        added_lines=lines.added,
        removed_lines=lines.removed,
        changed_lines=tuple(lines.changed),
    )


def _side(mode: str | None, name: str, blobs: Mapping[str, bytes]) -> bytes | None:
    if mode is None:
        return None
    return f"Subproject commit {name}\n".encode() if mode == _SUBMODULE else blobs[name]
