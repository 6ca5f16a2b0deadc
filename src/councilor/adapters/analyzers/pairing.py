"""One run of a program for both trees, so that a tool is started and its data read once.

Rules:
- When the run for both fails, the base is tried alone. If that works, it is the candidate that keeps the tool from
  running: its run has the error, and the base's has none.
- A tree whose files cannot be named in JSON (bytes that are no UTF-8) is left without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from councilor.adapters.analyzers.files import regular_files
from councilor.adapters.analyzers.program import ProgramEnd
from councilor.domain.analysis import AnalysisPair, AnalysisRun
from councilor.ports.analyzer import AnalysisRequest

__all__ = ["FilesOfTree", "analyze_both", "failed", "lay_out"]

BOTH_SHARE = 0.7
"""Share of the time that the run for both trees may take."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilesOfTree:
    """A tree's files for a tool."""

    folder: Path
    paths: tuple[str, ...]

    @property
    def task(self) -> dict[str, Any]:
        """The same for a program."""
        return {"folder": str(self.folder), "paths": list(self.paths)}


Analyze = Callable[[Sequence[FilesOfTree], float], Awaitable[list[AnalysisRun]]]
"""Gives one run for each tree, within so many seconds."""


async def lay_out(request: AnalysisRequest, endings: tuple[str, ...] = ("",)) -> tuple[FilesOfTree, FilesOfTree]:
    """The files of the base and of the candidate that a tool can be given."""
    base = await asyncio.to_thread(regular_files, request.base, _nameable(request.base_paths), endings)
    candidate = await asyncio.to_thread(regular_files, request.candidate, _nameable(request.candidate_paths), endings)
    return FilesOfTree(folder=request.base, paths=base), FilesOfTree(folder=request.candidate, paths=candidate)


async def analyze_both(
    base: FilesOfTree, candidate: FilesOfTree, analyze: Analyze, *, timeout_s: float
) -> AnalysisPair:
    """Both trees in one run, or the base alone where that fails."""
    on_base, on_candidate = await analyze([base, candidate], timeout_s * BOTH_SHARE)
    if not on_base.error:
        return AnalysisPair(base=on_base, candidate=on_candidate)
    (alone,) = await analyze([base], timeout_s * (1 - BOTH_SHARE))
    blamed = on_candidate if on_candidate.error else replace(on_candidate, findings=(), error=on_base.error)
    return AnalysisPair(base=alone, candidate=blamed)


def failed(end: ProgramEnd, count: int) -> list[AnalysisRun]:
    """Runs that have measured nothing, because the program gave no report that can be read."""
    error = end.error or "its report cannot be read"
    run = AnalysisRun(findings=(), exit_code=end.exit_code, duration_s=end.duration_s / count, error=error)
    return [replace(run, log=end.log), *(run for _ in range(count - 1))]


def _nameable(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(path for path in paths if path.isprintable() or path.encode("utf-8", "replace").decode() == path)
