"""Reports that commands in other languages write: JUnit XML, Cobertura XML, LCOV and SARIF, read as untrusted bytes."""

from __future__ import annotations

from councilor.adapters.analyzers.reports.runner import ReportingRunner

__all__ = ["ReportingRunner"]
