"""Type errors, found by mypy in the sandbox.

Rules:
- Where the base configures mypy, its configuration and the environment's packages count. Elsewhere mypy is run with its
  most lenient settings, and only if a changed file has annotations at all; else nothing was measured.
- Both trees are checked in one process, the base first; plugins are never loaded.
- What blocks mypy altogether (a syntax error) is a finding like any other.

What is new decides the gate. Source: https://mypy.readthedocs.io/en/stable/config_file.html.
"""

from __future__ import annotations

import ast
import asyncio
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from councilor.adapters.analyzers.files import PYTHON
from councilor.adapters.analyzers.pairing import FilesOfTree, analyze_both, failed, lay_out
from councilor.adapters.analyzers.program import Program, ProgramEnd
from councilor.domain.analysis import AnalysisKind, AnalysisPair, AnalysisRun, Finding
from councilor.domain.gate import Severity
from councilor.domain.syntax import parse_module
from councilor.ports.analyzer import AnalysisRequest
from councilor.ports.sandbox import Sandbox

__all__ = ["Mypy"]

CONFIGURATION = {
    "mypy.ini": rb"(?m)^\[mypy\]",
    ".mypy.ini": rb"(?m)^\[mypy\]",
    "pyproject.toml": rb"(?m)^\s*\[\s*tool\s*\.\s*mypy\s*\]",
    "setup.cfg": rb"(?m)^\[mypy\]",
}
"""In the order in which mypy looks for them."""
MOST_BYTES = 2_000_000


class Mypy:
    """Runs councilor's own mypy."""

    name = "mypy"
    kind = AnalysisKind.TYPES
    configuration = frozenset(CONFIGURATION)

    def __init__(self, *, sandbox: Sandbox, scratch: Path) -> None:
        self._program = Program("type_errors", package="mypy", sandbox=sandbox, scratch=scratch)

    def reads(self, path: str) -> bool:
        """Python files."""
        return path.endswith(PYTHON)

    async def analyze(self, request: AnalysisRequest) -> AnalysisPair:
        """Errors in both trees; see the port."""
        base, candidate = await lay_out(request, PYTHON)
        configured = await asyncio.to_thread(_configured, request.base)
        if not configured and not await asyncio.to_thread(_annotated, (base, candidate)):
            return AnalysisPair()

        async def analyze(trees: Sequence[FilesOfTree], timeout_s: float) -> list[AnalysisRun]:
            environment = request.environment
            task = {
                "trees": [tree.task for tree in trees],
                "python": str(environment.python),
                "configured": configured,
            }
            mounts = environment.mounts if configured else ()
            folders = [request.base, request.candidate]
            end = await self._program.run(task, folders=folders, mounts=mounts, timeout_s=timeout_s)
            return _runs(end, len(trees), configured=configured)

        return await analyze_both(base, candidate, analyze, timeout_s=request.timeout_s)


def _configured(folder: Path) -> bool:
    return any(re.search(pattern, _read(folder / name)) for name, pattern in CONFIGURATION.items())


def _annotated(trees: Sequence[FilesOfTree]) -> bool:
    return any(_has_annotations(_read(tree.folder / path)) for tree in trees for path in tree.paths)


def _has_annotations(source: bytes) -> bool:
    if b"->" not in source and b":" not in source:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the file's own invalid escapes are not our business
            module = parse_module(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(
        isinstance(node, ast.AnnAssign)
        or (isinstance(node, ast.arg) and node.annotation is not None)
        or (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None)
        for node in ast.walk(module)
    )


def _read(file: Path) -> bytes:
    """A file's first bytes; none where there is no regular one."""
    try:
        if file.is_symlink() or not file.is_file():
            return b""
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES)
    except OSError:
        return b""


def _runs(end: ProgramEnd, count: int, *, configured: bool) -> list[AnalysisRun]:
    try:
        return [
            AnalysisRun(
                findings=tuple(
                    Finding(
                        path=str(path), line=int(line), rule=str(code), message=str(message), severity=Severity.MEDIUM
                    )
                    for path, line, code, message in tree["errors"]
                ),
                exit_code=end.exit_code,
                duration_s=end.duration_s / count,
                error=str(tree["blocked"]),
                configured=configured,
            )
            for tree in end.report["trees"]
        ]
    except (TypeError, KeyError, ValueError):
        return [replace(run, configured=configured) for run in failed(end, count)]
