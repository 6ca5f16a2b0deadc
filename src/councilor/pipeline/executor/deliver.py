"""Delivering: a published commit goes where the settings say beyond its branch.

Rules:
- `publication.started` is stored before anything leaves, so an execution that was taken over sends nothing: the store
  refuses its event.
- What was finished is never done again. What a crash interrupted is repeated where that changes nothing; else it counts
  as failed, because nobody knows what it did.
- A place that does not take the commit changes no outcome: the commit is on its branch, and the reason is told. The
  program that makes a pull request is not run when the push before it failed.
- Places follow one another, each within its own time limit and the task's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.codec import JsonValue
from councilor.domain.event import Event, EventType
from councilor.domain.genai import SpanRole, role
from councilor.domain.notification import presentable
from councilor.domain.provenance import digest
from councilor.domain.publication import Publication, body_of
from councilor.domain.verdict import Verdict
from councilor.errors import CouncilorError, DeadlineError, UnavailableError
from councilor.pipeline.executor.context import RunContext
from councilor.ports.outlet import Outlet

__all__ = ["deliver"]

_log = logging.getLogger(__name__)

LINE_LIMIT = 500
PAGE = 500
PUSH, COMMAND = "push", "command"
RESERVE_S = 2.0
"""Seconds of the task's time that are kept for telling its end: its deadline must not undo an acceptance."""


async def deliver(
    context: RunContext, verdict: Verdict, artifact: ExecutionArtifact, commit: str, *, remaining_s: float
) -> JsonValue:
    """Take a published commit to every configured place; gives target -> where it is, null where it is not.

    Args:
        remaining_s: seconds that the task has left.
    """
    outlets = context.parts.publishing.outlets
    if not outlets:
        return {}
    delivery = _Delivery(
        context=context,
        publication=_compose(context, verdict, artifact, commit),
        told=await _told(context),
        until_s=context.parts.clock.monotonic() + remaining_s - RESERVE_S,
    )
    for outlet in outlets:
        await delivery.to(outlet)
    await context.narrator.flush()
    return dict(delivery.results)


@dataclass(kw_only=True, slots=True)
class _Delivery:
    """One commit on its way."""

    context: RunContext
    publication: Publication
    told: Mapping[str, Event]
    """What was told of each place before."""
    until_s: float
    """When the task's time is over, less what ending it takes."""
    results: dict[str, str | None] = field(default_factory=dict)

    async def to(self, outlet: Outlet) -> None:
        """Take it to one place, unless that was done or tried before."""
        before = self.told.get(outlet.target)
        if before is not None and before.type is not EventType.PUBLICATION_STARTED:
            where = before.data.get("where")
        elif before is not None and not outlet.repeatable:
            where = self._fail(outlet, _interrupted(outlet))
        elif outlet.target == COMMAND and self.results.get(PUSH, "") is None:
            where = self._fail(outlet, _blocked(outlet))
        else:
            where = await self._attempt(outlet)
        self.results[outlet.target] = where
        if outlet.target == PUSH and where is not None:
            self.publication = replace(self.publication, remote=where.partition("/")[0])

    async def _attempt(self, outlet: Outlet) -> str | None:
        context = self.context
        await context.narrator.say(EventType.PUBLICATION_STARTED, target=outlet.target)
        began = context.parts.clock.monotonic()
        about = role(SpanRole.CHAIN) | {"councilor.target": outlet.target}
        try:
            with context.parts.tracer.span(f"deliver {outlet.target}", attributes=about):
                async with asyncio.timeout(self.until_s - began):
                    where = await outlet.deliver(self.publication, context.repository)
        except TimeoutError:
            return self._fail(outlet, _late(outlet, self.until_s - began))
        except Exception as error:  # whatever it is, the commit is on its branch
            return self._fail(outlet, error)
        duration_s = round(context.parts.clock.monotonic() - began, 6)
        line = presentable(where, LINE_LIMIT)
        await context.narrator.say(
            EventType.PUBLICATION_FINISHED, target=outlet.target, where=line, duration_s=duration_s
        )
        return where

    def _fail(self, outlet: Outlet, error: Exception) -> str | None:
        told = error if isinstance(error, CouncilorError) else CouncilorError(f"{type(error).__name__}: {error}")
        problem, hint = presentable(told.message, LINE_LIMIT), presentable(told.hint(), LINE_LIMIT)
        about = {"task_id": self.publication.task_id, "target": outlet.target, "problem": problem}
        _log.warning("a commit was not published there", extra=about)
        self.context.narrator.note(EventType.PUBLICATION_FAILED, target=outlet.target, error=problem, hint=hint)
        return None


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


def _late(outlet: Outlet, seconds: float) -> CouncilorError:
    return DeadlineError(
        f"The task's time was over after {max(0.0, seconds):.1f} s of it.",
        backend=outlet.target,
        deadline_s=max(0.0, seconds),
        hint="The commit is on its local branch; take it there yourself, and give the next task more time.",
    )


def _blocked(outlet: Outlet) -> CouncilorError:
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
