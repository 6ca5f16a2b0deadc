"""Blocking work that may never end, kept aside: a disk or a file that hangs holds up nobody else.

Rules:
- Each piece of work has a thread of its own, a daemon: neither the loop's pool of threads nor the process's end waits
  for it.
- One at a time: while a piece has not ended, whoever asks again waits for that one, and no second one is begun.
- Cancelling who waits ends the wait at once, and not the work: nothing can end a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Aside"]

T = TypeVar("T")


class Aside(Generic[T]):
    """One kind of work, done aside. Belongs to one event loop.

    Args:
        name: of its threads.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: asyncio.Future[T] | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives, or raises what it raises; of work that still runs from before, if there is any."""
        if self._running is None or self._running.done():
            self._running = self._begin(work)
        return await asyncio.shield(self._running)

    def _begin(self, work: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        future.add_done_callback(_retrieve)

        def settle(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # None is what work without an error gave

        def thread() -> None:
            result, error = None, None
            try:
                result = work()
            except BaseException as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile: nobody waits
                loop.call_soon_threadsafe(settle, result, error)

        threading.Thread(target=thread, name=self._name, daemon=True).start()
        return future


def _retrieve(future: asyncio.Future[T]) -> None:
    """Look at the exception of work that nobody waits for any more, so that the loop does not complain."""
    if not future.cancelled():
        future.exception()
