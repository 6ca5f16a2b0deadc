"""Which program a profile means."""

from __future__ import annotations

from pathlib import Path

import pytest

from councilor.adapters.workers.outfit import Outfit
from councilor.domain.worker import WorkerProfile
from councilor.ports.environment import Environment
from councilor.ports.worker import Workspace


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("name", "folder"), [("claude", "mine"), ("python", "theirs"), ("python3.11", "theirs"), ("only-theirs", "theirs")]
)
def test_a_package_of_the_repository_s_is_not_taken_for_the_person_s_program(
    tmp_path: Path, name: str, folder: str
) -> None:
    for each in ("claude", "python", "python3.11"):
        program(tmp_path / "mine" / each)
    for each in ("claude", "python", "python3.11", "only-theirs"):
        program(tmp_path / "theirs" / each)
    environment = Environment(
        env_hash="0",
        source="lock",
        python=tmp_path / "theirs" / "python",
        mounts=(),
        tools=Path("/usr"),
        ruff=Path("/usr"),
    )
    workspace = Workspace(
        folder=tmp_path / "workspace",
        scratch=tmp_path / "scratch",
        environment=environment,
        repository=None,  # type: ignore[arg-type]  # nobody asks it
    )
    outfit = Outfit(
        profile=WorkerProfile(name="w", kind="command", command=(name,), credentials=("KEY",)),
        host_env={"PATH": str(tmp_path / "mine"), "KEY": "sk-secret"},
        home=tmp_path,
    )
    assert outfit.program(workspace) == tmp_path / folder / name
