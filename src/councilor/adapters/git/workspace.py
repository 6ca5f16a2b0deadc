"""The worker's throw-away repository: making it, and taking the candidate out of it.

Rules:
- A workspace is self-contained: one commit, one pack, no history, no remotes, no alternates, no hooks, no templates.
- Its `.git` is the worker's to do with as it likes; nothing in it is ever read again. The index that remembers the
  files' stat data lies in the store.
- A candidate holds regular files and symbolic links only. A special file or a nested repository anywhere in the
  workspace, ignored or not, is refused: git would wait for a FIFO, and read configuration through a nested `.git`.
- Untracked files are taken unless the base ignores them (`ignoring`); tracked ones always.

Source: gitrepository-layout(5), git-update-index(1).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from councilor.adapters.git.command import Git, run_together
from councilor.adapters.git.ignoring import write_rules
from councilor.adapters.git.objects import DEEPEST, decode_path, encode_path
from councilor.adapters.git.store import temporary_index
from councilor.adapters.git.trees import check_empty, write_files
from councilor.domain.change import TreeEntry
from councilor.errors import InputError

__all__ = ["make_workspace", "take_tree"]

_CONFIG = """[core]
\trepositoryformatversion = {version}
\tbare = false
\tfilemode = true
\tlogAllRefUpdates = true
[user]
\tname = councilor
\temail = councilor@localhost
[gc]
\tauto = 0
{extension}"""
_COMMIT = """tree {tree}
author councilor <councilor@localhost> 1577836800 +0000
committer councilor <councilor@localhost> 1577836800 +0000

The base of this task
"""


async def make_workspace(git: Git, tree: str, entries: Sequence[TreeEntry], folder: Path) -> None:
    """Make the empty `folder` a repository with one commit that holds `tree`, whose files are `entries`."""
    check_empty(folder)
    internals = folder / ".git"
    for name in ("objects/pack", "objects/info", "refs/heads", "refs/tags", "info"):
        (internals / name).mkdir(parents=True)
    extension = "[extensions]\n\tobjectformat = sha256\n" if len(tree) == 64 else ""
    config = _CONFIG.format(version=int(len(tree) == 64), extension=extension)
    (internals / "config").write_text(config)
    (internals / "HEAD").write_text("ref: refs/heads/main\n")
    await run_together(_commit(git, tree, internals), write_files(git.at(index=internals / "index"), tree, folder))
    await asyncio.to_thread(_remember, _place(git.folder, folder), folder, entries)


async def take_tree(git: Git, folder: Path) -> str:
    """The tree that the files in `folder` make now; its objects go to the store."""
    found = await asyncio.to_thread(_walk, folder)
    place = _place(git.folder, folder)
    place.mkdir(parents=True, exist_ok=True)
    rules = place / "exclude"
    if not rules.exists():
        rules.write_bytes(write_rules({}))
    with temporary_index(git.folder, copy_of=place / "index") as index:
        view = git.at(work_tree=folder, index=index)
        listing = await view.ask("ls-files", "-z", "--cached", "--others", f"--exclude-from={rules}")
        listed = set(listing.split(b"\0")) - {b""}
        await _remove(view, listed - found.files, found)
        await _update(view, listed & found.files, "--add", "--remove", "--replace")
        done = await view.run("write-tree")
        if done.code:
            raise InputError(f"The workspace makes no tree: {done.reason}")
        index.replace(place / "index")
    return done.output.decode().strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """What lies in a workspace, relative to it."""

    files: set[bytes] = field(default_factory=set)
    """Regular files and symbolic links."""
    folders: set[bytes] = field(default_factory=set)


def _walk(top: Path) -> _Found:
    if top.is_symlink() or not top.is_dir():
        raise InputError(f"The workspace {top} is no longer a folder.")
    found = _Found()
    pending = [b""]
    root = os.fsencode(top) + b"/"
    while pending:
        folder = pending.pop()
        if folder.count(b"/") >= DEEPEST:
            raise InputError(f"The workspace holds more than {DEEPEST} folders in one another.")
        try:
            with os.scandir(root + folder) as entries:
                for entry in entries:
                    if folder or entry.name != b".git":
                        _sort_in(entry, folder + b"/" + entry.name if folder else entry.name, found, pending)
        except OSError as error:
            raise InputError(f"{_show(folder)} in the workspace cannot be read: {error.strerror}") from error
    return found


def _sort_in(entry: os.DirEntry[bytes], path: bytes, found: _Found, pending: list[bytes]) -> None:
    if entry.name.lower() == b".git":
        message = f"{_show(path)} makes a nested repository in the workspace."
        raise InputError(message, hint="Remove it: a candidate holds plain files only.")
    if entry.is_symlink() or entry.is_file(follow_symlinks=False):
        found.files.add(path)
    elif entry.is_dir(follow_symlinks=False):
        found.folders.add(path)
        pending.append(path)
    else:
        message = f"{_show(path)} in the workspace is a FIFO, a socket or a device."
        raise InputError(message, hint="Remove it: a candidate holds plain files only.")


def _show(path: bytes) -> str:
    return repr(decode_path(path) or ".")


async def _remove(view: Git, gone: set[bytes], found: _Found) -> None:
    """Drop vanished paths from the index; a submodule is still there as long as its empty folder is."""
    if folders := gone & found.folders:
        staged = await view.ask("ls-files", "-z", "--stage")
        links = {line.partition(b"\t")[2] for line in staged.split(b"\0") if line.startswith(b"160000 ")}
        gone = gone - (folders & links)
    if gone:
        await _update(view, gone, "--force-remove")


async def _update(view: Git, paths: set[bytes], *how: str) -> None:
    done = await view.run("update-index", *how, "-z", "--stdin", stdin=b"".join(path + b"\0" for path in sorted(paths)))
    if done.code or done.skipped:
        raise InputError(
            f"A file of the workspace cannot be taken: {done.reason}", hint="Rename it or make it readable."
        )


async def _commit(git: Git, tree: str, internals: Path) -> None:
    """Make the one commit and pack everything it needs straight into the workspace."""
    written = await git.run("hash-object", "-t", "commit", "-w", "--stdin", stdin=_COMMIT.format(tree=tree).encode())
    commit = written.output.decode().strip()
    pack = str(internals / "objects" / "pack" / "pack")
    options = ("--revs", "--window=0", "--threads=1", "-q", "--non-empty")
    done = await git.run("pack-objects", *options, pack, stdin=f"{commit}\n".encode())
    if written.code or done.code:
        raise InputError(f"{tree} makes no workspace: {(written if written.code else done).reason}")
    (internals / "refs" / "heads" / "main").write_text(f"{commit}\n")


def _place(store: Path, folder: Path) -> Path:
    """Where the store keeps what it knows of a workspace."""
    return store / "workspaces" / hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:24]


def _remember(place: Path, folder: Path, entries: Sequence[TreeEntry]) -> None:
    """Keep the index and the base's ignore rules while the files are still exactly the base's."""
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy2(folder / ".git" / "index", place / "index")
    names = [e.path for e in entries if e.path.rpartition("/")[2] == ".gitignore" and e.mode.startswith("100")]
    rules = {encode_path(name): (folder / name).read_bytes() for name in names}
    (place / "exclude").write_bytes(write_rules(rules))
