"""A process that executes what is in the queue: a few tasks at a time, until it is told to stop.

Rules:
- It has a lease as long as it works. When that is lost, everything it executes is cancelled at once: others may have
  taken it over. Whatever it would still write is refused (`EventStream.begin`).
- It looks at the queue when that says that something changed, and every `poll_s` seconds: times come by themselves.
- A task that has ended leaves the queue. One that was only interrupted (a fault of this machine) waits again, longer
  each time; one that was begun `MOST_CLAIMS` times and never ended fails, and says so: it may be what kills its
  processes. What a fault of the machine interrupted does not count, for a disk may be full for a night; nor does that
  this process was told to stop.
- The queue is told how a task went until it has heard: nobody else frees what a living process has. Where the answer to
  a claim was lost, what the queue takes for ours and nobody here executes waits again.
- A task that waits for a person is held in the queue and takes up nothing here; it is taken again once it goes on.
  One whose worker stands still is given back when this process is told to stop.
- It submits what schedules say (`scheduling.py`) until it is told to stop. A batch job does so once, before it looks
  whether the queue is empty: a schedule of every minute would never let it end.
- Told to stop, it takes nothing more and lets what runs go on for `drain_s` seconds; what is left waits again.

It does not decide the order or the limits: `domain/queue.py` says them, the queue keeps them. What all processes do for
each other is `upkeep.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial

from councilor.domain.queue import QueueEntry, QueueLimits
from councilor.domain.task import END_STATES, STANDING_STATES
from councilor.errors import CouncilorError, StandbyError, UnavailableError
from councilor.guards.hostfault import find_host_fault
from councilor.pipeline.executor import Executor
from councilor.pipeline.scheduling import Scheduler
from councilor.pipeline.upkeep import Upkeep, fail
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream
from councilor.ports.queue import TaskQueue

__all__ = ["Dispatcher", "Identity", "LeaseKeeping"]

_log = logging.getLogger(__name__)

MOST_CLAIMS = 20
"""How often a task may be begun before it is taken for what kills its processes."""
EVERY_ENTRY = 1_000_000
SCHEDULE_S = 1.0
"""Seconds between two looks at what is due."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Seconds that an interrupted task waits before it is tried again, doubled each time."""
AGAIN_S = 0.5
"""Seconds until a queue that did not answer is asked again."""

ENDED, WAITS = "ended", "waits again"

LeaseKeeping = Callable[[Callable[[], None]], AbstractContextManager[object]]
"""What renews this process's lease while it is entered, and calls what it is given when the lease is lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who executes."""

    executor_id: str
    host: str
    pid: int
    version: str
    """Of the steps: what was begun under another one is left to others."""


