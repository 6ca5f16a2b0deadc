"""Where tools are used: every file is read and changed, and every command run, by a job in the sandbox.

Rules:
- A job sees what a worker of kind `command` sees: the workspace, a home of its own, the repository's environment and
  the folders that its profile names; it has no network and none of the host's variables.
- Files are read and changed inside the sandbox too, by a program of ours (`sandboxed/files.py`): whatever links,
  devices and names a worker's own commands have left there, the kernel decides what they lead to. Only `edit_file` may
  write.
- Python keeps no bytecode: it tells files apart by size and second, and a model may edit and run within one second.
- The command `pytest` is the repository's own; where it brings none, it is councilor's, as in its evidence.
- A change outside the task's scope is refused at once, with what the scope is; a gate would refuse it later.
- A job that fails or takes too long is a result. What a command prints is cut, and terminal escapes are removed.
"""

from __future__ import annotations

import asyncio
import json
import posixpath
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from councilor.adapters.workers.outfit import SYSTEM_PATH, Outfit
from councilor.domain.scope import admits
from councilor.domain.secret import plain
from councilor.domain.worker import Assignment
from councilor.guards.removal import remove_folder
from councilor.ports.sandbox import Job, Limits, Mount, Sandbox, SandboxResult
from councilor.ports.worker import Workspace

__all__ = ["ToolResult", "Workbench"]

PROGRAM = Path(__file__).parent / "sandboxed" / "files.py"
SHELL = Path("/bin/sh")
LOOK_S = 30.0
"""Seconds for one use of a file tool; a search by a hostile expression ends then."""
LOOK_MEMORY_BYTES = 2**30
LOOK_OUTPUT_BYTES = 2**20
LAST_CHARACTERS = 400
PYTEST = "import sys; sys.path.append({tools!r}); import pytest; sys.exit(pytest.main())"
"""councilor's own, behind everything that the repository has; with the workspace on the path, as `python -m` has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolResult:
    """What came of a call."""

    text: str
    """Untrusted."""
    failed: bool = False
    changed: bool = False
    """Whether it changed a file for certain."""


class Workbench:
    """The tools on one workspace.

    Args:
        outfit: makes the jobs of commands, as of any worker's program.
    """

    def __init__(self, *, workspace: Workspace, assignment: Assignment, sandbox: Sandbox, outfit: Outfit) -> None:
        self._workspace = workspace
        self._assignment = assignment
        self._sandbox = sandbox
        self._outfit = outfit
        self._python = workspace.environment.python
        self._home = workspace.scratch  # until it is prepared
        self._programs = workspace.scratch / f"programs-{assignment.iteration}"

    async def prepare(self) -> None:
        """Make the home folder, with a `pytest` for repositories that bring none.

        Raises:
            InputError: a folder of the profile is missing.
        """
        self._home = await asyncio.to_thread(self._outfit.make_home, self._assignment, self._workspace)
        await asyncio.to_thread(self._put_pytest)

    def _put_pytest(self) -> None:
        # Not in the home: a folder of the person's own may be linked there.
        remove_folder(self._programs)
        self._programs.mkdir()
        script = PYTEST.format(tools=str(self._workspace.environment.tools))
        program = self._programs / "pytest"
        program.write_text(f'#!/bin/sh\nexec {shlex.join([str(self._python), "-c", script])} "$@"\n')
        program.chmod(0o755)

    async def use(self, tool: str, arguments: Mapping[str, Any], *, left_s: float) -> ToolResult:
        """Use one of the file tools."""
        if tool == "edit_file" and (refusal := self._out_of_scope(arguments["path"])):
            return ToolResult(text=refusal, failed=True)
        writable = tool == "edit_file"
        given = {"root": str(self._workspace.folder), "tool": tool, "arguments": dict(arguments)}
        job = Job(
            argv=(
                str(self._python),
                "-I",
                "-S",
                "-B",
                "-W",
                "ignore",
                str(PROGRAM),
            ),  # a warning would be in the answer
            cwd=self._workspace.folder,
            mounts=(
                *self._workspace.environment.mounts,
                Mount(path=PROGRAM.parent),
                Mount(path=self._workspace.folder, writable=writable),
            ),
            limits=Limits(wall_s=min(LOOK_S, left_s), memory_bytes=LOOK_MEMORY_BYTES, output_bytes=LOOK_OUTPUT_BYTES),
            env={"LANG": "C.UTF-8"},
            stdin=json.dumps(given).encode(),
        )
        return _looked(await self._sandbox.run(job))

    async def run(
        self, command: str, *, timeout_s: float, hear: Callable[[str], None] | None = None
    ) -> tuple[ToolResult, bool]:
        """Run a command; what came of it, and whether it took too long.

        Args:
            hear: told the last line that it printed.
        """
        job = self._outfit.job(
            self._assignment,
            self._workspace,
            program=SHELL,
            home=self._home,
            credentials={},
            arguments=("-c", command),
        )
        job = replace(
            job,
            mounts=(*job.mounts, Mount(path=self._programs)),
            limits=replace(job.limits, wall_s=timeout_s),
            env={
                **job.env,
                "PATH": f"{self._python.parent}:{self._programs}:{SYSTEM_PATH}",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
        )
        result = await self._sandbox.run(job, on_output=None if hear is None else _listener(hear))
        return _ran(result), result.timed_out

    def _out_of_scope(self, path: str) -> str:
        inside, outside = self._assignment.scope_in, self._assignment.scope_out
        if posixpath.isabs(path):
            path = posixpath.relpath(path, str(self._workspace.folder))
        if admits(posixpath.normpath(path), inside=inside, outside=outside):
            return ""
        but = f", and not {', '.join(outside)}" if outside else ""
        return f"{path} is outside the task's scope, so it must not be changed. In scope: {', '.join(inside)}{but}."


def _looked(result: SandboxResult) -> ToolResult:
    if result.timed_out:
        return ToolResult(text=f"it did not end within {result.duration_s:.0f} s", failed=True)
    try:
        told = json.loads(result.output)
        return ToolResult(text=str(told["text"]), failed=bool(told["failed"]), changed=bool(told["changed"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return ToolResult(text=f"the tool failed (exit code {result.exit_code}): {_end(result)}", failed=True)


def _ran(result: SandboxResult) -> ToolResult:
    if result.timed_out:
        head = f"it was ended after {result.duration_s:.0f} s"
    elif result.exit_code is None or result.exit_code < 0:
        head = "it was killed" + (f" by signal {-result.exit_code}" if result.exit_code else "")
    else:
        head = f"exit code {result.exit_code}"
    notes = [f"it reached its limit of {name}" for name in result.reached]
    notes += ["not all of its output was kept"] if result.output_truncated else []
    text = plain(result.output.decode("utf-8", "replace"))
    return ToolResult(
        text="\n".join([", ".join([head, *notes]), text.rstrip() or "(no output)"]), failed=result.exit_code != 0
    )


def _end(result: SandboxResult) -> str:
    return plain(result.output.decode("utf-8", "replace")).strip()[-LAST_CHARACTERS:]


def _listener(hear: Callable[[str], None]) -> Callable[[bytes], None]:
    def listen(piece: bytes) -> None:
        lines = plain(piece[-LAST_CHARACTERS * 4 :].decode("utf-8", "replace")).split("\n")
        if said := next((line for line in reversed(lines) if line.strip()), ""):
            hear(" ".join(said.split()))

    return listen
