"""A process that executes what is in the queue: a few tasks at a time, until it is told to stop.

Rules:
- It has a lease as long as it works. When that is lost, everything it executes is cancelled at once: others may have
  taken it over. Whatever it would still write is refused (`EventStream.begin`).
- It looks at the queue when that says that something changed, and every `poll_s` seconds: times come by themselves.
- Every process looks for dead ones and lets what these had wait again.
- A task that has ended leaves the queue. One that was only interrupted (a fault of this machine, the engine stopped)
  waits again, longer each time; one that was begun `MOST_CLAIMS` times and never ended fails, and says so: it may be
  what kills its processes. What a fault of the machine interrupted does not count: a disk may be full for a night.
- Where a word to the queue or its answer was lost, what it takes for ours and nobody here executes waits again.
- A task that waits for a person is held in the queue and takes up nothing here; it is taken again once it goes on.
  One whose worker stands still is given back when this process is told to stop.
- A task whose predecessor ended otherwise than completed fails, and says so.
- Told to stop, it takes nothing more and lets what runs go on for `drain_s` seconds; what is left waits again.

It does not decide the order or the limits: `domain/queue.py` says them, the queue keeps them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from councilor.domain.queue import QueueEntry, QueueLimits
from councilor.domain.task import END_STATES, STANDING_STATES
from councilor.errors import CouncilorError, StandbyError, UnavailableError
from councilor.guards.hostfault import find_host_fault
from councilor.pipeline.executor import Executor
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream
from councilor.ports.queue import TaskQueue

__all__ = ["Dispatcher", "Identity", "LeaseKeeping"]

_log = logging.getLogger(__name__)

MOST_CLAIMS = 20
"""How often a task may be begun before it is taken for what kills its processes."""
EVERY_ENTRY = 1_000_000
REAP_S = 0.5
"""Seconds between two looks for the dead."""
FORGET_EVERY_S = 600.0
"""Seconds between two looks for steps that are of no use any more."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Seconds that an interrupted task waits before it is tried again, doubled each time."""

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
        told: called with each task that begins and ends here, for a display.
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

        def lose() -> None:
            loop.call_soon_threadsafe(lost.set)

        await self.queue.enlist(me.executor_id, host=me.host, pid=me.pid, version=me.version, lease_s=self.lease_s)
        try:
            with self.keep_lease(lose):
                async with asyncio.TaskGroup() as group:
                    helpers = [
                        group.create_task(self._reap()),
                        group.create_task(self._hear()),
                        group.create_task(self._forget()),
                        group.create_task(_relay(stopping, self._wake)),
                        group.create_task(_relay(lost, self._wake)),
                    ]
                    try:
                        await self._dispatch(group, stopping, lost, until_empty)
                        await self._drain(lost)
                    finally:
                        for task in [*self._running.values(), *helpers]:
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
                task = group.create_task(self._execute(entry), name=f"task {entry.task_id}")
                self._running[entry.task_id] = task
                continue
            if until_empty and not self._running and await self._is_empty():
                return
            await self._pause(self.poll_s)

    async def _is_empty(self) -> bool:
        try:
            return not await self.queue.entries(limit=1)
        except UnavailableError:
            return False

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
        me = self.identity.executor_id
        for entry in await self.queue.entries(limit=EVERY_ENTRY):
            if entry.executor_id == me and entry.task_id not in self._running:
                _log.warning("a task waits again, for a word about it was lost", extra={"task_id": entry.task_id})
                await self.queue.give_back(entry.task_id, executor_id=me, counted=False)
        self._in_doubt = False

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
            if entry.claims > MOST_CLAIMS:
                await self._settle(self._fail(entry.task_id, f"It was begun {MOST_CLAIMS} times and never ended."))
            else:
                await self._run(entry)
        except asyncio.CancelledError:
            await self._settle(self._give_back(entry, pause_s=0.0))
            raise
        finally:
            del self._running[entry.task_id]
            self._wake.set()
        self.told("ended", entry)

    async def _run(self, entry: QueueEntry) -> None:
        interrupted = False
        try:
            await self.executor.run(entry.task_id, patient=False)
        except StandbyError:
            await self._settle(self._stand_by(entry))
            return
        except Exception as error:  # a defect in one run must not stop the others
            interrupted = find_host_fault(error) is not None
            if isinstance(error, CouncilorError):
                _log.info("a task did not end as it should", extra={"task_id": entry.task_id, "problem": error.message})
            else:
                _log.exception("a task ended with a defect", extra={"task_id": entry.task_id})
        before = self._faults.pop(entry.task_id, 0)
        if interrupted:
            self._faults[entry.task_id] = before + 1
        await self._settle(self._leave_queue(entry, before + 1 if interrupted else 0))

    async def _leave_queue(self, entry: QueueEntry, faults: int) -> None:
        """Out of the queue when it has ended, else back into it."""
        head = await self.events.head(entry.task_id)
        if head is None or head.state in END_STATES:
            await self.queue.finish(entry.task_id, executor_id=self.identity.executor_id)
            self._faults.pop(entry.task_id, None)
            return
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(MOST_CLAIMS, (faults or entry.claims) - 1))
        await self._give_back(entry, pause_s=pause_s, counted=not faults)

    async def _stand_by(self, entry: QueueEntry) -> None:
        """Hold a task until a person lets it go on. Who does that meanwhile tells the stream first, then the queue."""
        await self.queue.hold(entry.task_id, paused=True)
        await self.queue.give_back(entry.task_id, executor_id=self.identity.executor_id, counted=False)
        head = await self.events.head(entry.task_id)
        if head is None or head.state not in STANDING_STATES:
            await self.queue.hold(entry.task_id, paused=False)

    async def _give_back(self, entry: QueueEntry, *, pause_s: float, counted: bool = True) -> None:
        me = self.identity.executor_id
        await self.queue.give_back(entry.task_id, executor_id=me, pause_s=pause_s, counted=counted)

    async def _settle(self, change: Awaitable[None]) -> None:
        """Tell the queue; where it does not answer, it is told before the next claim, or by the lease's end."""
        try:
            await change
        except CouncilorError as error:  # one task's trouble must not stop the others
            self._in_doubt = True
            _log.warning("the queue was not told", extra={"problem": error.message})

    async def _hear(self) -> None:
        while True:
            try:
                async for _ in self.queue.changes():
                    self._wake.set()
            except UnavailableError as error:
                _log.warning("the queue tells no changes", extra={"problem": error.message})
            await self.clock.sleep(REAP_S)

    async def _forget(self) -> None:
        while self.keep_steps_s is not None:
            try:
                if runs := await self.executor.forget(ended_before_s=self.keep_steps_s):
                    _log.info("the steps of old tasks are forgotten", extra={"tasks": runs})
            except UnavailableError as error:
                _log.warning("no steps were forgotten", extra={"problem": error.message})
            await self.clock.sleep(FORGET_EVERY_S)

    async def _reap(self) -> None:
        while True:
            try:
                for task_id in await self.queue.reap():
                    _log.warning("a task waits again, for its process is gone", extra={"task_id": task_id})
                    self._wake.set()
                for entry, because in await self.queue.doomed():
                    if await self.queue.remove(entry.task_id):
                        await self._fail(entry.task_id, f"It was to follow task {because}, which was not completed.")
            except CouncilorError as error:  # one task's trouble must not stop the others
                _log.warning("the queue cannot be looked after", extra={"problem": error.message})
            await self.clock.sleep(REAP_S)

    async def _fail(self, task_id: str, why: str) -> None:
        await self.executor.fail(task_id, error=why, hint="Submit it again once its cause is put right.")
        await self.queue.finish(task_id, executor_id=self.identity.executor_id)


async def _relay(source: asyncio.Event, to: asyncio.Event) -> None:
    await source.wait()
    to.set()
