"""Building one environment: a few commands in a sandbox of their own, the only one with network.

Rules:
- The job sees the interpreter, uv, the installers' settings and an export of the tree, and may write the new
  environment and the repository's own package cache. Only steps that install get the network.
- What the host writes into the environment it writes before any package's code has run.
- A build that fails says so with the end of its output, addresses without credentials, and where what it names stands.
- Metadata that cannot be built is said and left out: applications often declare a project that nobody ever builds.

Source: https://docs.astral.sh/uv/reference/cli/.
"""

from __future__ import annotations

import ensurepip
import json
import os
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from councilor.adapters.environment import strip_modules
from councilor.adapters.environment.blame import places_named
from councilor.adapters.environment.installers import redact
from councilor.adapters.environment.metadata import write_path_file, write_project
from councilor.adapters.environment.recipe import Recipe, Step
from councilor.adapters.environment.shelf import Place
from councilor.errors import InputError
from councilor.ports.sandbox import Job, Limits, Mount, Sandbox, SandboxResult

__all__ = ["Builder"]

_BUILD_S = 1800.0
_TAIL_LINES = 30
_LONGEST_LINE = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Builder:
    """Builds in one sandbox, with one interpreter."""

    sandbox: Sandbox
    uv: Path
    python: Path
    """The base interpreter."""
    prefix: tuple[Mount, ...]
    """What it needs to run."""
    variables: Mapping[str, str]
    settings: tuple[Mount, ...]
    """Files and folders that the variables name."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Variables that tell build tools the version they would ask git for."""

    async def build(self, recipe: Recipe, place: Place, *, say: Callable[[str], None]) -> str:
        """Fill `place` by `recipe`, the tree being exported to `place.exported`; gives what is missing, if anything.

        Raises:
            InputError: a command failed.
        """
        for note in recipe.notes:
            say(redact(note))
        await self._must(self._real(("uv", "venv", "--no-project", "--clear"), place), recipe, place, say=say)
        if recipe.source == "install":  # its command may want pip
            await self._add_pip(recipe, place, say=say)
        (site,) = (place.venv / "lib").glob("python*/site-packages")
        self._write(recipe, place, site)
        missing = await self._take(recipe.steps, recipe, place, say=say)
        if recipe.steps:
            script = str(Path(strip_modules.__file__).resolve())
            folders = (str(site), str(place.exported), str(place.made / "tracked.json"))
            await self._must((str(place.venv / "bin" / "python"), "-I", script, *folders), recipe, place, say=say)
        return missing

    def _write(self, recipe: Recipe, place: Place, site: Path) -> None:
        """Everything that the host says itself."""
        tracked = [
            (Path(parent) / name).relative_to(place.exported).as_posix()
            for parent, _, names in os.walk(place.exported)
            for name in names
        ]
        (place.made / "tracked.json").write_text(json.dumps(tracked))
        for name, text in recipe.made.items():
            (place.made / name).write_text(text)
        for project in recipe.projects:
            if project.table and not project.virtual and recipe.source != "install":
                write_project(site, project.table)
            folder = f"{project.folder}/" if project.folder else ""
            if project.built and not {f"{folder}setup.py", f"{folder}pyproject.toml"} & recipe.files.keys():
                with (place.exported / folder / "setup.py").open("x") as file:  # setup.cfg alone has no one to read it
                    file.write("from setuptools import setup\n\nsetup()\n")
        if recipe.projects:
            folders = [project.folder for project in recipe.projects]
            write_path_file(site, projects=folders, sources=recipe.sources)

    async def _take(self, steps: Sequence[Step], recipe: Recipe, place: Place, *, say: Callable[[str], None]) -> str:
        """Take the steps; gives what is missing after them."""
        missing = []
        for step in steps:
            if not (step.otherwise or step.optional):
                await self._must(self._real(step.command, place), recipe, place, network=recipe.network, say=say)
                continue
            done = await self._run(self._real(step.command, place), place, recipe.network, say)
            if done.exit_code and step.otherwise:
                say("This cannot be installed together with the project; next without it.")
                if lacking := await self._take(step.otherwise, recipe, place, say=say):
                    missing.append(lacking)
                return "\n".join(missing)
            if done.exit_code:
                missing.append(f"{step.optional}:\n{_tail(done.output)}")
                say(missing[-1])
        return "\n".join(missing)

    async def _add_pip(self, recipe: Recipe, place: Place, *, say: Callable[[str], None]) -> None:
        """Install the pip that the interpreter brings along; `python -m ensurepip` does the same in seconds."""
        folder = Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or Path(ensurepip.__file__).parent / "_bundled")
        wheels = sorted(str(path) for path in folder.glob("pip-*.whl"))
        if not wheels:
            hint = "Let the command use `uv pip install`, or install the interpreter's ensurepip."
            raise InputError("The interpreter brings no pip for the `install` command.", hint=hint)
        step = ("uv", "pip", "install", "--offline", "--no-index", "--quiet", *wheels)
        await self._must(self._real(step, place), recipe, place, say=say)

    async def _must(
        self,
        argv: tuple[str, ...],
        recipe: Recipe,
        place: Place,
        *,
        network: bool = False,
        say: Callable[[str], None],
    ) -> None:
        done = await self._run(argv, place, network, say)
        if done.exit_code:
            ending = "took too long" if done.timed_out else f"ended with {done.exit_code}"
            output = _tail(done.output)
            named = "".join(f"\n{each}" for each in places_named(output, recipe.files))
            raise InputError(
                f"Building the environment failed: `{redact(' '.join(argv))}` {ending}.\n{output}{redact(named)}",
                hint=f"Correct {'that' if named else 'the recipe'}, or give the working spec an `install` command.",
            )

    async def _run(
        self, argv: tuple[str, ...], place: Place, network: bool, say: Callable[[str], None]
    ) -> SandboxResult:
        script = Path(strip_modules.__file__).resolve()
        job = Job(
            argv=argv,
            cwd=place.exported,
            mounts=(
                *self.prefix,
                *self.settings,
                Mount(path=self.uv),
                Mount(path=script),
                Mount(path=place.work, writable=True),
                Mount(path=place.venv, writable=True),
                Mount(path=place.cache, writable=True),
            ),
            limits=Limits(wall_s=_BUILD_S),
            env=self._environment(place),
            network=network,
        )
        lines = _Lines(say)
        done = await self.sandbox.run(job, on_output=lines.feed)
        lines.end()
        return done

    def _real(self, step: tuple[str, ...], place: Place) -> tuple[str, ...]:
        """A recipe's command with the real uv, and for `uv venv` where and with what."""
        if step[0] != "uv":
            return step
        more = ("--python", str(self.python), str(place.venv)) if step[1] == "venv" else ()
        return (str(self.uv), *step[1:], *more)

    def _environment(self, place: Place) -> dict[str, str]:
        bin_folder = place.venv / "bin"
        return {
            **self.variables,
            **self.versions,
            "PATH": f"{bin_folder}:{self.uv.parent}:/usr/local/bin:/usr/bin:/bin",
            "VIRTUAL_ENV": str(place.venv),
            "UV_PROJECT_ENVIRONMENT": str(place.venv),
            "UV_CACHE_DIR": str(place.cache / "uv"),
            "PIP_CACHE_DIR": str(place.cache / "pip"),
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_LINK_MODE": "copy",
            "UV_NO_PROGRESS": "1",
            "NO_COLOR": "1",
        }


class _Lines:
    """Hands output on line by line."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._tell(line)
        self._rest = self._rest[:_LONGEST_LINE]

    def end(self) -> None:
        self._tell(self._rest)

    def _tell(self, line: bytes) -> None:
        text = "".join(c for c in line[:_LONGEST_LINE].decode("utf-8", "replace") if c.isprintable()).strip()
        if text:
            self._say(redact(text))


def _tail(output: bytes) -> str:
    lines = output.decode("utf-8", "backslashreplace").strip().splitlines()[-_TAIL_LINES:]
    return redact("\n".join(line[:_LONGEST_LINE] for line in lines))
