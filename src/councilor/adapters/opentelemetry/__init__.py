"""OpenTelemetry: the spans of tasks, by the API of whoever listens, or sent by ourselves over OTLP.

The API is a dependency of the core; the SDK and the exporter are the extra `otlp`. Importing this loads neither: a
process that wants no spans does not pay for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from councilor.domain.redaction import Redaction
from councilor.errors import InputError, MissingExtraError
from councilor.ports.clock import Clock
from councilor.ports.tracing import NO_TRACING, Tracer

__all__ = ["open_otlp", "tracer_of_process"]


def tracer_of_process(*, redaction: Redaction, version: str, content: bool = False) -> Tracer:
    """A tracer for whoever has set up OpenTelemetry in this process; none where nobody has."""
    from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider

    from councilor.adapters.opentelemetry.attributes import Cleaning
    from councilor.adapters.opentelemetry.tracer import OpenTelemetryTracer

    provider = get_tracer_provider()
    if isinstance(provider, ProxyTracerProvider):  # stands for one that may come later
        return NO_TRACING
    return OpenTelemetryTracer(provider, cleaning=Cleaning(redaction=redaction), version=version, content=content)


@asynccontextmanager
async def open_otlp(
    endpoint: str, *, redaction: Redaction, version: str, clock: Clock, content: bool = False
) -> AsyncIterator[Tracer]:
    """A tracer that sends its spans to a collector, in the background.

    Args:
        endpoint: the collector's http(s) URL; without a path, `/v1/traces` is put behind it.
        redaction: what every attribute goes through.
        version: ours.
        clock: waits at the end.
        content: whether what models are told and say is sent as well.

    Raises:
        MissingExtraError: the extra is not installed.
        InputError: one of OpenTelemetry's own environment variables cannot be used.
    """
    try:
        from councilor.adapters.opentelemetry.attributes import Cleaning
        from councilor.adapters.opentelemetry.otlp import Delivery
        from councilor.adapters.opentelemetry.tracer import OpenTelemetryTracer
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"opentelemetry", "requests", "google"}:
            raise
        raise MissingExtraError(extra="otlp") from error
    try:
        delivery = Delivery(endpoint, version=version)
    except ValueError as error:
        raise InputError(
            f"OpenTelemetry cannot be set up: {error}.",
            field="traces.endpoint",
            hint="Correct the OTEL_* environment variables, or unset them.",
        ) from error
    try:
        yield OpenTelemetryTracer(
            delivery.provider,
            cleaning=Cleaning(redaction=redaction),
            version=version,
            content=content,
            ids=delivery.ids,
        )
    finally:
        await delivery.close(clock)
