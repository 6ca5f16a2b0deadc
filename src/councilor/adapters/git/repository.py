"""The `Repository` port on git: one method each, the work in the modules beside it.

Rules:
- The real repository's git folder is used to resolve revisions and to publish; everything else runs on the run's store,
  whose configuration is ours (`store`).
- Without a store, a temporary one is made, which disappears with this object.
- Listings of trees are remembered: a tree's name says what is in it.
- Every operation that costs more than one git command is measured as `v3.repository.seconds`; a tree that is staged
  counts as a candidate, and moving the branch there as publishing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from councilor.adapters.git import (
    advance,
    comparison,
    history,
    mailing,
    merging,
    objects,
    publication,
    staging,
    standins,
    status,
    trees,
    workspace,
)
from councilor.adapters.git.command import Git, check_name, check_version, find_git
from councilor.adapters.git.discovery import Location, locate
from councilor.adapters.git.store import make_store
from councilor.domain.change import Candidate, TreeEntry
from councilor.errors import InputError
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend
from councilor.ports.repository import Commit, Merged, Revision

__all__ = ["GitRepositories", "GitRepository"]

_REMEMBERED_TREES = 16


class GitRepository:
    """One opened repository and its run's store.

    Args:
        git: runs git on the real repository.
        store: runs git on the store.
        bare: whether there is no working copy, so nothing that differs from HEAD or could be moved forward.
    """

    def __init__(
        self,
        *,
        location: Location,
        git: Git,
        store: Git,
        object_format: str,
        bare: bool,
        clock: Clock,
        metrics: MetricsBackend,
    ) -> None:
        self.root = location.root
        self._bare = bare
        self._location = location
        self._git = git
        self._store = store
        self._object_format = object_format
        self._clock = clock
        self._metrics = metrics
        self._listings: OrderedDict[str, tuple[TreeEntry, ...]] = OrderedDict()

    async def resolve(self, revision: str) -> Commit:
        """The commit that `revision` names."""
        found = None
        if revision and not revision.startswith("-") and not set(revision) & set("\n\0"):
            found = await objects.read_object(self._git, f"{revision}^{{commit}}")
        if found is None:
            hint = "`git log --oneline --all` shows the commits."
            raise InputError(f"{revision!r} names no commit of this repository.", hint=hint)
        return objects.parse_commit(found[0], found[2])

    async def branch(self, revision: str) -> str | None:
        """Full name of the branch that `revision` stands for; None for anything else."""
        return await objects.branch_of(self._git, revision)

    async def tags(self) -> Sequence[str]:
        """Names of its tags, sorted."""
        listed = await self._git.ask("for-each-ref", "--format=%(refname:lstrip=2)", "refs/tags")
        return sorted(listed.decode("utf-8", "surrogateescape").splitlines())

    async def dirty(self) -> Sequence[str]:
        """Paths whose working copy differs from HEAD, untracked files included, sorted."""
        if self._bare:
            return ()
        with _timed("dirty", self._clock, self._metrics):
            head = await self.resolve("HEAD")
            return await status.list_dirty(
                self._git.executable,
                self._location,
                head=head.hash,
                object_format=self._object_format,
                scratch=self._store.folder / "tmp",
            )

    async def staged(self) -> str:
        """The tree that is staged for the next commit."""
        if self._bare:
            raise InputError(f"{self.root} is a bare repository: nothing is staged there.", field="staged")
        with _timed("candidate", self._clock, self._metrics):
            return await staging.staged_tree(self._store, self._location, named=os.environ.get("GIT_INDEX_FILE"))

    async def survey(self, tree: str) -> Sequence[str]:
        """What of a tree a run cannot see, a sentence each: the content of submodules and of Git LFS files."""
        with _timed("survey", self._clock, self._metrics):
            await standins.check_complete(self._store, tree, common_folder=self._location.common_folder)
            return await standins.list_stand_ins(self._store, await self.entries(tree))

    async def entries(self, tree: str) -> Sequence[TreeEntry]:
        """Every file of a tree, sorted by path."""
        if tree not in self._listings:
            self._listings[tree] = await objects.list_entries(self._store, tree)
        self._listings.move_to_end(tree)
        if len(self._listings) > _REMEMBERED_TREES:
            self._listings.popitem(last=False)
        return self._listings[tree]

    async def read(self, tree: str, path: str) -> bytes | None:
        """One file's bytes (a symbolic link's target), or None when the tree has no such file."""
        for entry in await self.entries(tree):
            if entry.path == path and entry.mode != "160000":
                return (await objects.read_blobs(self._store, [entry.hash]))[entry.hash]
        return None

    async def candidate(self, base: Commit, tree: str) -> Candidate:
        """The difference between a base commit's tree and a candidate tree, with both sides' bytes."""
        with _timed("candidate", self._clock, self._metrics):
            return await comparison.compare(self._store, base, tree)

    async def diff(self, base_tree: str, tree: str) -> bytes:
        """The binary-safe patch that turns one tree into the other."""
        with _timed("diff", self._clock, self._metrics):
            return await comparison.write_patch(self._store, base_tree, tree)

    async def patched(self, tree: str, patch: bytes) -> str:
        """The tree that a patch makes of `tree`."""
        with _timed("patched", self._clock, self._metrics):
            return await trees.apply_patch(self._store, tree, patch)

    async def composed(self, tree: str, other: str, theirs: Callable[[str], bool]) -> str:
        """`tree` with every path for which `theirs(path)` holds taken from `other`, which wins where both cannot be."""
        with _timed("composed", self._clock, self._metrics):
            ours = await self.entries(tree)
            chosen = trees.choose(ours, await self.entries(other), theirs)
            return tree if chosen == ours else await trees.write_tree(self._store, chosen)

    async def merged(self, base: Commit, onto: Commit, tree: str) -> Merged:
        """What `tree`, made on `base`, is on top of `onto`."""
        with _timed("merged", self._clock, self._metrics):
            return await merging.merge(self._store, base=base, onto=onto, tree=tree)

    async def mail(self, commit: str) -> bytes:
        """A commit of this run as a patch that `git am` takes."""
        return await mailing.write_mail(self._store, commit)

    async def history(self, commit: str, path: str, *, allowed_signers: bytes | None) -> Sequence[Revision]:
        """The commits up to `commit` that changed a file, newest first, with who signed each."""
        return await history.list_revisions(
            self._git, commit, path, allowed_signers=allowed_signers, scratch=self._store.folder / "tmp"
        )

    async def create_workspace(self, tree: str, folder: Path) -> None:
        """Make `folder` a throw-away repository with one commit that holds `tree`."""
        with _timed("create_workspace", self._clock, self._metrics):
            await workspace.make_workspace(self._store, check_name(tree), await self.entries(tree), folder)

    async def take(self, folder: Path) -> str:
        """The tree that a workspace's files make now, read without trusting its `.git`."""
        with _timed("take", self._clock, self._metrics):
            return await workspace.take_tree(self._store, folder)

    async def export(self, tree: str, folder: Path) -> None:
        """Write a tree's files into the empty `folder`, without a repository."""
        with _timed("export", self._clock, self._metrics):
            await trees.export_files(self._store, tree, folder)

    async def drift(self, tree: str, folder: Path) -> Sequence[str]:
        """Paths of `tree` whose file in `folder` is no longer the tree's, sorted."""
        with _timed("drift", self._clock, self._metrics):
            return await asyncio.to_thread(trees.list_drift, await self.entries(tree), folder)

    async def publish(self, *, tree: str, base: Commit, branch: str, message: str, author: str) -> str:
        """Commit `tree` on top of `base` on a new branch of the real repository; gives the commit's hash."""
        with _timed("publish", self._clock, self._metrics):
            return await publication.publish_tree(
                self._store, self._git, tree=tree, base=base, branch=branch, message=message, author=author
            )

    async def fast_forward(self, commit: str) -> str:
        """Move the checked-out branch to a published commit; gives the branch's name."""
        if self._bare:
            message = f"{self.root} is a bare repository: nothing is checked out there."
            raise InputError(message, hint=f"Fetch the branch into a clone, or merge {commit[:12]} there.")
        with _timed("publish", self._clock, self._metrics):
            return await advance.fast_forward(self._git, commit)


