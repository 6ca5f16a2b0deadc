"""What a span tells of a sandboxed job: how it ended, and nothing that a worker wrote."""

from __future__ import annotations

from pathlib import Path

from collector import collecting

from councilor.adapters.opentelemetry import open_otlp
from councilor.adapters.system import SystemClock
from councilor.domain.redaction import Redaction
from councilor.errors import SandboxError
from councilor.guards.jobs import TracedSandbox
from councilor.ports.sandbox import Job, Limits, SandboxLevel, SandboxProbe, SandboxResult

LEVEL = SandboxLevel(name="fake", filesystem=True, network=True, processes=True, resources=True)


class Fake:
    name = "fake"

    def __init__(self, result: SandboxResult | Exception) -> None:
        self.result, self.heard = result, None

    async def probe(self) -> SandboxProbe:
        return SandboxProbe(level=LEVEL, checks={})

    async def run(self, job, *, talk=None, on_output=None, linger_s=None):
        self.heard = (job, talk, on_output)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def job() -> Job:
    return Job(
        argv=("/usr/bin/agent", "--say", "ARGUMENT"),
        cwd=Path("/"),
        mounts=(),
        limits=Limits(wall_s=1),
        env={"SECRET": "ENVIRONMENT"},
        stdin=b"PROMPT",
        proxy_hosts=("h:443",),
    )


def result(**more) -> SandboxResult:
    known = {"exit_code": 0, "output": b"OUTPUT", "output_truncated": False, "timed_out": False, "duration_s": 0.1}
    return SandboxResult(**known | more)


async def run(outcome: SandboxResult | Exception):
    inner = Fake(outcome)
    with collecting() as collector:
        async with open_otlp(collector.url, redaction=Redaction(), version="1", clock=SystemClock()) as tracer:
            sandbox = TracedSandbox(inner, tracer=tracer)
            assert (await sandbox.probe()).level == LEVEL
            with tracer.trace("a task"):
                try:
                    given = await sandbox.run(job(), on_output=print)
                except SandboxError:
                    given = None
        body = b"".join(collector.bodies)
    assert inner.heard is not None and inner.heard[2] is print
    assert given == (outcome if isinstance(outcome, SandboxResult) else None)
    assert not [word for word in (b"ARGUMENT", b"ENVIRONMENT", b"PROMPT", b"OUTPUT", b"no sandbox") if word in body]
    return collector.one("sandbox job")


async def test_a_job_is_told_by_its_program_and_its_end():
    span = await run(result())
    assert span.attributes == {
        "openinference.span.kind": "TOOL",
        "councilor.sandbox": "fake",
        "councilor.sandbox.network": True,
        "councilor.sandbox.timed_out": False,
        "councilor.sandbox.output_bytes": 6,
        "process.executable.name": "agent",
        "process.exit.code": 0,
    }
    assert span.error is None


async def test_a_job_that_fails_is_a_result_and_no_error():
    span = await run(result(exit_code=None, timed_out=True, reached=("memory",)))
    assert span.error is None
    assert span.attributes["councilor.sandbox.timed_out"] is True
    assert span.attributes["councilor.sandbox.reached"] == ["memory"]
    assert "process.exit.code" not in span.attributes


async def test_a_sandbox_that_fails_is_an_error():
    assert (await run(SandboxError("no sandbox", backend="fake"))).error == "SandboxError"
