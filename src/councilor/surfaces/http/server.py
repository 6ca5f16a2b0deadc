"""Serving an app from a thread with an event loop of its own, so that it answers whatever the rest of the process does.

Rules:
- Whoever connects has `PATIENCE_S` or so for each request, its answer included: who sends a header byte by byte, sends
  nothing, or does not read, is cut off. Headers have a limit, and no body is read: one that goes on after the answer
  ends its connection. A connection over `MOST_CONNECTIONS` is closed at once: a crowd must not take the descriptors of
  a process that has other work.
- uvicorn configures no log and handles no signal: both are the process's. Its own name is in no header.
- Leaving takes no longer than `STOP_S`: answers that are under way get that long. The thread is a daemon.

Source: uvicorn 0.54 (`Server`, `H11Protocol`), which has no limit of its own for the time of a header.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from councilor.errors import UnavailableError

__all__ = ["serving"]

PATIENCE_S = 5.0
STOP_S = 1.0
HEADER_BYTES = 16 * 1024
MOST_CONNECTIONS = 256
START_S = 10.0


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket, *, patience_s: float = PATIENCE_S) -> AsyncIterator[None]:
    """Serve for as long as this is open; closes the socket.

    Args:
        patience_s: seconds for one request, or for none.

    Raises:
        UnavailableError: it did not start.
    """
    server = _Server(app, patience_s)
    thread = threading.Thread(target=server.run_in_thread, args=[listener], name="http", daemon=True)
    thread.start()
    try:
        if not await _wait_until(server.answering.is_set, START_S) or server.failure is not None:
            raise UnavailableError(
                "The HTTP server did not start.", backend="http", hint="The log at level debug says more."
            ) from server.failure
        yield
    finally:
        server.should_exit = True
        await _wait_until(lambda: not thread.is_alive(), 2 * STOP_S)
        listener.close()


async def _wait_until(condition: Any, limit_s: float) -> bool:
    """Wait for another thread without keeping this loop; no event of a loop can be set from there once it has ended."""
    steps = int(limit_s / 0.02)
    for _ in range(steps):
        if condition():
            return True
        await asyncio.sleep(0.02)
    return bool(condition())


class _Server(uvicorn.Server):
    """uvicorn, one app, one thread."""

    def __init__(self, app: ASGIApp, patience_s: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Impatient,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=patience_s,  # type: ignore[arg-type]  # any number of seconds will do
                timeout_graceful_shutdown=int(STOP_S),
                h11_max_incomplete_event_size=HEADER_BYTES,
            )
        )
        self.answering = threading.Event()
        """Set once it answers, or has failed to."""
        self.failure: BaseException | None = None

    def run_in_thread(self, listener: socket.socket) -> None:
        """Serve until told to leave."""
        try:
            asyncio.run(self.serve(sockets=[listener]))
        except BaseException as error:
            self.failure = error
        finally:
            self.answering.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does, and say that it is done."""
        await super().startup(sockets=sockets)
        self.answering.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does, and drop what nobody has read by then."""
        await super().shutdown(sockets=sockets)
        for connection in list(self.server_state.connections):
            if isinstance(connection, H11Protocol):
                connection.transport.abort()
        await asyncio.sleep(0)  # in which the loop tells them


class _Impatient(H11Protocol):
    """A connection that has to get somewhere: a request answered in each span of its patience, or it is cut."""

    _answered = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base has it
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:  # no descriptor of this process is worth one more
            transport.abort()
            return
        self._wait_for_more()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._answered += 1
        if self.cycle.more_body:  # which nobody reads
            self.transport.close()
        super().on_response_complete()

    def _wait_for_more(self) -> None:
        self._timer = self.loop.call_later(self.timeout_keep_alive, self._look, self._answered)

    def _look(self, answered: int) -> None:
        if self._answered == answered:
            self.transport.abort()
        else:
            self._wait_for_more()
