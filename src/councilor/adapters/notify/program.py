"""Running a program of the operator's with one JSON document on its standard input.

Rules:
- The program and its arguments are the operator's, word for word; no shell, and nothing of a task is ever an argument.
- It starts in `/` and not where councilor was called: a folder there may belong to a repository, and some programs
  run what they find beside them.
- It has `timeout_s` seconds; then its process group gets SIGTERM and, a second later, SIGKILL. What it leaves running
  in the background once it has ended is its own affair.

It is not sandboxed: it is the operator's program, with the operator's environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any

from councilor.domain.notification import presentable
from councilor.errors import DeadlineError, UnavailableError

__all__ = ["QUOTED", "Program", "quote_end"]

KILL_AFTER_S = 1.0
QUOTED = 200
_KEPT_BYTES = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """One configured program."""

    what: str
    """What it is to a reader: `notification command`."""
    block: str
    """The block of the settings that names it."""
    backend: str
    command: Sequence[str]
    environment: Mapping[str, str]
    timeout_s: float

    async def run(self, document: Mapping[str, Any], *, output: int, said: int) -> int:
        """Run it once; gives its exit code.

        Args:
            output: the descriptor that is its standard output.
            said: the descriptor that is its standard error.

        Raises:
            DeadlineError: it took too long, and was killed.
            UnavailableError: it cannot be started.
        """
        # A file, not a pipe: a program that never reads then cannot keep anybody waiting.
        with TemporaryFile() as message:
            message.write(json.dumps(document).encode())
            message.seek(0)
            process = await self._start(message, output, said)
            try:
                async with asyncio.timeout(self.timeout_s):
                    return await process.wait()
            except TimeoutError as error:
                raise DeadlineError(
                    f"The {self.what} {self.command[0]} did not end within {self.timeout_s:g} s.",
                    backend=self.backend,
                    deadline_s=self.timeout_s,
                    hint=f"Let it do its work in the background, or raise {self.block}.timeout_s.",
                ) from error
            finally:
                if process.returncode is None:
                    await _end(process)

    async def _start(self, message: IO[bytes], output: int, said: int) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self.command,
                stdin=message,
                stdout=output,
                stderr=said,
                env=self.environment,
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise UnavailableError(
                f"The {self.what} {self.command[0]} cannot be started: {error}",
                backend=self.backend,
                hint=f"Correct {self.block}.command: an absolute path, or a name on PATH.",
            ) from error


def quote_end(said: IO[bytes]) -> str:
    """`: ` and the last line of a file of output, escaped; empty where there is none."""
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - _KEPT_BYTES))
    lines = said.read(_KEPT_BYTES).decode("utf-8", "replace").strip().splitlines()
    return f": {presentable(lines[-1], QUOTED)}" if lines else ""


async def _end(process: asyncio.subprocess.Process) -> None:
    """End its process group, gently first; when the caller is cancelled meanwhile, at once."""
    try:
        _signal(process.pid, signal.SIGTERM)
        async with asyncio.timeout(KILL_AFTER_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        _signal(process.pid, signal.SIGKILL)
        await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
