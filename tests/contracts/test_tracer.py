"""What every tracer owes its callers: the body runs, its errors come out as they are, and nothing is in the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from councilor.adapters.logs import LoggedTracer
from councilor.adapters.opentelemetry.attributes import Cleaning
from councilor.adapters.opentelemetry.otlp import StableIds
from councilor.adapters.opentelemetry.tracer import OpenTelemetryTracer
from councilor.domain.redaction import Redaction
from councilor.domain.traceid import trace_id_of
from councilor.ports.tracing import NO_TRACING, SpanKind, Tracer

TASK = "01936f2e-7c00-7abc-8def-0123456789ab"


class Broken(SpanProcessor):
    def on_start(self, span, parent_context=None):
        raise RuntimeError("start")

    def on_end(self, span):
        raise RuntimeError("end")


def made(*, ours: bool, broken: bool = False) -> Tracer:
    ids = StableIds()
    provider = TracerProvider(id_generator=ids if ours else None, shutdown_on_exit=False)
    if broken:
        provider.add_span_processor(Broken())
    cleaning = Cleaning(redaction=Redaction())
    return OpenTelemetryTracer(provider, cleaning=cleaning, version="1", ids=ids if ours else None)


@pytest.fixture(params=["none", "logged", "ours", "theirs", "no sdk", "logged ours", "broken", "broken theirs"])
def tracer(request) -> Iterator[Tracer]:
    cleaning = Cleaning(redaction=Redaction())
    yield {
        "none": lambda: NO_TRACING,
        "logged": lambda: LoggedTracer(NO_TRACING),
        "ours": lambda: made(ours=True),
        "theirs": lambda: made(ours=False),
        "no sdk": lambda: OpenTelemetryTracer(trace.NoOpTracerProvider(), cleaning=cleaning, version="1"),
        "logged ours": lambda: LoggedTracer(made(ours=True)),
        "broken": lambda: made(ours=True, broken=True),
        "broken theirs": lambda: made(ours=False, broken=True),
    }[request.param]()


async def test_bodies_run_in_order_around_awaits_and_in_children(tracer):
    done = []

    async def child(number: int) -> None:
        with tracer.span("child", kind=SpanKind.CLIENT):
            await asyncio.sleep(0)
            done.append(number)

    with tracer.span("before"), tracer.trace(TASK) as whole:
        with tracer.span("work", once="work:1", attributes={"a": [1, {"b": None}]}) as span:
            await asyncio.gather(child(1), child(2))
            await asyncio.to_thread(done.append, 3)
            span.set({"late": True})
        span.set({"too late": True})
        whole.set({"state": "completed"})
    whole.set({"much too late": True})
    assert sorted(done) == [1, 2, 3]
    assert whole.trace_id in ("", trace_id_of(TASK))


@pytest.mark.parametrize(
    "error", [ValueError("x"), StopIteration(), asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit()]
)
def test_what_a_body_raises_comes_out_as_it_is(tracer, error):
    with pytest.raises(type(error)) as caught, tracer.trace(TASK), tracer.span("work", once="w"), tracer.span("part"):
        raise error
    assert caught.value is error


async def test_cancelling_goes_through_it(tracer):
    async def body() -> None:
        with tracer.trace(TASK), tracer.span("work", once="w"):
            await asyncio.Event().wait()

    task = asyncio.create_task(body())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_it_is_never_in_the_way(tracer):
    began = time.perf_counter()
    with tracer.trace(TASK):
        for number in range(200):
            with tracer.span("gate", attributes={"number": number, "text": "x" * 10_000}):
                pass
    assert time.perf_counter() - began < 2
