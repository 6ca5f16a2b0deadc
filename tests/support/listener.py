"""A real HTTP server for webhooks: it keeps what it gets, and answers as it is told."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG = "hang"
"""An answer that never comes."""


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


@dataclass
class Listener:
    """What the server got, and what it answers: one item for each request, the last one again and again.

    An item is a status, raw bytes to send instead of HTTP, or `HANG`.
    """

    answers: Sequence[int | bytes | str] = (200,)
    url: str = ""
    got: list[Received] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def listening(*answers: int | bytes | str, certificate: tuple[str, str] | None = None) -> Iterator[Listener]:
    """A server on a port of its own.

    Args:
        certificate: files of a certificate and its key, for https.
    """
    listener = Listener(answers=answers or (200,))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            listener.got.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            answer = listener.answers[min(len(listener.got), len(listener.answers)) - 1]
            self.close_connection = True
            if answer == HANG:
                listener.over.wait(30)
            elif isinstance(answer, bytes):
                with suppress(OSError):  # the client has read enough
                    self.wfile.write(answer)
            else:
                self.send_response(int(answer))
                if 300 <= int(answer) < 400:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, request: object, address: object) -> None:
            pass  # a client that does not trust the certificate hangs up

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    listener.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield listener
    finally:
        listener.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
