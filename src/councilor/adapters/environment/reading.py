"""Reading from a tree what its recipe is made from.

Rules:
- Only regular files count; a name that a requirements file includes is read, too, wherever it lies in the tree.
- tox and nox are asked only where nothing else says what the tests need.
- Sources that may be compiled belong to the recipe by the names of their contents: other sources, other environment.

`recipe.py` decides what is installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from councilor.adapters.environment.locks import LOCK_NAMES
from councilor.adapters.environment.project import Project, read_project
from councilor.adapters.environment.recipe import FOR_TESTS, LOCKS, REQUIREMENTS, WHEEL, Chooser, Recipe
from councilor.adapters.environment.testrunners import TestDependencies, of_nox, of_tox
from councilor.domain.layout import inside, is_native_source, project_folders
from councilor.ports.repository import Repository

__all__ = ["read_recipe"]

_INCLUDE = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)", re.MULTILINE)
_RUNNER_FILES = ("tox.ini", "tox.toml", "noxfile.py")
_UNREAD = ("Pipfile", "environment.yml", "environment.yaml", "conda.yml")


async def read_recipe(repository: Repository, tree: str, *, install: str | None = None) -> Recipe:
    """The recipe of a tree.

    Raises:
        InputError: a pyproject.toml or lock file is no TOML.
    """
    entries = [entry for entry in await repository.entries(tree) if entry.mode.startswith("100")]
    paths = [entry.path for entry in entries]
    folders = project_folders(paths)
    files = await _read(repository, tree, paths, _wanted(paths, folders))
    projects = tuple(found for folder in folders if (found := read_project(folder, files)) is not None)
    wheels = {entry.path: entry.hash.encode() for entry in entries if WHEEL.fullmatch(entry.path)}
    runner, used = _test_runner(files, projects)
    files |= await _read(repository, tree, paths, runner.files)
    kept = {path: content for path, content in files.items() if path not in _RUNNER_FILES or path in used}
    native = {} if install else _native({entry.path: entry.hash for entry in entries}, projects, files)
    recipe = Recipe(
        source="none",
        files=dict(sorted((kept | wheels | native).items())),
        install=install,
        projects=projects,
        native=tuple(native),
        notes=(
            *(f"{path} is not read." for path in _UNREAD if path in paths),
            *(note for project in projects for note in project.notes),
            *runner.notes,
        ),
    )
    return Chooser(recipe, runner, sorted({path.rpartition("/")[0] for path in wheels})).choose()


def _wanted(paths: Iterable[str], folders: Sequence[str]) -> list[str]:
    """The paths of files that say something."""
    marks = {
        f"{folder}/{name}".lstrip("/") for folder in folders for name in ("pyproject.toml", "setup.py", "setup.cfg")
    }
    names = {*marks, *LOCK_NAMES, *_RUNNER_FILES, "uv.lock"}
    return [path for path in paths if path in names or REQUIREMENTS.fullmatch(path) or LOCKS.fullmatch(path)]


async def _read(repository: Repository, tree: str, paths: Iterable[str], wanted: Iterable[str]) -> dict[str, bytes]:
    """These files, and those that requirements among them include."""
    known = set(paths)
    pending = list(wanted)
    files: dict[str, bytes] = {}
    while pending:
        path = pending.pop()
        if path in files or path not in known:
            continue
        files[path] = await repository.read(tree, path) or b""
        if path.endswith((".txt", ".lock", ".in")) and path not in {"uv.lock", *LOCK_NAMES}:
            folder = path.rpartition("/")[0]
            names = _INCLUDE.findall(files[path].decode("utf-8", "replace"))
            pending += [_join(folder, name) for name in names]
    return files


def _join(folder: str, name: str) -> str:
    parts: list[str] = []
    for part in f"{folder}/{name}".split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def _test_runner(files: Mapping[str, bytes], projects: Sequence[Project]) -> tuple[TestDependencies, tuple[str, ...]]:
    """What tox or nox installs, and the file that says it, where nothing else says what tests need."""
    said = any(project.declares_tests for project in projects)
    said = said or any(REQUIREMENTS.fullmatch(path) and FOR_TESTS.fullmatch(path) for path in files)
    if said or "uv.lock" in files:
        return TestDependencies(), ()
    if found := of_tox(files):
        return found, tuple(path for path in ("tox.ini", "tox.toml") if path in files)
    if "noxfile.py" in files:
        return of_nox(files["noxfile.py"]), ("noxfile.py",)
    return found, ()


def _native(hashes: Mapping[str, str], projects: Sequence[Project], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Sources that a build of the projects may compile, with the names of their contents."""
    if not any(path.rpartition("/")[2] == "setup.py" or b"build-backend" in content for path, content in files.items()):
        return {}
    return {
        path: name.encode()
        for path, name in hashes.items()
        if is_native_source(path)
        and not {"test", "tests", "docs", "examples"} & set(path.split("/")[:-1])
        and any(inside(path, project.folder) for project in projects)
    }
