"""How often a worker's progress is told: every `HEARTBEAT_S` seconds at most, and whenever it has spent more."""

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
    spent: tuple[int, float] = (0, 0.0)
    """Tokens and dollars when it was told last."""

    def beat(self) -> None:
        """Something moved."""
        progress = self.progress()
        spent = progress.tokens, progress.cost_usd
        if self.clock.monotonic() - self.last_s >= HEARTBEAT_S or spent != self.spent:
            self.last_s, self.spent = self.clock.monotonic(), spent
            self.emit(progress)
