"""Telling somebody who does not watch."""

from __future__ import annotations

from typing import Protocol

from councilor.domain.notification import Notification

__all__ = ["Notifier"]


class Notifier(Protocol):
    """One way to reach somebody."""

    @property
    def channel(self) -> str:
        """What it is, such as `webhook`."""
        ...

    async def send(self, notification: Notification) -> None:
        """Deliver a notification; comes back within a time of its own, retries included.

        Raises:
            UnavailableError: nobody took it; says why, without secrets.
            DeadlineError: nobody took it in time.
        """
        ...
