"""A TCP proxy in front of a server: it hands bytes on late, or not at all, and keeps going when a client has left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from servers import free_port


class SlowProxy:
    """Listens on `port`."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self.port = free_port()
        self.delay_s = 0.0
        """For every piece that a client sends from now on."""
        self.held: asyncio.Event | None = None
        """What clients send waits for it, even when they have left."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
            answers = asyncio.create_task(self._answer(server_reader, writer))
            try:
                while piece := await reader.read(65536):
                    await self._wait()
                    server_writer.write(piece)
                    await server_writer.drain()
                await asyncio.sleep(0.05)  # what was sent last is executed before the connection goes
            finally:
                server_writer.close()
                answers.cancel()
                await asyncio.wait([answers])

    async def _wait(self) -> None:
        if self.held is not None:
            await self.held.wait()
        if self.delay_s:
            await asyncio.sleep(self.delay_s)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):
                while piece := await reader.read(65536):
                    writer.write(piece)
                    await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def slow_proxy(server_port: int) -> AsyncIterator[SlowProxy]:
    proxy = SlowProxy(server_port)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(asyncio.CancelledError):
                await proxy.serve(reader, writer)
        finally:
            writer.transport.abort()  # also where the server was not there, or this was cancelled on the way

    listening = await asyncio.start_server(serve, "127.0.0.1", proxy.port)
    try:
        yield proxy
    finally:
        listening.close()
        for _ in range(10):
            await asyncio.sleep(0)  # who was accepted just now is served from its task's first turn on
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
