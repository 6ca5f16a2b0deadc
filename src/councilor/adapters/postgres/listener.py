"""Hears when PostgreSQL announces events: one LISTEN connection for a whole process.

Rules:
- A notification is a hint. Whoever reads also looks by itself now and then, so a lost one costs time, no event.
- A lost connection is made anew, with growing pauses; then every task counts as announced, for something may have been
  missed.

Source: PostgreSQL 18 manual, LISTEN and NOTIFY.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.queries import events as queries
from councilor.errors import UnavailableError

__all__ = ["EVERY_TASK", "listen"]

EVERY_TASK = "*"
"""The announcement for more tasks than one notification can name."""
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 5.0


async def listen(pool: Pool, announce: Callable[[Sequence[str] | None], None]) -> None:
    """Tell of tasks that have new events, until cancelled.

    Args:
        pool: makes the connection.
        announce: is given task ids; None for any task.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        with suppress(UnavailableError):
            async with pool.alone() as connection:
                await connection.execute(queries.LISTEN_FOR_EVENTS)
                pause_s = FIRST_PAUSE_S
                announce(None)
                async for notification in connection.notifies():
                    named = notification.payload
                    announce(None if named == EVERY_TASK else named.split())
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
