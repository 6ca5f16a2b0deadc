"""Where councilor's own installation keeps a package and what it needs, to be mounted into a sandbox.

Rules:
- A package's files are those that its installation record names; what it needs is what its metadata requires without
  extras. Nothing of it is imported to find that out.
- Only these are mounted, each at its place, so a job sees nothing else of the installation.

Source: https://packaging.python.org/en/latest/specifications/recording-installed-packages/,
https://packaging.python.org/en/latest/specifications/core-metadata/#requires-dist-multiple-use.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from councilor.errors import UnavailableError
from councilor.ports.sandbox import Mount

__all__ = ["Packages", "find_packages", "interpreter", "interpreter_mounts"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Packages:
    """A package with everything that it needs."""

    version: str
    """The package's own."""
    mounts: tuple[Mount, ...]


def find_packages(name: str) -> Packages:
    """A package and all that it needs. Blocking.

    Raises:
        UnavailableError: one of them is not installed, or does not say which files are its own.
    """
    found: dict[str, Distribution] = {}
    _collect(name, found)
    places = sorted({place for each in found.values() for place in _places(each)})
    return Packages(
        version=found[_key(name)].version,
        mounts=tuple(Mount(path=place) for place in places),
    )


def interpreter() -> Path:
    """The interpreter that councilor runs on, outside any virtual environment."""
    return Path(getattr(sys, "_base_executable", sys.executable))


def interpreter_mounts() -> tuple[Mount, ...]:
    """Where that interpreter lies; every sandbox shows /usr anyway."""
    prefix = Path(sys.base_prefix)
    places = {place for place in (prefix, prefix.resolve()) if not place.is_relative_to("/usr") and place != Path("/")}
    return tuple(Mount(path=place) for place in sorted(places))


def _key(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _collect(name: str, found: dict[str, Distribution]) -> None:
    if _key(name) in found:
        return
    try:
        found[_key(name)] = distribution(name)
    except PackageNotFoundError as error:
        hint = "Install councilor again."
        raise UnavailableError(f"{name} is not installed.", backend="analyzers", hint=hint) from error
    for text in found[_key(name)].requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            _collect(requirement.name, found)


def _places(found: Distribution) -> set[Path]:
    """The folders and files of a package at the top of its site folder."""
    if found.files is None:
        message = f"The installation of {found.metadata['Name']} has no record of its files."
        raise UnavailableError(message, backend="analyzers", hint="Install councilor with pip or uv.")
    site = Path(str(found.locate_file("")))
    names = {file.parts[0] for file in found.files if file.parts and file.parts[0] not in ("..", "__pycache__")}
    return {site / name for name in names if (site / name).exists()}
