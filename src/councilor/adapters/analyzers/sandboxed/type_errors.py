"""Type errors in Python files, found by mypy. Runs inside the sandbox.

Rules:
- The task: `{"trees": [{"folder", "paths"}, ...], "python", "configured", "timeout_s"}`; the report: for each tree
  `{"errors": [[path, line, code, message], ...], "blocked": reason or ""}`.
- With `configured`, the repository's own configuration is read, and the packages of its environment are looked at.
  Plugins are not loaded, because they are code.
- Without, mypy is as lenient as it can be: only what contradicts an annotation is an error, and imports are not
  followed out of the tree.
- All trees share one cache, so that the standard library's types are read once. A tree's own modules are taken out of
  it: the cache takes a file of the same name, size and second for the same file.

Source: https://mypy.readthedocs.io/en/stable/command_line.html.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mypy import build
from mypy.errors import CompileError
from mypy.main import process_options

__all__ = ["analyze"]

LENIENT = (
    "--config-file=",
    "--no-site-packages",
    "--ignore-missing-imports",
    "--follow-imports=silent",
    "--no-strict-optional",
    "--no-warn-no-return",
    "--allow-redefinition",
    "--disable-error-code=import-untyped",
    "--disable-error-code=var-annotated",
)


def analyze(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Check every tree."""
    return {"trees": [_check(tree, task, scratch) for tree in task["trees"]]}


def _check(tree: dict[str, Any], task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    if not tree["paths"]:
        return {"errors": [], "blocked": ""}
    os.chdir(tree["folder"])
    messages: list[str] = []
    cache = scratch / "cache"

    def take(filename: str | None, new_messages: list[str], is_serious: bool) -> None:
        messages.extend(new_messages)

    own = [f"--python-executable={task['python']}"] if task["configured"] else LENIENT
    common = (
        "--output=json",
        f"--cache-dir={cache}",
        "--no-sqlite-cache",
        "--no-error-summary",
        "--hide-error-context",
    )
    try:
        sources, options = process_options([*own, *common, "--", *tree["paths"]])
        options.plugins = []
        options.incremental = True
        result = build.build(sources, options, None, take)
        _forget(result.graph, Path(tree["folder"]), cache)
    except CompileError as error:
        shutil.rmtree(cache, ignore_errors=True)
        if not messages:
            messages.extend(error.messages)
        return {"errors": _errors(messages), "blocked": "" if _errors(messages) else "; ".join(messages)[:500]}
    except SystemExit:
        return {"errors": [], "blocked": "its configuration or its arguments cannot be read"}
    return {"errors": _errors(messages), "blocked": ""}


def _forget(graph: Mapping[str, build.State], folder: Path, cache: Path) -> None:
    """Take the modules of a tree out of the cache."""
    for name, state in graph.items():
        path = Path(folder, state.path) if state.path else None
        if path is None or path.is_relative_to(folder):
            place = name.replace(".", "/")
            for file in (*cache.glob(f"*/{place}.*"), *cache.glob(f"*/{place}/__init__.*")):
                file.unlink()


def _errors(messages: Sequence[str]) -> list[list[Any]]:
    found = []
    for line in messages:
        try:
            item = json.loads(line)
        except ValueError:
            continue
        if isinstance(item, dict) and item.get("severity") == "error":
            found.append([item["file"], item["line"], item.get("code") or "blocking", item["message"]])
    return found
