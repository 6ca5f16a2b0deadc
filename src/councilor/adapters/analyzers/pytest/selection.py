"""Which test files to look at before a run, and which options to give pytest.

Rules:
- Named files or the files of named tests are passed to pytest; else it collects as the repository's configuration says.
- Files for canaries: the files of tests that are known, else those with pytest's default names; at most twice as many
  files are read as canaries are wanted.
- A failing import of one file never ends the run, and nothing of the repository's plugins is loaded or kept out.

It reads files without following links, and runs nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from councilor.adapters.analyzers.pytest.planting import read_inside
from councilor.adapters.analyzers.pytest.source import TestFile, base_id, file_of, read_test_file
from councilor.domain.integrity import is_test_file
from councilor.guards.walking import walk
from councilor.ports.analyzer import TestRequest
from councilor.ports.clock import Randomness

__all__ = ["arguments", "files_named", "parse_files", "roots", "test_files"]

MOST_FILES = 20_000
_PASSED_OVER = frozenset({".git", ".tox", ".nox", ".venv", "venv", "node_modules", "__pycache__", "build", "dist"})


def files_named(request: TestRequest) -> tuple[str, ...] | None:
    """The existing files that the request names, or None if pytest is to find them."""
    if request.nodeids is not None:
        named = dict.fromkeys(file_of(nodeid) for nodeid in request.nodeids)
    elif request.paths:
        named = dict.fromkeys(request.paths)
    else:
        return None
    return tuple(path for path in named if _inside(path) and (request.folder / path).exists())


def arguments(request: TestRequest) -> tuple[str, ...]:
    """Pytest's arguments."""
    return (
        f"--rootdir={request.folder}",
        f"--confcutdir={request.folder}",
        "--continue-on-collection-errors",
        "--color=no",
        "--no-header",
        "-q",
        "--tb=short",
        *("-o", "required_plugins="),
        *("-o", f"faulthandler_timeout={max(0.1, request.test_timeout_s * 0.9):.1f}"),
        *(f"--ignore={request.folder / path}" for path in request.skipped),
        *(("-o", f"python_files={_patterns(request.modules)}") if request.modules else ()),
        *(str(request.folder / path) for path in files_named(request) or ()),
    )


def _patterns(modules: Iterable[str]) -> str:
    """Pytest's own patterns, and one for each module."""
    return " ".join(["test_*.py", "*_test.py", *(shlex.quote(f"*/{path}") for path in modules)])


def roots(folder: Path) -> tuple[str, ...]:
    """What goes in front of `sys.path`: what `python -m pytest` would put there, and a source folder."""
    return (str(folder), str(folder / "src"))


def test_files(request: TestRequest, randomness: Randomness) -> list[TestFile]:
    """Parsed files that may carry canaries, in random order."""
    known = frozenset(base_id(nodeid) for nodeid in (request.nodeids or request.expected))
    named = files_named(request)
    paths = list(named if named is not None else dict.fromkeys(map(file_of, request.expected)))
    candidates = paths or [*_walk(request.folder, request.skipped), *request.modules]
    chosen: list[str] = []
    while candidates and len(chosen) < 2 * request.canaries:
        chosen.append(candidates.pop(randomness.below(len(candidates))))
    in_known = frozenset(base for base in known if file_of(base) in set(chosen))
    return parse_files(request.folder, chosen, in_known)


def parse_files(folder: Path, paths: Iterable[str], known: frozenset[str]) -> list[TestFile]:
    """Read and parse what can be."""
    parsed = []
    for path in paths:
        content = read_inside(folder, path) if path.endswith(".py") else None
        file = read_test_file(path, content, known) if content is not None else None
        if file is not None:
            parsed.append(file)
    return parsed


def _inside(path: str) -> bool:
    return bool(path) and not path.startswith("/") and ".." not in path.split("/")


def _walk(folder: Path, skipped: Iterable[str]) -> Iterator[str]:
    found = 0
    passed_over = {str(folder / path) for path in skipped}
    for where, folders, names in walk(folder):
        folders[:] = sorted(
            each for each in folders if each not in _PASSED_OVER and str(Path(where, each)) not in passed_over
        )
        for name in sorted(names):
            path = (Path(where) / name).relative_to(folder).as_posix()
            if is_test_file(path):
                found += 1
                yield path
        if found > MOST_FILES:
            return
