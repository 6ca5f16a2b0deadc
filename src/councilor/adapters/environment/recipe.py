"""What a tree says about its dependencies, and the commands that install them.

Rules, the first that applies wins:
1. `install`: the working spec's own command, run by `sh` in an export of the tree.
2. `lock`: `uv.lock` beside a pyproject.toml; `pylock.toml`, `requirements*.lock`, or requirements with hashes;
   `poetry.lock` or `pdm.lock`, which constrain what the project declares.
3. `requirements`: requirements files of the top folder, of `requirements/` and of the tests' folder, together with what
   the projects declare.
4. `pyproject`: dependencies, and the extras and groups named dev, test, tests or testing; a project that only a build
   can tell about (setup.py, `dynamic`) is built for its dependencies.
5. `venv`: a virtual environment that lies in the user's working copy, as it is.
6. `wheels`: every wheel of a wheel folder, without a network. With 2-4 the folder is one more place to find packages.
7. `none`: a plain interpreter.

- Where nothing else says what the tests need, tox and nox are read (`testrunners.py`).
- A repository of several projects gets one environment for all; they find each other in the tree, never in the index.
- Only the tree is read, never the working copy (but for rule 5). Pipenv and conda files are not read, and that is said.

Source: PEP 621 (project), PEP 735 (groups), PEP 751 (pylock), https://docs.astral.sh/uv/ (uv.lock).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from councilor.adapters.environment.locks import LOCK_NAMES, constraints
from councilor.adapters.environment.project import TEST_NAMES, Project, parse_toml
from councilor.adapters.environment.testrunners import TestDependencies
from councilor.domain.layout import inside

__all__ = ["FOR_TESTS", "LOCKS", "REQUIREMENTS", "WHEEL", "Chooser", "Recipe", "Step"]

_COMPILE = "--compile-bytecode"  # jobs see the environment read-only and could never do it themselves
_INSTALL = ("uv", "pip", "install", _COMPILE)
_TEST_WORDS = r"dev|develop|development|tests?|testing|ci"
REQUIREMENTS = re.compile(
    rf"requirements(?:[-_.](?:base|common|core|main|{_TEST_WORDS}))?\.txt|(?:{_TEST_WORDS})[-_]requirements\.txt"
    rf"|requirements/(?:base|common|core|default|main|requirements|{_TEST_WORDS})\.txt"
    rf"|requirements/(?:requirements[-_.](?:{_TEST_WORDS})|(?:{_TEST_WORDS})[-_]requirements)\.txt"
    rf"|tests?/requirements(?:[-_.](?:{_TEST_WORDS}))?\.txt"
)
FOR_TESTS = re.compile(rf"(?:.*[-_./])?(?:{_TEST_WORDS})(?:[-_./].*)?\.txt")
LOCKS = re.compile(r"requirements(?:[-_.]\w+)?\.lock|pylock(?:\.\w+)?\.toml")
WHEEL = re.compile(r"((?:vendor/)?(?:wheels|wheelhouse))/[^/]+\.whl")
_BARE_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One thing to install."""

    command: tuple[str, ...]
    """`uv` and `python` stand for the real ones."""
    otherwise: tuple[Step, ...] = ()
    """What is done instead when it fails."""
    optional: str = ""
    """What is missing when it fails; empty, and nothing to do instead: then the build has failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How to make one environment."""

    source: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Everything it was read from; its content is part of the environment's hash."""
    steps: tuple[Step, ...] = ()
    """Run in an export of the tree."""
    made: Mapping[str, str] = field(default_factory=dict)
    """Files that the steps name as `../made/NAME`."""
    network: bool = False
    install: str | None = None
    projects: tuple[Project, ...] = ()
    native: tuple[str, ...] = ()
    """Sources from which modules may be compiled; empty where nothing is built."""
    notes: tuple[str, ...] = ()
    """What was seen and is not followed."""

    @property
    def requires_python(self) -> str:
        """Of the project at the top, or of the only one."""
        named = [project.requires_python for project in self.projects if not project.folder or len(self.projects) == 1]
        return named[0] if named else ""

    @property
    def sources(self) -> tuple[str, ...]:
        """Folders of modules, relative to the top of the tree."""
        return tuple(dict.fromkeys(folder for project in self.projects for folder in project.sources))

    @property
    def builds(self) -> bool:
        """Whether a project of the tree is built."""
        return any(project.built for project in self.projects) or bool(self.native)


