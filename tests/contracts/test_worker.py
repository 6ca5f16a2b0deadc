"""What every worker must do, whoever it is: each kind in the real sandbox on a real repository."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from toolserver import Call, Say, ToolServer, serving_tools
from workbench import interpreter, make_assignment, make_workspace

from councilor.adapters.analyzers.pytest import PytestRunner
from councilor.adapters.git import GitRepositories
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.openai import OpenAIConversation
from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.adapters.workers.acp import AcpWorker
from councilor.adapters.workers.command import CommandWorker
from councilor.adapters.workers.llm import LlmWorker
from councilor.adapters.workers.repair import RepairWorker
from councilor.domain.change import Candidate
from councilor.domain.worker import ModelUse, WorkerOutcome, WorkerProfile, WorkerReport
from councilor.ports.repository import Commit, Repository
from councilor.ports.sandbox import Sandbox
from councilor.ports.worker import Progress, Worker, Workspace

SOURCE = "def rate(count):\n    if count > 10:\n        return 5\n    return 0\n"
TESTS = """\
from shop import rate


def test_few():
    assert rate(1) == 0


def test_ten():
    assert rate(10) == 5
"""
GOOD = ("sh", "-c", "sed -i 's/count > 10/count >= 10/' shop.py && echo 'All 2 tests pass.'")
AGENT = Path(__file__).parents[1] / "support" / "acpraw.py"
TIMEOUT_S = 60.0


@dataclass(kw_only=True)
class Bench:
    """A repository with a bug, and one worker that can repair it."""

    kind: str
    sandbox: Sandbox
    repository: Repository
    base: Commit
    workspace: Workspace
    server: ToolServer
    """The model of kind `llm`."""
    progress: list[Progress] = field(default_factory=list)

    def worker(self, *command: str, timeout_s: float = TIMEOUT_S) -> Worker:
        profile = WorkerProfile(name=f"my-{self.kind}", kind=self.kind, command=command or GOOD, timeout_s=timeout_s)
        if self.kind == "acp":
            speaking = (sys.executable, "-I", "-S", str(AGENT), "shell")
            return AcpWorker(
                profile=replace(
                    profile,
                    command=command if command == ("sleep", "60") else (*speaking, *(command or GOOD)[2:]),
                    folders=(str(AGENT.parent),),
                ),
                sandbox=self.sandbox,
                host_env=os.environ,
                home=self.workspace.scratch,
                clock=SystemClock(),
            )
        if self.kind == "command":
            return CommandWorker(
                profile=profile,
                sandbox=self.sandbox,
                host_env=os.environ,
                home=self.workspace.scratch,
                clock=SystemClock(),
            )
        if self.kind == "llm":
            return self._model(shlex.join(profile.command), profile)
        runner = PytestRunner(
            sandbox=self.sandbox, randomness=SystemRandomness(), clock=SystemClock(), metrics=RecordingMetrics()
        )
        return RepairWorker(runner=runner, clock=SystemClock(), profile=profile)

    def _model(self, command: str, profile: WorkerProfile) -> Worker:
        """A model that runs one command, and reports what it printed."""

        def brain(request: Mapping[str, Any]) -> Say:
            told = [item["content"] for item in request["messages"] if item["role"] == "tool"]
            if not told:
                return Say(calls=[Call("run", {"command": command})])
            return Say(calls=[Call("finish", {"report": told[0], "done": "exit code 0" in told[0]})])

        self.server.brain = brain
        randomness, use = SystemRandomness(), ModelUse(endpoint=self.server.endpoint)
        conversation = OpenAIConversation(
            endpoint=use.endpoint,
            model="m",
            key_variable=None,
            host_env={},
            clock=SystemClock(),
            randomness=randomness,
        )
        return LlmWorker(
            profile=replace(profile, model="m", model_use=use),
            conversation=conversation,
            sandbox=self.sandbox,
            host_env={},
            home=self.workspace.scratch,
            clock=SystemClock(),
            randomness=randomness,
        )

    async def run(self, worker: Worker, **changes: Any) -> WorkerReport:
        order = {
            "acceptance_nodeids": ("test_shop.py::test_ten",),
            "scope_in": ("shop.py",),
            "timeout_s": TIMEOUT_S,
            **changes,
        }
        assignment = make_assignment(base_tree=self.base.tree, **order)
        return await worker.run(assignment, self.workspace, self.progress.append)

    async def candidate(self) -> Candidate:
        return await self.repository.candidate(self.base, await self.repository.take(self.workspace.folder))


@pytest.fixture(params=["acp", "command", "llm", "repair"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[Bench]:
    root = tmp_path / "repository"
    root.mkdir()
    (root / "shop.py").write_text(SOURCE)
    (root / "test_shop.py").write_text(TESTS)
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "b"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    repositories = GitRepositories(clock=SystemClock(), metrics=RecordingMetrics())
    repository = await repositories.open(root, store=tmp_path / "store")
    base = await repository.resolve("HEAD")
    workspace = make_workspace(tmp_path, interpreter(), repository)
    await repository.create_workspace(base.tree, workspace.folder)
    with serving_tools(lambda _: Say()) as server:
        yield Bench(
            kind=request.param,
            sandbox=sandbox,
            repository=repository,
            base=base,
            workspace=workspace,
            server=server,
        )


async def test_it_changes_the_workspace_only_and_reports(bench: Bench) -> None:
    worker = bench.worker()
    assert worker.name == f"my-{bench.kind}"
    report = await bench.run(worker)
    assert report.outcome is WorkerOutcome.FINISHED, report.text
    candidate = await bench.candidate()
    assert candidate.paths == ("shop.py",)
    assert candidate.changes[0].new == SOURCE.replace(">", ">=").encode()
    assert "All 2 tests pass." in report.text
    assert len(report.text.encode()) <= 2**20
    assert report.usage.duration_s > 0
    # Progress comes as one clean line at a time.
    assert bench.progress
    assert all(item.phase and len(item.line) <= 200 and "\n" not in item.line for item in bench.progress)
    # The repository itself is not touched.
    assert (bench.repository.root / "shop.py").read_text() == SOURCE
    assert await bench.repository.dirty() == []
    assert (await bench.repository.resolve("HEAD")).hash == bench.base.hash


async def test_looking_whether_it_could_be_started_starts_nothing(bench: Bench) -> None:
    await bench.worker().check()
    assert bench.progress == []
    assert (await bench.candidate()).empty


async def test_a_failure_is_a_report(bench: Bench) -> None:
    report = await bench.run(bench.worker("sh", "-c", "echo no; exit 1"), scope_in=("elsewhere",))
    assert report.outcome in {WorkerOutcome.FAILED, WorkerOutcome.GAVE_UP}
    assert report.text
    assert (await bench.candidate()).empty


async def test_it_keeps_its_time(bench: Bench) -> None:
    began_s = SystemClock().monotonic()
    report = await bench.run(bench.worker("sleep", "60", timeout_s=0.5))
    assert report.outcome in {WorkerOutcome.TIMED_OUT, WorkerOutcome.GAVE_UP}
    assert SystemClock().monotonic() - began_s < 30


async def test_cancelling_ends_it_in_seconds(bench: Bench) -> None:
    task = asyncio.create_task(bench.run(bench.worker("sleep", "60")))
    while not bench.progress:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await task
    assert (await bench.candidate()).empty
