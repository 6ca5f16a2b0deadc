"""What one project of a tree says about itself, without running anything of it.

Rules:
- A folder holds a project if its pyproject.toml has `[project]`, `[tool.poetry]` or `[tool.flit]`, or if it has a
  setup.py, or a setup.cfg with `[metadata]` or `[options]`. A file that only configures tools declares none.
- `table` is the `[project]` table where that says everything; Poetry's own table is translated into one. Every other
  project must be built to be known (setup.py, `dynamic`), and is asked for every extra that tests may have.
- Extras and groups named dev, test, tests or testing are for tests. So are dependencies that Poetry, PDM and Hatch keep
  in tables of their own under such names.
- Folders of modules: the project's own, `src`, `lib`, and what `package-dir`, `where` and `from` name.

Source: PEP 621, PEP 735, https://python-poetry.org/docs/pyproject/, https://setuptools.pypa.io/en/latest/userguide/.
"""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from councilor.adapters.environment import poetry
from councilor.errors import InputError

__all__ = ["TEST_NAMES", "Project", "parse_toml", "read_project", "read_sections"]

TEST_NAMES = ("dev", "test", "tests", "testing")
_FROM_GIT = re.compile(
    rb"setuptools[-_]scm|hatch-vcs|flit[-_]scm|versioningit|dunamai|dynamic-versioning|git-versioning|\bpbr\b"
    rb"|source\s*=\s*[\"']scm[\"']"
)
_PACKAGE_DIR = re.compile(rb"package_dir\s*=\s*(?:\{|dict\()\s*[\"']{2}\s*:\s*[\"']([\w./-]+)[\"']")
_NAME = re.compile(rb"\bname\s*=\s*[\"']([A-Za-z0-9][\w.-]*)[\"']")


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """One project."""

    folder: str
    """Relative to the top of the tree; empty for the top itself."""
    name: str = ""
    table: Mapping[str, Any] = field(default_factory=dict)
    """A `[project]` table with name and version; empty when only a build tells."""
    declared: Mapping[str, Any] = field(default_factory=dict)
    """The `[project]` table as it is."""
    requires_python: str = ""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    """Requirements in tables that no installer reads."""
    sources: tuple[str, ...] = ()
    """Folders of modules, relative to the top of the tree."""
    known: bool = False
    """Whether its requirements and extras are all in pyproject.toml, though its version may not be."""
    version_from_git: bool = False
    scm_by_name: bool = False
    """Whether what asks git for the version can be told by the project's name."""
    virtual: bool = False
    """Whether it only lists requirements and is nothing that is installed itself."""
    translated: bool = False
    """Whether `table` is our translation, which no installer can read."""
    notes: tuple[str, ...] = ()

    @property
    def built(self) -> bool:
        """Whether only a build tells its metadata."""
        return not self.table and not self.virtual

    @property
    def declares_tests(self) -> bool:
        """Whether it says what its tests need."""
        return bool((self.extras and self.known) or self.groups or self.requirements)

    @property
    def lines(self) -> tuple[str, ...]:
        """Every requirement that it is known to have without a build, those of tests among them."""
        extras = self.declared.get("optional-dependencies") or {}
        wanted = [name for name in self.extras if self.known]
        lines: list[str] = list(self.declared.get("dependencies") or ())
        for name in wanted:  # grows: an extra may name others of the same project
            for line in extras.get(name, ()):
                own = re.fullmatch(rf"{re.escape(self.name)}\s*\[([^\]]+)\]", str(line).strip(), re.IGNORECASE)
                inner = [each.strip() for each in own[1].split(",")] if own else []
                wanted += [each for each in inner if each not in wanted]
                lines += [] if own else [line]
        return tuple(dict.fromkeys([*lines, *self.requirements]))


