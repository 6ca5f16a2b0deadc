"""A real library for acceptance tests: `parse`, as a source distribution from the package index, with a bug planted.

Rules:
- The distribution is pinned by its hash and kept in the user's cache folder; nothing of it is ever committed.
- The bug is the same every time: a comparison of `int_convert` the wrong way round, which two of its tests catch.

`parse` (MIT licence) has had its tests in the source distribution since 1.20; 1.19 has none.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commandline import CommandLine, Printed
from journey import git

REQUIREMENT = "parse==1.20.2"
SHA256 = "b41d604d16503c79d81af5165155c0b20f6c8d6c559efa66b4b695c3e5a0a0ce"
RIGHT, WRONG = "len(string) - number_start > 2", "len(string) - number_start < 2"
CAUGHT_BY = ("tests/test_parse.py::test_numbers", "tests/test_parsetype.py::test_int_convert_stateless_base")


class IndexUnreachableError(Exception):
    """The package index gave nothing."""


def cached_sdist(requirement: str = REQUIREMENT, sha256: str = SHA256) -> Path:
    """A source distribution; downloaded the first time.

    Raises:
        IndexUnreachableError: it is not cached, and the index cannot be reached.
    """
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "councilor-tests"
    kept = folder / f"{requirement.replace('==', '-')}.tar.gz"
    if not (kept.exists() and hashlib.sha256(kept.read_bytes()).hexdigest() == sha256):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as fetched:
            _download(Path(fetched), requirement, sha256).replace(kept)
    return kept


def _download(folder: Path, requirement: str, sha256: str) -> Path:
    (folder / "pinned.txt").write_text(f"{requirement} --hash=sha256:{sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-binary", ":all:", "--require-hashes", "--dest", str(folder), "-r", str(folder / "pinned.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    found = list(folder.glob("*.tar.gz"))
    if done.returncode != 0 or len(found) != 1:
        raise IndexUnreachableError(f"{requirement} cannot be downloaded: {done.stderr.strip()[-500:]}")
    return found[0]


def make_library(sdist: Path, folder: Path) -> Path:
    """A repository with two commits: the library as it is, and the bug."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder.parent / "unpacked", members=own_everything(archive))  # its hash is pinned
    (unpacked,) = (folder.parent / "unpacked").iterdir()
    shutil.rmtree(unpacked / "parse.egg-info")
    unpacked.rename(folder)
    git(folder, "init", "-q", "-b", "main")
    commit_all(folder, REQUIREMENT)
    source = (folder / "parse.py").read_text(encoding="utf-8")
    assert source.count(RIGHT) == 1
    (folder / "parse.py").write_text(source.replace(RIGHT, WRONG), encoding="utf-8")
    commit_all(folder, "Change how numbers are read")
    return folder


def own_everything(archive: tarfile.TarFile) -> list[tarfile.TarInfo]:
    """Its members as this user's: git refuses repositories of others, and root would restore the packager's."""
    members = archive.getmembers()
    for member in members:
        member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
    return members


def commit_all(folder: Path, message: str) -> None:
    """Commit everything."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)


@dataclass(frozen=True)
class MainJob:
    """One task on a real library, from the command line to the commit."""

    councilor: CommandLine
    repository: Path
    before: dict[str, str]
    """Every file of the repository before the run."""
    printed: Printed
    seconds: float
    """Of the whole command; the database and the environment were made in it."""

    @property
    def task_id(self) -> str:
        return str(self.printed.data["task_id"])

    @property
    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.councilor("show", self.task_id, "--json").expect(0).data
        return shown
