"""Findings of ruff, run in the sandbox.

Rules:
- Only the given Python files that are regular files; notebooks, links and what is not there are left out.
- The repository's own configuration in the folder decides, its excludes included; `.gitignore` does not, because a
  candidate could hide a file with it. Nothing above the folder can be read, so no configuration comes from there.
- Findings come from ruff's JSON, written to a file of its own: warnings cannot get into it.
- Exit code 0 goes with no finding and 1 with some. Anything else, or JSON that cannot be read, is a `AnalysisRun` with
  `error` set and no findings: it has measured nothing.

It fixes nothing and decides nothing. Source: https://docs.astral.sh/ruff/linter/#exit-codes
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from councilor.adapters.analyzers.files import PYTHON, regular_files
from councilor.adapters.analyzers.program import last_words, read_report
from councilor.domain.analysis import AnalysisKind, AnalysisPair, AnalysisRun, Finding
from councilor.guards.removal import remove_folder
from councilor.ports.analyzer import AnalysisRequest
from councilor.ports.clock import Clock
from councilor.ports.environment import Environment
from councilor.ports.sandbox import Job, Limits, Mount, Sandbox, SandboxResult

__all__ = ["Ruff"]

FILES_AT_ONCE = 500
EXIT_CLEAN, EXIT_FINDINGS = 0, 1


class Ruff:
    """Runs councilor's own ruff.

    Args:
        scratch: a folder of ours; each run makes one of its own in it and removes it.
    """

    name = "ruff"
    kind = AnalysisKind.LINT
    configuration = frozenset({"pyproject.toml", "ruff.toml", ".ruff.toml"})

    def __init__(self, *, sandbox: Sandbox, clock: Clock, scratch: Path, memory_bytes: int = 2 * 2**30) -> None:
        self._sandbox = sandbox
        self._clock = clock
        self._scratch = scratch
        self._memory_bytes = memory_bytes

    def reads(self, path: str) -> bool:
        """Python files."""
        return path.endswith(PYTHON)

    async def analyze(self, request: AnalysisRequest) -> AnalysisPair:
        """Findings in both trees; see the port."""
        limit_s = request.timeout_s / 2
        base = await self._tree(request.base, request.environment, request.base_paths, timeout_s=limit_s)
        candidate = await self._tree(request.candidate, request.environment, request.candidate_paths, timeout_s=limit_s)
        return AnalysisPair(base=base, candidate=candidate)

    async def _tree(
        self, folder: Path, environment: Environment, paths: Sequence[str], *, timeout_s: float
    ) -> AnalysisRun:
        started = self._clock.monotonic()
        files = await asyncio.to_thread(regular_files, folder, paths, PYTHON)
        total = AnalysisRun(findings=(), exit_code=EXIT_CLEAN)
        for start in range(0, len(files), FILES_AT_ONCE):
            left_s = timeout_s - (self._clock.monotonic() - started)
            some = await self._some(folder, environment, files[start : start + FILES_AT_ONCE], max(left_s, 0.1))
            total = _together(total, some)
            if some.error:
                break
        return replace(total, duration_s=self._clock.monotonic() - started)

    async def _some(
        self, folder: Path, environment: Environment, files: Sequence[str], timeout_s: float
    ) -> AnalysisRun:
        output = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="ruff-", dir=self._scratch))
        try:
            result = await self._sandbox.run(self._job(folder, environment, files, output, timeout_s))
            report = await asyncio.to_thread(read_report, output / "report.json")
        finally:
            # Shielded: a cancelled run leaves nothing behind, too.
            await asyncio.shield(asyncio.to_thread(remove_folder, output))
        return _judged(result, report, folder)

    def _job(self, folder: Path, environment: Environment, files: Sequence[str], output: Path, timeout_s: float) -> Job:
        options = ("--output-format=json", f"--output-file={output / 'report.json'}", "--no-cache", "--no-fix")
        own = ("--force-exclude", "--no-respect-gitignore", "--no-unsafe-fixes")
        return Job(
            argv=(str(environment.ruff), "check", *options, *own, "--", *(f"{folder}/{path}" for path in files)),
            cwd=folder,
            mounts=(Mount(path=environment.ruff), Mount(path=folder), Mount(path=output, writable=True)),
            limits=Limits(wall_s=timeout_s, memory_bytes=self._memory_bytes),
            env={"LANG": "C.UTF-8", "NO_COLOR": "1", "RAYON_NUM_THREADS": "2"},
        )


def _judged(result: SandboxResult, report: bytes | None, folder: Path) -> AnalysisRun:
    """Findings only where exit code and report agree."""
    run = AnalysisRun(findings=(), exit_code=result.exit_code, log=result.output)
    if result.timed_out:
        return replace(run, error="ruff did not end in time")
    if result.exit_code not in {EXIT_CLEAN, EXIT_FINDINGS}:
        return replace(run, error=f"ruff ended with exit code {result.exit_code}: {last_words(result.output)}")
    try:
        findings = tuple(_finding(item, folder) for item in json.loads(report or b""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return replace(run, error="ruff's report cannot be read")
    if bool(findings) != (result.exit_code == EXIT_FINDINGS):
        return replace(run, error=f"ruff's exit code {result.exit_code} contradicts its {len(findings)} findings")
    return replace(run, findings=findings)


def _finding(item: dict[str, Any], folder: Path) -> Finding:
    path = str(item["filename"]).removeprefix(f"{folder}/")
    line = item["location"]["row"] if item.get("location") else 1
    return Finding(path=path, line=int(line), rule=str(item["code"] or "syntax"), message=str(item["message"]))


def _together(one: AnalysisRun, other: AnalysisRun) -> AnalysisRun:
    if other.error:
        return replace(other, findings=(), log=one.log + other.log)
    exit_code = max(one.exit_code or 0, other.exit_code or 0)
    return AnalysisRun(findings=one.findings + other.findings, exit_code=exit_code, log=one.log + other.log)
