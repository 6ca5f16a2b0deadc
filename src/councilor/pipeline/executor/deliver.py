"""Delivering: a published commit goes where the settings say beyond its branch.

Rules:
- `publication.started` is stored before anything leaves, so an execution that was taken over sends nothing: the store
  refuses its event.
- What was finished is never done again. What a crash interrupted is repeated where that changes nothing; else it counts
  as failed, because nobody knows what it did.
- A place that does not take the commit changes no outcome: the commit is on its branch, and the reason is told. The
  program that makes a pull request is not run when the push before it failed.
- Places follow one another, each within its own time limit.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.codec import JsonValue
from councilor.domain.event import Event, EventType
from councilor.domain.genai import SpanRole, role
from councilor.domain.notification import presentable
from councilor.domain.provenance import digest
from councilor.domain.publication import Publication, body_of
from councilor.domain.verdict import Verdict
from councilor.errors import CouncilorError, UnavailableError
from councilor.pipeline.executor.context import RunContext
from councilor.ports.outlet import Outlet

__all__ = ["deliver"]

_log = logging.getLogger(__name__)

LINE_LIMIT = 500
PAGE = 500
PUSH, COMMAND = "push", "command"


async def deliver(context: RunContext, verdict: Verdict, artifact: ExecutionArtifact, commit: str) -> JsonValue:
    """Take a published commit to every configured place; gives target -> where it is, null where it is not."""
    outlets = context.parts.publishing.outlets
    if not outlets:
        return {}
    told = await _told(context)
    publication = _compose(context, verdict, artifact, commit)
    results: dict[str, str | None] = {}
    for outlet in outlets:
        before = told.get(outlet.target)
        if before is None or (before.type is EventType.PUBLICATION_STARTED and outlet.repeatable):
            where = await _attempt(context, outlet, publication, blocked=_blocked(outlet, results))
        elif before.type is EventType.PUBLICATION_STARTED:
            where = None
            _note_failed(context, outlet, _interrupted(outlet))
        else:
            where = before.data.get("where")
        results[outlet.target] = where
        if outlet.target == PUSH and where is not None:
            publication = replace(publication, remote=where.partition("/")[0])
    await context.narrator.flush()
    return dict(results)


async def _told(context: RunContext) -> Mapping[str, Event]:
    """The last thing that was told of each place."""
    told: dict[str, Event] = {}
    types = {EventType.PUBLICATION_STARTED, EventType.PUBLICATION_FINISHED, EventType.PUBLICATION_FAILED}
    after = 0
    while page := await context.parts.events.read(context.task.id, after=after, limit=PAGE):
        told |= {str(event.data["target"]): event for event in page if event.type in types}
        after = page[-1].seq
    return told


def _compose(context: RunContext, verdict: Verdict, artifact: ExecutionArtifact, commit: str) -> Publication:
    task = context.task
    return Publication(
        task_id=task.id,
        repository=task.repository,
        branch=task.branch,
        commit=commit,
        base=context.base.hash,
        base_ref=task.base_ref,
        title=presentable(task.title, LINE_LIMIT),
        body=body_of(context.spec, verdict, statement=f"sha256:{digest(artifact.statement)}", worker=task.worker or ""),
    )


def _blocked(outlet: Outlet, results: Mapping[str, str | None]) -> bool:
    return outlet.target == COMMAND and PUSH in results and results[PUSH] is None


async def _attempt(context: RunContext, outlet: Outlet, publication: Publication, *, blocked: bool) -> str | None:
    if blocked:
        _note_failed(context, outlet, _blocked_by_push(outlet))
        return None
    clock = context.parts.clock
    await context.narrator.say(EventType.PUBLICATION_STARTED, target=outlet.target)
    began = clock.monotonic()
    try:
        with context.parts.tracer.span(
            "deliver", attributes=role(SpanRole.CHAIN) | {"councilor.target": outlet.target}
        ):
            where = await outlet.deliver(publication, context.repository)
    except Exception as error:  # whatever it is, the commit is on its branch
        _note_failed(context, outlet, error)
        return None
    context.narrator.note(
        EventType.PUBLICATION_FINISHED,
        target=outlet.target,
        where=presentable(where, LINE_LIMIT),
        duration_s=round(clock.monotonic() - began, 6),
    )
    await context.narrator.flush()
    return where


def _blocked_by_push(outlet: Outlet) -> CouncilorError:
    return UnavailableError(
        "It was not run, because the branch could not be pushed before.",
        backend=outlet.target,
        hint="Settle the push, then run it yourself.",
    )


def _interrupted(outlet: Outlet) -> CouncilorError:
    return UnavailableError(
        "It was interrupted; whether it did its work is not known, and it is not run twice.",
        backend=outlet.target,
        hint="Look there, and run it yourself if it did not.",
    )


def _note_failed(context: RunContext, outlet: Outlet, error: Exception) -> None:
    told = error if isinstance(error, CouncilorError) else CouncilorError(f"{type(error).__name__}: {error}")
    problem, hint = presentable(told.message, LINE_LIMIT), presentable(told.hint(), LINE_LIMIT)
    _log.warning("a commit was not published there", extra={"task_id": context.task.id, "target": outlet.target})
    context.narrator.note(EventType.PUBLICATION_FAILED, target=outlet.target, error=problem, hint=hint)