@dataclass(kw_only=True, slots=True)
class Dispatcher:
    """Executes what the queue gives.

    Args:
        keep_lease: renews the lease from outside this loop.
        parallel: most tasks at the same time.
        poll_s: seconds between two looks at the queue.
        keep_steps_s: seconds after the end of a task for which the engine remembers its steps; None: for ever.
        scheduler: submits what is due; None: nobody does here.
        told: called with each task and what it did here: `began`, then `ended` or `waits again`; for a display.
    """

    queue: TaskQueue
    executor: Executor
    events: EventStream
    clock: Clock
    identity: Identity
    keep_lease: LeaseKeeping
    limits: QueueLimits
    parallel: int
    poll_s: float
    lease_s: float
    drain_s: float
    keep_steps_s: float | None = None
    scheduler: Scheduler | None = None
    told: Callable[[str, QueueEntry], None] = lambda what, entry: None
    _running: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _wake: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _faults: dict[str, int] = field(default_factory=dict, init=False)
    """How often in a row this machine interrupted a task."""
    _in_doubt: bool = field(default=False, init=False)
    """Whether the queue may take something for ours that nobody here executes."""

    async def work(self, stopping: asyncio.Event, *, until_empty: bool = False) -> None:
        """Execute tasks until `stopping` is set, or until nothing is left that could be executed.

        Raises:
            UnavailableError: the lease was lost.
        """
        me, loop = self.identity, asyncio.get_running_loop()
        lost = asyncio.Event()
        upkeep = Upkeep(queue=self.queue, executor=self.executor, clock=self.clock)

        def lose() -> None:
            loop.call_soon_threadsafe(lost.set)

        await self.queue.enlist(me.executor_id, host=me.host, pid=me.pid, version=me.version, lease_s=self.lease_s)
        try:
            with self.keep_lease(lose):
                async with asyncio.TaskGroup() as group:
                    if until_empty:
                        await self._submit_once()
                    helpers = [
                        group.create_task(upkeep.free()),
                        group.create_task(upkeep.fail_doomed()),
                        group.create_task(upkeep.forget(self.keep_steps_s)),
                        group.create_task(self._hear()),
                        group.create_task(self._schedule(stopping, batch=until_empty)),
                        group.create_task(self._wake_when(stopping)),
                        group.create_task(self._end_when(lost)),
                    ]
                    try:
                        await self._dispatch(group, stopping, lost, until_empty)
                        await self._drain(lost)
                    finally:
                        self._cancel_running()
                        for task in helpers:
                            task.cancel()
        finally:
            if not lost.is_set():
                await self.queue.leave(me.executor_id)
        if lost.is_set():
            raise UnavailableError(
                "This process lost its lease; others go on with its tasks.",
                backend="postgres",
                hint="Look whether this machine or its connection to the database stood still.",
            )

    async def _dispatch(
        self, group: asyncio.TaskGroup, stopping: asyncio.Event, lost: asyncio.Event, until_empty: bool
    ) -> None:
        while not stopping.is_set() and not lost.is_set():
            self._wake.clear()
            entry = await self._claim() if len(self._running) < self.parallel else None
            if entry is not None:
                # One that is here was given back, but the answer was lost: who waits for that gives it back once more.
                if entry.task_id not in self._running:
                    task = group.create_task(self._execute(entry), name=f"task {entry.task_id}")
                    self._running[entry.task_id] = task
                continue
            if until_empty and not self._running and await self._is_over():
                return
            await self._pause(self.poll_s)

    async def _claim(self) -> QueueEntry | None:
        try:
            if self._in_doubt:
                await self._settle_doubt()
            return await self.queue.claim(self.identity.executor_id, limits=self.limits)
        except UnavailableError as error:
            self._in_doubt = True
            _log.warning("the queue cannot be read", extra={"problem": error.message})
            await self._pause(FIRST_PAUSE_S)
            return None

    async def _settle_doubt(self) -> None:
        for entry in await self.queue.entries(limit=EVERY_ENTRY):
            if entry.executor_id == self.identity.executor_id and entry.task_id not in self._running:
                _log.warning("a task waits again, for a word about it was lost", extra={"task_id": entry.task_id})
                await self._give_back(entry, counted=False)
        self._in_doubt = False

    async def _is_over(self) -> bool:
        """Whether nothing is left that could be executed here: what is paused waits for a person."""
        try:
            left = await self.queue.entries(limit=EVERY_ENTRY)
        except UnavailableError as error:
            _log.warning("the queue cannot be read", extra={"problem": error.message})
            return False
        return all(entry.paused or entry.version not in (None, self.identity.version) for entry in left)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _drain(self, lost: asyncio.Event) -> None:
        if lost.is_set() or not self._running:
            return
        _log.info("finishing what was begun", extra={"tasks": len(self._running), "seconds": self.drain_s})
        await self._let_go_of_standing()
        ended = asyncio.create_task(lost.wait())
        try:
            deadline = self.clock.monotonic() + self.drain_s
            while self._running and not lost.is_set() and (left := deadline - self.clock.monotonic()) > 0:
                await asyncio.wait([*self._running.values(), ended], timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            await asyncio.wait([ended])

    async def _let_go_of_standing(self) -> None:
        """Give back what stands still: it would not end while it is waited for."""
        for task_id, task in list(self._running.items()):
            try:
                head = await self.events.head(task_id)
            except UnavailableError:
                return
            if head is not None and head.state in STANDING_STATES:
                task.cancel()

    async def _execute(self, entry: QueueEntry) -> None:
        """One task, to its end or until it is interrupted."""
        self.told("began", entry)
        try:
            gives_up = entry.claims > MOST_CLAIMS
            what = await (self._settle(partial(self._give_up, entry)) if gives_up else self._run(entry))
        except asyncio.CancelledError:
            with suppress(CouncilorError):  # else the lease's end tells the queue
                await self._give_back(entry, counted=False)
            raise
        finally:
            del self._running[entry.task_id]
            self._wake.set()
        self.told(what, entry)

    async def _run(self, entry: QueueEntry) -> str:
        problem, interrupted = "", False
        try:
            await self.executor.run(entry.task_id, patient=False)
        except StandbyError:
            return await self._settle(partial(self._stand_by, entry))
        except CouncilorError as error:
            problem, interrupted = error.message, find_host_fault(error) is not None
            _log.info("a task did not end as it should", extra={"task_id": entry.task_id, "problem": error.message})
        except Exception as error:  # a defect in one run must not stop the others
            problem, interrupted = f"{type(error).__name__}: {error}", find_host_fault(error) is not None
            _log.exception("a task ended with a defect", extra={"task_id": entry.task_id})
        before = self._faults.pop(entry.task_id, 0)
        if interrupted:
            self._faults[entry.task_id] = before + 1
        return await self._settle(partial(self._leave_queue, entry, before + 1 if interrupted else 0, problem))

    async def _leave_queue(self, entry: QueueEntry, faults: int, problem: str) -> str:
        """Out of the queue when it has ended, else back into it."""
        head = await self.events.head(entry.task_id)
        if head is None or head.state in END_STATES:
            await self.queue.finish(entry.task_id, executor_id=self.identity.executor_id)
        elif entry.claims >= MOST_CLAIMS and not faults:
            await self._give_up(entry, problem)
        else:
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(MOST_CLAIMS, (faults or entry.claims) - 1))
            await self._give_back(entry, pause_s=pause_s, counted=not faults)
            return WAITS
        self._faults.pop(entry.task_id, None)
        return ENDED

    async def _stand_by(self, entry: QueueEntry) -> str:
        """Hold a task until a person lets it go on. Who does that meanwhile tells the stream first, then the queue."""
        await self.queue.hold(entry.task_id, paused=True)
        await self._give_back(entry, counted=False)
        head = await self.events.head(entry.task_id)
        if head is None or head.state not in STANDING_STATES:
            await self.queue.hold(entry.task_id, paused=False)
        return WAITS

    async def _give_up(self, entry: QueueEntry, problem: str = "") -> str:
        last = f" The last time: {problem}" if problem else ""
        await fail(self.executor, entry.task_id, f"It was begun {MOST_CLAIMS} times and never ended.{last}")
        await self.queue.finish(entry.task_id, executor_id=self.identity.executor_id)
        return ENDED

    async def _give_back(self, entry: QueueEntry, *, pause_s: float = 0.0, counted: bool = True) -> None:
        me = self.identity.executor_id
        await self.queue.give_back(entry.task_id, executor_id=me, pause_s=pause_s, counted=counted)

    async def _settle(self, change: Callable[[], Awaitable[str]]) -> str:
        """Tell the queue what became of a task, until it has heard; gives that."""
        while True:
            try:
                return await change()
            except CouncilorError as error:  # one task's trouble must not stop the others
                _log.warning("the queue was not told", extra={"problem": error.message})
            await self.clock.sleep(AGAIN_S)

    async def _hear(self) -> None:
        while True:
            try:
                async for _ in self.queue.changes():
                    self._wake.set()
            except UnavailableError as error:
                _log.warning("the queue tells no changes", extra={"problem": error.message})
            await self.clock.sleep(AGAIN_S)

    async def _wake_when(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._wake.set()

    async def _end_when(self, lost: asyncio.Event) -> None:
        # By itself: whoever dispatches may be waiting for a database that does not answer.
        await lost.wait()
        self._cancel_running()
        self._wake.set()

    async def _submit_once(self) -> None:
        """What is due, what a batch job that was killed had begun to submit among it."""
        try:
            await self.queue.reap()
        except CouncilorError as error:
            _log.warning("the queue cannot be looked after", extra={"problem": error.message})
        await self._submit_due()

    async def _schedule(self, stopping: asyncio.Event, *, batch: bool) -> None:
        while self.scheduler is not None and not batch and not stopping.is_set():
            await self._submit_due()
            await self.clock.sleep(SCHEDULE_S)

    async def _submit_due(self) -> None:
        if self.scheduler is None:
            return
        try:
            await self.scheduler.submit_due(self.identity.executor_id)
        except CouncilorError as error:  # it stays due
            _log.warning("what is due could not be submitted", extra={"problem": error.message})

    def _cancel_running(self) -> None:
        for task in self._running.values():
            if not task.cancelling():  # a second cancellation would interrupt its clean-up
                task.cancel()
