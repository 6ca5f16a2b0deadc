"""Retention: which bytes may go, and how they go.

Rules:
- A rule of an artifact's kind, or a person's request, releases it. What decides or explains a decision is never
  released, nor is anything of a task that is held or has not ended.
- Bytes that only released artifacts have are marked, and erased after the grace period.
- First every task concerned gets a signed statement of the erasure, which becomes a leaf of the log; then bytes go. A
  crash in between leaves a statement too many, and the next collection goes on.
- Memory does not grow with the number of tasks: artifacts and bytes are taken page by page, a task's own at once.

It removes no record, no statement and no leaf: chains verify as before.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.keeping import ALWAYS_KEPT, CondemnedBlob, RetentionRule
from councilor.domain.listing import LARGEST_PAGE, ArtifactFilter
from councilor.domain.stored import require_text
from councilor.domain.task import END_STATES
from councilor.errors import InputError, IntegrityError, NotFoundError
from councilor.pipeline.ledger.record import Ledger
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.events import EventStream

__all__ = ["ERASURE_NAME", "REQUEST_NAME", "Collected", "Collector"]

ERASURE_NAME = "erasure"
REQUEST_NAME = "erasure/request"
"""A person's wish; unlike an erasure it excuses no missing bytes."""
MOST_BLOBS = 5000
"""Announced in one round of statements: the fewer rounds, the fewer statements in each task."""
MOST_ERASED = 100
MOST_ERASED_BYTES = 256 * 2**20
"""What one call erases, so that it ends well before a statement's time limit."""
MOST_COUNTED = 10_000
"""Marked bytes that a dry run looks at."""
_TICK = timedelta(microseconds=1)
"""What a store's clock can tell apart: bytes that were marked exactly one grace period ago may go."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """What a collection did; for a dry run, what it would do."""

    dry_run: bool
    released: int
    """Artifacts whose bytes may go from now on."""
    released_bytes: int
    condemned: int
    """Distinct bytes that are marked and wait for the end of their grace period."""
    erased: int
    """Distinct bytes that were removed."""
    erased_bytes: int
    statements: int
    """Signed statements of erasures."""
    complete: bool = True
    """False when a dry run counted no further than `MOST_COUNTED`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Collector:
    """Applies retention to what one ledger recorded."""

    ledger: Ledger
    events: EventStream
    rules: Sequence[RetentionRule]
    grace: timedelta

    @property
    def _storage(self) -> ArtifactStorage:
        return self.ledger.storage

    async def due(self) -> AsyncGenerator[Sequence[ExecutionArtifact], None]:
        """Artifacts that a rule lets go and that were not released yet, page by page."""
        now = self.ledger.clock.now()
        for rule in self.rules:
            if not rule.lets_go:
                continue
            wanted, cursor = ArtifactFilter(kind=rule.kind, until=rule.created_before(now)), None
            while True:
                page = await self._storage.list(wanted, cursor=cursor, limit=LARGEST_PAGE)
                if found := await self._due_among(page.items, rule):
                    yield found
                cursor = page.cursor
                if cursor is None:
                    break

    async def _due_among(
        self, artifacts: Sequence[ExecutionArtifact], rule: RetentionRule
    ) -> Sequence[ExecutionArtifact]:
        released = await self._storage.released([item.id for item in artifacts])
        held = {hold.task_id for hold in await self._storage.holds()}
        found = [item for item in artifacts if item.id not in released and item.task_id not in held]
        if rule.keep_last is not None:
            newest = {
                artifact_id
                for task_id in sorted({item.task_id for item in found})
                for artifact_id in _newest(await self._storage.of_task(task_id), rule.keep_last)
            }
            found = [item for item in found if item.id not in newest]
        unfinished = {task_id for task_id in {item.task_id for item in found} if not await self._has_ended(task_id)}
        return [item for item in found if item.task_id not in unfinished]

    async def _has_ended(self, task_id: str) -> bool:
        head = await self.events.head(task_id)
        return head is None or head.state in END_STATES

    async def request(self, artifact: ExecutionArtifact, reason: str) -> bool:
        """Let one artifact's bytes go whatever the rules say; False when they may go already.

        Args:
            reason: 1 to 1000 characters; signed.

        Raises:
            InputError: its kind is always kept, its task is held or has not ended, or the reason is not allowed.
        """
        require_text(reason, "reason", longest=1000)
        if artifact.kind in ALWAYS_KEPT:
            raise InputError(
                f"{artifact.name!r} is a {artifact.kind.value}, whose bytes are always kept.",
                field="artifact",
                hint="What decides or explains a decision stays; other kinds can be deleted.",
            )
        if hold := next((item for item in await self._storage.holds() if item.task_id == artifact.task_id), None):
            raise InputError(
                f"The task {artifact.task_id} is held: {hold.reason}",
                field="artifact",
                hint=f"councilor artifacts release {artifact.task_id}",
            )
        if not await self._has_ended(artifact.task_id):
            raise InputError(
                f"The task {artifact.task_id} has not ended and may need these bytes.",
                field="artifact",
                hint="Let it end first: `councilor list` shows where it stands.",
            )
        if await self._storage.released([artifact.id]):
            return False
        artifacts = await self._storage.of_task(artifact.task_id)
        await self._record(artifact.task_id, REQUEST_NAME, {"reason": reason, "requested": [artifact.id]}, artifacts)
        await self._storage.release([artifact.id])
        return True

    async def collect(self, *, dry_run: bool = False) -> Collected:
        """Release what is due, mark bytes that nothing needs, and erase those whose grace period is over.

        Args:
            dry_run: say what would be done, and change nothing.

        Raises:
            BrokenChainError: the log does not continue what was published; nothing was erased after that was seen.
        """
        released = released_bytes = 0
        async with aclosing(self.due()) as pages:
            async for page in pages:
                released += len(page)
                released_bytes += sum(item.size_bytes for item in page)
                if not dry_run:
                    await self._storage.release([item.id for item in page])
        if dry_run:
            return await self._foreseen(released, released_bytes)
        marked = await self._storage.condemn(self.ledger.clock.now())
        erased, erased_bytes, statements = await self._erase_all()
        return Collected(
            dry_run=False,
            released=released,
            released_bytes=released_bytes,
            condemned=marked - erased,
            erased=erased,
            erased_bytes=erased_bytes,
            statements=statements,
        )

    async def _foreseen(self, released: int, released_bytes: int) -> Collected:
        blobs = await self._storage.condemned(self._over, limit=MOST_COUNTED)
        return Collected(
            dry_run=True,
            released=released,
            released_bytes=released_bytes,
            condemned=(await self._storage.stats()).condemned - len(blobs),
            erased=len(blobs),
            erased_bytes=sum(blob.size_bytes for blob in blobs),
            statements=len({task_id for blob in blobs for task_id, _ in blob.artifacts}),
            complete=len(blobs) < MOST_COUNTED,
        )

    @property
    def _over(self) -> datetime:
        """The grace period is over for what was marked before then."""
        return self.ledger.clock.now() - self.grace + _TICK

    async def _erase_all(self) -> tuple[int, int, int]:
        """Erase what is due; gives how many, their bytes, and how many statements say so."""
        before = self._over
        count = size_bytes = statements = 0
        while blobs := await self._storage.condemned(before, limit=MOST_BLOBS):
            statements += await self._announce(blobs)
            erased: set[str] = set()
            for slice_ in _slices(blobs):
                digests = [blob.sha256 for blob in slice_]
                erased.update(await self._storage.erase(digests, before=before, now=self.ledger.clock.now()))
            count += len(erased)
            gone_bytes = sum(blob.size_bytes for blob in blobs if blob.sha256 in erased)
            size_bytes += gone_bytes
            self.ledger.metrics.counter("v3.artifact.bytes", {"operation": "erase"}, gone_bytes)
            if not erased:  # all of them are needed again; the next collection looks anew
                break
        return count, size_bytes, statements

    async def _announce(self, blobs: Sequence[CondemnedBlob]) -> int:
        """Record the erasure in every task that has some of these bytes; gives the number of tasks."""
        concerned: dict[str, dict[str, str]] = defaultdict(dict)
        for blob in blobs:
            for task_id, artifact_id in blob.artifacts:
                concerned[task_id][artifact_id] = blob.sha256
        for task_id, digests in sorted(concerned.items()):
            artifacts = await self._storage.of_task(task_id)
            body = {
                "reason": "retention",
                "rules": await self._reasons([item for item in artifacts if item.id in digests], artifacts),
                "artifacts": sorted(digests),
                "blobs": sorted(set(digests.values())),
            }
            await self._record(task_id, ERASURE_NAME, body, artifacts)
        await self.ledger.sequence()
        return len(concerned)

    async def _reasons(
        self, released: Sequence[ExecutionArtifact], artifacts: Sequence[ExecutionArtifact]
    ) -> Mapping[str, str]:
        """Why each was released: a request among its task's artifacts, the rule of its kind, or an earlier rule."""
        rules = {rule.kind: str(rule) for rule in self.rules if rule.lets_go}
        requested: dict[str, str] = {}
        for item in artifacts:
            if (item.kind, item.name) == (ArtifactKind.ERASURE, REQUEST_NAME):
                requested |= await self._request_of(item)
        return {
            item.id: requested.get(item.id) or rules.get(item.kind, "a rule that is not in force any more")
            for item in released
        }

    async def _request_of(self, artifact: ExecutionArtifact) -> Mapping[str, str]:
        try:
            body = json.loads(await self._storage.read(artifact.id))
        except (IntegrityError, NotFoundError):  # a request that was altered explains nothing
            return {}
        return dict.fromkeys(body["requested"], f"asked for: {body['reason']}")

    async def _record(
        self, task_id: str, name: str, body: Mapping[str, object], artifacts: Sequence[ExecutionArtifact]
    ) -> None:
        """Record a statement of a task; it follows the task's first spec, where every chain ends."""
        await self.ledger.of_task(task_id, run_id=task_id).record(
            ArtifactKind.ERASURE,
            name,
            json.dumps(body, sort_keys=True).encode(),
            parent=next((item for item in artifacts if item.kind is ArtifactKind.SPEC), None),
        )


def _newest(artifacts: Sequence[ExecutionArtifact], count: int) -> Iterator[str]:
    """The ids of the newest `count` of each name; `artifacts` are one task's, oldest first."""
    seen: Counter[str] = Counter()
    for item in reversed(artifacts):
        seen[item.name] += 1
        if seen[item.name] <= count:
            yield item.id


def _slices(blobs: Sequence[CondemnedBlob]) -> Iterator[Sequence[CondemnedBlob]]:
    """Blobs in their order, as many at a time as one call erases."""
    part: list[CondemnedBlob] = []
    size_bytes = 0
    for blob in blobs:
        if part and (len(part) == MOST_ERASED or size_bytes + blob.size_bytes > MOST_ERASED_BYTES):
            yield part
            part, size_bytes = [], 0
        part.append(blob)
        size_bytes += blob.size_bytes
    if part:
        yield part
