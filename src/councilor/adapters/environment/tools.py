"""councilor's own pytest, coverage and ruff, in a folder that jobs may read.

Rules:
- They are copied from councilor's own installation, so no network is needed and what was tested is what runs.
- The folder's name is the hash of their versions; it appears whole (renamed into place) or not at all.
- It goes last on `sys.path`: a repository's own pytest wins.

Source: https://packaging.python.org/en/latest/specifications/recording-installed-packages/.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from councilor.errors import UnavailableError

__all__ = ["Tools", "make_tools", "pins"]

_NAMES = ("pytest", "pluggy", "iniconfig", "packaging", "pygments", "coverage")
_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """Where they are."""

    folder: Path
    site: Path
    """For `sys.path`."""
    ruff: Path


def pins() -> tuple[str, ...]:
    """Name and version of every tool."""
    return tuple(f"{name}=={_find(name).version}" for name in (*_NAMES, "ruff", "uv"))


def make_tools(folder: Path) -> Tools:
    """The tools below `folder`, copied there when they are not yet. Blocking.

    Raises:
        UnavailableError: councilor's own installation does not say which files are theirs.
    """
    text = "\n".join((str(_FORMAT), sys.version, *pins()))
    place = folder / hashlib.sha256(text.encode()).hexdigest()[:24]
    if not place.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder, prefix=".new-"))
        try:
            _fill(draft)
            draft.chmod(0o755)
            with contextlib.suppress(FileExistsError, OSError):  # another process was first
                draft.rename(place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return Tools(folder=place, site=place / "site", ruff=place / "bin" / "ruff")


def _fill(folder: Path) -> None:
    for name in _NAMES:
        for file, source in _files(_find(name)):
            if ".." not in file.parts and not file.is_absolute():
                _copy(source, folder / "site" / file)
    binaries = [source for file, source in _files(_find("ruff")) if file.name == "ruff" and file.parent.name == "bin"]
    if not binaries:
        raise UnavailableError("The ruff binary of this installation is missing.", backend="environment")
    _copy(binaries[0], folder / "bin" / "ruff")


def _copy(source: Path, target: Path) -> None:
    """Copy with the time stamp, which the compiled files beside it are checked against."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):  # compiled files come and go
        shutil.copy2(source, target)


def _files(found: Distribution) -> list[tuple[Path, Path]]:
    if found.files is None:
        message = f"The installation of {found.metadata['Name']} has no record of its files."
        raise UnavailableError(message, backend="environment", hint="Install councilor with pip or uv.")
    return [(Path(str(file)), Path(str(found.locate_file(file)))) for file in found.files]


def _find(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError as error:
        hint = "Install councilor again."
        raise UnavailableError(f"{name} is not installed.", backend="environment", hint=hint) from error