class Chooser:
    """Finds the source of a recipe and its steps."""

    def __init__(self, recipe: Recipe, runner: TestDependencies, wheel_folders: Sequence[str]) -> None:
        self._recipe = recipe
        self._files = recipe.files
        self._projects = recipe.projects
        self._runner = runner
        self._wheel_folders = wheel_folders
        self._find = tuple(part for folder in wheel_folders for part in ("--find-links", folder))
        self._made: dict[str, str] = {}

    def choose(self) -> Recipe:
        """The recipe with its source and its steps."""
        source, steps = self._steps()
        offline = source in {"wheels", "none"} or not steps
        network = (not offline) or self._recipe.builds
        return replace(self._recipe, source=source, steps=steps, made=self._made, network=network)

    def _steps(self) -> tuple[str, tuple[Step, ...]]:
        if self._recipe.install:
            return "install", (Step(command=("sh", "-c", self._recipe.install)),)
        if "uv.lock" in self._files and "pyproject.toml" in self._files:
            return "lock", (Step(command=self._uv_sync()), *self._record())
        requirements = [path for path in self._files if REQUIREMENTS.fullmatch(path)]
        locked = [path for path in self._files if LOCKS.fullmatch(path)]
        locked = locked or [path for path in requirements if b"--hash=" in self._files[path]]
        if locked:
            return "lock", (Step(command=(*_INSTALL, *self._find, *_from(locked))), *self._record())
        constraining = self._constrain()
        listed = (*_from(requirements), *_from(self._runner.files), *self._written())
        more = self._declared()
        if requirements or self._runner:
            return "lock" if constraining else "requirements", self._with_requirements(listed, more, constraining)
        if more or listed:
            built = (Step(command=(*_INSTALL, *self._find, *constraining, *listed, *more)),)
            return "lock" if constraining else "pyproject", (*built, *self._record(more))
        if self._wheel_folders and not self._recipe.builds:
            names = [path for path in self._files if WHEEL.fullmatch(path)]
            return "wheels", (Step(command=(*_INSTALL, "--offline", "--no-index", *self._find, "--", *names)),)
        return ("pyproject" if self._projects else "none"), self._record()

    def _with_requirements(
        self, listed: tuple[str, ...], more: tuple[str, ...], constraining: tuple[str, ...]
    ) -> tuple[Step, ...]:
        """Requirements files and projects; a project that needs a build often cannot be built, they say all then."""
        command = (*_INSTALL, *self._find, *constraining, *listed)
        alone = (Step(command=command), *self._record()) if any(each.built for each in self._projects) else ()
        return Step(command=(*command, *more), otherwise=alone), *self._record(more)

    def _declared(self) -> tuple[str, ...]:
        """Arguments for what the projects declare where an installer reads it."""
        names = {_normal(project.name) for project in self._projects if project.name}
        arguments: list[str] = []
        extras: list[str] = []
        for project in self._projects:
            path = f"{project.folder}/pyproject.toml".lstrip("/")
            others = names - {_normal(project.name)}
            beside = any(_normal(_name_of(line)) in others for line in project.lines)
            if project.built and not project.known:
                asked = ",".join(dict.fromkeys([*project.extras, *(() if project.folder else self._runner.extras)]))
                arguments.append(f"./{project.folder}".rstrip("/") + f"[{asked}]" if asked else f"./{project.folder}")
            elif not project.translated and not beside and (project.declared.get("dependencies") or project.extras):
                arguments += ["-r", path]
                extras += project.extras
            arguments += [part for group in project.groups for part in ("--group", f"{path}:{group}")]
        extras += [extra for extra in self._runner.extras if "-r" in arguments]
        return (*arguments, *(part for extra in dict.fromkeys(extras) for part in ("--extra", extra)))

    def _written(self) -> tuple[str, ...]:
        """Arguments for what only we can read: translated, from tables of tools, from tox and nox, between projects."""
        names = {_normal(project.name) for project in self._projects if project.name}
        lines = list(self._runner.requirements)
        for project in self._projects:
            beside = names - {_normal(project.name)}
            others = [line for line in project.lines if _normal(_name_of(line)) not in names]
            written = project.translated or any(_normal(_name_of(line)) in beside for line in project.lines)
            lines += others if written else project.requirements
        if not lines:
            return ()
        self._made["declared.txt"] = "".join(f"{line}\n" for line in dict.fromkeys(lines))
        return ("-r", "../made/declared.txt")

    def _constrain(self) -> tuple[str, ...]:
        lines = [line for name in LOCK_NAMES if name in self._files for line in constraints(name, self._files[name])]
        if not lines:
            return ()
        self._made["locked.txt"] = "".join(f"{line}\n" for line in lines)
        return ("-c", "../made/locked.txt")

    def _record(self, done: Sequence[str] = ()) -> tuple[Step, ...]:
        """Steps that build projects for their metadata and their compiled modules only."""
        steps = []
        for project in self._projects:
            place = f"./{project.folder}"
            compiled = any(inside(path, project.folder) for path in self._recipe.native)
            already = any(
                argument == place or argument.startswith((f"{place}[", f"{place.rstrip('/')}[")) for argument in done
            )
            if (project.built or compiled) and not already:
                missing = f"The project at {place} cannot be built, so its metadata and compiled modules are missing"
                steps.append(Step(command=(*_INSTALL, *self._find, "--no-deps", place), optional=missing))
        return tuple(steps)

    def _uv_sync(self) -> tuple[str, ...]:
        workspace = (
            ("--all-packages",)
            if parse_toml("", self._files["pyproject.toml"]).get("tool", {}).get("uv", {}).get("workspace")
            else ()
        )
        top = [project for project in self._projects if workspace or not project.folder]
        extras = [name for name in TEST_NAMES if any(name in project.extras for project in top if not project.built)]
        groups = [name for name in TEST_NAMES if any(name in project.groups for project in top if not project.folder)]
        options = ("--frozen", "--inexact", "--no-install-workspace", _COMPILE, *workspace)
        more = [part for name in extras for part in ("--extra", name)] + [
            part for name in groups for part in ("--group", name)
        ]
        return ("uv", "sync", *options, *more)


def _from(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(part for path in paths for part in ("-r", path))


def _name_of(line: str) -> str:
    match = _BARE_NAME.match(line.strip())
    return match[0] if match else ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
