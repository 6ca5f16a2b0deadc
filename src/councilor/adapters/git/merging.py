"""Carrying a candidate over to another base, without any working copy.

Rules:
- Three commits are made in the store: base, new base and candidate, the first the parent of the others. So git finds
  the right ancestor whatever the real history looks like: rewritten, shallow, or moved backwards.
- Merge drivers, attributes and filters of the repository are off, as everywhere in the store: text is merged by lines,
  and a binary file that both sides changed is a conflict.
- Nothing of it is written outside the store, and the same call gives the same tree.

Source: git-merge-tree(1), `--write-tree` (since git 2.38).
"""

from __future__ import annotations

from councilor.adapters.git.command import Git, check_name
from councilor.adapters.git.objects import decode_path
from councilor.errors import UnavailableError
from councilor.ports.repository import Commit, Merged

__all__ = ["merge"]

_IDENTITY = "councilor <councilor@localhost> 0 +0000"
_OPTIONS = ("--write-tree", "-z", "--name-only", "--no-messages")
_RENAMES = "merge.renameLimit=400"
"""A file that one side renamed and the other changed is followed, up to so many: the search takes the square of it."""
_CONFLICTS = 1
"""Exit code of a merge that was done, but not without conflicts; 0 is a clean one."""


async def merge(store: Git, *, base: Commit, onto: Commit, tree: str) -> Merged:
    """Merge the change from `base` to `tree` into `onto`."""
    ancestor = await _commit(store, base.tree)
    ours = await _commit(store, onto.tree, ancestor)
    theirs = await _commit(store, tree, ancestor)
    done = await store.run("-c", _RENAMES, "merge-tree", *_OPTIONS, ours, theirs)
    if done.code not in {0, _CONFLICTS}:
        raise UnavailableError(
            f"The change cannot be merged: {done.reason}",
            backend="git",
            hint="This needs git 2.38 or newer; publish.rebase: false does without.",
        )
    merged, *paths = done.output.split(b"\0")
    conflicts = {decode_path(path) for path in paths if path} if done.code else set()
    return Merged(tree=check_name(merged.decode().strip()), conflicts=tuple(sorted(conflicts)))


async def _commit(store: Git, tree: str, *parents: str) -> str:
    lines = [f"tree {check_name(tree)}", *(f"parent {parent}" for parent in parents)]
    text = "\n".join([*lines, f"author {_IDENTITY}", f"committer {_IDENTITY}", "", "merge", ""])
    return (await store.ask("hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode())).decode().strip()
