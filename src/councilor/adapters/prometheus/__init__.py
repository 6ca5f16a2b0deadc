"""Metrics for Prometheus: a registry of its own, and the text that is scraped."""

from __future__ import annotations

from councilor.adapters.prometheus.backend import PrometheusMetrics

__all__ = ["PrometheusMetrics"]
