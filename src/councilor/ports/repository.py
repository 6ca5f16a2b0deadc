"""The git repository that a task is about, and the run's own object store beside it.

The repository itself is only read, until `publish`. New objects go to the run's own store, which borrows the
repository's objects. Hooks, filters, attributes and fsmonitor of either never run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from councilor.domain.change import Candidate, TreeEntry

__all__ = ["Commit", "Merged", "Repositories", "Repository", "Revision"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """One commit."""

    hash: str
    tree: str
    subject: str
    message: str
    """All of it, the subject and trailers included."""
    author: str = ""
    """`Name <address>`, as the commit says; untrusted."""

    def trailer(self, name: str) -> str | None:
        """The value of its last trailer of that name; None when it has none."""
        found = re.findall(rf"^{re.escape(name)}: (.*)$", self.message.rstrip().rpartition("\n\n")[2], re.MULTILINE)
        return found[-1] if found else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """One commit that changed a file."""

    hash: str
    tree: str
    author: str
    """`Name <address>`, as the commit says."""
    signer: str = ""
    """The principal whose valid SSH signature it has; empty where none is allowed, or none is there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Merged:
    """A change carried over to another base."""

    tree: str
    """With conflicts: of what could be merged, the rest between git's conflict markers."""
    conflicts: tuple[str, ...] = ()
    """Paths that both sides changed in ways that exclude each other, sorted."""


class Repository(Protocol):
    """One opened repository. Every method raises `InputError` for a name that does not resolve."""

    root: Path
    """Its top folder; a bare repository's own."""

    async def resolve(self, revision: str) -> Commit:
        """The commit that `revision` names."""
        ...

    async def branch(self, revision: str) -> str | None:
        """Full name of the branch that `revision` stands for, followed through HEAD; None for anything else."""
        ...

    async def tags(self) -> Sequence[str]:
        """Names of its tags, sorted."""
        ...

    async def dirty(self) -> Sequence[str]:
        """Paths whose working copy differs from HEAD, untracked files included, sorted; none in a bare repository."""
        ...

    async def staged(self) -> str:
        """The tree that is staged for the next commit.

        Raises:
            InputError: the repository is bare, a merge is not resolved, or the index cannot be read.
        """
        ...

    async def survey(self, tree: str) -> Sequence[str]:
        """What of a tree a run cannot see, a sentence each: the content of submodules and of Git LFS files.

        Raises:
            InputError: objects of it are missing, as in a partial clone.
        """
        ...

    async def entries(self, tree: str) -> Sequence[TreeEntry]:
        """Every file of a tree, sorted by path."""
        ...

    async def read(self, tree: str, path: str) -> bytes | None:
        """One file's bytes, or None when the tree has no such file."""
        ...

    async def candidate(self, base: Commit, tree: str) -> Candidate:
        """The difference between a base commit's tree and a candidate tree, with both sides' bytes."""
        ...

    async def diff(self, base_tree: str, tree: str) -> bytes:
        """The binary-safe patch that turns one tree into the other."""
        ...

    async def patched(self, tree: str, patch: bytes) -> str:
        """The tree that a patch makes of `tree`.

        Raises:
            InputError: the patch does not apply; says where.
        """
        ...

    async def composed(self, tree: str, other: str, theirs: Callable[[str], bool]) -> str:
        """`tree` with every path for which `theirs(path)` holds taken from `other` (or absent, when absent there)."""
        ...

    async def merged(self, base: Commit, onto: Commit, tree: str) -> Merged:
        """What `tree`, made on `base`, is on top of `onto`: a three-way merge of files and lines.

        Raises:
            UnavailableError: the host's git is older than 2.38.
        """
        ...

    async def mail(self, commit: str) -> bytes:
        """A commit of this run as a patch that `git am` takes, with its author and message, binary files included."""
        ...

    async def history(self, commit: str, path: str, *, allowed_signers: bytes | None) -> Sequence[Revision]:
        """The commits up to `commit` that changed a file, newest first, with who signed each.

        Args:
            allowed_signers: who may sign, in the format of ssh-keygen(1), ALLOWED SIGNERS; None: nobody.
        """
        ...

    async def create_workspace(self, tree: str, folder: Path) -> None:
        """Make `folder` a throw-away repository with one commit that holds `tree`: no history, no remotes."""
        ...

    async def take(self, folder: Path) -> str:
        """The tree that a workspace's files make now, read without trusting its `.git`.

        Raises:
            InputError: a special file (FIFO, device, socket), a nested repository, or a file that cannot be read.
        """
        ...

    async def export(self, tree: str, folder: Path) -> None:
        """Write a tree's files into the empty `folder`, without a repository."""
        ...

    async def drift(self, tree: str, folder: Path) -> Sequence[str]:
        """Paths of `tree` whose file in `folder` is no longer the tree's, sorted; untracked files do not count."""
        ...

    async def publish(self, *, tree: str, base: Commit, branch: str, message: str, author: str) -> str:
        """Commit `tree` on top of `base` on a new branch of the real repository; gives the commit's hash.

        The same call again gives the same commit: its dates come from the base commit and the message.

        Args:
            author: `Name <address>` of who did the work; the committer is councilor.

        Raises:
            InputError: the branch exists with other content.
        """
        ...

    async def fast_forward(self, commit: str) -> str:
        """Move the branch that is checked out to a commit on top of it; gives the branch's name.

        Raises:
            InputError: it is no fast-forward, the repository is bare, no branch is checked out, or a changed file is in
                the way.
        """
        ...


class Repositories(Protocol):
    """Opens repositories."""

    async def open(self, path: Path, *, store: Path | None = None) -> Repository:
        """The repository that `path` is in.

        Args:
            store: folder for the objects of a run, made if missing; without it, only reading and comparing work.

        Raises:
            InputError: not a git repository, or one whose branch has no commit yet.
        """
        ...
