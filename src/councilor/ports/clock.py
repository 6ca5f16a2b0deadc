"""Time, identity and chance, injected so that tests decide them."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

__all__ = ["Clock", "Ids", "Randomness"]


class Clock(Protocol):
    """Time."""

    def now(self) -> datetime:
        """The wall clock, UTC with time zone."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow, for durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Ids(Protocol):
    """Identity."""

    def new(self) -> str:
        """A fresh UUIDv7 in canonical form; ids of one process sort by creation.

        Source: RFC 9562, section 5.7.
        """
        ...


class Randomness(Protocol):
    """Chance that a worker cannot predict."""

    def token(self) -> str:
        """32 hexadecimal digits."""
        ...

    def below(self, limit: int) -> int:
        """An integer in [0, limit)."""
        ...
