"""Which files of the user's working copy differ from HEAD, without running what its configuration says.

Rules:
- The repository's index is read through a neutral git folder, so that no filter, attribute, hook or fsmonitor of the
  repository runs; the index itself is not refreshed or written.
- Its `.gitignore` files and its `info/exclude` count; the user's own ignore file does not.
- A submodule counts when its checked-out commit differs, not when files inside it do.

With filters off, a file that a filter such as LFS converts counts as changed when its stat data differ from the index.
Source: git-status(1), "Porcelain Format Version 1".
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from councilor.adapters.git.command import Git
from councilor.adapters.git.discovery import Location
from councilor.adapters.git.objects import decode_path
from councilor.adapters.git.store import make_git_folder

__all__ = ["list_dirty"]


async def list_dirty(executable: str, location: Location, *, head: str, object_format: str) -> list[str]:
    """Paths that differ from the commit `head`, untracked ones included, sorted."""
    with tempfile.TemporaryDirectory(prefix="councilor-status-") as name:
        folder = Path(name)
        make_git_folder(folder, objects=location.common_folder / "objects", object_format=object_format, head=head)
        exclude = location.common_folder / "info" / "exclude"
        if exclude.is_file():
            shutil.copyfile(exclude, folder / "info" / "exclude")
        for part in location.git_folder.glob("sharedindex.*"):
            (folder / part.name).symlink_to(part)
        git = Git(executable=executable, folder=folder, work_tree=location.root, index=location.git_folder / "index")
        options = ("--porcelain", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=dirty")
        output = await git.ask("-c", "core.bare=false", "status", *options)
    return sorted({decode_path(record[3:]) for record in output.split(b"\0") if record})
