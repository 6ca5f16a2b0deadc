"""Wakes readers when PostgreSQL announces events: one LISTEN connection for a whole process.

Rules:
- A notification is a hint. Readers also look by themselves every `poll_s` seconds, so a lost one costs time, no event.
- A lost connection is made anew, with growing pauses; then every reader is woken, for it may have missed something.
- Entering starts the one task, leaving ends it; a reader works without it, by looking.

Source: PostgreSQL 18 manual, LISTEN and NOTIFY.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.queries import events as queries
from councilor.errors import UnavailableError

__all__ = ["EVERY_TASK", "Listener"]

EVERY_TASK = "*"
"""The announcement for more tasks than one notification can name."""
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0


class Listener:
    """The wake-up calls of one process; use it with `async with`.

    Args:
        pool: makes the connection.
        poll_s: the longest a reader waits before it looks by itself.
    """

    def __init__(self, pool: Pool, *, poll_s: float = 1.0) -> None:
        self._pool = pool
        self._poll_s = poll_s
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        self._task = self._group.create_task(self._listen(), name="event listener")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._group is not None and self._task is not None
        self._task.cancel()
        await self._group.__aexit__(None, None, None)

    @contextmanager
    def waiting(self, task_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the task may have something new; clear it before looking."""
        wake = asyncio.Event()
        self._waiting.setdefault(task_id, set()).add(wake)
        try:
            yield wake
        finally:
            self._waiting[task_id].discard(wake)
            if not self._waiting[task_id]:
                del self._waiting[task_id]

    async def pause(self, wake: asyncio.Event) -> None:
        """Wait until `wake` is set, at most `poll_s` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s):
                await wake.wait()

    async def _listen(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            with suppress(UnavailableError):
                async with self._pool.alone() as connection:
                    await connection.execute(queries.LISTEN_FOR_EVENTS)
                    pause_s = FIRST_PAUSE_S
                    self._wake(EVERY_TASK)
                    async for notification in connection.notifies():
                        self._wake(notification.payload)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _wake(self, payload: str) -> None:
        names = list(self._waiting) if payload == EVERY_TASK else payload.split()
        for name in names:
            for wake in self._waiting.get(name, ()):
                wake.set()
