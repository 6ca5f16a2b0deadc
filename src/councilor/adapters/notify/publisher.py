"""Publishing through a program of the operator's, such as one that makes a pull request.

Rules:
- It gets the publication as one JSON document on standard input; see `program.py` for how it runs.
- The last line that it prints says where the result is, such as the pull request's address. Only the end of its output
  is kept, and it is untrusted: escaped and cut before anybody sees it.
- It is run at most once for a task unless a person wants it again, because nobody knows what it did before it failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence

from councilor.adapters.notify.program import QUOTED, Program
from councilor.domain.notification import presentable
from councilor.domain.publication import Publication
from councilor.errors import UnavailableError
from councilor.ports.repository import Repository

__all__ = ["CommandPublisher"]

KEPT_BYTES = 4096
_CHUNK_BYTES = 65_536
_MOST_LEFT = 64
"""Chunks that are still read once the program has ended; a child that goes on printing is not waited for."""


class CommandPublisher:
    """Publishes by running a program.

    Args:
        command: the program, a name on `PATH` or an absolute path, and its arguments.
        environment: the variables it gets.
        timeout_s: seconds it may take.
    """

    target = "command"
    repeatable = False

    def __init__(self, *, command: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> None:
        self._program = Program(
            what="publishing command",
            block="publish",
            backend=self.target,
            command=tuple(command),
            environment=dict(environment),
            timeout_s=timeout_s,
        )

    async def deliver(self, publication: Publication, repository: Repository) -> str:
        """Run the program; gives the last line that it printed."""
        with _listening() as said, _listening() as heard:
            code = await self._program.run(publication.document(), output=heard.writer, said=said.writer)
            if code != 0:
                raise UnavailableError(
                    f"The publishing command {self._program.command[0]} ended with {code}{_quote(said.last_line())}.",
                    backend=self.target,
                    hint=f"The commit is on {publication.branch}. Look what the program did; to run it once more: "
                    f"councilor deliver {publication.task_id} --to command --again",
                )
            return heard.last_line()


class _Heard:
    """The end of what comes out of a pipe, however much that is."""

    def __init__(self, reader: int, writer: int) -> None:
        self.reader, self.writer = reader, writer
        self._kept = b""

    def read(self) -> bool:
        """Take one chunk; False when there is none now."""
        try:
            part = os.read(self.reader, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        self._kept = (self._kept + part)[-KEPT_BYTES:]
        return bool(part)

    def last_line(self) -> str:
        """The last line, escaped; empty where nothing was printed."""
        for _ in range(_MOST_LEFT):
            if not self.read():
                break
        lines = self._kept.decode("utf-8", "replace").strip().splitlines()
        return presentable(lines[-1], QUOTED) if lines else ""


def _quote(line: str) -> str:
    return f": {line}" if line else ""


@contextlib.contextmanager
def _listening() -> Iterator[_Heard]:
    reader, writer = os.pipe()
    heard, loop = _Heard(reader, writer), asyncio.get_running_loop()
    try:
        os.set_blocking(reader, False)
        loop.add_reader(reader, heard.read)
        yield heard
    finally:
        loop.remove_reader(reader)
        os.close(reader)
        os.close(writer)
