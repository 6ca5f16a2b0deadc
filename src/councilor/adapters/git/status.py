"""Which files of the user's working copy differ from HEAD, without running what its configuration says.

Rules:
- The repository's index is read through a neutral git folder, so that no filter, attribute, hook or fsmonitor of the
  repository runs; the index itself is not refreshed or written.
- Its `.gitignore` files and its `info/exclude` count; the user's own ignore file does not.
- A submodule counts when its checked-out commit differs, not when files inside it do.
- With filters off git takes a file that a checkout converted for a changed one, once its stat data differ from the
  index. A file whose bytes are what Git LFS or a line-end conversion makes of HEAD's does not count.
Source: git-status(1), "Porcelain Format Version 2".
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from councilor.adapters.git.command import Git
from councilor.adapters.git.discovery import Location
from councilor.adapters.git.objects import decode_path, read_blobs
from councilor.adapters.git.standins import is_stand_in_of
from councilor.adapters.git.store import make_git_folder

__all__ = ["list_dirty"]

MOST_COMPARED = 1000
"""Files that are compared byte by byte; a working copy with more changes has certainly been worked on."""
_MODIFIED = re.compile(rb"1 \.M N\.\.\. (10\d{4}) \1 \1 ")


async def list_dirty(executable: str, location: Location, *, head: str, object_format: str, scratch: Path) -> list[str]:
    """Paths that differ from the commit `head`, untracked ones included, sorted.

    Args:
        scratch: an existing folder for a temporary git folder.
    """
    with tempfile.TemporaryDirectory(prefix="status-", dir=scratch) as name:
        folder = Path(name)
        make_git_folder(folder, objects=location.common_folder / "objects", object_format=object_format, head=head)
        exclude = location.common_folder / "info" / "exclude"
        if exclude.is_file():
            shutil.copyfile(exclude, folder / "info" / "exclude")
        for part in location.git_folder.glob("sharedindex.*"):
            (folder / part.name).symlink_to(part)
        git = Git(executable=executable, folder=folder, work_tree=location.root, index=location.git_folder / "index")
        options = ("--porcelain=v2", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=dirty")
        output = await git.ask("-c", "core.bare=false", "status", *options)
        found = {_path(record): record for record in output.split(b"\0") if record}
        return sorted(found.keys() - await _converted(git, found, location.root))


def _path(record: bytes) -> str:
    """The path of one record of porcelain v2: `1 <8 fields> path`, `u <10 fields> path`, `? path`."""
    fields = {b"1": 8, b"u": 10}.get(record[:1], 1)
    return decode_path(record.split(b" ", fields)[-1])


async def _converted(git: Git, found: dict[str, bytes], root: Path) -> set[str]:
    """Paths of which only the working copy differs, and only by what a checkout's conversions do."""
    modified = {path: record.split(b" ", 8)[6].decode() for path, record in found.items() if _MODIFIED.match(record)}
    if len(modified) > MOST_COMPARED:
        return set()
    blobs = await read_blobs(git, modified.values())
    return {path for path, name in modified.items() if is_stand_in_of(blobs[name], root / path)}
