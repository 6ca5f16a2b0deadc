"""Calls of an outside port as spans."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from councilor.adapters.opentelemetry.attributes import Cleaning
from councilor.adapters.opentelemetry.tracer import OpenTelemetryTracer
from councilor.domain.redaction import Redaction
from councilor.errors import UnavailableError
from councilor.guards.spans import with_spans


class Store:
    durable = True

    async def read(self, name: str) -> str:
        if name == "lost":
            raise UnavailableError("password=hunter2", backend="postgres")
        return name

    def sync(self) -> str:
        return "sync"


async def test_each_call_is_told_by_port_method_and_backend_and_by_nothing_that_was_asked():
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = OpenTelemetryTracer(provider, cleaning=Cleaning(redaction=Redaction()), version="1")
    store = with_spans(Store(), port="artifacts", backend="postgres", tracer=tracer)
    assert (await store.read("outside"), store.sync(), store.durable) == ("outside", "sync", True)
    with tracer.trace("t"):
        assert await store.read("asked") == "asked"
        with pytest.raises(UnavailableError):
            await store.read("lost")
    good, bad, _root = exporter.get_finished_spans()
    assert (good.name, good.kind) == ("artifacts.read", SpanKind.CLIENT)
    assert dict(good.attributes) == {"peer.service": "postgres", "db.system.name": "postgresql"}
    assert bad.attributes["error.type"] == "UnavailableError"
    assert "asked" not in good.to_json()
    assert "hunter2" not in bad.to_json()
