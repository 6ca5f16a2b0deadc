"""An OpenTelemetry collector as a real HTTP server: it takes OTLP in protobuf, and answers as it is told."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Status

HANG = "hang"
"""An answer that never comes."""
DRIP = "drip"
"""An answer that comes byte by byte, and never to its end."""
SLOW = "slow"
"""A good answer after a while."""
REDIRECT = 302


@dataclass(frozen=True, kw_only=True)
class Received:
    """One span as it came over the wire."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    began_ns: int
    ended_ns: int
    attributes: Mapping[str, Any]
    links: tuple[str, ...]
    error: str | None
    """The status's text where it is an error."""
    resource: Mapping[str, Any]


@dataclass
class Collector:
    """What came, and what is answered: one status, `HANG`, `DRIP` or `SLOW`."""

    answer: int | str = 200
    url: str = ""
    spans: list[Received] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    """What came, whether it was taken or not."""
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def named(self, name: str) -> list[Received]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Received:
        (span,) = self.named(name)
        return span

    def by_id(self) -> dict[str, Received]:
        return {span.span_id: span for span in self.spans}

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for part in request.resource_spans:
            resource = _plain(part.resource.attributes)
            for scope in part.scope_spans:
                self.spans += [_received(span, resource) for span in scope.spans]


def _received(span: Any, resource: Mapping[str, Any]) -> Received:
    failed = span.status.code == Status.STATUS_CODE_ERROR
    return Received(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=span.kind,
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        attributes=_plain(span.attributes),
        links=tuple(link.trace_id.hex() for link in span.links),
        error=span.status.message if failed else None,
        resource=resource,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {item.key: _value(item.value) for item in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind)


@contextmanager
def collecting(answer: int | str = 200) -> Iterator[Collector]:
    """A collector on a port of its own."""
    collector = Collector(answer=answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.bodies.append(body)
            collector.paths.append(self.path)
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.close_connection = True
            answer = collector.answer
            if answer == SLOW:
                collector.over.wait(0.1)
                answer = 200
            if isinstance(answer, str):
                while answer == DRIP and not collector.over.wait(0.05):
                    with suppress(OSError):
                        self.wfile.write(b"H")
                collector.over.wait(30)
                return
            if answer == 200:
                collector.take(body)
            reply = ExportTraceServiceResponse().SerializeToString()
            self.send_response(answer)
            if answer == REDIRECT:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield collector
    finally:
        collector.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
