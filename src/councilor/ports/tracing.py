"""Where a task's trace goes: one span for each thing that takes time, from the whole task down to one gate.

Rules:
- The trace of a task has an id that follows from the task's, so that every process that works on it, and every
  execution after a crash, adds to the same trace.
- A span that is told `once` has an id that follows from its trace and that name. When it is interrupted it is not told
  at all, for its work will be done again; then the span gets the same id, and what ran inside it both times is its own.
- A span ends with an error when an exception leaves it: the class is told, the text never. A cancellation is no error.
- A tracer never raises and never blocks. Outside of a trace there are no spans.

What an attribute may hold is bounded, and cleaned of secrets, by who sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

__all__ = ["NO_TRACING", "Attributes", "NoTracing", "Span", "SpanKind", "Tracer"]

Attributes = Mapping[str, object]
"""Dotted name -> a scalar, a list of scalars, or nested data, which is sent as JSON text. None is left out."""


class SpanKind(StrEnum):
    """Which side of a call a span is on."""

    INTERNAL = "internal"
    """Within this process."""
    CLIENT = "client"
    """A call to another system."""


class Span(Protocol):
    """Something that goes on."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits; empty where nothing is traced."""
        ...

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits; empty where nothing is traced."""
        ...

    def set(self, attributes: Attributes) -> None:
        """Add attributes, or exchange earlier ones."""
        ...


class Tracer(Protocol):
    """Sends spans somewhere. Its context managers may be used around awaits, by the task that enters them."""

    @property
    def content(self) -> bool:
        """Whether what models are told and say may be among the attributes."""
        ...

    def trace(self, task_id: str) -> AbstractContextManager[Span]:
        """The whole of a task; told once, by the execution that comes to its end."""
        ...

    def span(
        self,
        name: str,
        *,
        attributes: Attributes | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        once: str | None = None,
    ) -> AbstractContextManager[Span]:
        """A part of what goes on now.

        Args:
            name: one of few; what differs from span to span is an attribute.
            attributes: what is known when it begins.
            kind: which side of a call it is on.
            once: names this span, and no other, within its trace.
        """
        ...


class _NoSpan:
    """A span that nobody sees; entering and leaving it is free."""

    trace_id = ""
    span_id = ""

    def set(self, attributes: Attributes) -> None:
        """Do nothing."""

    def __enter__(self) -> _NoSpan:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class NoTracing:
    """The default: spans go nowhere."""

    content = False

    def __init__(self) -> None:
        self._nothing = _NoSpan()

    def trace(self, task_id: str) -> AbstractContextManager[Span]:
        """The same empty span every time."""
        return self._nothing

    def span(
        self,
        name: str,
        *,
        attributes: Attributes | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        once: str | None = None,
    ) -> AbstractContextManager[Span]:
        """The same empty span every time."""
        return self._nothing


NO_TRACING: Tracer = NoTracing()
"""For who is given no tracer."""
