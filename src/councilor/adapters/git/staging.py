"""The tree that the index holds: what the next commit would be, without committing.

Rules:
- A copy of the index is read in the run's store, so nothing of the repository is written, and no hook or filter runs.
- Inside a hook git may name another index by `GIT_INDEX_FILE` (`git commit -a`, `git commit FILE`); it counts where it
  lies in the repository's own git folder.

Source: githooks(5), git-write-tree(1).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from councilor.adapters.git.command import Git
from councilor.adapters.git.discovery import Location
from councilor.adapters.git.store import temporary_index
from councilor.errors import InputError

__all__ = ["staged_tree"]


async def staged_tree(store: Git, location: Location, *, named: str | None) -> str:
    """The staged tree's name.

    Args:
        named: what `GIT_INDEX_FILE` says.

    Raises:
        InputError: a merge is not resolved, or the index cannot be read.
    """
    for part in location.git_folder.glob("sharedindex.*"):
        with contextlib.suppress(FileExistsError):
            (store.folder / part.name).symlink_to(part)
    with temporary_index(store.folder, copy_of=_index(location, named)) as index:
        done = await store.at(index=index).run("write-tree")
    if done.code:
        raise InputError(
            f"What is staged makes no tree: {done.reason}",
            field="staged",
            hint="Resolve the merge, or stage the files again; `git status` shows what is wrong.",
        )
    return done.output.decode().strip()


def _index(location: Location, named: str | None) -> Path:
    own = location.git_folder / "index"
    if not named:
        return own
    path = (location.root / named).resolve()
    return path if path.is_relative_to(location.git_folder.resolve()) else own
