"""A task's trace as a collector gets it: from one run, and from one whose process was killed in the middle."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from collector import Collector, Received, collecting
from journey import make_repository, make_spec, open_journey
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from councilor.adapters.opentelemetry.attributes import Cleaning
from councilor.adapters.opentelemetry.otlp import StableIds
from councilor.adapters.opentelemetry.tracer import OpenTelemetryTracer
from councilor.app import open_store
from councilor.domain.redaction import Redaction
from councilor.domain.traceid import began_ns_of, span_id_of, trace_id_of
from councilor.errors import DeadlineError
from councilor.pipeline.gates import GATES
from councilor.settings import load_settings

SECRET = "correct-horse-battery"
PROMPT = "Repair the total"


class Cli:
    """The command line, traced."""

    def __init__(self, folder: Path, database_url: str, collector: Collector, script: str) -> None:
        self.folder, self.repository = folder, make_repository(folder / "repo")
        (folder / "flags").mkdir()
        (folder / "spec.yaml").write_text(make_spec())
        worker = {
            "kind": "command",
            "command": ["sh", "-c", script],
            "folders": [str(folder / "flags")],
            "credentials": ["AGENT_LOGIN"],
        }
        settings = {"workers": {"agent": worker}, "log": {"level": "debug", "format": "json"}}
        settings |= {"evidence": {"canaries": 1, "confirmations": 0}}
        (folder / "config.yaml").write_text(json.dumps(settings))
        self.variables = os.environ | {
            "V3_DATA_DIR": str(folder / "data"),
            "V3_STORAGE__DATABASE__URL": database_url,
            "V3_TRACES__ENDPOINT": collector.url,
            "AGENT_LOGIN": SECRET,
        }

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "councilor", "--config", str(self.folder / "config.yaml"), "run", *arguments,
            cwd=self.folder, env=self.variables, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip


async def until(condition, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(60):
        while not condition():
            assert process.returncode is None, (await process.communicate())[1].decode()
            await asyncio.sleep(0.05)


def logged(text: bytes) -> list[dict]:
    return [json.loads(line) for line in text.decode().splitlines() if line.startswith("{")]


def step_of(span: Received, known: dict[str, Received]) -> str:
    """The step that a span belongs to."""
    while "councilor.step" not in span.attributes and span.parent_id:
        span = known[span.parent_id]
    return str(span.attributes.get("councilor.step", "task"))


async def test_a_killed_run_and_its_resumption_are_one_trace(tmp_path, database_url):
    script = (
        "echo traceparent=$TRACEPARENT; echo login=$AGENT_LOGIN;"
        f"test -e {tmp_path}/flags/go || sleep 300; sed -i 's/ + 1//' shop.py; echo done"
    )
    with collecting() as collector:
        cli = Cli(tmp_path, database_url, collector, script)
        process = await cli.start("spec.yaml", "-C", str(cli.repository), "--worker", "agent")
        try:
            await until(lambda: collector.named("prepare"), process)
        finally:
            process.kill()
            _, told = await process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not collector.named("task"), "nothing ends yet"
        first = logged(told)
        (tmp_path / "flags" / "go").touch()
        process = await cli.start("--resume", "last", "--json")
        output, told = await process.communicate()
        assert process.returncode == 0, told.decode()
        task_id = json.loads(output)["task_id"]
        known, spans = collector.by_id(), collector.spans
        bodies = b"".join(collector.bodies)

    trace_id = trace_id_of(task_id)
    assert {span.trace_id for span in spans} == {trace_id}
    assert len(known) == len(spans), "no span is told twice"
    root = collector.one("task")
    assert (root.span_id, root.parent_id, root.began_ns) == (span_id_of(trace_id), "", began_ns_of(task_id))
    assert root.attributes["councilor.task.state"] == "completed"
    assert root.attributes["openinference.span.kind"] == "CHAIN"

    steps = {str(span.attributes["councilor.step"]): span for span in spans if "councilor.step" in span.attributes}
    assert list(steps) == ["prepare", "work:1", "baseline", "examine:1", "deliberate:1", "deepen:1",
                           "deliberate:1:2", "rebase:1", "publish", "deliver", "finish"]  # fmt: skip
    for name, span in steps.items():
        assert (span.parent_id, span.span_id) == (root.span_id, span_id_of(trace_id, name)), name
        assert root.began_ns <= span.began_ns <= span.ended_ns <= root.ended_ns
    assert all(span.parent_id in known for span in spans if span is not root), "every parent is there"

    within = Counter((step_of(span, known), span.name) for span in spans)
    assert within["work:1", "inspect"] == within["work:1", "invoke_agent"] == 1
    assert within["publish", "publish"] == within["deliberate:1", "council"] == within["deliberate:1", "claims"] == 1
    assert within["baseline", "measure"] == 1 and within["examine:1", "measure"] >= 1
    assert within["examine:1", "analyze"] >= 1 and within["examine:1", "sandbox job"] >= 1
    gates = {name for step, name in within if step == "deliberate:1" and name.startswith("gate ")}
    assert gates == {f"gate {gate.name}" for gate in GATES}
    agent = collector.one("invoke_agent")
    assert (agent.attributes["gen_ai.agent.name"], agent.attributes["process.exit.code"]) == ("agent", 0)
    assert agent.attributes["openinference.span.kind"] == "AGENT"

    assert SECRET.encode() not in bodies and PROMPT.encode() not in bodies
    assert b"sum(prices)" not in bodies and b"traceparent=" not in bodies
    transcript = await _transcript(cli, task_id)
    assert f"traceparent=00-{trace_id}-{agent.span_id}-01" in transcript
    for lines in (first, logged(told)):
        assert [line for line in lines if line["level"] in ("warning", "error", "critical")] == []
        about = [line for line in lines if line.get("task_id") == task_id and line["event"] == "phase.started"]
        assert about and {line["trace_id"] for line in about} == {trace_id}
        assert {line["span_id"] for line in about} <= set(known) | {steps["work:1"].span_id}


@pytest.fixture
def told():
    """A tracer, and the spans that it tells."""
    exporter, ids = InMemorySpanExporter(), StableIds()
    provider = TracerProvider(id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = OpenTelemetryTracer(provider, cleaning=Cleaning(redaction=Redaction()), version="1", ids=ids)
    return tracer, lambda: {span.name: span for span in exporter.get_finished_spans()}


async def test_a_step_whose_time_is_over_is_an_error_of_step_and_task(tmp_path, shared_environment, told):
    tracer, spans = told
    repository = make_repository(tmp_path / "repo")
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        journey.parts = replace(journey.parts, tracer=tracer, workers={"hand": Hanging()})
        opened = await journey.parts.repositories.open(repository)
        await shared_environment.prepare(opened, (await opened.resolve("HEAD")).tree)  # not within the deadline
        task = await journey.task(repository, deadline_s=1.5)
        with pytest.raises(DeadlineError):
            await journey.travel(task)
    root, work = spans()["task"], spans()["work"]
    for span in (root, work):
        assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "DeadlineError")
    assert root.attributes["councilor.task.state"] == "failed"
    assert root.attributes["councilor.task.worker"] == "hand"
    assert work.parent.span_id == root.context.span_id
    agent = spans()["invoke_agent"]
    assert (agent.parent.span_id, agent.attributes["councilor.interrupted"]) == (work.context.span_id, True)


async def test_a_task_that_is_cancelled_before_it_begins_is_a_trace_as_well(tmp_path, shared_environment, told):
    tracer, spans = told
    repository = make_repository(tmp_path / "repo")
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        journey.parts = replace(journey.parts, tracer=tracer)
        task = await journey.task(repository)
        executor = journey.executor
        await executor.start()
        await executor.submit(task)
        await executor.cancel(task.id)
        await executor.stop()
    (root,) = spans().values()
    assert f"{root.context.trace_id:032x}" == trace_id_of(task.id)
    assert root.attributes["councilor.task.state"] == "cancelled"


class Hanging:
    """A worker that never ends."""

    name = "hand"

    async def run(self, assignment, workspace, emit):
        await asyncio.Event().wait()


async def _transcript(cli: Cli, task_id: str) -> str:
    flags = {
        "data_dir": cli.variables["V3_DATA_DIR"],
        "storage.database.url": cli.variables["V3_STORAGE__DATABASE__URL"],
    }
    async with open_store(load_settings(flags=flags)) as store:
        artifacts = await store.artifacts.of_task(task_id)
        transcript = next(item for item in artifacts if item.name == "transcript/1")
        return (await store.artifacts.read(transcript.id)).decode()
