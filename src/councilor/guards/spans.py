"""The span guard: one span for each call of an outside port, within a task.

It tells the port, the method, the backend and how the call ended; never what was asked or answered. It belongs around
all other guards, so that its time is what the caller waited: tries, refusals and the fallback included.
"""

from __future__ import annotations

from typing import Any, TypeVar

from councilor.guards.wrapping import AsyncMethod, wrapped
from councilor.ports.tracing import SpanKind, Tracer

__all__ = ["with_spans"]

P = TypeVar("P")

DATABASES = {"postgres": "postgresql", "redis": "redis"}
"""Backend -> `db.system.name`. Source: OpenTelemetry semantic conventions 1.37.0, `docs/database/database-spans.md`."""


def with_spans(adapter: P, *, port: str, backend: str, tracer: Tracer) -> P:
    """The same port, each async method seen.

    Args:
        port: the port's name: `artifacts`.
        backend: the adapter's name: `postgres`.
    """

    def wrap(name: str, method: AsyncMethod) -> AsyncMethod:
        about = {"peer.service": backend, "db.system.name": DATABASES.get(backend)}

        async def guarded(*args: object, **kwargs: object) -> Any:
            with tracer.span(f"{port}.{name}", kind=SpanKind.CLIENT, attributes=about):
                return await method(*args, **kwargs)

        return guarded

    return wrapped(adapter, wrap, guard="seen")
