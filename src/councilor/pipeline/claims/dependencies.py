"""Whether a change adds dependencies, as far as the files that declare them tell.

Rules:
- `pyproject.toml`: the sets of requirements are compared; `requirements*.txt`: the lines that are no comments.
- A change of `setup.py`, `setup.cfg`, `Pipfile` or an unreadable file cannot be told: None.
- A removed requirement is not a new one.
"""

from __future__ import annotations

import posixpath
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from councilor.domain.change import FileChange

__all__ = ["new_dependencies"]

OPAQUE = frozenset({"setup.py", "setup.cfg", "Pipfile", "environment.yml", "environment.yaml", "conda.yaml"})


def new_dependencies(changes: Sequence[FileChange]) -> tuple[str, ...] | None:
    """Requirements that the candidate declares and the base does not, sorted; None when it cannot be told."""
    found: set[str] = set()
    for change in changes:
        name = posixpath.basename(change.path)
        if name in OPAQUE:
            return None
        if name == "pyproject.toml":
            old, new = _project(change.old), _project(change.new)
            if old is None or new is None:
                return None
            found |= new - old
        elif name.startswith("requirements") and name.endswith((".txt", ".in")):
            found |= _lines(change.new) - _lines(change.old)
    return tuple(sorted(found))


def _lines(source: bytes | None) -> set[str]:
    lines = ("".join(line.split("#")[0].split()) for line in (source or b"").decode("utf-8", "replace").splitlines())
    return {line for line in lines if line}


def _project(source: bytes | None) -> set[str] | None:
    try:
        data = tomllib.loads((source or b"").decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        return None
    return set(_requirements(data))


def _table(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _requirements(data: dict[str, Any]) -> Iterator[str]:
    lists = [_table(data, "project", "dependencies"), _table(data, "build-system", "requires")]
    for group in (_table(data, "project", "optional-dependencies"), _table(data, "dependency-groups")):
        lists += list(group.values()) if isinstance(group, dict) else []
    for entries in lists:
        yield from (str(entry) for entry in entries) if isinstance(entries, list) else ()
    poetry = [_table(data, "tool", "poetry", "dependencies"), _table(data, "tool", "poetry", "dev-dependencies")]
    groups = _table(data, "tool", "poetry", "group")
    poetry += [_table(group, "dependencies") for group in groups.values()] if isinstance(groups, dict) else []
    for table in poetry:
        yield from (f"{name} {value}" for name, value in table.items()) if isinstance(table, dict) else ()
