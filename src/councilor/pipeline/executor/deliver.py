"""Delivering: a published commit goes where the settings say beyond its branch.

Rules:
- `publication.started` is stored before anything leaves, so an execution that was taken over sends nothing: the store
  refuses its event.
- What was finished is never done again. What a crash interrupted is repeated where that changes nothing; else it counts
  as failed, because nobody knows what it did: only a person has it done again (`pipeline/redelivery.py`).
- A place that does not take the commit changes no outcome: the commit is on its branch, and the reason is told. The
  program that makes a pull request is not run when the push before it failed.
- Places follow one another, each within its own time limit and the task's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.codec import JsonValue
from councilor.domain.event import EventType
from councilor.domain.genai import SpanRole, role
from councilor.domain.notification import presentable
from councilor.domain.provenance import digest
from councilor.domain.publication import Publication, Told, body_of, notes_of, told_of
from councilor.domain.spec import WorkingSpec
from councilor.domain.task import Task
from councilor.domain.verdict import Verdict
from councilor.errors import CouncilorError, DeadlineError, UnavailableError
from councilor.pipeline.executor.context import RunContext
from councilor.pipeline.executor.narration import Narrator
from councilor.pipeline.history import read_events
from councilor.ports.clock import Clock
from councilor.ports.outlet import Outlet
from councilor.ports.repository import Repository
from councilor.ports.tracing import Tracer

__all__ = ["COMMAND", "PUSH", "Delivery", "blocked", "compose_publication", "deliver"]

_log = logging.getLogger(__name__)

LINE_LIMIT = 500
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
    outlets, parts = context.parts.publishing.outlets, context.parts
    if not outlets:
        return {}
    told = await read_events(parts.events, context.task.id)
    publication = compose_publication(
        context.task,
        context.spec,
        verdict,
        artifact,
        commit=commit,
        base=context.base.hash,
        worker=context.task.worker,
        notes=notes_of(told),
    )
    places = _Places(
        delivery=Delivery(
            publication=publication,
            repository=context.repository,
            begins=context.narrator,
            tells=context.narrator,
            clock=parts.clock,
            tracer=parts.tracer,
            until_s=parts.clock.monotonic() + remaining_s - RESERVE_S,
        ),
        told=told_of(told),
    )
    for outlet in outlets:
        await places.to(outlet)
    await context.narrator.flush()
    return dict(places.results)


@dataclass(kw_only=True, slots=True)
class Delivery:
    """One commit on its way, to whatever place."""

    publication: Publication
    repository: Repository
    begins: Narrator
    """Tells that something begins; refused once somebody else delivers this commit."""
    tells: Narrator
    """Tells what came of it."""
    clock: Clock
    tracer: Tracer
    until_s: float | None = None
    """When the time for all of it is over; None: only each place's own limit holds."""
    by: str | None = None
    """Who wants it delivered after the task's end; None: the run does."""

    async def attempt(self, outlet: Outlet) -> str | CouncilorError:
        """Take it to one place; gives where it is there, or why it is not.

        Raises:
            FencedError: somebody else delivers it; nothing was sent.
        """
        await self.begins.say(EventType.PUBLICATION_STARTED, target=outlet.target, by=self.by)
        began = self.clock.monotonic()
        about = role(SpanRole.CHAIN) | {"councilor.target": outlet.target}
        left_s = None if self.until_s is None else self.until_s - began
        try:
            with self.tracer.span(f"deliver {outlet.target}", attributes=about):
                async with asyncio.timeout(left_s):
                    where = await outlet.deliver(self.publication, self.repository)
        except TimeoutError:
            return self.fail(outlet, _late(outlet, left_s or 0.0, self.publication.task_id))
        except Exception as error:  # whatever it is, the commit is on its branch
            return self.fail(outlet, error)
        duration_s = round(self.clock.monotonic() - began, 6)
        line = presentable(where, LINE_LIMIT)
        await self.tells.say(EventType.PUBLICATION_FINISHED, target=outlet.target, where=line, duration_s=duration_s)
        if outlet.target == PUSH:
            self.pushed(where)
        return where

    def pushed(self, where: str) -> None:
        """Take down which remote has the branch, for the places after this one."""
        self.publication = replace(self.publication, remote=where.partition("/")[0])

    def fail(self, outlet: Outlet, error: Exception) -> CouncilorError:
        """Take down that it is not there; gives the reason as it is told."""
        told = error if isinstance(error, CouncilorError) else CouncilorError(f"{type(error).__name__}: {error}")
        problem, hint = presentable(told.message, LINE_LIMIT), presentable(told.hint(), LINE_LIMIT)
        about = {"task_id": self.publication.task_id, "target": outlet.target, "problem": problem}
        _log.warning("a commit was not published there", extra=about)
        self.tells.note(EventType.PUBLICATION_FAILED, target=outlet.target, error=problem, hint=hint)
        return told


@dataclass(kw_only=True, slots=True)
class _Places:
    """All places of one run, one after the other."""

    delivery: Delivery
    told: Mapping[str, Told]
    """What was told of each before."""
    results: dict[str, str | None] = field(default_factory=dict)

    async def to(self, outlet: Outlet) -> None:
        """Take it to one place, unless that was done or tried before."""
        before, task_id = self.told.get(outlet.target), self.delivery.publication.task_id
        if before is not None and before.last.type is not EventType.PUBLICATION_STARTED:
            where = before.where
            if where is not None and outlet.target == PUSH:
                self.delivery.pushed(where)
        elif before is not None and not outlet.repeatable:
            self.delivery.fail(outlet, _interrupted(outlet, task_id))
            where = None
        elif outlet.target == COMMAND and self.results.get(PUSH, "") is None:
            self.delivery.fail(outlet, blocked(outlet, task_id))
            where = None
        else:
            came = await self.delivery.attempt(outlet)
            where = came if isinstance(came, str) else None
        self.results[outlet.target] = where


def compose_publication(
    task: Task,
    spec: WorkingSpec,
    verdict: Verdict,
    artifact: ExecutionArtifact,
    *,
    commit: str,
    base: str,
    worker: str | None,
    notes: Sequence[str],
) -> Publication:
    """An accepted commit as others are told of it.

    Args:
        artifact: the verdict's.
        base: the commit that it follows.
        worker: who made it.
        notes: sentences about how it was published.
    """
    return Publication(
        task_id=task.id,
        repository=task.repository,
        branch=task.branch,
        commit=commit,
        base=base,
        base_ref=task.base_ref,
        title=presentable(task.title, LINE_LIMIT),
        body=body_of(spec, verdict, statement=f"sha256:{digest(artifact.statement)}", worker=worker or "", notes=notes),
    )


def blocked(outlet: Outlet, task_id: str) -> CouncilorError:
    """Why a program was not run."""
    return UnavailableError(
        "It was not run, because the branch could not be pushed before.",
        backend=outlet.target,
        hint=f"Settle the push, then: councilor deliver {task_id}",
    )


def _late(outlet: Outlet, seconds: float, task_id: str) -> CouncilorError:
    return DeadlineError(
        f"The task's time was over after {max(0.0, seconds):.1f} s of it.",
        backend=outlet.target,
        deadline_s=max(0.0, seconds),
        hint=f"The commit is on its local branch; councilor deliver {task_id} takes it there. Give the next task more"
        " time.",
    )


def _interrupted(outlet: Outlet, task_id: str) -> CouncilorError:
    return UnavailableError(
        "It was interrupted; whether it did its work is not known, and it is not run twice.",
        backend=outlet.target,
        hint=f"Look there; if it did not: councilor deliver {task_id} --to {outlet.target} --again",
    )
