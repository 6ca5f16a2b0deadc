"""The thread that sends what waits to a StatsD server, by UDP.

Rules:
- It sends every `flush_s` seconds, sooner when much waits, and once more when it is closed.
- The name of the server is looked up in this thread only, again every `RESOLVE_S` seconds, because UDP does not tell
  that a server has moved. While it has no address, counters and gauges wait on, and observations are dropped: sent
  later they would be wrong.
- Nothing that goes wrong here ends the thread. What is known to be lost is counted, and the log says when trouble
  begins and when it has ended.
- A server that is not there refuses what was sent *before*: that is what is counted, and what comes then is sent.
- `close` waits at most `CLOSE_S` seconds for the last values.

Most losses of UDP are silent and are not known here.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from threading import Event, Thread

from councilor.adapters.statsd.buffer import Buffer
from councilor.adapters.statsd.wire import datagrams
from councilor.ports.clock import Clock

__all__ = ["CLOSE_S", "RESOLVE_S", "Emitter", "connect"]

RESOLVE_S = 60.0
CLOSE_S = 1.0

_SEND_S = 0.2
_log = logging.getLogger(__name__)


def connect(host: str, port: int) -> socket.socket:
    """A socket that sends to the first of the host's addresses that there is a way to.

    Raises:
        OSError: the name has no address, or there is no way to any.
    """
    problem: OSError = OSError(f"{host} has no address")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except UnicodeError as error:  # how some names are refused that cannot be one
        raise OSError(f"{host!r} is not the name of a host") from error
    for family, kind, protocol, _, address in found:
        outlet = socket.socket(family, kind, protocol)
        try:
            outlet.settimeout(_SEND_S)
            outlet.connect(address)
        except OSError as error:
            outlet.close()
            problem = error
        else:
            return outlet
    raise problem


class Emitter:
    """Sends a buffer's values until it is closed.

    Args:
        open_outlet: gives a connected socket; raises OSError.
        flush_s: seconds between two flushes.
        lost: told how many values did not get there.
        clock: for the age of an address.
    """

    def __init__(
        self,
        *,
        open_outlet: Callable[[], socket.socket],
        flush_s: float,
        lost: Callable[[int], None],
        clock: Clock,
    ) -> None:
        self._wake = Event()
        self.buffer = Buffer(self._wake.set)
        self._open_outlet = open_outlet
        self._flush_s = flush_s
        self._lost = lost
        self._clock = clock
        self._outlet: socket.socket | None = None
        self._resolve_at_s = 0.0
        self._sent_before = 0
        self._awaits_refusal = False
        self._is_reached = True
        self._is_closing = False
        self._thread = Thread(target=self._run, name="statsd", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def close(self) -> None:
        """Send what waits, and end."""
        self._is_closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._wake.wait(self._flush_s)
            self._wake.clear()
            is_last = self._is_closing
            try:
                self._flush()
            except Exception:
                _log.exception("metrics could not be sent to StatsD")
        if self._outlet is not None:
            self._outlet.close()

    def _flush(self) -> None:
        try:
            outlet = self._find_outlet()
        except OSError as error:
            self._count(self.buffer.drop_samples())
            self._say(error)
            return
        self._hear(outlet)
        batch = self.buffer.take()
        self._count(batch.dropped)
        ready = list(datagrams(batch.values()))
        problem: OSError | None = None
        for number, (body, values) in enumerate(ready):
            problem = self._send(outlet, body, values) or problem
            if isinstance(problem, TimeoutError):
                self._count(sum(count for _, count in ready[number + 1 :]))
                break
        if problem is not None:
            self._say(problem)
        self._awaits_refusal = bool(ready) and problem is None

    def _hear(self, outlet: socket.socket) -> None:
        """Whether the last datagram of the flush before was refused; that it was not is all that UDP can say."""
        code = outlet.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._count(self._sent_before)
            self._say(OSError(code, os.strerror(code)))
        elif self._awaits_refusal:
            self._say(None)

    def _find_outlet(self) -> socket.socket:
        now_s = self._clock.monotonic()
        if self._outlet is not None and now_s < self._resolve_at_s:
            return self._outlet
        self._resolve_at_s = now_s + RESOLVE_S
        try:
            fresh = self._open_outlet()
        except OSError:
            if self._outlet is None:
                raise
            return self._outlet
        if self._outlet is not None:
            self._outlet.close()
        self._outlet = fresh
        return fresh

    def _send(self, outlet: socket.socket, body: bytes, values: int) -> OSError | None:
        refused: OSError | None = None
        try:
            try:
                outlet.send(body)
            except ConnectionRefusedError as error:
                refused = error
                self._count(self._sent_before)
                outlet.send(body)
        except OSError as error:
            self._count(values)
            return error
        self._sent_before = values
        return refused

    def _count(self, values: int) -> None:
        if values:
            self._lost(values)

    def _say(self, problem: OSError | None) -> None:
        if problem is not None and self._is_reached:
            _log.warning("StatsD cannot be reached", extra={"problem": str(problem)})
        elif problem is None and not self._is_reached:
            _log.warning("StatsD can be reached again")
        self._is_reached = problem is None
