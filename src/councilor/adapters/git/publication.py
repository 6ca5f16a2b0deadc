"""Putting an accepted tree on a branch of the real repository: the only time that councilor writes to it.

Rules:
- One commit on top of the base. Its dates are the base's committer date, so that the same call makes the same commit.
- Objects travel as a pack from the store, straight into the repository's objects: no transport, no hooks, no
  FETCH_HEAD, no shallow boundary to negotiate.
- The branch is created atomically and only if it does not exist; one that already holds this commit is fine, any other
  is refused. Nothing is pushed, and nobody's checkout moves.

Source: git-commit-tree(1) (the form of a commit), git-update-ref(1).
"""

from __future__ import annotations

import re

from councilor.adapters.git.command import Git, check_name
from councilor.adapters.git.objects import read_object
from councilor.errors import InputError
from councilor.ports.repository import Commit

__all__ = ["publish_tree"]

_COMMITTER = "councilor <councilor@localhost>"
_AUTHOR = re.compile(r"[^<>\n\0]+ <[^<>\s\0]+>")
_BRANCH = re.compile(r"(?!-)[^\x00-\x20\x7f~^:?*\[\\]+")
_DATE = re.compile(rb"^committer .*> (\d+ [+-]\d{4})$", re.MULTILINE)


async def publish_tree(
    store: Git, repository: Git, *, tree: str, base: Commit, branch: str, message: str, author: str
) -> str:
    """Commit `tree` on the new `branch` of `repository`; gives the commit's name."""
    reference = f"refs/heads/{branch}"
    if not _BRANCH.fullmatch(branch):
        raise InputError(f"{branch!r} is not a name for a branch.", field="branch")
    content = await _commit_text(store, tree=tree, base=base, message=message, author=author)
    written = await store.run("hash-object", "-t", "commit", "-w", "--stdin", stdin=content)
    if written.code:
        raise InputError(f"The commit cannot be made: {written.reason}")
    commit = written.output.decode().strip()
    if await _holds(repository, reference, commit):
        return commit
    options = ("--revs", "--stdout", "--thin", "--window=0", "--threads=1", "-q")
    pack = await store.ask("pack-objects", *options, stdin=f"{commit}\n^{base.hash}\n".encode())
    await repository.ask("unpack-objects", "-q", stdin=pack)
    done = await repository.run("update-ref", "-z", "--stdin", stdin=f"create {reference}\0{commit}\0".encode())
    if done.code and not await _holds(repository, reference, commit):
        raise InputError(f"The branch {branch} cannot be made: {done.reason}", hint="Rename the branch in its way.")
    return commit


async def _holds(repository: Git, reference: str, commit: str) -> bool:
    """Whether the branch already is this commit.

    Raises:
        InputError: it is another.
    """
    found = await read_object(repository, reference)
    if found is not None and found[0] != commit:
        raise InputError(
            f"The branch {reference.removeprefix('refs/heads/')} already exists with other content.",
            hint="Delete or rename it if it is no longer needed, then run the command again.",
            field="branch",
        )
    return found is not None


async def _commit_text(store: Git, *, tree: str, base: Commit, message: str, author: str) -> bytes:
    if not _AUTHOR.fullmatch(author):
        raise InputError(f"{author!r} is not of the form `Name <address>`.", field="author")
    if not message.strip() or "\0" in message:
        raise InputError("A commit needs a message without NUL.", field="message")
    found = await read_object(store, check_name(base.hash))
    if found is None or found[1] != "commit":
        raise InputError(f"{base.hash} is not a commit of this repository.")
    stamp = _DATE.search(found[2].partition(b"\n\n")[0])
    date = stamp[1].decode() if stamp else "0 +0000"
    lines = (
        f"tree {check_name(tree)}",
        f"parent {base.hash}",
        f"author {author} {date}",
        f"committer {_COMMITTER} {date}",
        "",
        message.strip() + "\n",
    )
    return "\n".join(lines).encode("utf-8", "replace")
