"""Six real libraries with a bug planted in each, as source distributions from the package index.

Rules:
- Each has another build system, another layout or another way of testing, and its tests in its source distribution.
- A distribution is pinned by its hash and kept in the user's cache folder; nothing of it is ever committed.
- The repository has what the library's own has: what a build generates is left out of it.
- The wrong patch is at the right place, repairs something, and is no repair.
"""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from journey import git
from library import cached_sdist, commit_all, own_everything

__all__ = ["LIBRARIES", "Library", "make_repository"]


@dataclass(frozen=True, kw_only=True)
class Library:
    """One library and its bug."""

    requirement: str
    sha256: str
    kind: str
    """What it stands for: build backend, layout, test runner."""
    path: str
    """The file with the bug."""
    right: str
    bug: str
    wrong: str
    """Put in place of the bug by the wrong patch."""
    tests: tuple[str, ...]
    """The acceptance tests, which the bug fails."""
    left_out: tuple[str, ...] = ("PKG-INFO",)
    """Globs of files that only the distribution has."""
    tag: str | None = None
    """A git tag of the version, where the build asks for one."""
    by_hand: bool = False
    """Whether a command worker brings the right change: the repair worker finds it, and doubts it for good reason."""
    least: int = 0
    """How many tests its suite has at least."""

    @property
    def name(self) -> str:
        return self.requirement.partition("==")[0]


LIBRARIES = (
    Library(
        requirement="pathspec==1.1.1",
        sha256="17db5ecd524104a120e173814c90367a96a98d07c45b2e10c2f3919fff91bf5a",
        kind="flit, unittest's test cases, dependency groups",
        path="pathspec/util.py",
        right="norm_file = norm_file[2:]",
        bug="norm_file = norm_file[3:]",
        wrong='norm_file = norm_file.split("/")[-1]',
        tests=("tests/test_05_pathspec.py::PathSpecTest::test_01_windows_current_dir_paths",),
        by_hand=True,  # an edit about as likely passes every test
        least=197,
        left_out=("PKG-INFO",),
    ),
    Library(
        requirement="humanize==4.17.0",
        sha256="1d6a36c453dbfbb3f0b34601d2e0b4ce5d48d780305cd45714843f0068fde6ac",
        kind="hatchling, src, version from git",
        path="src/humanize/filesize.py",
        right="    if abs_bytes < base:\n",
        bug="    if abs_bytes <= base:\n",
        wrong="    if abs_bytes < base and not gnu:\n",
        tests=(
            "tests/test_filesize.py::test_naturalsize[test_args1-1.0 kB]",
            "tests/test_filesize.py::test_naturalsize[test_args56-1.0K]",
        ),
        least=908,
        left_out=("PKG-INFO", "src/humanize/_version.py"),
        tag="4.17.0",
    ),
    Library(
        requirement="tomlkit==0.15.2",
        sha256="83e32755ba1d20d9340bd069ee97e9f6232ba2346b63ffcba425de01f7e327a6",
        kind="poetry-core, flat, dependency groups, pytest 7",
        path="tomlkit/_utils.py",
        right="start = flush(seq_len)",
        bug="start = flush(start)",
        wrong="start = flush(seq_len + 1)",
        tests=(
            "tests/test_api.py::test_string",
            r'tests/test_api.py::test_create_string[kwargs0-My\nString-"My\\nString"]',
        ),
        by_hand=True,  # several edits of this line pass every test
        least=1203,
    ),
    Library(
        requirement="marko==2.2.4",
        sha256="c042c66f835425673123d7536b39b4660de3b68e30078c70fd26245b31170683",
        kind="pdm-backend, tests as a package",
        path="marko/helpers.py",
        right="return text[:start], text[start:end], text[end:]",
        bug="return text[:start], text[start:end], text[start:]",
        wrong="return text[:start], text[start:end], text[end:].replace(' ', '')",
        tests=(
            "tests/test_helpers.py::test_partition_by_spaces[hello world-expected0]",
            r"tests/test_helpers.py::test_partition_by_spaces[hello\t  wor ld-expected4]",
        ),
        by_hand=True,  # an edit about as likely passes every test
        least=1430,
    ),
    Library(
        requirement="simplejson==4.3.0",
        sha256="ffe34ab51a0d37e6d1c661a5672df00d2d5e18804e38eac07abffb83fa5ec3d7",
        kind="setup.py, C extension, tests inside the package",
        path="simplejson/errors.py",
        right="        colno = pos + 1\n",
        bug="        colno = pos - 1\n",
        wrong="        colno = 10\n",
        tests=(
            "simplejson/tests/test_errors.py::TestErrors::test_scan_error",
            "simplejson/tests/test_fail.py::TestFail::test_array_decoder_issue46",
        ),
        least=282,
        left_out=("PKG-INFO", "*.egg-info"),
    ),
    Library(
        requirement="jaraco.collections==5.2.1",
        sha256="dab81970bad6f0ab53b20745f1b01da37926e4c0fcd425046aa45e0d8efa18ed",
        kind="setuptools-scm, namespace package, doctests",
        path="jaraco/collections/__init__.py",
        right="if result is RangeMap.undefined_value:",
        bug="if result is not RangeMap.undefined_value:",
        wrong="if result is None:",
        tests=(
            "jaraco/collections/__init__.py::jaraco.collections.RangeMap",
            "jaraco/collections/__init__.py::jaraco.collections.WeightedLookup",
        ),
        least=23,
        left_out=("PKG-INFO", "*.egg-info"),
        tag="v5.2.1",
    ),
)


def make_repository(library: Library, folder: Path) -> Path:
    """A repository with two commits: the library as it is, and the bug.

    Raises:
        IndexUnreachableError: it is not cached, and the index cannot be reached.
    """
    sdist = cached_sdist(library.requirement, library.sha256)
    unpacking = folder.with_name(f"{folder.name}-unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacking, members=own_everything(archive))  # its hash is pinned
    (unpacked,) = unpacking.iterdir()
    for pattern in library.left_out:
        for path in unpacked.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    unpacked.rename(folder)
    unpacking.rmdir()
    git(folder, "init", "-q", "-b", "main")
    commit_all(folder, library.requirement)
    if library.tag:
        git(folder, "tag", library.tag)
    change(folder / library.path, library.right, library.bug)
    commit_all(folder, "Simplify a line")
    return folder


def change(path: Path, old: str, new: str) -> None:
    """Replace the only occurrence of `old`."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path} has it {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")
