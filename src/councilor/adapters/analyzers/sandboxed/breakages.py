"""What of a public interface a change breaks, found by griffe. Runs inside the sandbox.

Rules:
- The task: `{"old", "new", "paths": [[path, in old, in new], ...]}`; the report: `{"breakages": [[path, line, kind,
  object, explanation], ...], "unreadable": [[path, reason], ...]}`.
- Only changed modules are compared, each with itself; the code is read, not run. Public is what griffe says it is:
  `__all__` where there is one, else names without an underscore.
- A module that is gone is reported once. One that is private by its name, or cannot be read, is left alone.
- Names that a module imports are not followed; one that was defined here and is imported now is still there.

Source: https://mkdocstrings.github.io/griffe/guide/users/checking/.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import griffe

__all__ = ["analyze"]

MOST_BYTES = 2_000_000


def analyze(task: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Compare every module with itself."""
    logging.disable(logging.CRITICAL)
    breakages: list[list[Any]] = []
    unreadable: list[list[str]] = []
    for path, before, after in task["paths"]:
        if not before or _private(path):
            continue
        try:
            old = _module(Path(task["old"]), path)
        except (SyntaxError, ValueError, RecursionError, OSError):
            continue
        if not after:
            breakages.append([path, 1, "MODULE_REMOVED", old.name, "the module is gone"])
            continue
        try:
            new = _module(Path(task["new"]), path)
            breakages += [[path, *each] for each in _compare(old, new)]
        except (SyntaxError, ValueError, RecursionError, OSError) as error:
            unreadable.append([path, f"{type(error).__name__}: {error}"])
    return {"breakages": breakages, "unreadable": unreadable}


def _private(path: str) -> bool:
    parts = path.removesuffix(".py").removesuffix(".pyi").split("/")
    return any(part.startswith("_") and part not in ("__init__", "__main__") for part in parts)


def _module(folder: Path, path: str) -> griffe.Module:
    file = folder / path
    if file.is_symlink() or file.stat().st_size > MOST_BYTES:
        raise ValueError("not a regular file of ordinary size")
    code = file.read_text(encoding="utf-8")
    name = path.removesuffix(".py").removesuffix(".pyi").removesuffix("/__init__").replace("/", ".")
    return griffe.visit(name.rpartition(".")[2] or name, filepath=file, code=code)


def _compare(old: griffe.Module, new: griffe.Module) -> list[list[Any]]:
    found: dict[tuple[str, str, str], list[Any]] = {}
    for breakage in griffe.find_breaking_changes(old, new):
        kind, name = breakage.kind.name, breakage.obj.path
        line = _line(breakage, new)
        if kind.startswith("PARAMETER_"):
            name = f"{name}({getattr(breakage.new_value or breakage.old_value, 'name', '')})"
        explanation = breakage.kind.value
        found.setdefault((kind, name, explanation), [line, kind, name, explanation])
    return list(found.values())


def _line(breakage: griffe.Breakage, new: griffe.Module) -> int:
    """Where the object stands now, or else where it stood."""
    try:
        now = new[breakage.obj.path.split(".", 1)[1]]
    except (KeyError, IndexError):
        now = None
    for place in (now, breakage.obj):
        try:
            number = place.lineno if place is not None else None
        except Exception:  # an alias whose target was not loaded has no line
            number = None
        if isinstance(number, int) and number > 0:
            return number
    return 1
