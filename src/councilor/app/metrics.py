"""Where this process's measurements go, as the flags say.

Rules:
- No flag: nowhere. One: that backend. Both: each call goes to both, and what StatsD loses, Prometheus tells.
- Right at the start it says what runs (`v3.build.info`) and which features are on (`v3.feature.enabled`).
- A backend that is switched on and not installed ends the start; one whose server is away does not.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from councilor import __version__
from councilor.adapters.build import installed_commit
from councilor.adapters.prometheus import PrometheusMetrics
from councilor.adapters.statsd import Dialect, StatsdMetrics
from councilor.domain.metric import CATALOGUE
from councilor.guards.fanout import Fanout
from councilor.ports.clock import Clock
from councilor.ports.metrics import Exposition, MetricsBackend, NoMetrics
from councilor.settings import Settings

__all__ = ["Measuring", "open_metrics"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Measuring:
    """The backends in use."""

    metrics: MetricsBackend
    exposition: Exposition | None
    """What a scraper is shown; None where Prometheus is off."""


@contextmanager
def open_metrics(settings: Settings, *, clock: Clock) -> Iterator[Measuring]:
    """The backends that are switched on, until this is left.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    backends = dict[str, MetricsBackend]()
    prometheus = PrometheusMetrics() if settings.observability.prometheus else None
    if prometheus is not None:
        backends["prometheus"] = prometheus
    with ExitStack() as opened:
        if settings.observability.statsd:
            backends["statsd"] = opened.enter_context(_statsd(settings, clock, prometheus))
        metrics = _together(backends)
        _introduce(metrics, settings)
        yield Measuring(metrics=metrics, exposition=prometheus)


def _statsd(settings: Settings, clock: Clock, report: MetricsBackend | None) -> StatsdMetrics:
    chosen = settings.statsd
    return StatsdMetrics(
        host=chosen.host,
        port=chosen.port,
        dialect=Dialect(chosen.dialect),
        flush_s=chosen.flush_s,
        clock=clock,
        report=report,
    )


def _together(backends: Mapping[str, MetricsBackend]) -> MetricsBackend:
    if not backends:
        return NoMetrics()
    return next(iter(backends.values())) if len(backends) == 1 else Fanout(backends)


def _introduce(metrics: MetricsBackend, settings: Settings) -> None:
    (feature,) = CATALOGUE["v3.feature.enabled"].labels
    for flag in feature.values:
        metrics.gauge("v3.feature.enabled", {"feature": flag}, int(bool(settings.value(flag))))
    info = {"version": __version__, "commit": installed_commit(), "host": socket.gethostname()}
    metrics.gauge("v3.build.info", info, 1)
