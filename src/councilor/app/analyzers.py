"""Which analysers every candidate is read by."""

from __future__ import annotations

from pathlib import Path

from councilor.adapters.analyzers.bandit import Bandit
from councilor.adapters.analyzers.detect_secrets import DetectSecrets
from councilor.adapters.analyzers.griffe import Griffe
from councilor.adapters.analyzers.imports import Imports
from councilor.adapters.analyzers.mypy import Mypy
from councilor.adapters.analyzers.ruff import Ruff
from councilor.ports.analyzer import Analyzer
from councilor.ports.clock import Clock
from councilor.ports.sandbox import Sandbox

__all__ = ["choose_analyzers"]


def choose_analyzers(*, sandbox: Sandbox, clock: Clock, scratch: Path) -> tuple[Analyzer, ...]:
    """All of them, in the order of their records.

    Args:
        scratch: a folder of ours in which runs make their own.
    """
    return (
        Imports(sandbox=sandbox, scratch=scratch),
        DetectSecrets(sandbox=sandbox, scratch=scratch),
        Ruff(sandbox=sandbox, clock=clock, scratch=scratch),
        Mypy(sandbox=sandbox, scratch=scratch),
        Bandit(sandbox=sandbox, scratch=scratch),
        Griffe(sandbox=sandbox, scratch=scratch),
    )
