"""Trees made from trees, and trees written out as files.

Rules:
- `write_files` writes into an empty folder only, by git's own checkout: it never follows a symbolic link, refuses names
  like `.git`, `.GIT` or `git~1`, and leaves a submodule as an empty folder. Bytes are the blobs' bytes.
- `list_drift` trusts no stat data: it compares type, executable bit and bytes of every tracked file.
- Where two chosen paths of `choose` cannot both exist (a file and a folder of one name), the other tree's path stays.

Source: git-read-tree(1), git-apply(1).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from councilor.adapters.git.command import Git, check_name
from councilor.adapters.git.objects import encode_path
from councilor.adapters.git.store import temporary_index
from councilor.domain.change import TreeEntry
from councilor.errors import InputError

__all__ = ["apply_patch", "check_empty", "choose", "export_files", "list_drift", "write_files", "write_tree"]

_CHUNK_BYTES = 1 << 20


def check_empty(folder: Path) -> None:
    """Make `folder` if need be.

    Raises:
        InputError: something else is there, or something is in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.is_symlink() or any(folder.iterdir()):
            raise InputError(f"{folder} is not an empty folder.")
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror}") from error


async def write_files(git: Git, tree: str, folder: Path) -> None:
    """Write a tree's files into `folder`, through the index of `git`, which remembers their stat data."""
    done = await git.at(work_tree=folder).run("read-tree", "-m", "-u", check_name(tree))
    if done.code:
        raise InputError(f"{tree} cannot be written as files: {done.reason}")


async def export_files(git: Git, tree: str, folder: Path) -> None:
    """Write a tree's files into the empty `folder`."""
    check_empty(folder)
    with temporary_index(git.folder) as index:
        await write_files(git.at(index=index), tree, folder)


async def apply_patch(git: Git, tree: str, patch: bytes) -> str:
    """The tree that `patch` makes of `tree`."""
    if not patch.strip():
        return check_name(tree)
    with temporary_index(git.folder) as index:
        view = git.at(index=index)
        done = await view.run("read-tree", check_name(tree))
        if done.code:
            raise InputError(f"{tree} is not a tree of this repository: {done.reason}")
        done = await view.run("apply", "--cached", "--whitespace=nowarn", "-", stdin=patch)
        if done.code:
            raise InputError(f"The patch does not apply: {done.reason}", hint="Make it against the base commit.")
        return (await view.ask("write-tree")).decode().strip()


def choose(
    ours: Iterable[TreeEntry], others: Iterable[TreeEntry], theirs: Callable[[str], bool]
) -> tuple[TreeEntry, ...]:
    """The entries of `ours`, with the paths for which `theirs` holds as in `others`, sorted by path."""
    taken = {entry.path: entry for entry in others if theirs(entry.path)}
    folders = {parent for path in taken for parent in _parents(path)}
    kept = [
        entry
        for entry in ours
        if not theirs(entry.path)
        and entry.path not in folders
        and not any(parent in taken for parent in _parents(entry.path))
    ]
    return tuple(sorted([*kept, *taken.values()], key=lambda entry: entry.path))


async def write_tree(git: Git, chosen: Iterable[TreeEntry]) -> str:
    """The tree that these entries make."""
    lines = [f"{entry.mode} {entry.hash} 0\t".encode() + encode_path(entry.path) + b"\0" for entry in chosen]
    with temporary_index(git.folder) as index:
        view = git.at(index=index)
        done = await view.run("update-index", "-z", "--index-info", stdin=b"".join(lines))
        if done.code or done.skipped:
            raise InputError(f"The two trees make none together: {done.reason}")
        return (await view.ask("write-tree")).decode().strip()


def list_drift(entries: Iterable[TreeEntry], folder: Path) -> list[str]:
    """Paths whose file in `folder` is not the entry's, in the order of `entries`. Blocking."""
    real: dict[str, bool] = {"": True}
    return [
        entry.path
        for entry in entries
        if not (_is_real_folder(folder, entry.path.rpartition("/")[0], real) and _is_same(folder, entry))
    ]


def _is_real_folder(top: Path, folder: str, known: dict[str, bool]) -> bool:
    """Whether a folder and all its parents are folders, none of them behind a symbolic link."""
    if folder not in known:
        try:
            is_folder = stat.S_ISDIR((top / folder).lstat().st_mode)
        except OSError:
            is_folder = False
        known[folder] = is_folder and _is_real_folder(top, folder.rpartition("/")[0], known)
    return known[folder]


def _is_same(top: Path, entry: TreeEntry) -> bool:
    path = top / entry.path
    try:
        found = path.lstat()
        if entry.mode == "160000":
            return stat.S_ISDIR(found.st_mode)
        if entry.mode == "120000":
            return stat.S_ISLNK(found.st_mode) and _name(entry, os.fsencode(path.readlink())) == entry.hash
        executable = bool(found.st_mode & stat.S_IXUSR)
        if not stat.S_ISREG(found.st_mode) or executable != (entry.mode == "100755"):
            return False
        return _name_file(entry, path, found.st_size) == entry.hash
    except OSError:
        return False


def _name(entry: TreeEntry, content: bytes) -> str:
    """The blob name of these bytes, in the hash that the entry's name is of."""
    algorithm = "sha256" if len(entry.hash) == 64 else "sha1"
    return hashlib.new(algorithm, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _name_file(entry: TreeEntry, path: Path, size_bytes: int) -> str:
    algorithm = "sha256" if len(entry.hash) == 64 else "sha1"
    digest = hashlib.new(algorithm, b"blob %d\0" % size_bytes, usedforsecurity=False)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            digest.update(chunk)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def _parents(path: str) -> Iterable[str]:
    while path := path.rpartition("/")[0]:
        yield path
