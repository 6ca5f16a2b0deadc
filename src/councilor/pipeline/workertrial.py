"""Whether a worker works: a tiny real task in a throw-away repository, step by step.

Rules:
- The task is one wrong line that one test shows; the worker gets it as it gets any, in the real sandbox.
- Each step has its time, and what failed has a hint. The first one that fails ends the trial.
- It passes when the worker says that it finished, changed that file and no other, and the test passes then.
- Nothing is judged, recorded or published, and nothing of the person's repositories is seen.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from types import MappingProxyType

from councilor.domain.evidence import Outcome
from councilor.domain.worker import Assignment, WorkerOutcome, WorkerReport
from councilor.errors import CouncilorError
from councilor.pipeline.executor import RunFolder
from councilor.ports.analyzer import TestRequest, TestRunner
from councilor.ports.clock import Clock
from councilor.ports.environment import Environment, Environments
from councilor.ports.repository import Commit, Repository
from councilor.ports.sandbox import Sandbox
from councilor.ports.worker import Progress, Worker, Workspace

__all__ = ["FILES", "TrialStep", "WorkerTrial"]

SOURCE, TESTS = "doubling.py", "tests/test_doubling.py"
NODE = f"{TESTS}::test_double"
FILES: Mapping[str, str] = MappingProxyType(
    {
        SOURCE: '"""Doubling."""\n\n\ndef double(number):\n    """Twice the number."""\n    return number * 3\n',
        TESTS: "from doubling import double\n\n\ndef test_double():\n    assert double(21) == 42\n",
        "conftest.py": "",
    }
)
PROMPT = f"""\
In the Python file `{SOURCE}` of the current folder, the function `double` must return twice its argument, and it
returns three times. The test `{NODE}` shows it.

Repair that one line. Change no other file, and do not commit. Then say in one sentence what you changed.
"""
TESTS_S = 60.0
SHOWN = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialStep:
    """One step of a trial."""

    name: str
    """`profile`, `sandbox`, `repository`, `environment`, `work`, `change` or `tests`."""
    passed: bool
    seconds: float
    detail: str
    """What was found; a worker's text in it is untrusted."""
    hint: str = ""
    """What to do about it, where it failed."""


