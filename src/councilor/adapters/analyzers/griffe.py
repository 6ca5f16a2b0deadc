"""What of the public interface a change breaks, found by griffe in the sandbox.

Rules:
- Each changed module is compared with itself in the base; the base's own run has no findings.
- An object that is gone, and a parameter that is gone or newly required, break every caller that used it: of high
  severity. A parameter that moved or is called otherwise: medium. Values, types and bases: low.
- A module that griffe cannot read any more is a finding of its own, `unreadable`.

Which of them a task allows decides the gate. Source: https://mkdocstrings.github.io/griffe/guide/users/checking/.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from councilor.adapters.analyzers.pairing import FilesOfTree, analyze_both, failed, lay_out
from councilor.adapters.analyzers.program import Program, ProgramEnd
from councilor.domain.analysis import AnalysisKind, AnalysisPair, AnalysisRun, Finding
from councilor.domain.gate import Severity
from councilor.ports.analyzer import AnalysisRequest
from councilor.ports.sandbox import Sandbox

__all__ = ["Griffe"]

ENDINGS = (".py", ".pyi")
SEVERITIES = {
    "MODULE_REMOVED": Severity.HIGH,
    "OBJECT_REMOVED": Severity.HIGH,
    "PARAMETER_REMOVED": Severity.HIGH,
    "PARAMETER_ADDED_REQUIRED": Severity.HIGH,
    "PARAMETER_CHANGED_REQUIRED": Severity.HIGH,
    "OBJECT_CHANGED_KIND": Severity.MEDIUM,
    "PARAMETER_MOVED": Severity.MEDIUM,
    "PARAMETER_CHANGED_KIND": Severity.MEDIUM,
}


class Griffe:
    """Runs councilor's own griffe."""

    name = "griffe"
    kind = AnalysisKind.API
    configuration: frozenset[str] = frozenset()

    def __init__(self, *, sandbox: Sandbox, scratch: Path) -> None:
        self._program = Program("breakages", package="griffelib", sandbox=sandbox, scratch=scratch)

    def reads(self, path: str) -> bool:
        """Python files."""
        return path.endswith(ENDINGS)

    async def analyze(self, request: AnalysisRequest) -> AnalysisPair:
        """What is broken; see the port."""
        base, candidate = await lay_out(request, ENDINGS)

        async def analyze(trees: Sequence[FilesOfTree], timeout_s: float) -> list[AnalysisRun]:
            new = trees[-1]
            both = sorted({path for tree in trees for path in tree.paths})
            paths = [[path, path in trees[0].paths, path in new.paths] for path in both]
            task = {"old": str(trees[0].folder), "new": str(new.folder), "paths": paths}
            end = await self._program.run(task, folders=[request.base, request.candidate], timeout_s=timeout_s)
            return _runs(end, len(trees))

        return await analyze_both(base, candidate, analyze, timeout_s=request.timeout_s)


def _runs(end: ProgramEnd, count: int) -> list[AnalysisRun]:
    try:
        found = (*_breakages(end.report["breakages"]), *_unreadable(end.report["unreadable"]))
    except (TypeError, KeyError, ValueError):
        return failed(end, count)
    clean = AnalysisRun(findings=(), exit_code=end.exit_code, duration_s=end.duration_s / count)
    last = AnalysisRun(findings=found, exit_code=end.exit_code, duration_s=end.duration_s / count)
    return [clean, last][-count:]


def _breakages(items: Sequence[Any]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            path=str(path),
            line=int(line),
            rule=str(kind),
            message=f"{name}: {explanation}",
            severity=SEVERITIES.get(str(kind), Severity.LOW),
        )
        for path, line, kind, name, explanation in items
    )


def _unreadable(items: Sequence[Any]) -> tuple[Finding, ...]:
    return tuple(
        Finding(path=str(path), line=1, rule="unreadable", message=str(reason)[:200], severity=Severity.MEDIUM)
        for path, reason in items
    )
