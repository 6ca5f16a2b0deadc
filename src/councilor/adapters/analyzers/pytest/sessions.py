"""Which sessions of pytest a tree needs: one, or one for each project that is tested on its own.

Rules:
- A project below the top gets a session of its own if it configures pytest itself, or if the top does not: so its
  tests run in its folder, with its configuration and its conftest files, as its developers run them. Else it belongs to
  the top's session.
- Where nothing configures `python_files`, modules that only unittest would find (`test*.py` with a `TestCase`) are
  collected, too, if they are test code.
- Configuration is found by its file: pytest.ini, pytest.toml, or the tables and sections that pytest reads.

It reads files without following links, and runs nothing.
Source: https://docs.pytest.org/en/stable/reference/customize.html, https://docs.python.org/3/library/unittest.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from councilor.adapters.analyzers.pytest.planting import read_inside
from councilor.domain.integrity import is_test_code, is_test_file
from councilor.domain.layout import inside, project_folders
from councilor.guards.walking import walk

__all__ = ["Session", "find_sessions"]

MOST_FILES = 200_000
_PASSED_OVER = frozenset({".git", ".tox", ".nox", ".venv", "venv", "node_modules", "__pycache__", "build", "dist"})
_CONFIGURATION = {
    "pytest.ini": b"",
    ".pytest.ini": b"",
    "pytest.toml": b"",
    ".pytest.toml": b"",
    "pyproject.toml": rb"(?m)^\s*\[\s*tool\s*\.\s*pytest\b",
    "tox.ini": rb"(?m)^\[pytest\]",
    "setup.cfg": rb"(?m)^\[tool:pytest\]",
}
_PROJECT = {
    "pyproject.toml": rb"(?m)^\s*\[\s*(?:project|build-system|tool\s*\.\s*(?:poetry|flit|pdm|hatch|pytest))\b",
    "setup.cfg": rb"(?m)^\[(?:metadata|options|tool:pytest)\]",
    "setup.py": b"",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One session."""

    folder: str
    """Where it is started, relative to the top; empty for the top."""
    skipped: tuple[str, ...] = ()
    """Folders, relative to its own, that have sessions of their own."""
    modules: tuple[str, ...] = ()
    """Test modules, relative to its folder, that pytest would not take for any by their names."""
    has_tests: bool = True
    """Whether there is anything that looks like a test, or a configuration that may name one."""


def find_sessions(top: Path) -> tuple[Session, ...]:
    """The sessions of a tree, the top's first. Blocking."""
    paths = list(_walk(top))
    own = [folder for folder in project_folders(paths) if folder and _is_project(top, folder)]
    top_configured = _configured(top, "")
    own = [folder for folder in own if _configured(top, folder) or not top_configured]
    # A project within another one's folder belongs to the outer one, unless it configures pytest.
    own = [f for f in own if _configured(top, f) or not any(f != other and inside(f, other) for other in own)]
    own = [folder for folder in own if _configured(top, folder) or _tests(paths, folder)]
    return tuple(_session(top, folder, own, paths) for folder in ("", *own))


def _session(top: Path, folder: str, own: Sequence[str], paths: Sequence[str]) -> Session:
    skipped = [other for other in own if other != folder and inside(other, folder)]
    mine = [path for path in paths if inside(path, folder) and not any(inside(path, other) for other in skipped)]
    start = len(folder) + 1 if folder else 0
    sets_names = any(b"python_files" in content for content in _configurations(top, folder))
    unittests = [] if sets_names else [path for path in mine if _is_unittest(top, path)]
    return Session(
        folder=folder,
        skipped=tuple(other[start:] for other in skipped),
        modules=tuple(path[start:] for path in unittests),
        has_tests=_configured(top, folder) or bool(unittests) or _tests(mine, folder),
    )


def _walk(top: Path) -> Iterator[str]:
    found = 0
    for where, folders, names in walk(top):
        folders[:] = sorted(each for each in folders if each not in _PASSED_OVER)
        for name in sorted(names):
            found += 1
            yield (Path(where) / name).relative_to(top).as_posix()
        if found > MOST_FILES:
            return


def _tests(paths: Sequence[str], folder: str) -> bool:
    return any(inside(path, folder) and (is_test_file(path) or _looks_unittest(path)) for path in paths)


def _looks_unittest(path: str) -> bool:
    name = path.rpartition("/")[2]
    plain = re.fullmatch(r"test\w*\.py", name) is not None
    return plain and not is_test_file(path) and is_test_code(path)


def _is_unittest(top: Path, path: str) -> bool:
    return _looks_unittest(path) and b"TestCase" in (read_inside(top, path) or b"")


def _is_project(top: Path, folder: str) -> bool:
    return any(_holds(top, f"{folder}/{name}", pattern) for name, pattern in _PROJECT.items())


def _configured(top: Path, folder: str) -> bool:
    prefix = f"{folder}/" if folder else ""
    return any(_holds(top, f"{prefix}{name}", pattern) for name, pattern in _CONFIGURATION.items())


def _configurations(top: Path, folder: str) -> Iterator[bytes]:
    """Of the folder and those above it: where a folder configures nothing, pytest looks further up."""
    for place in dict.fromkeys((folder, "")):
        prefix = f"{place}/" if place else ""
        yield from (read_inside(top, f"{prefix}{name}") or b"" for name in _CONFIGURATION)


def _holds(top: Path, path: str, pattern: bytes) -> bool:
    content = read_inside(top, path)
    return content is not None and re.search(pattern, content) is not None
