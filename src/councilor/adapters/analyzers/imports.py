"""Whether changed modules compile and can be imported, in the repository's environment and in the sandbox.

Rules:
- Every changed Python file is compiled by the environment's interpreter. Changed modules that are no tests, and the
  package that each belongs to, are imported, too. Files that are run rather than imported (`setup.py`, `conftest.py`,
  `__main__.py`, those below `docs`, `examples`, `scripts` and the like) are only compiled.
- The base is tried only where something fails on the candidate: what fails on both is not the change's doing.
- Imports run the repository's code, so the report is the code's own word; what it could gain by lying is only this one
  gate, and tests run it again under watch.
- The process that ended before its report was complete failed at the module that it was importing.

What it means decides the gate.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from councilor.adapters.analyzers.pairing import lay_out
from councilor.adapters.analyzers.program import FOLDER, last_words, read_report
from councilor.domain.analysis import AnalysisKind, AnalysisPair, AnalysisRun, Finding
from councilor.domain.gate import Severity
from councilor.domain.integrity import is_test_code
from councilor.guards.removal import remove_folder
from councilor.ports.analyzer import AnalysisRequest
from councilor.ports.environment import Environment
from councilor.ports.sandbox import Job, Limits, Mount, Sandbox, SandboxResult

__all__ = ["Imports"]

ENDINGS = (".py",)
RUN_FILES = frozenset({"setup.py", "conftest.py", "__main__.py", "noxfile.py", "tasks.py", "manage.py", "fabfile.py"})
RUN_FOLDERS = frozenset(
    {"docs", "doc", "examples", "example", "scripts", "tools", "bin", "benchmarks", "ci", ".github"}
)
FAULTS = frozenset({"syntax", "missing", "import"})
MEMORY_BYTES = 4 * 2**30


class Imports:
    """Tries to import."""

    name = "imports"
    kind = AnalysisKind.IMPORTS
    configuration: frozenset[str] = frozenset()

    def __init__(self, *, sandbox: Sandbox, scratch: Path) -> None:
        self._sandbox = sandbox
        self._scratch = scratch

    def reads(self, path: str) -> bool:
        """Python files."""
        return path.endswith(ENDINGS)

    async def analyze(self, request: AnalysisRequest) -> AnalysisPair:
        """What cannot be imported; see the port."""
        base, candidate = await lay_out(request, ENDINGS)
        limit_s = request.timeout_s / 2
        clean = AnalysisRun(findings=(), exit_code=0)
        on_candidate = await self._tree(candidate.folder, candidate.paths, request.environment, limit_s)
        if not on_candidate.findings and not on_candidate.error:
            return AnalysisPair(base=clean, candidate=on_candidate)
        on_base = await self._tree(base.folder, base.paths, request.environment, limit_s)
        return AnalysisPair(base=on_base, candidate=on_candidate)

    async def _tree(
        self, folder: Path, paths: Sequence[str], environment: Environment, timeout_s: float
    ) -> AnalysisRun:
        if not paths:
            return AnalysisRun(findings=(), exit_code=0)
        imported = await asyncio.to_thread(_imported, folder, paths)
        output = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="imports-", dir=self._scratch))
        try:
            task = {"paths": list(paths), "imported": imported}
            result = await self._sandbox.run(_job(folder, environment, output, task, timeout_s))
            report = await asyncio.to_thread(read_report, output / "report.jsonl")
        finally:
            # Shielded: a cancelled run leaves nothing behind, too.
            await asyncio.shield(asyncio.to_thread(remove_folder, output))
        return _judged(result, report)


def _imported(folder: Path, paths: Sequence[str]) -> list[str]:
    """The files to import: modules of the change, and the packages above them, outermost first."""
    found: dict[str, None] = {}
    for path in paths:
        *folders, name = path.split("/")
        if is_test_code(path) or name in RUN_FILES or RUN_FOLDERS & set(folders) or not _identifiers(path):
            continue
        for depth in range(1, len(folders) + 1):
            package = "/".join((*folders[:depth], "__init__.py"))
            if (folder / package).is_file():
                found[package] = None
        found[path] = None
    return list(found)


def _identifiers(path: str) -> bool:
    name = path.rpartition("/")[2].removesuffix(".py")
    return name.isidentifier()


def _job(folder: Path, environment: Environment, output: Path, task: dict[str, Any], timeout_s: float) -> Job:
    program = FOLDER / "module_imports.py"
    return Job(
        argv=(str(environment.python), "-B", str(program), str(folder), str(output / "report.jsonl")),
        cwd=folder,
        mounts=(*environment.mounts, Mount(path=folder), Mount(path=FOLDER), Mount(path=output, writable=True)),
        limits=Limits(wall_s=max(timeout_s, 0.1), memory_bytes=MEMORY_BYTES),
        env={"LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONSAFEPATH": "1"},
        stdin=json.dumps(task).encode(),
    )


def _judged(result: SandboxResult, report: bytes | None) -> AnalysisRun:
    try:
        lines = [json.loads(line) for line in (report or b"").splitlines() if line.endswith(b"]")]
        entries = [(str(path), int(line), str(kind), str(message)) for path, line, kind, message in lines]
    except (ValueError, TypeError, RecursionError):
        entries = []
    if not entries:
        why = "it did not end in time" if result.timed_out else last_words(result.output)
        return AnalysisRun(
            findings=(), exit_code=result.exit_code, log=result.output, error=f"no import was tried: {why}"
        )
    findings = [_finding(*entry) for entry in entries if entry[2] in FAULTS]
    path, line, kind, _ = entries[-1]
    if kind == "begin":
        ended = "did not end in time" if result.timed_out else f"ended its process with code {result.exit_code}"
        findings.append(_finding(path, line, "import", f"importing it {ended}"))
    return AnalysisRun(
        findings=tuple(findings),
        exit_code=result.exit_code,
        log=result.output if findings else b"",
        duration_s=result.duration_s,
    )


def _finding(path: str, line: int, kind: str, message: str) -> Finding:
    return Finding(path=path, line=line, rule=kind, message=message, severity=Severity.HIGH)
