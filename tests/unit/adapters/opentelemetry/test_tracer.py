"""The tracer on a real SDK in memory: parents, ids, errors, interruptions, and nothing that reaches the caller."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from councilor.adapters.opentelemetry.attributes import Cleaning
from councilor.adapters.opentelemetry.otlp import StableIds
from councilor.adapters.opentelemetry.tracer import OpenTelemetryTracer
from councilor.domain.redaction import Redaction
from councilor.domain.traceid import began_ns_of, span_id_of, trace_id_of
from councilor.errors import FencedError, UnavailableError
from councilor.ports.tracing import NO_TRACING, NoTracing, SpanKind, Tracer

TASK = "01936f2e-7c00-7abc-8def-0123456789ab"
TRACE = trace_id_of(TASK)


class Bench:
    def __init__(self, *, ours: bool = True) -> None:
        self.exporter = InMemorySpanExporter()
        ids = StableIds()
        self.provider = TracerProvider(id_generator=ids if ours else None, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer: Tracer = OpenTelemetryTracer(
            self.provider, cleaning=Cleaning(redaction=Redaction()), version="1", ids=ids if ours else None
        )

    def spans(self, name: str | None = None):
        return [span for span in self.exporter.get_finished_spans() if name in (None, span.name)]

    def one(self, name: str):
        (span,) = self.spans(name)
        return span


@pytest.fixture
def bench() -> Iterator[Bench]:
    found = Bench()
    yield found
    found.provider.shutdown()


def digits(span) -> tuple[str, str, str]:
    parent = f"{span.parent.span_id:016x}" if span.parent else ""
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}", parent


def test_a_task_is_one_trace_and_its_ids_follow_from_the_task(bench):
    with bench.tracer.trace(TASK) as whole:
        whole.set({"councilor.task.tier": 2})
        with bench.tracer.span("work", once="work:1") as step, bench.tracer.span("gate lint"):
            assert (step.trace_id, step.span_id) == (TRACE, span_id_of(TRACE, "work:1"))
    root, work, gate = bench.one("task"), bench.one("work"), bench.one("gate lint")
    assert digits(root) == (TRACE, span_id_of(TRACE), "")
    assert digits(work) == (TRACE, span_id_of(TRACE, "work:1"), span_id_of(TRACE))
    assert digits(gate)[0] == TRACE
    assert digits(gate)[2] == span_id_of(TRACE, "work:1")
    assert root.start_time == began_ns_of(TASK)
    assert root.attributes["councilor.task.tier"] == 2
    assert not any(span.status.status_code is StatusCode.ERROR for span in bench.spans())


def test_outside_of_a_trace_there_are_no_spans(bench):
    with bench.tracer.span("sandbox job") as span:
        span.set({"a": 1})
        assert (span.trace_id, span.span_id) == ("", "")
    assert bench.spans() == []


def test_an_error_is_told_by_its_class_and_without_its_text(bench):
    with pytest.raises(ValueError), bench.tracer.trace(TASK), bench.tracer.span("work"):
        raise ValueError("password=hunter2hunter2")
    for span in bench.spans():
        assert span.status.status_code is StatusCode.ERROR
        assert (span.status.description, span.attributes["error.type"]) == ("ValueError", "ValueError")
        assert span.events == ()
        assert "hunter2" not in span.to_json()


@pytest.mark.parametrize(
    "fault",
    [
        asyncio.CancelledError(),
        KeyboardInterrupt(),
        OSError(errno.ENOSPC, "full"),
        UnavailableError("no", backend="postgres"),
        FencedError("another process goes on with it"),
    ],
)
def test_what_is_interrupted_will_be_done_again_and_is_told_then(bench, fault):
    tracer = bench.tracer
    with pytest.raises(type(fault)), tracer.trace(TASK), tracer.span("work", once="work:1"), tracer.span("sandbox job"):
        raise fault
    (job,) = bench.spans()
    assert (job.name, job.attributes["councilor.interrupted"]) == ("sandbox job", True)
    if not isinstance(fault, Exception):
        assert job.status.status_code is StatusCode.UNSET, "a cancellation is no error"
    with bench.tracer.trace(TASK), bench.tracer.span("work", once="work:1"):
        pass
    assert [span.name for span in bench.spans()] == ["sandbox job", "work", "task"]
    assert digits(job)[2] == digits(bench.one("work"))[1], "its first half belongs to it too"


async def test_tasks_side_by_side_keep_apart_and_children_find_their_parent(bench):
    others = [TASK, TASK.replace("7abc", "7abd")]

    async def child(name: str) -> None:
        with bench.tracer.span(f"chat {name}", kind=SpanKind.CLIENT):
            await asyncio.sleep(0)

    async def go(task_id: str) -> None:
        with bench.tracer.trace(task_id):
            await asyncio.sleep(0)
            with bench.tracer.span("council", once="council"):
                async with asyncio.TaskGroup() as group:
                    group.create_task(child(task_id))
                    group.create_task(child(task_id))

    async with asyncio.TaskGroup() as group:
        for task_id in others:
            group.create_task(go(task_id))
    for task_id in others:
        trace_id = trace_id_of(task_id)
        for span in bench.spans(f"chat {task_id}"):
            assert digits(span)[0] == trace_id
            assert digits(span)[2] == span_id_of(trace_id, "council")
        assert len(bench.spans(f"chat {task_id}")) == 2


def test_the_sdk_of_an_application_gets_the_same_trace_and_a_link_to_its_own():
    bench = Bench(ours=False)
    theirs = bench.provider.get_tracer("theirs")
    with theirs.start_as_current_span("request") as request:
        with bench.tracer.trace(TASK), bench.tracer.span("work", once="work:1"):
            pass
        with bench.tracer.span("sandbox job"):
            pass
    root, work, job = bench.one("task"), bench.one("work"), bench.one("sandbox job")
    assert digits(root)[0] == digits(work)[0] == TRACE
    assert digits(root)[2] == digits(work)[2] == span_id_of(TRACE)
    assert root.links[0].context.trace_id == request.get_span_context().trace_id
    assert job.parent.span_id == request.get_span_context().span_id, "outside of a task it is part of theirs"


class Breaking(SpanProcessor):
    def on_start(self, span, parent_context=None):
        raise RuntimeError("on start")

    def on_end(self, span):
        raise RuntimeError("on end")


@pytest.mark.parametrize("ours", [True, False])
def test_a_processor_that_raises_never_reaches_the_caller(ours):
    bench = Bench(ours=ours)
    bench.provider.add_span_processor(Breaking())
    with bench.tracer.trace(TASK) as whole, bench.tracer.span("work", once="work:1") as span:
        span.set({"a": 1})
        whole.set({"b": 1})


def test_an_attribute_that_cannot_be_told_never_reaches_the_caller(bench):
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with bench.tracer.trace(TASK), bench.tracer.span("work", attributes={"odd": Odd()}) as span:
        span.set({"odd": Odd()})
        span.set({"even": 1})


def test_no_tracing_costs_nothing_and_says_nothing():
    assert isinstance(NO_TRACING, NoTracing)
    with NO_TRACING.trace(TASK) as whole, NO_TRACING.span("work", once="work:1", attributes={"a": 1}) as span:
        whole.set({"a": 1})
        assert (span.trace_id, span.span_id) == ("", "")
    assert NO_TRACING.span("a") is NO_TRACING.span("b"), "nothing is made for it"
