"""The libraries that bugs are planted in: source distributions, pinned by hash, fetched by pip and never committed.

Rules:
- The cache folder is the user's; a file there counts only if its hash is the pin's.
- `name` is one of `PINS`; `name==version` is any other, whose hash is written down when it is first fetched.
- Sources are the Python files that a user of the library imports: no tests, set-up, documentation or examples.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from councilor.adapters.analyzers.pytest.ownership import owns
from councilor.domain.syntax import parse_module

__all__ = ["IndexUnreachableError", "Library", "cache_folder", "fetch"]

PINS = {
    "parse": ("1.20.2", "b41d604d16503c79d81af5165155c0b20f6c8d6c559efa66b4b695c3e5a0a0ce"),
    "boltons": ("26.2.0", "d39cfd15c1a1c3bd4d705c82252fa9edb8e4f5e8cc039f8e39afac7b1b47e92c"),
}
_NOT_SOURCES = {"setup.py", "noxfile.py", "fabfile.py", "tasks.py"}
_NOT_FOLDERS = {"doc", "docs", "examples", "example", "benchmarks", "scripts", "tools", "build", "misc"}


class IndexUnreachableError(Exception):
    """The package index gave nothing, or something else than what is pinned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """One release of a library, unpacked on demand."""

    name: str
    version: str
    sha256: str
    archive: Path

    def unpack(self, folder: Path) -> None:
        """Make `folder` what the archive holds, without what was built for it."""
        with tempfile.TemporaryDirectory(dir=folder.parent) as unpacked, tarfile.open(self.archive) as archive:
            for member in archive:  # git refuses repositories of other users, and root would restore the packager's
                member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
            archive.extractall(unpacked, filter="data")
            (top,) = Path(unpacked).iterdir()
            top.rename(folder)
        for built in folder.glob("*.egg-info"):
            shutil.rmtree(built)

    @staticmethod
    def sources(folder: Path) -> list[str]:
        """The library's own Python files, relative, sorted."""
        found = [path.relative_to(folder) for path in folder.rglob("*.py")]
        return sorted(
            str(path)
            for path in found
            if not owns(str(path)) and path.name not in _NOT_SOURCES and not _NOT_FOLDERS & set(path.parts[:-1])
        )

    @staticmethod
    def test_files(folder: Path) -> list[str]:
        """Python files that may hold tests, relative, sorted."""
        paths = [str(path.relative_to(folder)) for path in folder.rglob("*.py")]
        return sorted(path for path in paths if owns(path) and _parses(folder / path))


def cache_folder() -> Path:
    """Where fetched archives and lists of bugs made here are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "councilor-tests"


def fetch(named: str) -> Library:
    """The library that `name` or `name==version` means; downloaded the first time.

    Raises:
        IndexUnreachableError: it is not cached and cannot be had, or its hash is another.
        ValueError: `name` is not pinned and no version is given.
    """
    name, _, version = named.partition("==")
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    pinned, sha256 = PINS.get(name, ("", ""))
    if version and version != pinned:
        sha256 = _noted(folder).get(f"{name}=={version}", "")
    elif not pinned:
        raise ValueError(f"LIBS: {name} is not pinned here; name a version: {name}==1.2.3")
    version = version or pinned
    kept = folder / f"{name}-{version}.tar.gz"
    if not (sha256 and kept.exists() and _digest(kept) == sha256):
        with tempfile.TemporaryDirectory(dir=folder) as fetched:
            _download(f"{name}=={version}", sha256, Path(fetched)).replace(kept)
    if not sha256:
        sha256 = _digest(kept)
        (folder / "pins.json").write_text(json.dumps(_noted(folder) | {f"{name}=={version}": sha256}, indent=1))
    return Library(name=name, version=version, sha256=sha256, archive=kept)


def _noted(folder: Path) -> dict[str, str]:
    file = folder / "pins.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _download(requirement: str, sha256: str, folder: Path) -> Path:
    pin = f" --hash=sha256:{sha256}" if sha256 else ""
    (folder / "pinned.txt").write_text(f"{requirement}{pin}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", ":all:", "--dest", str(folder), "-r", str(folder / "pinned.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    found = list(folder.glob("*.tar.gz"))
    if done.returncode != 0 or len(found) != 1:
        raise IndexUnreachableError(f"{requirement} cannot be downloaded: {done.stderr.strip()[-500:]}")
    return found[0]


def _parses(file: Path) -> bool:
    try:
        parse_module(file.read_bytes())
        file.read_bytes().decode()
    except (SyntaxError, ValueError):
        return False
    return True
