"""Insecure code, found by bandit in the sandbox.

Rules:
- Both trees are scanned in one process, with the base's `[tool.bandit]` or `.bandit`; `# nosec` counts for nothing.
- A finding's severity is bandit's, lowered to its confidence.
- A file that bandit could not read is a finding of its own, `unreadable`.

What is new, and what it costs, decides the gate. Source: https://bandit.readthedocs.io/en/latest/plugins/.
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

__all__ = ["Bandit"]

ENDINGS = (".py", ".pyw")
LEVELS = ("LOW", "MEDIUM", "HIGH")
SEVERITIES = {"LOW": Severity.LOW, "MEDIUM": Severity.MEDIUM, "HIGH": Severity.HIGH}


class Bandit:
    """Runs councilor's own bandit."""

    name = "bandit"
    kind = AnalysisKind.SECURITY
    configuration = frozenset({"pyproject.toml", ".bandit"})

    def __init__(self, *, sandbox: Sandbox, scratch: Path) -> None:
        self._program = Program("vulnerabilities", package="bandit", sandbox=sandbox, scratch=scratch)

    def reads(self, path: str) -> bool:
        """Python files."""
        return path.endswith(ENDINGS)

    async def analyze(self, request: AnalysisRequest) -> AnalysisPair:
        """Findings in both trees; see the port."""
        base, candidate = await lay_out(request, ENDINGS)

        async def analyze(trees: Sequence[FilesOfTree], timeout_s: float) -> list[AnalysisRun]:
            task = {"trees": [tree.task for tree in trees], "configuration": str(request.base)}
            end = await self._program.run(task, folders=[request.base, request.candidate], timeout_s=timeout_s)
            return _runs(end, len(trees))

        return await analyze_both(base, candidate, analyze, timeout_s=request.timeout_s)


def _runs(end: ProgramEnd, count: int) -> list[AnalysisRun]:
    try:
        configured = bool(end.report["configured"])
        return [
            AnalysisRun(
                findings=(*_findings(tree["findings"]), *_unreadable(tree["unreadable"])),
                exit_code=end.exit_code,
                duration_s=end.duration_s / count,
                configured=configured,
            )
            for tree in end.report["trees"]
        ]
    except (TypeError, KeyError, ValueError):
        return failed(end, count)


def _findings(items: Sequence[Any]) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            path=str(path),
            line=int(line),
            rule=str(test),
            message=str(message),
            severity=SEVERITIES[min(severity, confidence, key=LEVELS.index)],
        )
        for path, line, test, severity, confidence, message in items
    )


def _unreadable(items: Sequence[Any]) -> tuple[Finding, ...]:
    return tuple(
        Finding(path=str(path), line=1, rule="unreadable", message=str(reason)[:200], severity=Severity.HIGH)
        for path, reason in items
    )
