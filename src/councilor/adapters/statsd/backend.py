"""Metrics for a StatsD server: each series has a line, and its values wait in a buffer until they are sent.

Rules:
- A call costs a dictionary and a lock; it never waits for a network, a name server or a full socket.
- Labels and series are bounded as they are for Prometheus, since a StatsD server keeps what it was told.
- It works without its server: nothing is delayed, and what is known to be lost is counted.

How lines look is `wire.py`, when they leave `emitter.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from socket import socket
from types import TracebackType
from typing import Self

from councilor.adapters.statsd.emitter import Emitter, connect
from councilor.adapters.statsd.wire import Dialect, line_for
from councilor.domain.metric import CATALOGUE, Metric, MetricKind
from councilor.guards.cardinality import Cardinality
from councilor.guards.instruments import Instruments, Write
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend

__all__ = ["StatsdMetrics"]


class StatsdMetrics(Instruments):
    """A `MetricsBackend` that sends while it is entered, and once more when it is left.

    Args:
        host: name or address of the server; looked up later, and again.
        port: its UDP port.
        dialect: which StatsD it speaks.
        flush_s: the longest time that a value waits for others.
        catalogue: every metric that there is.
        report: where this backend's failures are counted; None for in itself, which nobody hears while it fails.
        open_outlet: gives a connected socket; None for the real one.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        dialect: Dialect,
        flush_s: float,
        clock: Clock,
        catalogue: Mapping[str, Metric] = CATALOGUE,
        report: MetricsBackend | None = None,
        open_outlet: Callable[[], socket] | None = None,
    ) -> None:
        super().__init__(
            self._series,
            backend="statsd",
            cardinality=Cardinality(catalogue=catalogue),
            catalogue=catalogue,
            report=report,
        )
        self._dialect = dialect
        self._emitter = Emitter(
            open_outlet=open_outlet or partial(connect, host, port),
            flush_s=flush_s,
            lost=self.count_lost,
            clock=clock,
        )

    def __enter__(self) -> Self:
        self._emitter.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._emitter.close()

    def _series(self, metric: Metric, values: tuple[str, ...]) -> Write:
        line, buffer = line_for(metric, values, self._dialect), self._emitter.buffer
        match metric.kind:
            case MetricKind.COUNTER:
                return partial(buffer.add, line)
            case MetricKind.GAUGE:
                return partial(buffer.put, line)
            case MetricKind.HISTOGRAM:
                return partial(buffer.append, line)
