"""What tests of workers share: an assignment, a workspace, and this very interpreter as an environment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from councilor.domain.worker import Assignment
from councilor.ports.environment import Environment
from councilor.ports.repository import Repository
from councilor.ports.sandbox import Mount
from councilor.ports.worker import Workspace


def make_assignment(**changes: Any) -> Assignment:
    """An assignment with little in it."""
    given: dict[str, Any] = {
        "task_id": "T",
        "run_id": "R",
        "iteration": 1,
        "title": "t",
        "prompt": "Repair it.",
        "scope_in": ("src",),
        "scope_out": (),
        "acceptance_nodeids": (),
        "base_tree": "0" * 40,
        "refinement": None,
        "timeout_s": 60.0,
    }
    return Assignment(**(given | changes))


def interpreter(*seen: Path) -> Environment:
    """This interpreter with its packages, the tools for tests among them; `seen` is visible as well."""
    packages = Path(pytest.__file__).resolve().parents[1]
    prefix = Path(sys.prefix)
    return Environment(
        env_hash="0",
        source="venv",
        python=Path(sys.executable),
        mounts=tuple(
            Mount(path=path)
            for path in dict.fromkeys([prefix, prefix.resolve(), Path(sys.base_prefix), packages, *seen])
        ),
        tools=packages,
        ruff=prefix / "bin" / "ruff",
    )


def bare_environment(python: Path = Path("/usr/bin/python3"), tools: Path = Path("/usr")) -> Environment:
    """Nothing but an interpreter."""
    return Environment(env_hash="0", source="none", python=python, mounts=(), tools=tools, ruff=tools)


def make_workspace(folder: Path, environment: Environment, repository: Repository | None = None) -> Workspace:
    """The workspace of a worker: with a repository it is made by that, else it is empty."""
    if repository is None:
        (folder / "workspace").mkdir()
        (folder / "scratch").mkdir()
    return Workspace(
        folder=folder / "workspace",
        scratch=folder / "scratch",
        environment=environment,
        repository=repository,  # type: ignore[arg-type]  # only the repair worker uses it
    )
