"""What a tree says about its dependencies, and the commands that install them.

Rules, the first that applies wins:
1. `install`: the working spec's own command, run by `sh` in an export of the tree.
2. `lock`: `uv.lock` beside a pyproject.toml, `pylock.toml`, `requirements*.lock`, or requirements with hashes.
3. `requirements`: requirements files of the top folder and of `requirements/`, together with pyproject.toml's own.
4. `pyproject`: dependencies, and the extras and groups named dev, test, tests or testing; a project that only a build
   can tell about (setup.py, `dynamic`) is built for its dependencies.
5. `venv`: a virtual environment that lies in the user's working copy, as it is.
6. `wheels`: every wheel of a wheel folder, without a network. With 2-4 the folder is one more place to find packages.
7. `none`: a plain interpreter.

Only the tree is read, never the working copy (but for rule 5). poetry.lock is not read: its pyproject.toml is built.
Source: PEP 621 (project), PEP 735 (groups), PEP 751 (pylock), https://docs.astral.sh/uv/ (uv.lock).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from councilor.errors import InputError
from councilor.ports.repository import Repository

__all__ = ["Recipe", "read_recipe"]

_COMPILE = "--compile-bytecode"  # jobs see the environment read-only and could never do it themselves
_TEST_NAMES = ("dev", "test", "tests", "testing")
_REQUIREMENTS = re.compile(
    r"requirements(?:[-_.](?:base|dev|tests?|testing))?\.txt|(?:dev|tests?|testing)[-_]requirements\.txt"
    r"|requirements/(?:base|main|requirements|dev|tests?|testing)\.txt"
)
_LOCKS = re.compile(r"requirements(?:[-_.]\w+)?\.lock|pylock(?:\.\w+)?\.toml")
_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "uv.lock")
_WHEEL = re.compile(r"((?:vendor/)?(?:wheels|wheelhouse))/[^/]+\.whl")
_INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How to make one environment."""

    source: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Everything it was read from; its content is part of the environment's hash."""
    steps: tuple[tuple[str, ...], ...] = ()
    """Commands to run in an export of the tree; `uv` and `python` stand for the real ones."""
    network: bool = False
    install: str | None = None
    project: Mapping[str, Any] = field(default_factory=dict)
    """The `[project]` table, when it says everything without a build."""
    build_project: bool = False
    """Whether only a build tells the project's metadata."""
    requires_python: str = ""
    sources_folder: bool = False
    """Whether the tree has Python files in `src/`."""

    @property
    def is_project(self) -> bool:
        """Whether the tree declares a project of its own."""
        return bool(self.project) or self.build_project


async def read_recipe(repository: Repository, tree: str, *, install: str | None = None) -> Recipe:
    """The recipe of a tree.

    Raises:
        InputError: pyproject.toml is no TOML.
    """
    paths = [entry.path for entry in await repository.entries(tree) if entry.mode.startswith("100")]
    files = await _files(repository, tree, paths)
    pyproject = _pyproject(files.get("pyproject.toml"))
    table: dict[str, Any] = pyproject.get("project") or {}
    static = "name" in table and "version" in table and not table.get("dynamic")
    declared = bool(table) or "build-system" in pyproject or "setup.py" in files or "setup.cfg" in files
    wheels = sorted({match[1] for path in paths if (match := _WHEEL.fullmatch(path))})
    source, steps = _choose(files, pyproject, wheels=wheels, built=declared and not static, install=install)
    return Recipe(
        source=source,
        files=files,
        steps=steps,
        network=(bool(steps) and source != "wheels") or (declared and not static),
        install=install,
        project=table if static else {},
        build_project=declared and not static,
        requires_python=str(table.get("requires-python", "")),
        sources_folder=any(path.startswith("src/") and path.endswith(".py") for path in paths),
    )


