"""A notification through a program of the operator's, such as a mailer.

Rules:
- The program and its arguments are the operator's, word for word; no shell, and nothing of a task is ever an argument.
  The message is one JSON document on standard input.
- It starts in `/` and not where councilor was called: a folder there may belong to a repository, and some programs
  run what they find beside them.
- It has `timeout_s` seconds; then its process group gets SIGTERM and, a second later, SIGKILL. What it leaves running
  in the background once it has ended is its own affair.
- Its standard output is thrown away; the last line of its standard error is quoted, escaped, when it fails.

It is not sandboxed: it is the operator's program, with the operator's environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from tempfile import TemporaryFile
from typing import IO

from councilor.domain.notification import Notification, presentable
from councilor.errors import DeadlineError, UnavailableError

__all__ = ["CommandNotifier"]

KILL_AFTER_S = 1.0
QUOTED = 200
_KEPT_BYTES = 2000


class CommandNotifier:
    """Notifies by running a program.

    Args:
        command: the program, a name on `PATH` or an absolute path, and its arguments.
        environment: the variables it gets.
        timeout_s: seconds it may take.
    """

    def __init__(self, *, command: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> None:
        self._command = tuple(command)
        self._environment = dict(environment)
        self._timeout_s = timeout_s

    @property
    def channel(self) -> str:
        """`command`."""
        return "command"

    async def send(self, notification: Notification) -> None:
        """Run the program once; it is not repeated, because nobody knows what it did before it failed."""
        # Files, not pipes: a program that never reads, or leaves a child behind, then cannot keep anybody waiting.
        with TemporaryFile() as message, TemporaryFile() as said:
            message.write(json.dumps(notification.document()).encode())
            message.seek(0)
            code = await self._run(message, said)
            if code != 0:
                raise UnavailableError(
                    f"The notification command {self._command[0]} ended with {code}{_quote(said)}.",
                    backend=self.channel,
                    hint="Try it with `councilor notify --test`.",
                )

    async def _run(self, message: IO[bytes], said: IO[bytes]) -> int:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=message,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=said,
                env=self._environment,
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise UnavailableError(
                f"The notification command {self._command[0]} cannot be started: {error}",
                backend=self.channel,
                hint="Correct notify.command: an absolute path, or a name on PATH.",
            ) from error
        try:
            async with asyncio.timeout(self._timeout_s):
                return await process.wait()
        except TimeoutError as error:
            raise DeadlineError(
                f"The notification command {self._command[0]} did not end within {self._timeout_s:g} s.",
                backend=self.channel,
                deadline_s=self._timeout_s,
                hint="Let it do its work in the background, or raise notify.timeout_s.",
            ) from error
        finally:
            if process.returncode is None:
                await _end(process)


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


def _quote(said: IO[bytes]) -> str:
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - _KEPT_BYTES))
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return f": {presentable(lines[-1], QUOTED)}" if lines else ""