class GitRepositories:
    """Opens repositories with the host's git.

    Args:
        scratch: an existing folder for temporary stores; the system's when not given.
    """

    def __init__(self, *, clock: Clock, metrics: MetricsBackend, scratch: Path | None = None) -> None:
        self._clock = clock
        self._metrics = metrics
        self._scratch = scratch
        self._executable: str | None = None

    async def open(self, path: Path, *, store: Path | None = None) -> GitRepository:
        """The repository that `path` is in.

        Raises:
            InputError: not a git repository, or one whose branch has no commit yet.
            UnavailableError: no git, or one older than 2.30.
        """
        if self._executable is None:
            executable = find_git()
            await check_version(executable)
            self._executable = executable
        location = await asyncio.to_thread(locate, path)
        git = Git(executable=self._executable, folder=location.git_folder)
        object_format, bare = await _inspect(git, location)
        folder = (store or Path(tempfile.mkdtemp(prefix="councilor-store-", dir=self._scratch))).absolute()
        make_store(folder, common_folder=location.common_folder, object_format=object_format)
        opened = GitRepository(
            location=location,
            git=git if bare else git.at(work_tree=location.root),
            store=Git(executable=self._executable, folder=folder),
            object_format=object_format,
            bare=bare,
            clock=self._clock,
            metrics=self._metrics,
        )
        if store is None:
            weakref.finalize(opened, shutil.rmtree, folder, ignore_errors=True)
        return opened


@contextlib.contextmanager
def _timed(operation: str, clock: Clock, metrics: MetricsBackend) -> Iterator[None]:
    began = clock.monotonic()
    try:
        yield
    finally:
        metrics.histogram("v3.repository.seconds", {"operation": operation}, clock.monotonic() - began)


async def _inspect(git: Git, location: Location) -> tuple[str, bool]:
    """The repository's object format and whether it is bare, once it is known to be usable."""
    done = await git.run("rev-parse", "--show-object-format", "--is-bare-repository", "HEAD^{commit}")
    lines = done.output.decode("utf-8", "replace").splitlines()
    if len(lines) < 2:
        raise InputError(f"{location.root} is not a usable git repository: {done.reason}")
    if done.code:
        message = f"The current branch of {location.root} has no commit yet."
        raise InputError(message, hint="Commit something first: `git add . && git commit`.")
    return lines[0], lines[1] == "true"
