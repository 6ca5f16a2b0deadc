"""Small repositories of every layout, each with the same bug, and what tests of layouts share."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from journey import git

from councilor.adapters.analyzers.pytest import ProjectsRunner, PytestRunner
from councilor.adapters.environment import VirtualEnvironments
from councilor.adapters.git import GitRepositories
from councilor.adapters.git.repository import GitRepository
from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.domain.evidence import TestRun
from councilor.ports.analyzer import TestRequest
from councilor.ports.clock import Clock
from councilor.ports.environment import Environment
from councilor.ports.metrics import NoMetrics
from councilor.ports.sandbox import Sandbox

CODE = "def total(prices):\n    return sum(prices) + 1\n\n\ndef count(prices):\n    return len(prices)\n"
RIGHT = CODE.replace(" + 1", "")
TESTS = """
    from shop import count, total


    def test_count():
        assert count([1, 2]) == 2


    def test_total():
        assert total([1, 2]) == 3
    """
SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
STATIC = '[project]\nname = "shop"\nversion = "1.5"\n'


def lay_out(folder: Path, files: Mapping[str, str | bytes], *, tag: str | None = None) -> Path:
    """A repository of these files, with one commit."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else textwrap.dedent(content).lstrip("\n").encode()
        (folder / path).write_bytes(data)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "A shop with a bug")
    if tag:
        git(folder, "tag", tag)
    return folder


@dataclass(frozen=True)
class Yard:
    """Where environments are built and suites are run."""

    folder: Path
    sandbox: Sandbox
    clock: Clock

    @property
    def environments(self) -> VirtualEnvironments:
        """Environments below one folder, for all tests."""
        return VirtualEnvironments(
            folder=self.folder, sandbox=self.sandbox, host_env=os.environ, clock=self.clock, metrics=NoMetrics()
        )

    async def open(self, repository: Path) -> tuple[GitRepository, str]:
        """The repository and its tree."""
        opened = await GitRepositories(clock=SystemClock(), metrics=NoMetrics()).open(repository)
        return opened, (await opened.resolve("HEAD")).tree

    async def prepare(self, repository: Path, said: list[str] | None = None) -> Environment:
        """The environment of HEAD."""
        opened, tree = await self.open(repository)
        return await self.environments.prepare(opened, tree, say=None if said is None else said.append)

    async def run(self, repository: Path, environment: Environment, folder: Path, **options: object) -> TestRun:
        """The suite of HEAD, in an export of it."""
        opened, tree = await self.open(repository)
        folder.mkdir()
        await opened.export(tree, folder)
        runner = ProjectsRunner(
            PytestRunner(sandbox=self.sandbox, randomness=SystemRandomness(), clock=self.clock, metrics=NoMetrics()),
            clock=self.clock,
        )
        request = TestRequest(folder=folder, environment=environment, timeout_s=120.0, per_test_coverage=True)
        return await runner.run(replace_options(request, options))


def replace_options(request: TestRequest, options: Mapping[str, object]) -> TestRequest:
    """A request with other fields."""
    from dataclasses import replace

    return replace(request, **options)  # type: ignore[arg-type]  # tests name them rightly
