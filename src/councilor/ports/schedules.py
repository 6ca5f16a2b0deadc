"""The schedules, of which each due time is dealt with by one process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from councilor.domain.schedule import Due, Schedule, ScheduleHead, Settlement

__all__ = ["Schedules"]


class Schedules(Protocol):
    """All times are the store's. Raises `UnavailableError` (or `DeadlineError`) when it does not answer."""

    async def now(self) -> datetime:
        """The store's clock; the only one that decides what is due."""
        ...

    async def add(self, schedule: Schedule) -> ScheduleHead:
        """Keep a schedule; its first due time is the first after now.

        Raises:
            InputError: its name is taken, or something in it is not as it should be; names the field.
        """
        ...

    async def find(self, name: str) -> ScheduleHead | None:
        """One schedule."""
        ...

    async def heads(self) -> Sequence[ScheduleHead]:
        """All of them, by name."""
        ...

    async def hold(self, name: str, *, paused: bool) -> bool:
        """Pause a schedule or let it go on; False when there is none of that name."""
        ...

    async def remove(self, name: str) -> bool:
        """Remove a schedule and all that was kept of it; its tasks stay. False when there is none of that name."""
        ...

    async def take(self, executor_id: str) -> Due | None:
        """Give an executor with a live lease (`ports/queue.py`) the due time that has waited longest.

        Nobody else is given it while that lease lives and it is not settled; the same executor is given it again.
        """
        ...

    async def settle(self, due: Due, settlement: Settlement) -> bool:
        """Keep what became of a due time; False when who took it does not have it any more, or its schedule is gone."""
        ...
