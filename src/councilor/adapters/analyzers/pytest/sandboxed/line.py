"""The runner's end of the channel: newline-ended JSON, every line sent carries a seal.

Rules:
- The descriptor is taken and made close-on-exec before anything of the repository is imported.
- The first line received holds the session's key; it lives in a closure only, never in a module or the environment.
- A sent line is `SEAL JSON`; the seal is BLAKE2b, keyed, over the line's number and its JSON, so that whoever writes to
  the descriptor without the key is noticed.
- Whatever the line needs later is bound now: patching `os` or `json` afterwards changes nothing here.

It does not decide what is said. Runs on Python 3.9 and later with the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Line", "open_line"]

HUNG_UP = 70


class Line(NamedTuple):
    """Both directions, and the first order received."""

    receive: Callable[[], dict[str, Any]]
    """The next order; ends the process when the conductor has hung up."""
    send: Callable[[dict[str, Any]], None]
    start: dict[str, Any]


def open_line() -> Line:
    """Take the channel from the environment and wait for the first order."""
    descriptor = int(os.environ.pop("COUNCILOR_CHANNEL"))
    os.set_inheritable(descriptor, False)
    os.set_blocking(descriptor, True)
    receive = _receiver(descriptor)
    start = receive()
    return Line(receive, _sender(descriptor, bytes.fromhex(start.pop("key"))), start)


def _receiver(descriptor: int) -> Callable[[], dict[str, Any]]:
    read, leave, decode = os.read, os._exit, json.JSONDecoder().decode
    buffer = bytearray()

    def receive() -> dict[str, Any]:
        while (end := buffer.find(b"\n")) < 0:
            chunk = read(descriptor, 65536)
            if not chunk:
                leave(HUNG_UP)
            buffer.extend(chunk)
        line = buffer[:end].decode()
        del buffer[: end + 1]
        order: dict[str, Any] = decode(line)
        return order

    return receive


def _sender(descriptor: int, key: bytes) -> Callable[[dict[str, Any]], None]:
    write, digest, encode = os.write, hashlib.blake2b, json.JSONEncoder(separators=(",", ":")).encode
    sent = 0

    def send(message: dict[str, Any]) -> None:
        nonlocal sent
        body = encode(message)
        seal = digest(f"{sent} {body}".encode("utf-8", "replace"), key=key, digest_size=16).hexdigest()
        sent += 1
        data = f"{seal} {body}\n".encode("utf-8", "replace")
        while data:
            data = data[write(descriptor, data) :]

    return send
