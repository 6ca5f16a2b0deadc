"""Verifying a whole store: every leaf, every checkpoint, and every task.

Rules:
- The tree is built anew from the stored statements, leaf by leaf, in constant memory. At the size of each checkpoint,
  the database's own and those from outside, its root must be the checkpoint's.
- Every artifact of every task, by the steps of `verify_record`; published commits are not looked at, because their
  repositories may be elsewhere. Every statement is a leaf, or waiting to be one.
- Where events are at hand: a task that came to a verdict has artifacts, and artifacts belong to a task that has events.
- Everything is counted, but only the first findings are kept.

It changes nothing. A restore drill rests on it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass

from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.listing import LARGEST_PAGE
from councilor.domain.log import LogLeaf
from councilor.domain.merkle import RunningTree, leaf_hash
from councilor.domain.task import TaskHead, TaskState
from councilor.pipeline.ledger.finding import Finding, Verification
from councilor.pipeline.ledger.logcheck import signed_by
from councilor.pipeline.ledger.verification import verify_record
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.events import EventStream
from councilor.ports.log import TransparencyLog
from councilor.ports.signer import Verifier

__all__ = ["WholeVerification", "missing_leaves", "task_ids", "verify_all"]

MOST_FINDINGS = 100
WITH_ARTIFACTS = frozenset({TaskState.COMPLETED, TaskState.REJECTED, TaskState.UNDECIDED})


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeVerification:
    """What was checked in a whole store, and what was found."""

    tasks: int
    artifacts: int
    statements: int
    keyids: tuple[str, ...]
    leaves: int
    waiting: int
    erased: int
    own_checkpoints: int
    outside_checkpoints: int
    findings: tuple[Finding, ...]
    """The first of them."""
    findings_total: int

    @property
    def sound(self) -> bool:
        """Whether everything verified; an empty store is sound unless a checkpoint says that it was not empty."""
        return self.findings_total == 0


@dataclass(kw_only=True, slots=True)
class _Walk:
    """What a walk along the leaves found so far."""

    tree: RunningTree
    findings: list[Finding]
    total: int = 0
    own: int = 0
    outside: int = 0

    def add(self, name: str, problem: str, artifact_id: str = "") -> None:
        self.keep([Finding(artifact_id=artifact_id, name=name, problem=problem)])

    def keep(self, found: Sequence[Finding]) -> None:
        self.total += len(found)
        self.findings += found[: max(0, MOST_FINDINGS - len(self.findings))]


async def verify_all(
    storage: ArtifactStorage,
    log: TransparencyLog,
    verifier: Verifier,
    *,
    trusted: Sequence[SignedCheckpoint] = (),
    events: EventStream | None = None,
    tasks: AsyncIterator[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, all_: None,
) -> WholeVerification:
    """Verify every leaf, checkpoint and task.

    Args:
        trusted: checkpoints from outside the database.
        events: the tasks' streams; None leaves them out.
        tasks: ids of the tasks to verify; None: of all that have artifacts.
        progress: told of leaves and artifacts that are done, and of how many there are.
    """
    size = (await log.state()).size
    walk = await _walk_log(log, verifier, trusted, lambda done: progress(done, 2 * size))
    count = artifacts = statements = erased = 0
    keyids: set[str] = set()
    async for task_id in tasks or task_ids(storage):
        report = await verify_record(task_id, storage, verifier)
        walk.keep(report.findings)
        walk.keep(await missing_leaves(task_id, storage, log))
        if events is not None:
            walk.keep(_stream_findings(await events.head(task_id), report))
        count, artifacts, erased = count + 1, artifacts + report.artifacts, erased + report.erased
        statements += report.statements
        keyids |= set(report.keyids)
        progress(size + artifacts, 2 * size)
    for entry in await log.lost():
        walk.add(f"log/{entry.index}", "the artifact of this leaf was removed", entry.artifact_id)
    return WholeVerification(
        tasks=count,
        artifacts=artifacts,
        statements=statements,
        keyids=tuple(sorted(keyids)),
        leaves=walk.tree.size,
        waiting=(await log.state()).pending,
        erased=erased,
        own_checkpoints=walk.own,
        outside_checkpoints=walk.outside,
        findings=tuple(walk.findings),
        findings_total=walk.total,
    )


def _stream_findings(head: TaskHead | None, report: Verification) -> Sequence[Finding]:
    """Whether a task's events and its artifacts tell of each other."""
    if head is None:
        problem = "the task has artifacts and no events"
    elif head.state in WITH_ARTIFACTS and not report.artifacts:
        problem = f"it is {head.state} and has no artifacts"
    else:
        return []
    return [Finding(artifact_id="", name=report.task_id, problem=problem)]