class FailedError(Exception):
    """A step that did not pass."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerTrial:
    """Tries one worker.

    `make` makes the repository of `FILES` and opens it, with a store of its own.
    """

    worker: Worker
    sandbox: Sandbox
    environments: Environments
    runner: TestRunner
    make: Callable[[], Awaitable[Repository]]
    folder: RunFolder
    clock: Clock
    timeout_s: float
    emit: Callable[[Progress], None]

    async def steps(self) -> AsyncGenerator[TrialStep]:
        """Every step as it ends."""
        acts = self._acts()
        async with aclosing(acts):
            while True:
                began_s = self.clock.monotonic()
                try:
                    name, detail, failure = await anext(acts)
                except StopAsyncIteration:
                    return
                seconds = self.clock.monotonic() - began_s
                hint = failure.hint if failure else ""
                yield TrialStep(name=name, passed=failure is None, seconds=seconds, detail=detail, hint=hint)
                if failure:
                    return

    async def _acts(self) -> AsyncGenerator[tuple[str, str, FailedError | None]]:
        """Name and outcome of each step; what one finds out the later ones use."""
        yield await _tried("profile", self.worker.check(), lambda _: "program, credentials and folders are there")
        yield await _tried("sandbox", self._probe(), lambda found: found)
        prepared: list[tuple[Repository, Commit]] = []
        yield await _tried("repository", self._lay_out(prepared), lambda found: found)
        repository, base = prepared[0]
        built: list[Environment] = []
        yield await _tried("environment", self._build(repository, base, built), lambda found: found)
        workspace = Workspace(
            folder=self.folder.workspace,
            scratch=self.folder.scratch,
            environment=built[0],
            repository=repository,
        )
        yield await _tried("work", self._work(base, workspace), lambda found: found)
        taken: list[str] = []
        yield await _tried("change", self._take(repository, base, taken), lambda found: found)
        yield await _tried("tests", self._test(repository, built[0], taken[0]), lambda found: found)

    async def _probe(self) -> str:
        level = (await self.sandbox.probe()).level
        held = [name for name in ("filesystem", "network", "processes", "resources") if getattr(level, name)]
        return f"{level.name}: holds {', '.join(held) or 'nothing'}"

    async def _lay_out(self, prepared: list[tuple[Repository, Commit]]) -> str:
        repository = await self.make()
        base = await repository.resolve("HEAD")
        await repository.create_workspace(base.tree, self.folder.workspace)
        prepared.append((repository, base))
        return f"{len(FILES)} files, one test that fails"

    async def _build(self, repository: Repository, base: Commit, built: list[Environment]) -> str:
        built.append(await self.environments.prepare(repository, base.tree))
        return f"{built[0].env_hash[:16]} from {built[0].source}"

    async def _work(self, base: Commit, workspace: Workspace) -> str:
        assignment = Assignment(
            task_id="trial",
            run_id="trial",
            iteration=1,
            title="Repair one line",
            prompt=PROMPT,
            scope_in=(SOURCE,),
            scope_out=(),
            acceptance_nodeids=(NODE,),
            base_tree=base.tree,
            refinement=None,
            timeout_s=self.timeout_s,
        )
        report = await self.worker.run(assignment, workspace, self.emit)
        if report.outcome is not WorkerOutcome.FINISHED:
            hint = "Look at what it printed; try its command, in an empty repository, or its endpoint by hand."
            raise FailedError(f"{report.outcome.value}: {_told(report)}", hint)
        usage = report.usage
        return f"finished; {usage.turns} turns, {usage.tokens} tokens, {usage.cost_usd:.4f} USD as it says"

    async def _take(self, repository: Repository, base: Commit, taken: list[str]) -> str:
        tree = await repository.take(self.folder.workspace)
        paths = (await repository.candidate(base, tree)).paths
        if not paths:
            raise FailedError("no file was changed", "It may not be allowed to edit: look at its options.")
        if tuple(paths) != (SOURCE,):
            others = ", ".join(path for path in paths if path != SOURCE) or SOURCE
            hint = "What it leaves in the workspace counts as its change: have it keep its own files elsewhere."
            raise FailedError(f"it changed {others[:SHOWN]}", hint)
        taken.append(tree)
        return f"{SOURCE} and nothing else"

    async def _test(self, repository: Repository, environment: Environment, tree: str) -> str:
        export = self.folder.scratch / "candidate"
        await repository.export(tree, export)
        run = await self.runner.run(
            TestRequest(folder=export, environment=environment, timeout_s=TESTS_S, expected=(NODE,))
        )
        outcome = run.outcomes.get(NODE, Outcome.MISSING)
        if outcome is not Outcome.PASSED:
            raise FailedError(f"the test {outcome.value}", "It understood the order, and did something else.")
        return "the test passes"


async def _tried(
    name: str, act: Awaitable[str] | Awaitable[None], tell: Callable[..., str]
) -> tuple[str, str, FailedError | None]:
    try:
        return name, tell(await act), None
    except FailedError as failure:
        return name, failure.detail, failure
    except CouncilorError as error:
        return name, error.message, FailedError(error.message, error.hint())


def _told(report: WorkerReport) -> str:
    """Why a worker did not finish, and the end of what it said."""
    said = (report.text or report.transcript[-4 * SHOWN :].decode(errors="replace")).strip()
    words = " ".join(said[-SHOWN:].split())
    why = "" if report.ended.rstrip(".") in words else report.ended  # who has no report of its own says it there
    return ": ".join(part for part in (why, words) if part) or "it said nothing"
