"""What the signals to stop do to a process that is to run until it gets one."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["told_to_stop"]


@contextmanager
def told_to_stop(*, second_cancels: bool = True) -> Iterator[asyncio.Event]:
    """An event that SIGTERM or SIGINT sets, instead of ending the process.

    Args:
        second_cancels: a second signal cancels the current task; without, stopping goes on as it began.
    """
    stop, loop, task = asyncio.Event(), asyncio.get_running_loop(), asyncio.current_task()

    def tell() -> None:
        if second_cancels and stop.is_set() and task is not None:
            task.cancel()
        stop.set()

    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, tell)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
