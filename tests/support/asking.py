"""Asking an HTTP server the plain way, and also the rude way."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Answer", "ask", "send_raw", "wait_until"]


@dataclass(frozen=True)
class Answer:
    """What came back, and how long it took."""

    code: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def data(self) -> Any:
        return json.loads(self.body)


def ask(url: str, *, method: str = "GET", timeout_s: float = 10.0, **headers: str) -> Answer:
    """One request over a connection of its own."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    began_s = time.monotonic()
    try:
        line.request(method, parts.path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = line.getresponse()
        body = answer.read()
    finally:
        line.close()
    found = {name.lower(): value for name, value in answer.getheaders()}
    return Answer(answer.status, found, body, time.monotonic() - began_s)


def send_raw(url: str, data: bytes, *, timeout_s: float = 10.0) -> bytes:
    """What a server answers to bytes, until it closes the connection."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=timeout_s) as line:
        found = b""
        try:
            line.sendall(data)
            while piece := line.recv(65536):
                found += piece
        except ConnectionError:  # it hung up on us, which is an answer, too
            pass
        return found


def wait_until(condition: Callable[[], bool], *, within_s: float) -> float:
    """Seconds until it was so; a failure when it was not in time."""
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < within_s, f"not so within {within_s} s"
        time.sleep(0.02)
    return time.monotonic() - began_s
