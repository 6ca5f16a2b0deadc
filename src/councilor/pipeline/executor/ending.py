"""The end of a task in the measurements: once for each, whoever ends it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from councilor.domain.task import TaskState
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend

__all__ = ["measure_end"]


class _Ended(Protocol):
    """A task or its head."""

    @property
    def tier(self) -> int:
        """Its risk tier."""
        ...

    @property
    def submitted_at(self) -> datetime:
        """Since when it was there; UTC."""
        ...


def measure_end(metrics: MetricsBackend, clock: Clock, task: _Ended, state: TaskState) -> None:
    """Count a task's end, and how long it took."""
    seconds = (clock.now() - task.submitted_at).total_seconds()
    metrics.counter("v3.task.finished", {"state": state.value, "risk_tier": str(task.tier)})
    metrics.histogram("v3.task.seconds", {"risk_tier": str(task.tier)}, max(0.0, seconds))  # a clock may be set back
