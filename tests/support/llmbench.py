"""What tests of the worker `llm` share: a workspace, and what came of the last iteration over real HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolserver import Brain, Call, Say, ToolServer, serving_tools, then
from workbench import interpreter, make_assignment, make_workspace

from councilor.adapters.openai import OpenAIConversation
from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.adapters.workers.llm import LlmWorker
from councilor.domain.worker import Assignment, ModelUse, WorkerOutcome, WorkerProfile, WorkerReport
from councilor.guards.standstill import StandingClock
from councilor.ports.sandbox import Sandbox
from councilor.ports.worker import Progress, Workspace

KEY = "sk-very-secret-0123456789"
DONE = Say(calls=[Call("finish", {"report": "I did it."})])


def use(tool: str, **arguments: Any) -> Say:
    """An answer with one call."""
    return Say(calls=[Call(tool, arguments)])


@dataclass(kw_only=True)
class Bench:
    """A workspace and what came of the last iteration."""

    workspace: Workspace
    sandbox: Sandbox
    progress: list[Progress] = field(default_factory=list)
    server: ToolServer | None = None

    @property
    def folder(self) -> Path:
        return self.workspace.folder

    def worker(self, endpoint: str, *, env: dict[str, str] | None = None, **changes: Any) -> LlmWorker:
        given: dict[str, Any] = {"idle_timeout_s": 2.0, "call_timeout_s": 10.0, "command_timeout_s": 10.0}
        timeout_s, folders = changes.pop("timeout_s", 30.0), changes.pop("folders", ())
        model_use = ModelUse(endpoint=endpoint, **(given | changes))
        clock, randomness, host_env = StandingClock(SystemClock()), SystemRandomness(), dict(env or {})
        return LlmWorker(
            profile=WorkerProfile(
                name="house", kind="llm", model="qwen", model_use=model_use, timeout_s=timeout_s, folders=folders
            ),
            conversation=OpenAIConversation(
                endpoint=endpoint,
                model="qwen",
                key_variable=model_use.api_key_env,
                host_env=host_env,
                clock=clock,
                randomness=randomness,
            ),
            sandbox=self.sandbox,
            host_env=host_env,
            home=self.workspace.scratch.parent / "person",
            clock=clock,
            randomness=randomness,
        )

    def assignment(self) -> Assignment:
        return make_assignment(
            prompt="# Task\n\nRepair `shop.py`.", scope_in=("shop.py", "src", "tests"), scope_out=("src/kept",)
        )

    async def run(self, brain: Brain, *, serving: dict[str, Any] | None = None, **changes: Any) -> WorkerReport:
        with serving_tools(brain, **(serving or {})) as server:
            self.server = server
            worker = self.worker(server.endpoint, **changes)
            return await worker.run(self.assignment(), self.workspace, self.progress.append)

    async def say(self, *said: Say, **changes: Any) -> WorkerReport:
        return await self.run(then(*said), **changes)

    async def result(self, tool: str, **arguments: Any) -> str:
        """What a model is told of one call."""
        report = await self.say(use(tool, **arguments), DONE)
        assert report.outcome is WorkerOutcome.FINISHED, report.ended
        assert self.server is not None
        return self.server.results()[-1]


def make_bench(folder: Path, sandbox: Sandbox) -> Bench:
    workspace = make_workspace(folder, interpreter())
    for name in ("src", ".git"):
        (workspace.folder / name).mkdir()
    (workspace.folder / "shop.py").write_text("def total(prices):\n    return sum(prices) + 1\n")
    (workspace.folder / ".git" / "config").write_text("[core]\n")
    (folder / "secret.txt").write_text("a secret of the host")
    return Bench(workspace=workspace, sandbox=sandbox)
