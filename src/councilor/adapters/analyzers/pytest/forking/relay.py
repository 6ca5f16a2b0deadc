"""The line between the server and its hot child: newline-ended JSON over a socket pair.

Rules:
- Each end notices when the other is gone: the child ends with the server, and the server goes on without the child.
- A child that does not answer in time is as good as gone.

It does not know what is said. Python 3.9 and later, standard library only.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

__all__ = ["Hot", "Talk"]


class Talk:
    """The hot child's end of its line."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._lines = end.makefile("rb")

    def receive(self) -> dict[str, Any]:
        """The next order; ends the process when the server is gone."""
        line = self._lines.readline()
        if not line:
            os._exit(0)
        order: dict[str, Any] = json.loads(line)
        return order

    def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        self.forward(json.dumps(message).encode())

    def close(self) -> None:
        """Close this end, in a process that has no business with it."""
        self._lines.close()
        self._end.close()

    def forward(self, line: bytes) -> None:
        """Send a message that is already written."""
        self._end.sendall(line + b"\n")


class Hot:
    """The server's end of it."""

    def __init__(self, pid: int, end: socket.socket) -> None:
        self.pid = pid
        self._end = end
        self._buffer = bytearray()

    def send(self, message: dict[str, Any]) -> None:
        """Send an order; a child that is gone is noticed when its answer does not come."""
        with suppress(OSError):
            self._end.sendall(json.dumps(message).encode() + b"\n")

    def answer(self, until_s: float, on_record: Callable[[bytes], None]) -> dict[str, Any] | None:
        """The next message that is no record; None when the child is gone or takes too long."""
        while True:
            while (end := self._buffer.find(b"\n")) < 0:
                if not select.select([self._end], [], [], max(0.0, until_s - time.monotonic()))[0]:
                    return None
                try:
                    chunk = self._end.recv(65536)
                except OSError:
                    chunk = b""
                if not chunk:
                    return None
                self._buffer += chunk
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            try:
                message: dict[str, Any] = json.loads(line)
            except ValueError:
                return None
            if not {"outcome", "begin"} & message.keys():
                return message
            if "outcome" in message:
                on_record(line)

    def close(self) -> None:
        """Close this end."""
        self._end.close()

    def end(self) -> None:
        """Kill the child; what it had started becomes the server's."""
        self.close()
        with suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
