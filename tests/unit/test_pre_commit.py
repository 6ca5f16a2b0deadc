"""The definition of our hooks for pre-commit: what it runs exists, and every key is one that pre-commit knows."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from councilor.surfaces.cli.main import app

HOOKS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text())


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
