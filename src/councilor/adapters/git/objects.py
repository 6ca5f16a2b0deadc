"""Reading objects: the entries of a tree, the bytes of blobs, the parts of a commit.

Rules: names go to git by standard input; paths are what git stores, undecodable bytes as surrogate escapes; every
listing is NUL-separated. It decides nothing.
Source: git-ls-tree(1), git-cat-file(1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from councilor.adapters.git.command import Git, check_name
from councilor.domain.change import TreeEntry
from councilor.errors import InputError, IntegrityError
from councilor.ports.repository import Commit

__all__ = [
    "DEEPEST",
    "branch_of",
    "decode_path",
    "encode_path",
    "list_entries",
    "parse_commit",
    "read_blobs",
    "read_object",
]

_AUTHOR = re.compile(rb"^author (.*) \d+ [+-]\d{4}$", re.MULTILINE)
DEEPEST = 128
"""Most folders in one another. Deeper ones come from nobody's repository, and exhaust whoever recurses into them."""


def decode_path(path: bytes) -> str:
    """A path as text."""
    return path.decode("utf-8", "surrogateescape")


def encode_path(path: str) -> bytes:
    """The bytes of a path that `decode_path` gave."""
    return path.encode("utf-8", "surrogateescape")


async def list_entries(git: Git, tree: str) -> tuple[TreeEntry, ...]:
    """Every file of a tree, sorted by path.

    Raises:
        InputError: there is no such tree, or its folders are too deep.
    """
    done = await git.run("ls-tree", "-r", "-z", "--full-tree", check_name(tree))
    if done.code:
        raise InputError(f"{tree} is not a tree of this repository: {done.reason}")
    entries = []
    for record in done.output.split(b"\0")[:-1]:
        meta, _, path = record.partition(b"\t")
        mode, _, name = meta.decode().split(" ")
        if path.count(b"/") > DEEPEST:
            raise InputError(f"{tree} holds more than {DEEPEST} folders in one another.", hint="Remove the deepest.")
        entries.append(TreeEntry(path=decode_path(path), mode=mode, hash=name))
    return tuple(sorted(entries, key=lambda entry: entry.path))


async def read_object(git: Git, name: str) -> tuple[str, str, bytes] | None:
    """Full name, type and bytes of the object that a revision names, or None.

    Args:
        name: anything git resolves, without a newline.
    """
    head, _, rest = (
        await git.ask("cat-file", "--batch", stdin=name.encode("utf-8", "surrogateescape") + b"\n")
    ).partition(b"\n")
    parts = head.rsplit(b" ", 2)
    if len(parts) != 3 or not parts[2].isdigit():
        return None
    return parts[0].decode(), parts[1].decode(), rest[: int(parts[2])]


async def read_blobs(git: Git, names: Iterable[str]) -> Mapping[str, bytes]:
    """The bytes of these objects, by name.

    Raises:
        IntegrityError: one is missing.
    """
    wanted = sorted(set(names))
    if not wanted:
        return {}
    output = await git.ask("cat-file", "--batch", stdin="".join(f"{check_name(name)}\n" for name in wanted).encode())
    blobs: dict[str, bytes] = {}
    position = 0
    for name in wanted:
        end = output.index(b"\n", position)
        header = output[position:end].split(b" ")
        if len(header) != 3:
            raise IntegrityError(f"The object {name} is missing.", hint="Run `git fsck` in the repository.")
        size = int(header[2])
        blobs[name] = output[end + 1 : end + 1 + size]
        position = end + 2 + size
    return blobs


async def branch_of(git: Git, revision: str) -> str | None:
    """Full name of the branch that a revision stands for; None for a commit, a tag, or a HEAD without a branch."""
    if not revision or revision.startswith("-") or set(revision) & set("\n\0"):
        return None
    done = await git.run("rev-parse", "--verify", "--quiet", "--symbolic-full-name", revision)
    name = done.output.decode("utf-8", "surrogateescape").strip()
    return name if not done.code and name.startswith(("refs/heads/", "refs/remotes/")) else None


def parse_commit(name: str, content: bytes) -> Commit:
    """A commit from its raw object."""
    head, _, message = content.partition(b"\n\n")
    subject = message.strip().split(b"\n\n")[0].replace(b"\n", b" ")
    tree = head.split(b"\n", 1)[0].removeprefix(b"tree ")
    author = _AUTHOR.search(head)
    return Commit(
        hash=name,
        tree=tree.decode(),
        subject=subject.decode("utf-8", "replace"),
        message=message.decode("utf-8", "replace"),
        author=author[1].decode("utf-8", "replace") if author else "",
    )
