"""Metrics for a StatsD server, by UDP."""

from __future__ import annotations

from councilor.adapters.statsd.backend import StatsdMetrics
from councilor.adapters.statsd.wire import Dialect

__all__ = ["Dialect", "StatsdMetrics"]
