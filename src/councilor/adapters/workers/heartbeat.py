"""How often a worker's progress is told: at most every `HEARTBEAT_S` seconds, however often it moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from councilor.ports.clock import Clock
from councilor.ports.worker import Progress

__all__ = ["Heartbeat"]

HEARTBEAT_S = 0.25


@dataclass(kw_only=True, slots=True)
class Heartbeat:
    """Tells progress, when it is time."""

    progress: Callable[[], Progress]
    emit: Callable[[Progress], None]
    clock: Clock
    last_s: float = float("-inf")

    def beat(self) -> None:
        """Something moved."""
        if self.clock.monotonic() - self.last_s >= HEARTBEAT_S:
            self.last_s = self.clock.monotonic()
            self.emit(self.progress())
