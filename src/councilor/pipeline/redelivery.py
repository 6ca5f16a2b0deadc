"""Redelivery: a person has an accepted commit taken where the settings say now, after its task has ended.

Rules:
- Only the commit of a completed task, which is still exactly what a signed verdict accepts, and which no person has
  rejected since.
- What has the commit is left alone unless it is named. A push and a patch file are then made again, which changes
  nothing where they are there.
- A program that has been begun for the task is run again only when that is said (`again`), and not while it may still
  be running: its newest start is younger than what it may take.
- Of two redeliveries at the same time one takes the commit anywhere: the later one's attempt fences off the other's
  starts, which are stored before anything leaves (`EventStream.begin`). What came of a start is always told.
- Everything is told on the task's stream, after its end; the end stays what it is.

It does not decide what the places do: `executor/deliver.py` and the outlets.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.codec import decode
from councilor.domain.event import Event, EventType, InterventionKind
from councilor.domain.intervention import require_words
from councilor.domain.provenance import digest
from councilor.domain.publication import Told, notes_of, told_of
from councilor.domain.spec import load_spec
from councilor.domain.task import Task, TaskHead, TaskState
from councilor.domain.verdict import Decision, Verdict
from councilor.errors import BusyError, CouncilorError, FencedError, InputError, IntegrityError, NotFoundError
from councilor.pipeline.executor.deliver import COMMAND, PUSH, Delivery, blocked, compose_publication
from councilor.pipeline.executor.narration import Narrator
from councilor.pipeline.history import read_events
from councilor.pipeline.ledger import Ledger, verified_body
from councilor.pipeline.ledger.verification import STATEMENT_TRAILER
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream
from councilor.ports.metrics import MetricsBackend
from councilor.ports.outlet import Outlet
from councilor.ports.repository import Commit, Repositories, Repository
from councilor.ports.tracing import Tracer

__all__ = ["Delivered", "Redelivery"]

LATE_S = 5.0
"""Seconds that a program may take to end beyond its limit, and its process to tell what came of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered:
    """What came of one place."""

    target: str
    outcome: str
    """`delivered`, `as before` (it had the commit, and was left alone), `failed`, or `refused`: nothing was tried."""
    where: str = ""
    """Untrusted."""
    error: str = ""
    hint: str = ""

    @property
    def there(self) -> bool:
        """Whether the commit is there."""
        return self.outcome in ("delivered", "as before")


