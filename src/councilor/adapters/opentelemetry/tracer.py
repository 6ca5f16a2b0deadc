"""The `Tracer` on OpenTelemetry's API, whoever's SDK stands behind it.

Rules:
- A task's spans have its trace for a parent that every process computes alike (`domain/traceid.py`): a root that lives
  elsewhere. The root is told by the execution that comes to the task's end, and links to what its caller was doing.
- A provider with our ids (`ids`) gives the root and spans that are told `once` the ids that follow from the trace.
  Another one gives fresh ids; there the root is one more span below the common parent, and an interrupted span is told.
- Nothing that OpenTelemetry or a processor of its user raises reaches the caller.
- What it sends is cleaned first (`attributes.py`); of an exception only the class is told.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags
from opentelemetry.trace import Span as OtelSpan

from councilor.adapters.opentelemetry.attributes import Cleaning, Sent
from councilor.domain.traceid import began_ns_of, span_id_of, trace_id_of
from councilor.guards.hostfault import find_host_fault, is_fenced
from councilor.ports.tracing import NO_TRACING, Attributes, Span, SpanKind

__all__ = ["OpenTelemetryTracer", "PlannedIds"]

_log = logging.getLogger(__name__)

_KINDS = {SpanKind.INTERNAL: trace.SpanKind.INTERNAL, SpanKind.CLIENT: trace.SpanKind.CLIENT}
ROOT = "task"


class PlannedIds(Protocol):
    """Ids that a provider gives to the very next span."""

    def plan(self, trace_id: int, span_id: int) -> AbstractContextManager[None]:
        """Within it, the next span gets these ids; the trace's only where the span is a root."""
        ...


@dataclass(kw_only=True, slots=True)
class _Told:
    """A span of ours on one of OpenTelemetry's."""

    context: SpanContext
    cleaning: Cleaning
    put: Callable[[dict[str, Sent]], None]

    @property
    def trace_id(self) -> str:
        """As hexadecimal digits."""
        return f"{self.context.trace_id:032x}"

    @property
    def span_id(self) -> str:
        """As hexadecimal digits."""
        return f"{self.context.span_id:016x}"

    def set(self, attributes: Attributes) -> None:
        """Add attributes, cleaned."""
        try:
            self.put(self.cleaning.clean(attributes))
        except Exception as error:
            _complain(error)


@dataclass(slots=True)
class _Ending:
    """How a body ended."""

    error: BaseException | None = None

    @property
    def interrupted(self) -> bool:
        """Whether it will be done again: cancelled, stopped, a fault of the host, or taken over by another process."""
        error = self.error
        if error is None:
            return False
        return not isinstance(error, Exception) or find_host_fault(error) is not None or is_fenced(error)


class OpenTelemetryTracer:
    """A `Tracer`.

    Args:
        provider: gives the tracer; its SDK decides what becomes of spans.
        cleaning: what attributes go through.
        version: ours.
        content: whether what models are told and say may be among the attributes.
        ids: the provider's own ids, where they can be planned.
    """

    def __init__(
        self,
        provider: trace.TracerProvider,
        *,
        cleaning: Cleaning,
        version: str,
        content: bool = False,
        ids: PlannedIds | None = None,
    ) -> None:
        self._tracer = provider.get_tracer("councilor", version)
        self._cleaning = cleaning
        self._content = content
        self._ids = ids

    @property
    def content(self) -> bool:
        """Whether what models are told and say may be among the attributes."""
        return self._content

    @contextmanager
    def trace(self, task_id: str) -> Iterator[Span]:
        """The whole of a task."""
        caller = trace.get_current_span().get_span_context()
        trace_id = trace_id_of(task_id)
        parent = SpanContext(
            int(trace_id, 16), int(span_id_of(trace_id), 16), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
        )
        attributes: dict[str, Sent] = {}
        whole = _Told(context=parent, cleaning=self._cleaning, put=attributes.update)
        ending = _Ending()
        try:
            with _within(NonRecordingSpan(parent), ending):
                yield whole
        finally:
            if not ending.interrupted:
                self._tell_root(task_id, parent, caller, attributes, ending)

    @contextmanager
    def span(
        self,
        name: str,
        *,
        attributes: Attributes | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        once: str | None = None,
    ) -> Iterator[Span]:
        """A part of what goes on now."""
        around = trace.get_current_span().get_span_context()
        begun = self._begin(name, attributes, kind, once, around) if around.is_valid else None
        if begun is None:
            with NO_TRACING.span(name) as nothing:
                yield nothing
            return
        told = _Told(context=begun.get_span_context(), cleaning=self._cleaning, put=begun.set_attributes)
        ending = _Ending()
        try:
            with _within(begun, ending):
                yield told
        finally:
            if not (once is not None and self._ids is not None and ending.interrupted):
                _end(begun, ending)

    def _begin(
        self, name: str, attributes: Attributes | None, kind: SpanKind, once: str | None, around: SpanContext
    ) -> OtelSpan | None:
        try:
            cleaned = self._cleaning.clean(attributes or {})
            if once is None or self._ids is None:
                return self._tracer.start_span(name, kind=_KINDS[kind], attributes=cleaned)
            span_id = int(span_id_of(f"{around.trace_id:032x}", once), 16)
            with self._ids.plan(around.trace_id, span_id):
                return self._tracer.start_span(name, kind=_KINDS[kind], attributes=cleaned)
        except Exception as error:
            _complain(error)
            return None

    def _tell_root(
        self, task_id: str, root: SpanContext, caller: SpanContext, attributes: dict[str, Sent], ending: _Ending
    ) -> None:
        above = contexts.Context() if self._ids is not None else trace.set_span_in_context(NonRecordingSpan(root))
        planned = self._ids.plan(root.trace_id, root.span_id) if self._ids is not None else nullcontext()
        now_ns = time.time_ns()
        try:
            with planned:
                begun = self._tracer.start_span(
                    ROOT,
                    above,
                    attributes=attributes,
                    links=[trace.Link(caller)] if caller.is_valid else [],
                    start_time=min(began_ns_of(task_id) or now_ns, now_ns),  # a clock may have been set back
                )
        except Exception as error:
            _complain(error)
        else:
            _end(begun, ending)


@dataclass(slots=True)
class Plan:
    """Which ids come next; for who generates ids."""

    _next: ContextVar[tuple[int, int] | None] = field(
        default_factory=lambda: ContextVar("councilor_next_ids", default=None)
    )

    @contextmanager
    def plan(self, trace_id: int, span_id: int) -> Iterator[None]:
        """Within it, these ids are next."""
        token = self._next.set((trace_id, span_id))
        try:
            yield
        finally:
            self._next.reset(token)

    @property
    def planned(self) -> tuple[int, int] | None:
        """Ids of a trace and a span, where they are planned."""
        return self._next.get()


@contextmanager
def _within(span: OtelSpan, ending: _Ending) -> Iterator[None]:
    """Be within a span, and see how that ends."""
    token = contexts.attach(trace.set_span_in_context(span))
    try:
        yield
    except BaseException as error:
        ending.error = error
        raise
    finally:
        contexts.detach(token)


def _end(span: OtelSpan, ending: _Ending) -> None:
    error = ending.error
    try:
        if ending.interrupted:
            span.set_attribute("councilor.interrupted", True)
        if isinstance(error, Exception):
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        span.end()
    except Exception as failure:
        _complain(failure)


def _complain(error: Exception) -> None:
    """What OpenTelemetry raised is nobody's affair but whoever looks for it."""
    _log.debug("a span could not be told", extra={"error": type(error).__name__})
