"""From an artifact to what came of it: its task, the task's newest verdict, the published commit, and what was recorded
about that commit's tree in other tasks later.

It believes what is stored; `verify` checks that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.listing import LARGEST_PAGE, ArtifactFilter
from councilor.domain.task import TaskHead
from councilor.errors import IntegrityError, NotFoundError
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.events import EventStream

__all__ = ["Trace", "trace"]

MOST_LATER = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """What came of an artifact."""

    artifact: ExecutionArtifact
    task: TaskHead | None
    """None: its task's events are not here."""
    verdict: ExecutionArtifact | None
    """The task's newest verdict."""
    decision: str | None
    """What that verdict decided; None also when its bytes were altered."""
    later: Sequence[ExecutionArtifact]
    """About the published commit's tree, in other tasks, newest first; at most 50."""
    complete: bool
    """False when there are more."""


async def trace(artifact: ExecutionArtifact, storage: ArtifactStorage, events: EventStream) -> Trace:
    """Follow an artifact to its task's verdict and commit, and beyond."""
    task = await events.head(artifact.task_id)
    page = await storage.list(ArtifactFilter(task_id=artifact.task_id, kind=ArtifactKind.VERDICT), limit=1)
    verdict = page.items[0] if page.items else None
    later: Sequence[ExecutionArtifact] = ()
    if task and task.commit and verdict and verdict.tree:
        later = await _later(verdict, verdict.tree, storage)
    return Trace(
        artifact=artifact,
        task=task,
        verdict=verdict,
        decision=await _decision(verdict, storage) if verdict else None,
        later=later[:MOST_LATER],
        complete=len(later) <= MOST_LATER,
    )


async def _decision(verdict: ExecutionArtifact, storage: ArtifactStorage) -> str | None:
    try:
        return str(json.loads(await storage.read(verdict.id))["decision"])
    except (IntegrityError, NotFoundError, ValueError, KeyError, TypeError):
        return None


async def _later(verdict: ExecutionArtifact, tree: str, storage: ArtifactStorage) -> Sequence[ExecutionArtifact]:
    """At most one more than `MOST_LATER`; pages are newest first, so the first that is older ends the search."""
    found: list[ExecutionArtifact] = []
    cursor = None
    while len(found) <= MOST_LATER:
        page = await storage.list(ArtifactFilter(tree=tree), cursor=cursor, limit=LARGEST_PAGE)
        newer = [item for item in page.items if item.id > verdict.id]
        found += [item for item in newer if item.task_id != verdict.task_id]
        cursor = page.cursor
        if cursor is None or len(newer) < len(page.items):
            break
    return found[: MOST_LATER + 1]
