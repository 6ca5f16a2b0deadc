"""Which tracer a process gets, and what that costs a process that wants none."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from collector import collecting

from councilor.adapters.system import SystemClock
from councilor.app.tracing import open_tracer
from councilor.domain.traceid import span_id_of, trace_id_of
from councilor.errors import InputError
from councilor.ports.tracing import NO_TRACING
from councilor.settings import load_settings

TASK = "01936f2e-7c00-7abc-8def-0123456789ab"
QUIET = """
import asyncio, sys
import councilor.surfaces.cli.main, councilor.adapters.dbos.system
from councilor.app import open_runtime
from councilor.settings import load_settings

async def main():
    async with open_runtime(load_settings()) as runtime:
        with runtime.tracer.trace("t"), runtime.tracer.span("s") as span:
            assert span.trace_id == ""

asyncio.run(main())
print([name for name in sys.modules if name.partition(".")[0] in ("opentelemetry", "requests", "google")])
import opentelemetry.trace
asyncio.run(main())  # loaded by somebody, and still set up by nobody
"""
EMBEDDED = """
import asyncio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from councilor.app import open_runtime
from councilor.settings import load_settings

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

async def main():
    async with open_runtime(load_settings()) as runtime:
        with runtime.tracer.trace("01936f2e-7c00-7abc-8def-0123456789ab"), runtime.tracer.span("work"):
            pass

asyncio.run(main())
assert trace.get_tracer_provider() is provider
print(*(f"{span.name} {span.context.trace_id:032x} {span.instrumentation_scope.name}"
        for span in exporter.get_finished_spans()), sep="\\n")
"""


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_who_wants_no_traces_does_not_even_load_them():
    assert run(QUIET).strip() == "[]"


def test_an_application_s_own_sdk_gets_the_spans():
    trace_id = trace_id_of(TASK)
    assert run(EMBEDDED).splitlines() == [f"work {trace_id} councilor", f"task {trace_id} councilor"]


async def test_an_endpoint_gets_the_spans_and_is_nobody_else_s_provider():
    from opentelemetry import trace

    before = trace.get_tracer_provider()
    with collecting() as collector:
        settings = load_settings(flags={"traces.endpoint": collector.url, "storage.database.url": None})
        async with open_tracer(settings, clock=SystemClock()) as tracer:
            assert trace.get_tracer_provider() is before
            with tracer.trace(TASK), tracer.span("work", attributes={"said": "password=hunter2"}, once="work:1"):
                pass
    work = collector.one("work")
    assert (work.trace_id, work.span_id) == (trace_id_of(TASK), span_id_of(trace_id_of(TASK), "work:1"))
    assert work.attributes["said"] == "password=***"


async def test_secrets_of_the_settings_are_known_to_spans(monkeypatch):
    monkeypatch.setenv("V3_STORAGE__DATABASE__URL", "postgresql://u:unmistakable@h/d")
    monkeypatch.setenv("V3_REDIS__URL", "redis://:indubitable@h:6379/0")
    with collecting() as collector:
        settings = load_settings(flags={"traces.endpoint": collector.url})
        async with open_tracer(settings, clock=SystemClock()) as tracer:
            with tracer.trace(TASK), tracer.span("work", attributes={"said": "unmistakable, indubitable"}):
                pass
    assert collector.one("work").attributes["said"] == "***, ***"


@pytest.mark.parametrize("url", ["ftp://h", "h:4318", "http://", "http://u:p@h", "http://h:port"])
def test_what_is_no_collector_s_address_is_refused(url):
    with pytest.raises(InputError) as caught:
        load_settings(flags={"traces.endpoint": url})
    assert caught.value.field == "traces.endpoint"


def test_no_tracing_is_negligible():
    began = time.perf_counter()
    for _ in range(100_000):
        with NO_TRACING.span("gate lint") as span:
            span.set({})
    each_us = (time.perf_counter() - began) / 100_000 * 1e6
    assert each_us < 10
