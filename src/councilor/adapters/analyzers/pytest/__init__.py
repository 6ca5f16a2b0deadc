"""The pytest runner whose evidence a candidate cannot forge: docs/explanation/evidence.md says how, and how far."""

from __future__ import annotations

from councilor.adapters.analyzers.pytest.conductor import PytestRunner
from councilor.adapters.analyzers.pytest.projects import ProjectsRunner

__all__ = ["ProjectsRunner", "PytestRunner"]
