"""A server in this process, for peers that speak HTTP: one thread for each connection, a free loopback port."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["listening"]


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: object, address: object) -> None:
        pass  # a client that has heard enough hangs up


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler], over: threading.Event) -> Iterator[str]:
    """Serve until this is left; gives the URL.

    Args:
        over: set when it ends, so that handlers which wait on purpose do so no longer.
    """
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()
