"""What tests of analysers share: a tiny repository, an environment built by hand, a runner in a real sandbox."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import textwrap
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from councilor.adapters.analyzers.pytest import PytestRunner
from councilor.adapters.sandbox.choose import KINDS
from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.domain.evidence import TestRun
from councilor.ports.analyzer import TestRequest
from councilor.ports.environment import Environment
from councilor.ports.metrics import NoMetrics
from councilor.ports.sandbox import Mount

TOOLS = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments", "coverage")


def make_tools(folder: Path) -> Path:
    """A folder with copies of the test tools, compiled as an installer would."""
    for name in TOOLS:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        source = Path(spec.origin)
        if source.name == "__init__.py":
            shutil.copytree(source.parent, folder / name)
        else:
            shutil.copy2(source, folder)
    return folder


def make_environment(tools: Path) -> Environment:
    """An empty virtual environment of the interpreter that runs this test."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    assert ruff is not None
    venv.create(tools.parent / "venv", symlinks=True)
    python = tools.parent / "venv" / "bin" / "python"
    return Environment(
        env_hash="0" * 64,
        source="none",
        python=python,
        mounts=tuple(Mount(path=path) for path in (Path(sys.base_prefix), tools.parent / "venv", tools, Path(ruff))),
        tools=tools,
        ruff=Path(ruff),
    )


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Lay out a small repository."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(textwrap.dedent(text).lstrip("\n"))
    return folder


@dataclass(frozen=True)
class Bench:
    """Runs tests of small repositories."""

    environment: Environment
    scratch: Path

    def runner(self, kind: str = "bubblewrap", **options: Any) -> PytestRunner:
        """A runner in a sandbox of this kind."""
        clock = SystemClock()
        sandbox = KINDS[kind](scratch=self.scratch, metrics=NoMetrics(), clock=clock)
        return PytestRunner(sandbox=sandbox, randomness=SystemRandomness(), clock=clock, metrics=NoMetrics(), **options)

    def request(self, folder: Path, **options: Any) -> TestRequest:
        """A request with limits that suit a small repository."""
        return TestRequest(**{"folder": folder, "environment": self.environment, "timeout_s": 60.0, **options})

    async def run(self, folder: Path, **options: Any) -> TestRun:
        """Run the tests of a folder."""
        return await self.runner().run(self.request(folder, **options))
