"""The `Environments` port on virtual environments built by uv.

Rules:
- An environment is named by what it is made of: the recipe's files at the tree, the install command, the interpreter,
  the platform, and the versions of our own tools. The same name is never built twice for one repository.
- A virtual environment of the user's own working copy is used where it lies, and never changed.
- `requires-python` is checked before anything is built.
- An environment is in use as long as the `Environment` that `prepare` gave is referred to; `clean` passes over it.
- A project that could not be built is tried again after an hour, if nobody uses its environment.

Source: PEP 440 (specifiers), PEP 405 (pyvenv.cfg).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import platform
import sys
import sysconfig
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from uv import find_uv_bin

from councilor.adapters.environment.building import Builder
from councilor.adapters.environment.installers import installer_mounts, installer_variables
from councilor.adapters.environment.leases import Lease, locked
from councilor.adapters.environment.reading import read_recipe
from councilor.adapters.environment.recipe import Recipe
from councilor.adapters.environment.shelf import Place, Shelf
from councilor.adapters.environment.tools import Tools, make_tools, pins
from councilor.adapters.environment.versions import newest_version, version_variables
from councilor.errors import InputError
from councilor.ports.clock import Clock
from councilor.ports.environment import Environment, StoredEnvironment
from councilor.ports.metrics import MetricsBackend
from councilor.ports.repository import Repository
from councilor.ports.sandbox import Mount, Sandbox

__all__ = ["VirtualEnvironments"]

_FORMAT = 2
RETRY_AFTER = timedelta(hours=1)
"""An environment whose project could not be built is built anew after that, if nobody uses it."""


class VirtualEnvironments:
    """Environments below one folder.

    Args:
        folder: where they stand; made if missing.
        sandbox: what builds run in.
        host_env: the host's environment variables, of which only the installers' own reach a build.
    """

    def __init__(
        self, *, folder: Path, sandbox: Sandbox, host_env: Mapping[str, str], clock: Clock, metrics: MetricsBackend
    ) -> None:
        self._folder = folder.absolute()
        self._shelf = Shelf(self._folder)
        self._sandbox = sandbox
        self._host_env = host_env
        self._clock = clock
        self._metrics = metrics
        self._python = Path(getattr(sys, "_base_executable", sys.executable))
        self._prefix = _prefix_mounts(Path(sys.base_prefix))
        self._pins: tuple[str, ...] = ()

    async def prepare(
        self, repository: Repository, tree: str, *, install: str | None = None, say: Callable[[str], None] | None = None
    ) -> Environment:
        """The environment that `tree` needs, built once, then reused; see the port."""
        began = self._clock.monotonic()
        tools = await asyncio.to_thread(make_tools, self._folder / "tools")
        self._pins = self._pins or await asyncio.to_thread(pins)
        recipe = await read_recipe(repository, tree, install=install)
        _check_python(recipe.requires_python)
        if recipe.source == "none" and (found := _existing(repository.root)):
            environment, hit = self._adopt(found, tools), True
        else:
            environment, hit = await self._own(repository, tree, recipe, tools, say or _be_quiet)
        labels = {"source": environment.source, "hit": "true" if hit else "false"}
        self._metrics.histogram("v3.environment.prepare", labels, self._clock.monotonic() - began)
        return environment

    async def list(self) -> Sequence[StoredEnvironment]:
        """Every built environment, most recently used first."""
        return await asyncio.to_thread(self._shelf.stored)

    async def clean(self, *, keep_days: float) -> Sequence[StoredEnvironment]:
        """Remove those not used for so many days, and unfinished builds; gives what was removed."""
        return await asyncio.to_thread(self._shelf.clean, now=self._clock.now(), keep_days=keep_days)

    async def _own(
        self, repository: Repository, tree: str, recipe: Recipe, tools: Tools, say: Callable[[str], None]
    ) -> tuple[Environment, bool]:
        """An environment of ours, and whether it was already there."""
        versions = await _versions(repository, recipe)
        env_hash = _hash(recipe, self._pins, versions)
        place = self._shelf.place(repository.root, env_hash)
        lease = await Lease.take(place.folder, self._clock)
        try:
            hit = await self._fresh(place, lease)
            if not hit:
                async with locked(place.folder, self._clock):
                    hit = _usable(place)
                    if not hit:
                        await self._build(
                            repository, tree, recipe, place, self._record(repository, recipe, env_hash), versions, say
                        )
                await lease.share(self._clock)
            place.touch(self._clock.now())
            python = place.venv / "bin" / "python"
            mounts = (Mount(path=place.venv), *self._prefix)
            environment = self._environment(env_hash, recipe.source, python, mounts, tools, native=recipe.native)
        except BaseException:
            lease.release()
            raise
        weakref.finalize(environment, lease.release)
        return environment, hit

    async def _fresh(self, place: Place, lease: Lease) -> bool:
        """Whether a usable environment stands here; an incomplete one that has had its time is taken down first."""
        record = place.record()
        # On either side: one from the time to come was made by a clock that has been set back since.
        age = abs(self._clock.now() - record.created_at) if record is not None and record.incomplete else None
        stale = age is not None and age >= RETRY_AFTER
        if stale and await lease.alone(self._clock):
            await asyncio.to_thread(place.remove)
        return _usable(place)

    def _record(self, repository: Repository, recipe: Recipe, env_hash: str) -> StoredEnvironment:
        now = self._clock.now()
        return StoredEnvironment(
            env_hash=env_hash,
            source=recipe.source,
            repository=str(repository.root),
            size_bytes=0,
            created_at=now,
            used_at=now,
        )

    async def _build(
        self,
        repository: Repository,
        tree: str,
        recipe: Recipe,
        place: Place,
        record: StoredEnvironment,
        versions: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        variables = installer_variables(self._host_env)
        builder = Builder(
            sandbox=self._sandbox,
            uv=Path(find_uv_bin()).resolve(),
            python=self._python,
            prefix=self._prefix,
            variables=variables,
            settings=installer_mounts(self._host_env, variables),
            versions=versions,
        )
        finished = False
        await asyncio.to_thread(place.begin, record)
        try:
            await repository.export(tree, place.exported)
            missing = await builder.build(recipe, place, say=say)
            await asyncio.to_thread(place.finish, replace(record, incomplete=missing))
            finished = True
        finally:
            if not finished:
                place.remove()

    def _adopt(self, venv: Path, tools: Tools) -> Environment:
        """The user's own virtual environment, named by what is installed in it."""
        config = (venv / "pyvenv.cfg").read_text(errors="replace")
        names = sorted(path.name for path in venv.glob("lib/python*/site-packages/*.dist-info"))
        text = json.dumps([_FORMAT, config, names, self._pins])
        home = next((line.partition("=")[2].strip() for line in config.splitlines() if line.startswith("home")), "")
        prefix = _prefix_mounts(Path(home).parent) if home else self._prefix
        env_hash = hashlib.sha256(text.encode()).hexdigest()
        return self._environment(env_hash, "venv", venv / "bin" / "python", (Mount(path=venv), *prefix), tools)

    def _environment(
        self,
        env_hash: str,
        source: str,
        python: Path,
        mounts: tuple[Mount, ...],
        tools: Tools,
        native: tuple[str, ...] = (),
    ) -> Environment:
        return Environment(
            env_hash=env_hash,
            source=source,
            python=python,
            mounts=(*mounts, Mount(path=tools.folder)),
            tools=tools.site,
            ruff=tools.ruff,
            compiled_from=native,
        )