async def task_ids(storage: ArtifactStorage) -> AsyncIterator[str]:
    """Every task that has an artifact, each once."""
    seen: set[str] = set()
    cursor = None
    while True:
        page = await storage.list(cursor=cursor, limit=LARGEST_PAGE)
        for artifact in page.items:
            if artifact.task_id not in seen:
                seen.add(artifact.task_id)
                yield artifact.task_id
        if (cursor := page.cursor) is None:
            return


async def _walk_log(
    log: TransparencyLog, verifier: Verifier, trusted: Sequence[SignedCheckpoint], progress: Callable[[int], None]
) -> _Walk:
    walk = _Walk(tree=RunningTree(), findings=[])
    origin = await log.origin()
    outside = sorted(trusted, key=lambda item: item.checkpoint.size)
    own = _Cursor(log)
    while leaves := await log.leaves(start=walk.tree.size, limit=LARGEST_PAGE):
        for leaf in leaves:
            _add_leaf(walk, leaf)
            for item in await own.upto(walk.tree.size):
                walk.own += _check_root(walk, item, origin, verifier, "the database's checkpoint")
            while outside and outside[0].checkpoint.size <= walk.tree.size:
                walk.outside += _check_root(walk, outside.pop(0), origin, verifier, "the checkpoint")
        progress(walk.tree.size)
    for item in [*await own.upto(None), *outside]:
        size = item.checkpoint.size if isinstance(item, SignedCheckpoint) else "?"
        if size != 0:
            walk.add(f"checkpoint of {size} leaves", f"the log has only {walk.tree.size} leaves: some were removed")
    return walk


class _Cursor:
    """The database's own checkpoints, smallest first, read page by page."""

    def __init__(self, log: TransparencyLog) -> None:
        self._log = log
        self._waiting: list[SignedCheckpoint | bytes] = []
        self._after = 0
        self._ended = False

    async def upto(self, size: int | None) -> Iterable[SignedCheckpoint | bytes]:
        """Those of at most `size` leaves that were not given yet; all that are left for None."""
        given: list[SignedCheckpoint | bytes] = []
        while True:
            if not self._waiting and not self._ended:
                await self._fill()
            if not self._waiting:
                return given
            first = self._waiting[0]
            if size is not None and isinstance(first, SignedCheckpoint) and first.checkpoint.size > size:
                return given
            given.append(self._waiting.pop(0))

    async def _fill(self) -> None:
        page = await self._log.checkpoints(after=self._after, limit=LARGEST_PAGE)
        sizes = [item.checkpoint.size for item in page if isinstance(item, SignedCheckpoint)]
        self._ended = len(page) < LARGEST_PAGE or max(sizes, default=0) <= self._after
        self._after = max(sizes, default=self._after)
        self._waiting = list(page)


def _add_leaf(walk: _Walk, leaf: LogLeaf) -> None:
    entry = leaf.entry
    if entry.index != walk.tree.size:
        walk.add(f"log/{entry.index}", f"leaf {walk.tree.size} is missing before it", entry.artifact_id)
    if leaf.statement is not None and leaf_hash(leaf.statement) != entry.leaf_hash:
        walk.add(f"log/{entry.index}", "it is not the hash of its artifact's statement", entry.artifact_id)
    walk.tree.append(entry.leaf_hash)


def _check_root(walk: _Walk, item: SignedCheckpoint | bytes, origin: str, verifier: Verifier, what: str) -> bool:
    """Whether a checkpoint is of the tree as it was built so far; says what is wrong."""
    if not isinstance(item, SignedCheckpoint):
        walk.add("checkpoint", f"{what} at {walk.tree.size} leaves is no checkpoint")
        return False
    held = item.checkpoint
    name = f"checkpoint of {held.size} leaves"
    before = walk.total
    if signed_by(item, verifier) is None:
        walk.add(name, "it is not signed by a key that is known here")
    elif held.origin != origin:
        walk.add(name, f"it is of the log {held.origin}, not of {origin}")
    elif held.size != walk.tree.size or held.root != walk.tree.root():
        walk.add(name, "the log does not continue it: leaves were altered or removed")
    return walk.total == before


async def missing_leaves(task_id: str, storage: ArtifactStorage, log: TransparencyLog) -> Sequence[Finding]:
    """Artifacts of a task whose statement is neither a leaf nor waiting to be one."""
    artifacts = {item.id: item for item in await storage.of_task(task_id)}
    entries, waiting = await log.entries(artifacts), await log.waiting(artifacts)
    findings = []
    for artifact_id, artifact in artifacts.items():
        entry = entries.get(artifact_id)
        if entry is None and artifact_id not in waiting:
            problem = "its statement is not in the log"
        elif entry is not None and entry.leaf_hash != leaf_hash(artifact.statement):
            problem = f"its statement is not leaf {entry.index} of the log"
        else:
            continue
        findings.append(Finding(artifact_id=artifact_id, name=artifact.name, problem=problem))
    return findings
