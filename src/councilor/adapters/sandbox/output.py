"""What a job prints: standard output and error through one pipe.

Rules:
- The first `limit_bytes` are kept and streamed; everything after them is read and dropped, so that a job that prints a
  gigabyte neither blocks nor fills our memory.
- An exception of the listener is kept for the caller and ends the streaming, never the reading.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

__all__ = ["Output"]

CLOSE_S = 1.0
"""How long a process that escaped its killing may hold the pipe open before we stop reading."""


class Output(asyncio.Protocol):
    """The reading end of a job's output.

    Args:
        limit_bytes: how much is kept.
        listener: receives every kept piece as it comes.
    """

    def __init__(self, limit_bytes: int, listener: Callable[[bytes], None] | None) -> None:
        self._room = limit_bytes
        self._listener = listener
        self._kept = bytearray()
        self._closed = asyncio.Event()
        self._transport: asyncio.ReadTransport | None = None
        self.truncated = False
        self._failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, read_fd: int, limit_bytes: int, listener: Callable[[bytes], None] | None) -> Output:
        """Start reading a descriptor, which belongs to the answer from now on."""
        pipe = os.fdopen(read_fd, "rb", buffering=0)
        transport, output = await asyncio.get_running_loop().connect_read_pipe(lambda: cls(limit_bytes, listener), pipe)
        output._transport = transport
        return output

    def data_received(self, data: bytes) -> None:
        """Keep what still fits and drop the rest."""
        piece = data[: self._room]
        self.truncated = self.truncated or len(piece) < len(data)
        if not piece:
            return
        self._room -= len(piece)
        self._kept += piece
        self._tell(piece)

    def _tell(self, piece: bytes) -> None:
        if self._listener is None:
            return
        try:
            self._listener(piece)
        except Exception as error:  # the listener is the caller's; it comes out of `run`
            self._listener = None
            self._failed.set_result(error)

    def connection_lost(self, error: Exception | None) -> None:
        """Note that nothing more comes."""
        self._closed.set()

    async def finish(self) -> bytes:
        """Everything that was kept, once every writer has closed the pipe or `CLOSE_S` seconds have passed."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._closed.wait()
        except TimeoutError:
            pass
        self.close()
        await self._closed.wait()
        return bytes(self._kept)

    async def failure(self) -> None:
        """Wait for the listener to fail, and raise what it raised."""
        raise await asyncio.shield(self._failed)

    def close(self) -> None:
        """Stop reading."""
        if self._transport is not None:
            self._transport.close()
