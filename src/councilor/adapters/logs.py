"""The log: structlog's events and the standard library's records as one stream on standard error.

Rules:
- One line of JSON per event, or a readable line on a terminal; UTC times with `Z`.
- A line that names a task (`task_id`) has its trace's id.
- Fields bound with `structlog.contextvars` (`task_id`, `trace_id`, `span_id`) are on every line within their context,
  whichever library wrote it.
- Secrets are masked and terminal escapes removed in every string, nested ones and tracebacks included, before anything
  is rendered; the value behind a secret's name is masked whatever it is.
- A foreign library's records pass the same way and are shown from `warning` on.

It writes nowhere but to its stream; who collects it is the host's business.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

from councilor.domain.redaction import Redaction
from councilor.domain.traceid import span_id_of, trace_id_of
from councilor.ports.tracing import Attributes, Span, SpanKind, Tracer

__all__ = ["LoggedTracer", "configure_logs"]

_PACKAGE = "councilor"
_TRACEBACK = "exception"


class _Redacting:
    """A processor that makes an event fit to be shown."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {
            str(key): self._redaction.value(str(key), value, lines=key == _TRACEBACK) for key, value in event.items()
        }


class LoggedTracer:
    """A tracer that also puts the ids of task, trace and span on every line within; also when spans go nowhere.

    Args:
        inner: what becomes of the spans.
    """

    def __init__(self, inner: Tracer) -> None:
        self._inner = inner

    @property
    def content(self) -> bool:
        """Whether what models are told and say may be among the attributes."""
        return self._inner.content

    @contextmanager
    def trace(self, task_id: str) -> Iterator[Span]:
        """The whole of a task."""
        trace_id = trace_id_of(task_id)
        ids = {"task_id": task_id, "trace_id": trace_id, "span_id": span_id_of(trace_id)}
        with bound_contextvars(**ids), self._inner.trace(task_id) as span:
            yield span

    @contextmanager
    def span(
        self,
        name: str,
        *,
        attributes: Attributes | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        once: str | None = None,
    ) -> Iterator[Span]:
        """A part of what goes on now; one that nobody gives an id has none, unless it is told `once`."""
        with self._inner.span(name, attributes=attributes, kind=kind, once=once) as span:
            trace_id = span.trace_id or get_contextvars().get("trace_id", "")
            span_id = span.span_id or (span_id_of(trace_id, once) if trace_id and once is not None else "")
            if not span_id:
                yield span
                return
            with bound_contextvars(trace_id=trace_id, span_id=span_id):
                yield span


class _StreamHandler(logging.StreamHandler[TextIO]):
    """Ours, so that configuring again replaces it and leaves others alone."""


def configure_logs(
    *, level: str = "info", log_format: str = "auto", stream: TextIO | None = None, known_secrets: Iterable[str] = ()
) -> None:
    """Send every log event of this process to one stream; calling again replaces the earlier configuration.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        log_format: `json`, `console`, or `auto`: console when the stream is a terminal.
        stream: standard error when not given.
        known_secrets: values that are masked wherever they occur, such as a database password.
    """
    target = sys.stderr if stream is None else stream
    console = log_format == "console" or (log_format == "auto" and target.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    handler = _StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _without_formatted],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _with_trace,
                _Redacting(Redaction(known_secrets)),
                _console(target) if console else structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    _install(handler, logging.getLevelNamesMapping()[level.upper()])
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _with_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A line that names a task names its trace as well, also where the task is only spoken of."""
    task_id = event.get("task_id")
    if isinstance(task_id, str) and "trace_id" not in event:
        event["trace_id"] = trace_id_of(task_id)
    return event


def _without_formatted(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Leave out what another handler's formatter has put on a record: it says everything twice."""
    return {key: value for key, value in event.items() if key not in ("message", "asctime")}


def _install(handler: logging.Handler, level: int) -> None:
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, _StreamHandler)]:
        root.removeHandler(old)
        old.close()
    handler.setLevel(level)
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger(_PACKAGE).setLevel(level)


def _console(target: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )
