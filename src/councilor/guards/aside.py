"""Blocking work that may never end, kept aside: a disk or a file that hangs holds up nobody else.

Rules:
- Each piece of work has a thread of its own, a daemon: neither the loop's pool of threads nor the process's end waits
  for it.
- `Aside` is one at a time: while a piece has not ended, whoever asks again waits for that one, no second one is begun.
- `Lanes` are a few side by side, for work that differs from call to call: who finds them all taken is refused at once.
- Cancelling who waits ends the wait at once, and not the work: nothing can end a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from councilor.errors import UnavailableError

__all__ = ["Aside", "Lanes"]

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
            self._running = _begin(work, self._name)
        return await asyncio.shield(self._running)


class Lanes:
    """Room for a few pieces of work aside. Belongs to one event loop.

    Args:
        backend: what the work is done on; the name of its threads, too.
        most: pieces at a time.
    """

    def __init__(self, backend: str, *, most: int = 32) -> None:
        self._backend = backend
        self._most = most
        self._running: set[asyncio.Future[Any]] = set()

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives, or raises what it raises.

        Raises:
            UnavailableError: too much has not ended yet.
        """
        if len(self._running) >= self._most:
            raise UnavailableError(
                f"{self._backend}: {self._most} earlier calls have not ended.",
                backend=self._backend,
                hint="A disk hangs, or a process that was stopped holds a lock there.",
            )
        future = _begin(work, self._backend)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.shield(future)


def _begin(work: Callable[[], T], name: str) -> asyncio.Future[T]:
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

    threading.Thread(target=thread, name=name, daemon=True).start()
    return future


def _retrieve(future: asyncio.Future[T]) -> None:
    """Look at the exception of work that nobody waits for any more, so that the loop does not complain."""
    if not future.cancelled():
        future.exception()
