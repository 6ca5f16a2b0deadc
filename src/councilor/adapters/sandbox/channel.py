"""The runner's line to a running job: newline-ended UTF-8 over a socket pair.

Rules:
- The job inherits one end; its descriptor number is in `COUNCILOR_CHANNEL`.
- A line longer than 1 MiB or one that is not UTF-8 ends the conversation: `receive` answers None from then on, exactly
  as when the job had closed its end. A job that talks nonsense is not worth listening to, and it cannot raise here.
- A broken line never raises in `send`: whether the job listens is the job's affair.

It does not interpret lines: whatever a job says is data.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from types import TracebackType

__all__ = ["LINE_BYTES", "SocketChannel"]

LINE_BYTES = 2**20
"""Longest line, its newline not counted."""


class SocketChannel:
    """Our end of the line; use as an asynchronous context manager."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._ended = False
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> SocketChannel:
        """Attach the socket to the running loop."""
        self._end.setblocking(False)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._end, limit=LINE_BYTES)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close without waiting for the job to read what is left."""
        self._writer.transport.abort()
        await asyncio.sleep(0)  # lets the transport close its socket

    async def send(self, line: str) -> None:
        """Send one line; does nothing once the job has closed its end.

        Raises:
            ValueError: the line holds a newline, so it would be two.
        """
        if "\n" in line:
            raise ValueError("a line of the channel holds no newline")
        if self._writer.is_closing():
            return
        try:
            self._writer.write(line.encode() + b"\n")
            await self._writer.drain()
        except (ConnectionError, OSError):
            return

    def finish(self) -> None:
        """Say that nothing more comes: the job reads end-of-file behind what was sent."""
        if not self._writer.is_closing():
            with contextlib.suppress(OSError):
                self._writer.write_eof()

    async def receive(self) -> str | None:
        """The next line without its newline; None once the job has closed its end, died or talked nonsense."""
        if self._ended:
            return None
        try:
            line = await self._reader.readuntil(b"\n")
            return line[:-1].decode()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, UnicodeDecodeError, ConnectionError):
            self._ended = True
            return None
