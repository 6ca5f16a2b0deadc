"""Deliveries to a real collector over HTTP: what arrives, and what a bad collector costs."""

from __future__ import annotations

import builtins
import logging
import socket
import threading
import time
from contextlib import asynccontextmanager
from statistics import median

import pytest
from collector import DRIP, HANG, REDIRECT, SLOW, collecting

from councilor import __version__
from councilor.adapters.opentelemetry import open_otlp, otlp
from councilor.adapters.system import SystemClock
from councilor.domain.redaction import Redaction
from councilor.domain.traceid import span_id_of, trace_id_of
from councilor.errors import InputError, MissingExtraError
from councilor.ports.tracing import SpanKind

TASK = "01936f2e-7c00-7abc-8def-0123456789ab"
OURS = "councilor.adapters.opentelemetry.otlp"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(otlp, "DELAY_S", 0.05)
    monkeypatch.setattr(otlp, "FLUSH_S", 5.0)
    monkeypatch.setattr(otlp, "EXPORT_S", 0.3)
    yield
    for thread in threading.enumerate():
        if thread.name == "councilor-traces-close":
            thread.join(10)


@asynccontextmanager
async def opened(url: str, **more):
    async with open_otlp(url, redaction=Redaction(), version=__version__, clock=SystemClock(), **more) as tracer:
        yield tracer


def tell(tracer, name: str = "work") -> None:
    with tracer.trace(TASK), tracer.span(name, kind=SpanKind.CLIENT, attributes={"n": 1, "list": ["a"]}, once=name):
        pass


def unused_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


async def until(condition, limit_s: float = 5.0) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < limit_s
        await SystemClock().sleep(0.01)


async def test_spans_arrive_with_all_they_are(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-collector-key=abc")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with collecting() as collector:
        async with opened(collector.url) as tracer:
            tell(tracer)
        assert collector.paths[0] == "/v1/traces"
        assert collector.headers[0]["x-collector-key"] == "abc"
        root, work = collector.one("task"), collector.one("work")
    trace_id = trace_id_of(TASK)
    assert (work.trace_id, work.span_id, work.parent_id) == (trace_id, span_id_of(trace_id, "work"), root.span_id)
    assert (root.span_id, root.parent_id) == (span_id_of(trace_id), "")
    assert work.kind == 3
    assert work.attributes == {"n": 1, "list": ["a"]}
    assert work.resource["service.name"] == "councilor"
    assert work.resource["service.version"] == __version__


@pytest.mark.parametrize("answer", [500, 503, 429, 400, REDIRECT, HANG, DRIP, "unreachable", "not http"])
async def test_a_bad_collector_costs_spans_and_is_told_once(answer, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(otlp, "FLUSH_S", 0.5)
    known = isinstance(answer, int) or answer in (HANG, DRIP)
    with collecting(answer if known else 200) as collector, socket.create_server(("127.0.0.1", 0)) as silent:
        url = {
            "unreachable": f"http://127.0.0.1:{unused_port()}",
            "not http": f"http://127.0.0.1:{silent.getsockname()[1]}",
        }.get(str(answer), collector.url)
        began, took_s = time.monotonic(), []
        async with opened(url) as tracer:
            for number in range(20):
                told = time.monotonic()
                tell(tracer, f"work {number}")
                took_s.append(time.monotonic() - told)
                await SystemClock().sleep(0.01)
        assert median(took_s) < 0.25, "whoever tells a span never waits"
        assert time.monotonic() - began < 10, "the end waits as long as it may, and no longer"
        assert collector.spans == []
        assert "/elsewhere" not in collector.paths
    await until(lambda: not [thread for thread in threading.enumerate() if thread.name == "councilor-traces-close"])
    assert [record.name for record in caplog.records if record.levelno >= logging.INFO] == [OURS]
    (said,) = [record for record in caplog.records if record.name == OURS]
    assert said.levelno == logging.WARNING


async def test_a_slow_collector_gets_all_and_nobody_waits_for_it(caplog):
    with collecting(SLOW) as collector:
        async with opened(collector.url) as tracer:
            began = time.monotonic()
            for number in range(50):
                tell(tracer, f"work {number}")
            assert time.monotonic() - began < 1
        assert len(collector.named("task")) == 50
    assert caplog.records == []


async def test_a_collector_that_comes_back_is_told_once_and_gets_what_comes_then(caplog):
    caplog.set_level(logging.INFO)
    with collecting(500) as collector:
        async with opened(collector.url) as tracer:
            tell(tracer, "lost")
            await until(lambda: caplog.records)
            collector.answer = 200
            tell(tracer, "kept")
            await until(lambda: len(caplog.records) > 1)
            collector.answer = 500
            tell(tracer, "lost")
            await until(lambda: len(caplog.records) > 2)
        assert {span.name for span in collector.spans} == {"kept", "task"}
    failed, again, failed_again = caplog.records
    assert "cannot be delivered" in failed.getMessage()
    assert (failed.collector, failed.problem) == (collector.url.removeprefix("http://"), "it answered 500")
    assert ("delivered again" in again.getMessage(), again.dropped) == (True, 2)
    assert failed_again.getMessage() == failed.getMessage()


async def test_a_queue_that_is_full_drops_and_never_waits(monkeypatch, caplog):
    monkeypatch.setattr(otlp, "QUEUE", 64)
    monkeypatch.setattr(otlp, "FLUSH_S", 0.2)
    monkeypatch.setattr(otlp, "BATCH", 64)
    with collecting(HANG) as collector:
        async with opened(collector.url) as tracer:
            with tracer.trace(TASK):
                began = time.monotonic()
                for _ in range(5_000):
                    with tracer.span("gate"):
                        pass
                each_s = (time.monotonic() - began) / 5_000
    assert each_s < 0.005
    assert {record.name for record in caplog.records} == {OURS}


async def test_nothing_is_left_behind():
    noisy = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    before, filters = threading.active_count(), list(noisy.filters)
    with collecting() as collector:
        async with opened(collector.url) as tracer:
            tell(tracer)
            assert noisy.filters != filters
    await until(lambda: noisy.filters == filters)
    await until(lambda: threading.active_count() <= before)


async def test_a_variable_of_opentelemetry_that_cannot_be_used_is_told(monkeypatch):
    monkeypatch.setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "squeeze")
    with pytest.raises(InputError, match="squeeze"):
        async with opened("http://127.0.0.1:1"):
            pass


async def test_an_extra_that_is_not_installed_is_named(monkeypatch):
    load = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "councilor.adapters.opentelemetry.otlp":
            raise ModuleNotFoundError("No module named 'opentelemetry.sdk'", name="opentelemetry.sdk")
        return load(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError) as caught:
        async with opened("http://127.0.0.1:1"):
            pass
    assert caught.value.hint() == "pip install 'councilor[otlp]'"
