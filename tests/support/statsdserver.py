"""A StatsD server of one process: it listens on UDP and keeps every datagram."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from threading import Thread

__all__ = ["StatsdServer"]

_END = b"\0end"


class StatsdServer:
    """Listens from the beginning until it is closed.

    Args:
        port: where; 0 for any free port.
    """

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        self._socket.bind(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self.datagrams: list[bytes] = []
        self._ends = 0
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            datagram = self._socket.recv(2**16)
            if datagram == b"\0close":
                return
            if datagram == _END:
                self._ends += 1
            else:
                self.datagrams.append(datagram)

    def lines(self) -> list[str]:
        """Every line that was sent before this call."""
        expected = self._ends + 1
        self._tell(_END)
        self.wait(lambda: self._ends >= expected)
        return [line for datagram in self.datagrams for line in datagram.decode().split("\n")]

    def wait(self, condition: Callable[[], bool], limit_s: float = 10.0) -> None:
        """Until something has come about."""
        until = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < until, self.datagrams
            time.sleep(0.005)

    def close(self) -> None:
        """Listen no longer."""
        self._tell(b"\0close")
        self._thread.join(5)
        self._socket.close()

    def _tell(self, datagram: bytes) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(datagram, ("127.0.0.1", self.port))
