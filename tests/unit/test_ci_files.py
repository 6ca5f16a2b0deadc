"""What others run us with: our hooks for pre-commit, and the workflow that our documentation shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from councilor.surfaces.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs_a_command_that_exists(hook: dict[str, Any]) -> None:
    assert {"id", "name", "entry", "language"} <= set(hook)
    assert set(hook) <= {
        "id", "name", "entry", "language", "description", "pass_filenames", "always_run", "stages",
    }  # fmt: skip
    assert set(hook["stages"]) <= {"pre-commit", "pre-push", "manual"}
    assert (hook["language"], hook["pass_filenames"], hook["always_run"]) == ("python", False, True)
    program, *words = shlex.split(hook["entry"])
    assert program == "councilor"
    command = typer.main.get_command(app)
    context = command.make_context(program, list(words))
    while hasattr(command, "resolve_command"):
        rest = [*getattr(context, "_protected_args", []), *context.args]
        name, command, rest = command.resolve_command(context, rest)  # type: ignore[attr-defined]
        context = command.make_context(name, rest, parent=context)
    assert context.params["staged"] is True


def blocks() -> list[dict[str, Any]]:
    page = (ROOT / "docs/howto/use-in-ci.md").read_text(encoding="utf-8")
    return [yaml.safe_load(text) for text in re.findall(r"^```yml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]


def test_the_workflow_that_is_shown_is_one(tmp_path: Path) -> None:
    workflow, _ = blocks()
    file = tmp_path / "workflow.yml"
    file.write_text(yaml.safe_dump({("on" if key is True else key): value for key, value in workflow.items()}))
    checker = Path(sys.executable).with_name("check-jsonschema")
    command = [str(checker), "--builtin-schema", "vendor.github-workflows", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert not any("${{" in step.get("run", "") for step in steps), "what an event says never gets into a script"


def test_the_hook_that_is_shown_is_defined() -> None:
    _, configuration = blocks()
    shown = [hook["id"] for repo in configuration["repos"] for hook in repo["hooks"]]
    assert set(shown) <= {hook["id"] for hook in HOOKS}