def read_project(folder: str, files: Mapping[str, bytes]) -> Project | None:
    """The project of a folder, or None.

    Raises:
        InputError: its pyproject.toml is no TOML.
    """
    prefix = f"{folder}/" if folder else ""
    content, setup = files.get(f"{prefix}pyproject.toml"), files.get(f"{prefix}setup.py")
    pyproject = parse_toml(f"{prefix}pyproject.toml", content)
    tool = _table(pyproject, "tool")
    config = read_sections(files.get(f"{prefix}setup.cfg"))
    table, poetry_table = _table(pyproject, "project"), _table(tool, "poetry")
    legacy = bool(poetry_table.get("name") or poetry_table.get("dependencies")) and "name" not in table
    installed = bool(table) or "flit" in tool or setup is not None or bool(config.keys() & {"metadata", "options"})
    installed = installed or (legacy and poetry_table.get("package-mode") is not False)
    requirements = [*_of_pdm(tool), *_of_hatch(tool)]
    groups = tuple(name for name in TEST_NAMES if name in _table(pyproject, "dependency-groups"))
    if not (installed or legacy or requirements or groups or poetry_table):
        return None
    text = b"\n".join(each or b"" for each in (content, setup, files.get(f"{prefix}setup.cfg")))
    of_groups = poetry.group_requirements(tool, TEST_NAMES)
    notes = list(of_groups.notes)
    if legacy:
        table, more = poetry.project_table(poetry_table)
        notes += more
    dynamic = set(table.get("dynamic") or ())
    static = "name" in table and "version" in table and not dynamic
    known = "name" in table and not dynamic & {"dependencies", "optional-dependencies"}
    return Project(
        folder=folder,
        name=str(table.get("name") or config.get("metadata", {}).get("name") or _named(setup)),
        table=table if static else {},
        declared=table,
        requires_python=str(table.get("requires-python") or config.get("options", {}).get("python_requires") or ""),
        extras=_extras(table) if known or not installed else TEST_NAMES,
        groups=groups,
        requirements=tuple(dict.fromkeys([*of_groups.requirements, *requirements])),
        sources=tuple(dict.fromkeys(_sources(folder, tool, config, setup or b""))),
        virtual=not installed,
        translated=legacy,
        known=known,
        version_from_git=bool(_FROM_GIT.search(text)),
        scm_by_name=re.search(rb"setuptools[-_]scm", text) is not None and b"hatch-vcs" not in text,
        notes=tuple(notes),
    )


def parse_toml(path: str, content: bytes | None) -> dict[str, Any]:
    """A TOML file's content; empty when there is no such file.

    Raises:
        InputError: it is no TOML; names the file.
    """
    try:
        return tomllib.loads((content or b"").decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"{path} of the base commit cannot be read: {error}"
        raise InputError(message, field=path, hint=f"Correct {path}, or give the spec an `install` command.") from error


def read_sections(content: bytes | None) -> dict[str, dict[str, str]]:
    """The sections of an INI file; what cannot be parsed is passed over, as setuptools would say it itself."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string((content or b"").decode("utf-8", "replace"))
    except configparser.Error:
        return {}
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _table(parent: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def _extras(table: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in TEST_NAMES if name in _table(table, "optional-dependencies"))


def _named(setup: bytes | None) -> str:
    match = _NAME.search(setup or b"")
    return match[1].decode() if match else ""


def _of_pdm(tool: Mapping[str, Any]) -> Iterator[str]:
    groups = _table(_table(tool, "pdm"), "dev-dependencies")
    for name in TEST_NAMES:
        yield from (item for item in groups.get(name) or () if isinstance(item, str) and not item.startswith("-e"))


def _of_hatch(tool: Mapping[str, Any]) -> Iterator[str]:
    environments = _table(_table(tool, "hatch"), "envs")
    for name in ("default", "hatch-test", *TEST_NAMES):
        for key in ("dependencies", "extra-dependencies"):
            listed = _table(environments, name).get(key) or ()
            yield from (item for item in listed if isinstance(item, str) and "{" not in item)


def _sources(
    folder: str, tool: Mapping[str, Any], config: Mapping[str, Mapping[str, str]], setup: bytes
) -> Iterator[str]:
    setuptools = _table(tool, "setuptools")
    where = (
        _table(_table(setuptools, "packages"), "find").get("where")
        if not isinstance(setuptools.get("packages"), list)
        else None
    )
    named: list[Any] = [_table(setuptools, "package-dir").get(""), *(where if isinstance(where, list) else [])]
    named += [item.get("from") for item in _listed(_table(tool, "poetry").get("packages")) if isinstance(item, dict)]
    named.append(_table(_table(tool, "pdm"), "build").get("package-dir"))
    wheel = _table(_table(_table(_table(tool, "hatch"), "build"), "targets"), "wheel")
    named += [str(path).rpartition("/")[0] for path in _listed(wheel.get("packages"))]
    directories = config.get("options", {}).get("package_dir", "")
    named += [line.partition("=")[2].strip() for line in directories.splitlines() if line.strip().startswith("=")]
    named += [config.get("options.packages.find", {}).get("where")]
    named += [match.decode() for match in _PACKAGE_DIR.findall(setup)]
    for name in ("src", "lib", *named):
        clean = str(name or "").strip("./ ")
        if clean and ".." not in clean.split("/"):
            yield f"{folder}/{clean}" if folder else clean
    yield folder


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
