"""What stands in a tree for something that is not in it: submodules and Git LFS pointers; and what is missing at all.

Rules:
- Nothing is ever fetched: a submodule is an empty folder in every export, a Git LFS file its pointer. Tests that need
  what is behind them fail on the base as well, and so count for nothing.
- A file is a Git LFS file when its bytes are a pointer; only trees whose attributes name the filter are searched.
- A partial clone is usable as long as it has every object of the tree.

Source: gitmodules(5), gitrepository-layout(5) (`*.promisor`), git-lfs `docs/spec.md` (the pointer).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from councilor.adapters.git.command import Git, check_name
from councilor.adapters.git.objects import read_blobs
from councilor.domain.change import TreeEntry
from councilor.errors import InputError

__all__ = ["check_complete", "is_stand_in_of", "list_stand_ins"]

NAMED = 3
"""How many paths a remark names."""
LARGEST_POINTER_BYTES = 1024
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]+\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)
_FILTER = b"filter=lfs"


async def list_stand_ins(git: Git, entries: Sequence[TreeEntry]) -> tuple[str, ...]:
    """One sentence each for the submodules and the Git LFS files among `entries`; empty when there are none."""
    remarks = []
    if submodules := [entry.path for entry in entries if entry.mode == "160000"]:
        remarks.append(f"{_named(submodules)}: submodules are empty folders in a run, never fetched.")
    if pointers := await _pointers(git, entries):
        remarks.append(f"{_named(pointers)}: Git LFS files are their pointers in a run, never fetched.")
    return tuple(remarks)


async def check_complete(git: Git, tree: str, *, common_folder: Path) -> None:
    """Refuse a tree of a partial clone when objects of it are not there.

    Raises:
        InputError: says how many are missing.
    """
    if not any((common_folder / "objects" / "pack").glob("*.promisor")):
        return
    done = await git.run("rev-list", "--objects", "--missing=print", "--no-object-names", check_name(tree))
    missing = sum(line.startswith(b"?") for line in done.output.splitlines())
    if done.code or missing:
        what = f"{missing} objects" if missing else "objects"
        raise InputError(
            f"{what} of {tree[:12]} are missing: this is a partial clone, and councilor never fetches.",
            hint="Fetch them first: git fetch --refetch --no-filter",
        )


def is_stand_in_of(blob: bytes, file: Path) -> bool:
    """Whether a file is what a checkout's conversions make of `blob`: a pointer's content, or CRLF for LF."""
    try:
        found = _POINTER.fullmatch(blob)
        if found is None:
            return b"\r" not in blob and file.read_bytes().replace(b"\r\n", b"\n") == blob
        if file.stat().st_size != int(found[2]):
            return False
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest() == found[1].decode()
    except OSError:
        return False


async def _pointers(git: Git, entries: Sequence[TreeEntry]) -> list[str]:
    attributes = [entry.hash for entry in entries if entry.path.rpartition("/")[2] == ".gitattributes"]
    if not any(_FILTER in content for content in (await read_blobs(git, attributes)).values()):
        return []
    files = [entry for entry in entries if entry.mode in {"100644", "100755"}]
    listing = "".join(f"{entry.hash}\n" for entry in files).encode()
    sizes = (await git.ask("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=listing)).split()
    small = {
        name.decode() for name, size in zip(sizes[::2], sizes[1::2], strict=True) if int(size) <= LARGEST_POINTER_BYTES
    }
    blobs = await read_blobs(git, small)
    return [entry.path for entry in files if entry.hash in small and _POINTER.fullmatch(blobs[entry.hash])]


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(paths[:NAMED]) + more