@dataclass(frozen=True, kw_only=True, slots=True)
class Redelivery:
    """Takes accepted commits to places.

    Args:
        outlets: the configured places, in their order.
        timeout_s: seconds that a program may take.
    """

    events: EventStream
    ledger: Ledger
    repositories: Repositories
    clock: Clock
    metrics: MetricsBackend
    tracer: Tracer
    outlets: Sequence[Outlet]
    timeout_s: float

    async def deliver(
        self, task_id: str, *, by: str, to: Collection[str] = (), again: bool = False
    ) -> Sequence[Delivered]:
        """Take a task's commit to the configured places.

        Args:
            by: who wants it.
            to: only these, and also when they have it; empty: all that do not have it.
            again: also what is not repeated otherwise.

        Raises:
            InputError: nothing is configured, or the task has nothing that could be delivered.
            IntegrityError: the commit is not what was accepted.
            BusyError: somebody else delivers it.
        """
        require_words(by, "by", longest=255)
        outlets = self._chosen(to)
        head = await self._completed(task_id)
        told = await read_events(self.events, task_id)
        _require_not_rejected(task_id, told)
        repository = await self.repositories.open(Path(head.repository))
        before = told_of(told)
        answers = {item.target: self._answer(item, before, task_id, named=bool(to), again=again) for item in outlets}
        if all(answer is not None for answer in answers.values()):
            return [answer for answer in answers.values() if answer is not None]
        delivery = await self._prepare(head, told, repository, by=by)
        now = told_of(await read_events(self.events, task_id))  # nobody else begins anything from here on
        if PUSH in now and (where := now[PUSH].where):
            delivery.pushed(where)
        found: list[Delivered] = []
        with self.tracer.trace(task_id):
            try:
                for outlet in outlets:
                    answer = answers[outlet.target] or _raced(outlet, before, now, task_id)
                    answer = answer or self._blocked(outlet, now, found, task_id)
                    found.append(answer or await _take(delivery, outlet))
            finally:
                await delivery.tells.flush()
        return found

    def _chosen(self, to: Collection[str]) -> Sequence[Outlet]:
        known = [outlet.target for outlet in self.outlets]
        if not known:
            raise InputError(
                "No place is configured that a commit could be taken to.",
                field="publish",
                hint="Set publish.push, publish.patch or publish.command: councilor --set publish.push=origin deliver",
            )
        if missing := sorted(set(to) - set(known)):
            raise InputError(
                f"{missing[0]} is not configured; there is {', '.join(known)}.",
                field="to",
                hint=f"Set publish.{missing[0]}.",
            )
        return [outlet for outlet in self.outlets if not to or outlet.target in to]

    async def _completed(self, task_id: str) -> TaskHead:
        head = await self.events.head(task_id)
        if head is None:
            raise NotFoundError(f"There is no task {task_id}.", hint="`councilor list` shows the newest.")
        if head.state is not TaskState.COMPLETED or head.commit is None:
            published = "published nothing" if head.state is TaskState.COMPLETED else f"is {head.state.value}"
            raise InputError(
                f"Task {task_id} {published}; only an accepted commit can be delivered.",
                field="task",
                hint=f"councilor show --why {task_id}",
            )
        return head

    def _answer(
        self, outlet: Outlet, told: Mapping[str, Told], task_id: str, *, named: bool, again: bool
    ) -> Delivered | None:
        """What can be said of a place without trying anything; None: the commit is to be taken there."""
        before, target = told.get(outlet.target), outlet.target
        if before is None:
            return None
        if before.last.type is EventType.PUBLICATION_FINISHED and not again and not (named and outlet.repeatable):
            return Delivered(target=target, outcome="as before", where=before.where or "")
        if outlet.repeatable or before.begun is None:
            return None
        if before.last.type is EventType.PUBLICATION_STARTED:
            age_s = (self.clock.now() - before.begun.ts).total_seconds()
            if (left_s := self.timeout_s + LATE_S - age_s) > 0:
                error = f"It was begun {age_s:.0f} s ago, and may still be running."
                return _refused(target, error, f"See what it does, or wait {left_s:.0f} s.")
        if not again:
            error = "It was begun for this task before; what it did is not known, and it is not run twice by itself."
            return _refused(target, error, f"Look there; then: councilor deliver {task_id} --to {target} --again")
        return None

    async def _prepare(self, head: TaskHead, told: Sequence[Event], repository: Repository, *, by: str) -> Delivery:
        """The commit ready to go, with what it says of itself; from then on nobody else begins to deliver it."""
        commit = await repository.resolve(str(head.commit))
        verdict, artifact = await self._verdict(head.task_id, commit)
        base = await repository.resolve(f"{commit.hash}^")
        task = decode(Task, told[0].data["task"])
        spec = load_spec(task.spec_text, source="the submitted spec")
        worker = commit.author.partition(" <")[0]
        attempt = await self.events.begin(head.task_id)
        return Delivery(
            publication=compose_publication(
                task, spec, verdict, artifact, commit=commit.hash, base=base.hash, worker=worker, notes=notes_of(told)
            ),
            repository=repository,
            begins=self._narrator(head.task_id, attempt),
            tells=self._narrator(head.task_id, 0),
            clock=self.clock,
            tracer=self.tracer,
            by=by,
        )

    def _narrator(self, task_id: str, attempt: int) -> Narrator:
        return Narrator(task_id=task_id, attempt=attempt, events=self.events, clock=self.clock, metrics=self.metrics)

    async def _verdict(self, task_id: str, commit: Commit) -> tuple[Verdict, ExecutionArtifact]:
        """The verdict that the commit names, if it is signed, accepts, and is about exactly this tree.

        Commits of older releases name none; then it is the newest one.
        """
        named = commit.trailer(STATEMENT_TRAILER)
        for artifact in reversed(await self.ledger.storage.of_task(task_id)):
            if artifact.kind is not ArtifactKind.VERDICT:
                continue
            if named not in (None, f"sha256:{digest(artifact.statement)}"):
                continue
            verifier = self.ledger.verifier
            body = await verified_body(artifact, self.ledger.storage, verifier) if verifier is not None else None
            verdict = decode(Verdict, json.loads(body)) if body is not None else None
            if verdict is not None and verdict.decision is Decision.ACCEPT and verdict.tree == commit.tree:
                return verdict, artifact
        raise IntegrityError(
            f"The commit {commit.hash[:12]} is not what a signed verdict accepts; it is taken nowhere.",
            hint=f"councilor verify {task_id}",
        )

    def _blocked(
        self, outlet: Outlet, told: Mapping[str, Told], found: Sequence[Delivered], task_id: str
    ) -> Delivered | None:
        """A refusal to run the program where the branch was to be pushed and is not."""
        if outlet.target != COMMAND or PUSH not in [each.target for each in self.outlets]:
            return None
        tried = next((each.there for each in found if each.target == PUSH), None)
        if tried or (tried is None and PUSH in told and told[PUSH].where is not None):
            return None
        error = blocked(outlet, task_id)
        return _refused(COMMAND, error.message, error.hint())


async def _take(delivery: Delivery, outlet: Outlet) -> Delivered:
    task_id = delivery.publication.task_id
    try:
        came = await delivery.attempt(outlet)
    except FencedError as error:
        raise BusyError(
            f"Somebody else delivers task {task_id} at the moment; it is left to them.",
            hint=f"councilor show {task_id} tells what comes of it.",
        ) from error
    if isinstance(came, CouncilorError):
        return Delivered(target=outlet.target, outcome="failed", error=came.message, hint=came.hint())
    return Delivered(target=outlet.target, outcome="delivered", where=came)


def _raced(outlet: Outlet, before: Mapping[str, Told], now: Mapping[str, Told], task_id: str) -> Delivered | None:
    """A refusal where somebody else has begun a program since this one looked."""
    if outlet.repeatable or before.get(outlet.target) == now.get(outlet.target):
        return None
    return _refused(outlet.target, "Somebody else has just begun it.", f"councilor show {task_id}")


def _refused(target: str, error: str, hint: str) -> Delivered:
    return Delivered(target=target, outcome="refused", error=error, hint=hint)


def _require_not_rejected(task_id: str, told: Sequence[Event]) -> None:
    overrides = [
        event.data
        for event in told
        if event.type is EventType.INTERVENTION and event.data.get("kind") == InterventionKind.OVERRIDE
    ]
    if overrides and overrides[-1]["decision"] == Decision.REJECT.value:
        raise InputError(
            f"{overrides[-1]['by']} has rejected task {task_id} since: {overrides[-1]['reason']}",
            field="task",
            hint=f"If that is taken back: councilor override {task_id} accept --reason WHY",
        )
