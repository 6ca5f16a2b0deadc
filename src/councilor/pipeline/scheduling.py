"""Schedules at work: each due time becomes one submitted and queued task, or a reason why not.

Rules:
- A due time is taken, its task submitted, put into the queue, and then it is settled. Whatever ends this process in
  between, another takes the due time again; a task that is there is only queued and settled, never drafted again.
- The base is the tip of the schedule's branch at that moment; a spec of the repository is read from that base.
- Uncommitted changes of a working copy are no part of it, and keep nothing from being submitted.
- What keeps a task from being drafted is told: in the schedule, in the log, and, once until it changes, to who wants to
  be told of failures. The next due time is another try.
- A due time that was taken `MOST_TAKES` times without an end fails: it may be what kills its processes.

It does not decide what is due: `domain/schedule.py` does, by the store's clock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from councilor.domain.notification import Notification, is_wanted, presentable, refused_submission
from councilor.domain.queue import QueueEntry
from councilor.domain.schedule import Due, DueOutcome, Overlap, Schedule, Settlement
from councilor.domain.task import END_STATES, Task, TaskHead
from councilor.errors import CouncilorError
from councilor.pipeline.executor import Executor
from councilor.pipeline.rules import read_spec_at
from councilor.pipeline.submission import Order, draft_task
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream
from councilor.ports.metrics import MetricsBackend
from councilor.ports.notifier import Notifier
from councilor.ports.queue import TaskQueue
from councilor.ports.repository import Repositories
from councilor.ports.schedules import Schedules

__all__ = ["MOST_TAKES", "Scheduler", "draft_scheduled"]

_log = logging.getLogger(__name__)

MOST_TAKES = 20
"""How often a due time may be taken before it is taken for what kills its processes."""
DRAFT_S = 300.0
"""Seconds for drafting one task: reading a repository, which may be on a file system that hangs."""
ERROR_LIMIT = 1000


@dataclass(kw_only=True, slots=True)
class Scheduler:
    """Submits what schedules say.

    Args:
        executor: stores submitted tasks.
        notifiers: who is told of a submission that failed, if `notify_on` names failures.
    """

    schedules: Schedules
    repositories: Repositories
    executor: Executor
    events: EventStream
    queue: TaskQueue
    clock: Clock
    metrics: MetricsBackend
    notifiers: Sequence[Notifier] = ()
    notify_on: Collection[str] = ()

    async def submit_due(self, executor_id: str) -> int:
        """Deal with everything that is due and that no other process deals with; gives how many due times.

        Args:
            executor_id: this process, which has a lease.

        Raises:
            UnavailableError: the store does not answer; what was taken stays taken, and is dealt with later.
        """
        done, messages = 0, list[Notification]()
        try:
            while (due := await self.schedules.take(executor_id)) is not None:
                settlement = await self._deal(due)
                settled = await self.schedules.settle(due, settlement)
                self._tell(due, settlement, settled=settled)
                if settled and settlement.error is not None and settlement.error != due.last_error:
                    messages.append(refused_submission(due, settlement, now=self.clock.now()))
                done += 1
        except asyncio.CancelledError:
            messages.clear()  # whoever ends this process does not wait for them
            raise
        finally:
            for message in messages:  # last: who is told may be slow, and nothing due waits for that
                await self._notify(message)
        return done

    async def _deal(self, due: Due) -> Settlement:
        """Have the task of a due time submitted and queued."""
        head = await self.events.head(due.task_id)
        if head is None:
            if (refusal := await self._refuse(due)) is not None:
                return refusal
            drafted = await self._draft(due)
            if isinstance(drafted, Settlement):
                return drafted
            await self.executor.submit(drafted, due=due)
            head = await self.events.head(due.task_id)
        assert head is not None, "it was submitted"
        await self._enqueue(head, due)
        return Settlement(outcome=DueOutcome.SUBMITTED)

    async def _refuse(self, due: Due) -> Settlement | None:
        """Why nothing is to be submitted for a due time; None where something is."""
        if due.late_s > due.schedule.catch_up_s:
            return Settlement(outcome=DueOutcome.MISSED)
        if due.schedule.overlap is Overlap.SKIP and await self._is_at_work(due.last_task_id):
            return Settlement(outcome=DueOutcome.SKIPPED)
        if due.takes > MOST_TAKES:
            return Settlement(
                outcome=DueOutcome.FAILED,
                error=f"It was begun {MOST_TAKES} times and never submitted.",
                hint="The log of the worker processes says what ended them.",
            )
        return None

    async def _is_at_work(self, task_id: str | None) -> bool:
        """Whether a task has not ended; one that a person took out of the queue waits for nothing."""
        if task_id is None:
            return False
        head = await self.events.head(task_id)
        return head is not None and head.state not in END_STATES and await self.queue.find(task_id) is not None

    async def _draft(self, due: Due) -> Task | Settlement:
        """The task of a due time, or why there can be none."""
        try:
            async with asyncio.timeout(DRAFT_S):
                return await draft_scheduled(due.schedule, due.task_id, self.repositories, clock=self.clock)
        except TimeoutError:
            error = CouncilorError(
                f"It took longer than {DRAFT_S:g} s to read the repository {due.schedule.repository}.",
                hint="Look whether its file system answers.",
            )
        except CouncilorError as refusal:
            error = refusal
        except Exception as defect:  # a defect of one schedule must not stop the others
            _log.debug("a defect", exc_info=defect)
            error = CouncilorError(f"{type(defect).__name__}: {defect}")
        return Settlement(
            outcome=DueOutcome.FAILED,
            error=presentable(error.message, ERROR_LIMIT),
            hint=presentable(error.hint(), ERROR_LIMIT),
        )

    async def _enqueue(self, head: TaskHead, due: Due) -> None:
        if head.state in END_STATES:
            return
        await self.queue.add(
            QueueEntry(
                task_id=head.task_id,
                repository=head.repository,
                tier=head.tier,
                priority=due.schedule.priority,
                enqueued_at=self.clock.now(),
            )
        )

    def _tell(self, due: Due, settlement: Settlement, *, settled: bool) -> None:
        about = {
            "schedule": due.schedule.name,
            "due_at": due.due_at.isoformat(),
            "late_s": round(due.late_s, 3),
            "outcome": settlement.outcome.value,
        }
        if due.passed:
            _log.warning("due times passed unseen", extra=about | {"passed": due.passed})
        match settlement.outcome:
            case DueOutcome.SUBMITTED:
                _log.info("a schedule submitted its task", extra=about | {"task_id": due.task_id})
            case DueOutcome.SKIPPED:
                _log.info("a due time is skipped, for the last task has not ended", extra=about)
            case DueOutcome.MISSED:
                _log.warning("a due time was missed", extra=about)
            case DueOutcome.FAILED:
                _log.warning("a schedule could not submit its task", extra=about | {"problem": settlement.error})
        if settled:
            self.metrics.counter("v3.schedule.due", {"outcome": settlement.outcome.value})
        else:
            _log.info("the schedule is gone, or another process settled its due time", extra=about)

    async def _notify(self, message: Notification) -> None:
        if not is_wanted(message.reason, self.notify_on):
            return
        for notifier in self.notifiers:
            outcome = "sent"
            try:
                await notifier.send(message)
            except Exception as error:  # one channel's defect must not keep the others from being tried
                outcome = "failed"
                problem = error.message if isinstance(error, CouncilorError) else f"{type(error).__name__}: {error}"
                told = {"channel": notifier.channel, "problem": presentable(problem, ERROR_LIMIT)}
                _log.warning("a notification was not sent", extra=told)
            self.metrics.counter("v3.notification.results", {"channel": notifier.channel, "outcome": outcome})


async def draft_scheduled(schedule: Schedule, task_id: str, repositories: Repositories, *, clock: Clock) -> Task:
    """The task that a schedule asks for now; nothing is stored yet.

    Raises:
        InputError: the repository, the branch or the spec is not there, or the spec does not allow it.
        NotFoundError: the branch does not have the spec any more.
    """
    repository = await repositories.open(Path(schedule.repository))
    base = await repository.resolve(schedule.base_ref)
    text = schedule.spec_text
    if schedule.spec_path is not None:
        text = await read_spec_at(repository, base.tree, schedule.spec_path)
    order = Order(
        spec_text=text,
        base=base,
        worker=schedule.worker,
        crew=schedule.crew,
        candidates=schedule.candidates,
        max_tokens=schedule.max_tokens,
        max_cost_usd=schedule.max_cost_usd,
        mode=schedule.mode,
        max_iterations=schedule.max_iterations,
        deadline_s=schedule.deadline_s,
        flags=schedule.flags,
        allow_dirty=True,
        base_ref=schedule.base_ref,
    )
    return await draft_task(order, repository, clock=clock, ids=_Named(task_id))


@dataclass(frozen=True, slots=True)
class _Named:
    """`Ids` of which the one is known beforehand."""

    id: str

    def new(self) -> str:
        """That id."""
        return self.id
