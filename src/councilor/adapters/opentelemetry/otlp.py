"""Sending spans to a collector: OpenTelemetry's SDK with an OTLP exporter over HTTP, behind a bounded queue.

Rules:
- Spans wait in a queue of `QUEUE` and are sent by a thread of its own; when the queue is full the oldest is dropped. A
  run never waits for a collector, except at most `FLUSH_S` seconds at its end.
- A collector that is not there, is slow, hangs or refuses costs spans and nothing else. That is logged once when it
  begins and once when it is over; OpenTelemetry's own remarks about it are not logged.
- One export, its further tries included, has `EXPORT_S` seconds. Answers are not read, redirects not followed, and
  proxies and `.netrc` do not exist. Headers, such as a collector's key, come from the standard variable
  OTEL_EXPORTER_OTLP_HEADERS, which the exporter reads itself.
- It is nobody's global provider: what other libraries in this process would tell goes nowhere.

Source: OpenTelemetry specification 1.49, "Batching processor"; OTLP specification 1.7, "OTLP/HTTP Request".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from councilor.adapters.opentelemetry.attributes import MOST
from councilor.adapters.opentelemetry.endpoint import traces_url
from councilor.adapters.opentelemetry.tracer import Plan
from councilor.ports.clock import Clock

__all__ = ["Delivery"]

_log = logging.getLogger(__name__)

QUEUE = 4_096
BATCH = 256
DELAY_S = 1.0
"""Seconds that a span waits for others: as much is lost of a process that is killed."""
EXPORT_S = 5.0
FLUSH_S = 2.0
_NOISY = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.attributes", "urllib3")


class StableIds(IdGenerator):
    """Random ids, but for what is planned."""

    def __init__(self) -> None:
        self._plan = Plan()
        self._random = RandomIdGenerator()
        self.plan = self._plan.plan

    def generate_span_id(self) -> int:
        """The planned span's id, else a random one."""
        planned = self._plan.planned
        return planned[1] if planned else self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        """The planned trace's id, else a random one."""
        planned = self._plan.planned
        return planned[0] if planned else self._random.generate_trace_id()


class Delivery:
    """An SDK of our own, and how its deliveries go.

    Args:
        endpoint: the collector's http(s) URL.
        version: ours.

    Raises:
        ValueError: one of OpenTelemetry's own environment variables cannot be used.
    """

    def __init__(self, endpoint: str, *, version: str) -> None:
        self.ids = StableIds()
        self._exporter = _WatchedExporter(endpoint)
        self.provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=Resource.create({"service.name": "councilor", "service.version": version}),
            shutdown_on_exit=False,
            id_generator=self.ids,
            span_limits=SpanLimits(max_span_attributes=2 * MOST),
        )
        self.provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter,
                max_queue_size=QUEUE,
                schedule_delay_millis=DELAY_S * 1000,
                max_export_batch_size=BATCH,
            )
        )
        self._quiet = _Quiet()

    async def close(self, clock: Clock) -> None:
        """Send what is waiting, for at most `FLUSH_S` seconds; what is left then is dropped."""
        # A thread of our own: the SDK waits up to 30 s, and at the end of a process nobody may.
        sending = threading.Thread(target=self._finish, name="councilor-traces-close", daemon=True)
        sending.start()
        until_s = clock.monotonic() + FLUSH_S
        try:
            while sending.is_alive() and clock.monotonic() < until_s:
                await clock.sleep(0.01)
        finally:
            if sending.is_alive():
                self._exporter.give_up()

    def _finish(self) -> None:
        self.provider.shutdown()
        self._quiet.end()


class _WatchedExporter(SpanExporter):
    """An OTLP exporter that says once when it begins to fail and once when it no longer does."""

    def __init__(self, endpoint: str) -> None:
        self._place = urlsplit(endpoint).netloc
        self._session = _Session()
        self._exporter = OTLPSpanExporter(endpoint=traces_url(endpoint), timeout=EXPORT_S, session=self._session)
        self._dropped = 0
        self._failing = False
        self._closed = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans; gives whether they arrived."""
        if self._closed.is_set():
            return SpanExportResult.FAILURE
        self._session.problem = ""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._failing:
                _log.info("traces are delivered again", extra={"collector": self._place, "dropped": self._dropped})
            self._failing, self._dropped = False, 0
            return result
        self._dropped += len(spans)
        if not self._failing:
            self._failing = True
            problem = self._session.problem or "it did not take them in time"
            _log.warning(
                "traces cannot be delivered; spans are dropped until they can",
                extra={"collector": self._place, "problem": problem},
            )
        return result

    def give_up(self) -> None:
        """Begin no further try; the one that waits for an answer ends by its own time."""
        if not self._failing:
            self._failing = True
            _log.warning("the last spans were not delivered in time", extra={"collector": self._place})
        self.shutdown()

    def shutdown(self) -> None:
        """Close the connection."""
        if not self._closed.is_set():
            self._closed.set()
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it has no annotation

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True


class _Session(requests.Session):
    """A session that reads no answer, follows nothing, and remembers what went wrong last."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.stream = True
        self.problem = ""

    def send(self, request: requests.PreparedRequest, **arguments: Any) -> requests.Response:
        """Send one request; an answer that is a redirection is a failure."""
        try:
            response = super().send(request, **arguments)
        except Exception as error:
            self.problem = type(error).__name__
            raise
        response.close()
        if not response.ok:
            self.problem = f"it answered {response.status_code}"
        if 300 <= response.status_code < 400:
            self.problem = "it redirects, which is not followed"
            raise requests.exceptions.InvalidURL(self.problem)
        return response


class _Quiet(logging.Filter):
    """While it lasts, OpenTelemetry's own remarks on deliveries are not logged: ours say it once."""

    def __init__(self) -> None:
        super().__init__()
        names = [name for name in logging.root.manager.loggerDict if name.startswith(_NOISY)]
        self._silenced = [logging.getLogger(name) for name in names]
        for logger in self._silenced:
            logger.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let nothing through."""
        return False

    def end(self) -> None:
        """Let them be heard again."""
        for logger in self._silenced:
            logger.removeFilter(self)
