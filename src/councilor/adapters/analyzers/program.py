"""One of our own programs beside this file, run in the sandbox: JSON in, JSON out.

Rules:
- It runs on councilor's own interpreter, isolated (`-I -S`), with the packages that it needs and nothing else of the
  installation; so neither the repository nor its environment can change a tool that reads it.
- Its folders are mounted read-only. Its report goes to a file of its own: what a tool prints cannot get into it.
- A report that is missing, too large, or not JSON, and any exit code but 0, is an error, never a clean report.

It does not know what a report means.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from councilor.adapters.analyzers.packages import Packages, find_packages, interpreter, interpreter_mounts
from councilor.guards.removal import remove_folder
from councilor.ports.sandbox import Job, Limits, Mount, Sandbox, SandboxResult

__all__ = ["FOLDER", "Program", "ProgramEnd", "last_words", "read_report"]

FOLDER = Path(__file__).parent / "sandboxed"
START = FOLDER / "start.py"
REPORT_BYTES = 64 * 2**20
MEMORY_BYTES = 2 * 2**30
WORDS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgramEnd:
    """How a program ended."""

    report: Any
    """JSON data; None when there is an error."""
    exit_code: int | None
    log: bytes
    duration_s: float
    error: str = ""
    """Why there is no report."""


class Program:
    """Runs one of the programs.

    Args:
        name: its file in `sandboxed/`, without `.py`; also the tool's name in messages.
        package: the package that it stands on, as it is installed.
        scratch: a folder of ours; each run makes one of its own in it and removes it.
    """

    def __init__(self, name: str, *, package: str, sandbox: Sandbox, scratch: Path) -> None:
        self._name = name
        self._package = package
        self._sandbox = sandbox
        self._scratch = scratch
        self._packages: Packages | None = None

    async def run(
        self, task: Mapping[str, Any], *, folders: Sequence[Path], timeout_s: float, mounts: Sequence[Mount] = ()
    ) -> ProgramEnd:
        """Give it a task and wait for its report.

        Args:
            task: JSON data; the program's own docstring says what.
            folders: what it may read.
            mounts: further things that it may read.

        Raises:
            SandboxError: the sandbox itself failed.
            UnavailableError: its package is not installed.
        """
        if self._packages is None:
            self._packages = await asyncio.to_thread(find_packages, self._package)
        output = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=f"{self._name}-", dir=self._scratch))
        try:
            await asyncio.to_thread(_link, self._packages, output / "site")
            read = [*(Mount(path=folder) for folder in folders), *mounts]
            result = await self._sandbox.run(self._job(self._packages, task, read, output, timeout_s))
            report = await asyncio.to_thread(read_report, output / "report.json")
        finally:
            # Shielded: a cancelled run leaves nothing behind, too.
            await asyncio.shield(asyncio.to_thread(remove_folder, output))
        return self._judged(result, report)

    def _job(
        self, packages: Packages, task: Mapping[str, Any], mounts: Sequence[Mount], output: Path, timeout_s: float
    ) -> Job:
        given = {
            "program": str(FOLDER / f"{self._name}.py"),
            "sites": [str(output / "site")],
            "report": str(output / "report.json"),
            "scratch": str(output),
            "task": dict(task),
        }
        needed = (*interpreter_mounts(), *packages.mounts, Mount(path=FOLDER), *mounts)
        return Job(
            argv=(str(interpreter()), "-I", "-S", "-B", str(START)),
            cwd=output,
            mounts=(*dict.fromkeys(needed), Mount(path=output, writable=True)),
            limits=Limits(wall_s=max(timeout_s, 0.1), memory_bytes=MEMORY_BYTES),
            env={"LANG": "C.UTF-8", "NO_COLOR": "1", "PYTHONHASHSEED": "0"},
            stdin=json.dumps(given).encode(),
        )

    def _judged(self, result: SandboxResult, report: bytes | None) -> ProgramEnd:
        data, error = None, ""
        if result.timed_out:
            error = f"{self._package} did not end in time"
        elif result.exit_code != 0:
            error = f"{self._package} ended with exit code {result.exit_code}: {last_words(result.output)}"
        else:
            try:
                data = json.loads(report or b"")
            except (ValueError, RecursionError):
                error = f"{self._package}'s report cannot be read"
        return ProgramEnd(
            report=data, exit_code=result.exit_code, log=result.output, duration_s=result.duration_s, error=error
        )


def _link(packages: Packages, site: Path) -> None:
    """A folder of links to the packages, for `sys.path`: where they lie, a sandbox may not let anybody list names."""
    site.mkdir()
    for mount in packages.mounts:
        (site / mount.path.name).symlink_to(mount.path)


def read_report(report: Path) -> bytes | None:
    """A report's bytes; None where there is no regular file of ordinary size. Blocking."""
    try:
        with os.fdopen(os.open(report, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            data = file.read(REPORT_BYTES + 1)
    except OSError:
        return None
    return data if len(data) <= REPORT_BYTES else None


def last_words(output: bytes) -> str:
    """The end of an output, for a message."""
    return output[-WORDS:].decode("utf-8", "replace").strip()
