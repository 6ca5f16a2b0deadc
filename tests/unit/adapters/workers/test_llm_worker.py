"""The `llm` worker with a model and a sandbox in memory: what its tests over HTTP cannot bring about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from workbench import bare_environment, make_assignment, make_workspace

from councilor.adapters.memory.clock import SeededRandomness
from councilor.adapters.memory.conversation import ScriptedConversation
from councilor.adapters.system import SystemClock
from councilor.adapters.workers.llm import LlmWorker
from councilor.domain.budget import NO_LIMIT, Share
from councilor.domain.worker import ModelUse, WorkerOutcome, WorkerProfile
from councilor.errors import BreakerOpenError, SandboxError
from councilor.ports.chat import Spent
from councilor.ports.conversation import ToolCall, Turn, TurnRequest
from councilor.ports.sandbox import Job, SandboxProbe, SandboxResult
from councilor.ports.worker import Progress

Act = Callable[[Job], SandboxResult]


class FakeSandbox:
    """Answers a job by a function of it."""

    name = "fake"

    def __init__(self, act: Act) -> None:
        self.act = act
        self.jobs: list[Job] = []

    async def probe(self) -> SandboxProbe:
        raise AssertionError("nobody asks")

    async def run(self, job: Job, **_: Any) -> SandboxResult:
        self.jobs.append(job)
        return self.act(job)


def ended(output: bytes = b"", exit_code: int | None = 0) -> SandboxResult:
    return SandboxResult(
        exit_code=exit_code, output=output, output_truncated=False, timed_out=False, duration_s=0.1, reached=("memory",)
    )


def turn(*calls: tuple[str, dict[str, Any]], text: str = "") -> Turn:
    made = tuple(ToolCall(id=f"c{n}", name=name, arguments=json.dumps(args)) for n, (name, args) in enumerate(calls))
    spent = Spent(prompt_tokens=10, completion_tokens=5)
    return Turn(text=text, calls=made, cut=False, model="m", spent=spent, tries=1)


def script(*turns: Turn) -> Callable[[TurnRequest], Turn]:
    left = list(turns)
    return lambda _: left.pop(0)


FINISH = turn(("finish", {"report": "Done."}))


def make(
    folder: Path,
    said: Callable[[TurnRequest], Turn | Awaitable[Turn]],
    act: Act,
    *,
    timeout_s: float = 5.0,
    share: Share = NO_LIMIT,
) -> tuple[Any, FakeSandbox]:
    """A function that lets the worker work, and its sandbox."""
    sandbox, home = FakeSandbox(act), folder / "person"
    worker = LlmWorker(
        profile=WorkerProfile(
            name="house",
            kind="llm",
            model="m",
            model_use=ModelUse(endpoint="http://127.0.0.1:1/v1"),
            timeout_s=timeout_s,
        ),
        conversation=ScriptedConversation(said),
        sandbox=sandbox,
        host_env={"SECRET": "do not show"},
        home=home,
        clock=SystemClock(),
        randomness=SeededRandomness(),
    )
    workspace = make_workspace(folder, bare_environment(Path("/venv/bin/python"), Path("/tools")))
    assignment = make_assignment(share=share)
    progress: list[Progress] = []

    async def run() -> Any:
        return await worker.run(assignment, workspace, progress.append)

    return run, sandbox


def kept(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "scratch" / "transcript-1.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


async def test_a_sandbox_that_fails_comes_out_and_the_transcript_stays(tmp_path: Path) -> None:
    def broken(_: Job) -> SandboxResult:
        raise SandboxError("no namespaces", backend="fake")

    run, _ = make(tmp_path, script(turn(("run", {"command": "ls"}))), broken)
    with pytest.raises(SandboxError, match="no namespaces"):
        await run()
    assert [line["kind"] for line in kept(tmp_path)] == ["begin", "system", "order", "answer", "end"]
    assert kept(tmp_path)[-1]["ended"] == "SandboxError"


@pytest.mark.parametrize("output", [b"", b"Killed", b"[]", b'{"text": 1}', b"{" * 10_000])
async def test_a_tool_s_program_that_breaks_is_told_to_the_model(tmp_path: Path, output: bytes) -> None:
    run, _ = make(tmp_path, script(turn(("list_files", {})), FINISH), lambda _: ended(output, exit_code=None))
    report = await run()
    assert report.outcome is WorkerOutcome.FINISHED
    (result,) = [line for line in kept(tmp_path) if line["kind"] == "result"]
    assert "the tool failed" in result["text"]


async def test_only_a_change_may_write_and_only_commands_have_a_home(tmp_path: Path) -> None:
    edit = ("edit_file", {"action": "create", "path": "src/a", "new": ""})
    calls = turn(("list_files", {}), edit, ("run", {"command": "ls"}))
    run, sandbox = make(tmp_path, script(calls, FINISH), lambda _: ended())
    await run()
    look, change, command = sandbox.jobs
    writable = [{mount.path.name for mount in job.mounts if mount.writable} for job in sandbox.jobs]
    assert writable == [set(), {"workspace"}, {"workspace", "home-1"}]
    for job in sandbox.jobs:
        assert not job.network
        assert job.proxy_hosts == ()
        assert "SECRET" not in job.env
    assert look.argv[:4] == change.argv[:4] == ("/venv/bin/python", "-I", "-S", "-B")
    assert command.argv == ("/bin/sh", "-c", "ls")
    assert command.env["PATH"].split(":")[:2] == ["/venv/bin", str(tmp_path / "scratch" / "programs-1")]
    assert "/tools" in (tmp_path / "scratch" / "programs-1" / "pytest").read_text()


async def test_a_folder_of_the_person_s_that_is_called_like_ours_is_not_written(tmp_path: Path) -> None:
    run, _ = make(tmp_path, script(turn(("run", {"command": "ls"})), FINISH), lambda _: ended(b"x", exit_code=1))
    (tmp_path / "scratch" / "programs-1").symlink_to(tmp_path / "workspace")
    with pytest.raises(OSError):
        await run()
    assert list((tmp_path / "workspace").iterdir()) == []


async def test_a_limit_that_a_command_ran_into_is_told(tmp_path: Path) -> None:
    run, _ = make(tmp_path, script(turn(("run", {"command": "ls"})), FINISH), lambda _: ended(b"x", exit_code=None))
    await run()
    (result,) = [line for line in kept(tmp_path) if line["kind"] == "result"]
    assert "it was killed, it reached its limit of memory" in result["text"]


async def test_an_open_breaker_is_a_report(tmp_path: Path) -> None:
    def refused(_: TurnRequest) -> Turn:
        raise BreakerOpenError("openai:house is left alone", backend="openai:house", retry_after_s=9.0)

    run, _ = make(tmp_path, refused, lambda _: ended())
    report = await run()
    assert (report.outcome, report.ended) == (WorkerOutcome.FAILED, "openai:house is left alone")


async def test_a_model_that_never_answers_ends_with_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: TurnRequest) -> Turn:
        await asyncio.sleep(60)
        raise AssertionError

    run, _ = make(tmp_path, hang, lambda _: ended(), timeout_s=0.6)
    monkeypatch.setattr("councilor.adapters.workers.llm.loop.SILENCE_S", 0.1)
    async with asyncio.timeout(10):
        report = await run()
    assert report.outcome is WorkerOutcome.TIMED_OUT
    assert report.text == "There is no report: it did not end within 1 s."


async def test_what_the_task_has_left_is_a_limit_beside_its_own(tmp_path: Path) -> None:
    asked: list[int] = []

    def endless(_: TurnRequest) -> Turn:
        asked.append(1)
        return turn(("run", {"command": f"ls {len(asked)}"}))

    run, _ = make(tmp_path, endless, lambda _: ended(), share=Share(tokens=1000))
    report = await run()
    assert report.ended == "it reached its limit of 1000 tokens" and len(asked) < 60
