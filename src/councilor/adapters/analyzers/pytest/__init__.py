"""The pytest runner whose evidence a candidate cannot forge: docs/explanation/evidence.md says how, and how far."""

from __future__ import annotations

from councilor.adapters.analyzers.pytest.conductor import PytestRunner

__all__ = ["PytestRunner"]