def _be_quiet(line: str) -> None:
    del line


def _usable(place: Place) -> bool:
    return place.record() is not None and (place.venv / "bin" / "python").exists()


async def _versions(repository: Repository, recipe: Recipe) -> dict[str, str]:
    if not any(project.version_from_git for project in recipe.projects):
        return {}
    return version_variables(recipe.projects, newest_version(await repository.tags()))


def _hash(recipe: Recipe, tools: tuple[str, ...], versions: Mapping[str, str]) -> str:
    files = [[path, hashlib.sha256(content).hexdigest()] for path, content in recipe.files.items()]
    python = [sys.version, sys.base_prefix, sysconfig.get_platform(), platform.python_implementation()]
    parts = [_FORMAT, recipe.source, recipe.install, recipe.sources, dict(versions), files, python, tools]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _check_python(requires: str) -> None:
    version = platform.python_version()
    try:
        fits = not requires or SpecifierSet(requires).contains(version, prereleases=True)
    except InvalidSpecifier as error:
        raise InputError(f"requires-python {requires!r} cannot be read.", field="requires-python") from error
    if not fits:
        raise InputError(
            f"The project requires Python {requires}, and councilor runs on {version}.",
            hint=f"Install councilor with a Python that fits {requires}.",
            field="requires-python",
        )


def _existing(root: Path) -> Path | None:
    """A virtual environment in the user's working copy."""
    for name in (".venv", "venv"):
        folder = root / name
        if (folder / "pyvenv.cfg").is_file() and (folder / "bin" / "python").exists():
            return folder.resolve()
    return None


def _prefix_mounts(prefix: Path) -> tuple[Mount, ...]:
    """Where an interpreter lies; every sandbox shows /usr anyway."""
    found = {path for path in (prefix, prefix.resolve()) if not path.is_relative_to("/usr") and path != Path("/")}
    return tuple(Mount(path=path) for path in sorted(found))
