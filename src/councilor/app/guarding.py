"""The one composition of guards around whatever is outside this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from councilor.guards.deadline import with_deadline
from councilor.guards.measuring import with_measuring
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend

__all__ = ["Guarding"]

P = TypeVar("P")


@dataclass(frozen=True, kw_only=True, slots=True)
class Guarding:
    """What guards need, and the order they are put in."""

    clock: Clock
    metrics: MetricsBackend

    def around(
        self, adapter: P, *, port: str, backend: str, default_s: float, methods_s: Mapping[str, float] | None = None
    ) -> P:
        """The same port, each async method guarded.

        Args:
            adapter: implements the port.
            port: the port's name, for metrics: `artifacts`.
            backend: the adapter's name, for errors: `postgres`.
            default_s: seconds for each async method.
            methods_s: seconds for single methods, by name.
        """
        limited = with_deadline(adapter, port=port, backend=backend, default_s=default_s, methods_s=methods_s)
        return with_measuring(limited, port=port, metrics=self.metrics, clock=self.clock)