async def _files(repository: Repository, tree: str, paths: list[str]) -> dict[str, bytes]:
    """The recipe's files, those that requirements include, and the names of wheels."""
    known = set(paths)
    pending = [p for p in paths if p in _PROJECT_FILES or _REQUIREMENTS.fullmatch(p) or _LOCKS.fullmatch(p)]
    files: dict[str, bytes] = {}
    while pending:
        path = pending.pop()
        if path in files or path not in known:
            continue
        files[path] = await repository.read(tree, path) or b""
        if path.endswith((".txt", ".lock")) and path != "uv.lock":
            folder = path.rpartition("/")[0]
            names = _INCLUDE.findall(files[path].decode("utf-8", "replace"))
            pending += [_join(folder, name) for name in names]
    hashes = {entry.path: entry.hash for entry in await repository.entries(tree) if _WHEEL.fullmatch(entry.path)}
    return dict(sorted(files.items())) | {path: name.encode() for path, name in sorted(hashes.items())}


def _join(folder: str, name: str) -> str:
    parts: list[str] = []
    for part in f"{folder}/{name}".split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def _pyproject(content: bytes | None) -> dict[str, Any]:
    try:
        return tomllib.loads((content or b"").decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"pyproject.toml of the base commit cannot be read: {error}", field="pyproject.toml"
        ) from error


def _choose(
    files: Mapping[str, bytes], pyproject: Mapping[str, Any], *, wheels: list[str], built: bool, install: str | None
) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """The source and its commands."""
    if install:
        return "install", (("sh", "-c", install),)
    if "uv.lock" in files and "pyproject.toml" in files:
        options = (
            "--frozen",
            "--inexact",
            "--no-install-workspace",
            _COMPILE,
            *_extras(pyproject),
            *_groups(pyproject),
        )
        return "lock", (("uv", "sync", *options),)
    find = tuple(part for folder in wheels for part in ("--find-links", folder))
    requirements = [path for path in files if _REQUIREMENTS.fullmatch(path)]
    locks = [path for path in files if _LOCKS.fullmatch(path)]
    hashed = [path for path in requirements if b"--hash=" in files[path]]
    if locks or hashed:
        return "lock", (_pip(find, locks or hashed),)
    more = _project_arguments(pyproject, built=built)
    if requirements:  # a project that needs a build often cannot be built: its requirements say all then
        return "requirements", (_pip(find, requirements, () if built else more),)
    if more:
        return "pyproject", (_pip(find, [], more),)
    if wheels and not built:
        names = [path for path in files if _WHEEL.fullmatch(path)]
        return "wheels", (("uv", "pip", "install", _COMPILE, "--offline", "--no-index", *find, "--", *names),)
    return ("pyproject" if pyproject.get("project") or built else "none"), ()


def _pip(find: tuple[str, ...], requirements: list[str], more: tuple[str, ...] = ()) -> tuple[str, ...]:
    return ("uv", "pip", "install", _COMPILE, *find, *(part for path in requirements for part in ("-r", path)), *more)


def _project_arguments(pyproject: Mapping[str, Any], *, built: bool) -> tuple[str, ...]:
    """What `uv pip install` needs for the project's own dependencies; empty when it has none."""
    table = pyproject.get("project") or {}
    groups = tuple(part for name in _group_names(pyproject) for part in ("--group", name))
    if built:
        extras = ",".join(_extra_names(pyproject))
        return (f".[{extras}]" if extras else ".", *groups)
    if table.get("dependencies") or _extra_names(pyproject):
        return ("-r", "pyproject.toml", *_extras(pyproject), *groups)
    return groups


def _extra_names(pyproject: Mapping[str, Any]) -> list[str]:
    return [
        name for name in _TEST_NAMES if name in ((pyproject.get("project") or {}).get("optional-dependencies") or {})
    ]


def _group_names(pyproject: Mapping[str, Any]) -> list[str]:
    return [name for name in _TEST_NAMES if name in (pyproject.get("dependency-groups") or {})]


def _extras(pyproject: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(part for name in _extra_names(pyproject) for part in ("--extra", name))


def _groups(pyproject: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(part for name in _group_names(pyproject) for part in ("--group", name))
