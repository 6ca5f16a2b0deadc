"""Which files of a tree may execute a changed file, as far as imports tell.

Rules:
- A file reaches what it imports, what that imports, and every `conftest.py` beside or above it.
- A name may stand for any file whose path ends like it, wherever the roots are: too many files rather than too few.
- What starts or imports code by means that cannot be read off (`import_module`, `subprocess`, ...), what does not
  parse, and whatever is no Python may reach everything; a change of what is no Python is reached by everything.
- Files are read without following links, and nothing is executed.
- What a folder's files import is a function of their bytes alone, and is kept by these. It never leaves the process
  (docs/adr/0010-cache.md): nobody else can have written it.

It is a prediction, used to run first what matters and to say what was left out. It accepts nothing.
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

from councilor.domain.syntax import parse_module
from councilor.guards.walking import walk
from councilor.ports.cache import Cache

__all__ = ["NAMESPACE", "Foresight", "reaching", "read_sources"]

NAMESPACE = "imports"
"""Of what is kept."""

SOURCE_BYTES = 1_000_000
MOST_FILES = 20_000
UNREADABLE = frozenset(
    {"import_module", "__import__", "run_path", "run_module", "spec_from_file_location", "subprocess", "Popen"}
    | {
        "walk_packages",
        "iter_modules",
        "entry_points",
        "iter_entry_points",
        "pytester",
        "testdir",
        "create_subprocess_exec",
    }
)
EVERYTHING = "*"
PASSED_OVER = frozenset({".git", ".tox", ".nox", ".venv", "venv", "node_modules", "__pycache__"})


def read_sources(folder: Path) -> Mapping[str, bytes] | None:
    """Relative path -> bytes of the Python files below a folder; None when there are too many."""
    found: dict[str, bytes] = {}
    for where, folders, names in walk(folder):
        folders[:] = [name for name in folders if name not in PASSED_OVER]
        for name in names:
            if name.endswith(".py"):
                path = Path(where) / name
                found[path.relative_to(folder).as_posix()] = _read(path)
        if len(found) > MOST_FILES:
            return None
    return found


def _read(path: Path) -> bytes:
    """A file's bytes; for a link, a special file or a very large one something that does not parse."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b"("
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        plain = stat.S_ISREG(facts.st_mode) and facts.st_size <= SOURCE_BYTES
        return file.read() if plain else b"("


class Foresight:
    """Predicts reach, and remembers what the files of a folder import.

    Args:
        cache: whose namespace `NAMESPACE` never leaves the process; None: nothing is remembered.
    """

    def __init__(self, cache: Cache | None = None) -> None:
        self._cache = cache

    async def reaching(self, folder: Path, changed: Collection[str]) -> Callable[[str], bool]:
        """Whether a file of a laid out tree may execute one of the changed ones."""
        if any(not path.endswith(".py") for path in changed):
            return lambda path: True
        sources = await asyncio.to_thread(read_sources, folder)
        if sources is None:
            return lambda path: True
        names = await self._names(sources)
        return await asyncio.to_thread(reaching, sources, changed, names)

    async def _names(self, sources: Mapping[str, bytes]) -> Mapping[str, Collection[str]]:
        """File -> what it imports; folders whose files have not changed are not parsed again."""
        folders = await asyncio.to_thread(_by_folder, sources)
        cache = self._cache
        kept = {} if cache is None else await cache.get_many(NAMESPACE, folders)
        names: dict[str, Collection[str]] = {}
        for key, value in kept.items():
            names |= _read_names(value, folders[key])
        names |= await asyncio.to_thread(_names_of, {path: sources[path] for path in sources.keys() - names.keys()})
        if cache is not None:
            for key in folders.keys() - kept.keys():
                await cache.set(NAMESPACE, key, json.dumps([names[path] for path in folders[key]]).encode())
        return names


def _by_folder(sources: Mapping[str, bytes]) -> Mapping[str, list[str]]:
    """Address of a folder's contents -> its files, in order."""
    folders: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(sources):
        folders[path.rpartition("/")[0]].append(path)
    return {
        sha256(json.dumps([(path, sha256(sources[path]).hexdigest()) for path in paths]).encode()).hexdigest(): paths
        for paths in folders.values()
    }


def _names_of(sources: Mapping[str, bytes]) -> dict[str, Collection[str]]:
    return {path: sorted(_names(path, source)) for path, source in sources.items()}


def _read_names(kept: bytes, paths: Collection[str]) -> dict[str, Collection[str]]:
    return dict(zip(paths, json.loads(kept), strict=True))


def reaching(
    sources: Mapping[str, bytes] | None,
    changed: Collection[str],
    names: Mapping[str, Collection[str]] | None = None,
) -> Callable[[str], bool]:
    """Whether a file of the tree may execute one of the changed ones.

    Args:
        sources: as `read_sources` gives them; None: every file may.
        names: what each file imports, where that is known already.
    """
    if sources is None or any(not path.endswith(".py") for path in changed):
        return lambda path: True
    users = _users(sources, changed, _names_of(sources) if names is None else names)
    reached = set(changed) | {EVERYTHING}
    waiting = list(reached)
    while waiting:
        for user in users.get(waiting.pop(), ()):
            if user not in reached:
                reached.add(user)
                waiting.append(user)
    return lambda path: path in reached or path not in sources


def _users(
    sources: Mapping[str, bytes], changed: Collection[str], names: Mapping[str, Collection[str]]
) -> Mapping[str, set[str]]:
    """File -> the files that use it directly."""
    endings: defaultdict[str, set[str]] = defaultdict(set)
    for path in {*sources, *changed}:
        parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
        for start in range(len(parts)):
            endings[".".join(parts[start:])].add(path)
    users: defaultdict[str, set[str]] = defaultdict(set)
    for path in sources:
        for name in names[path]:
            for used in {EVERYTHING} if name == EVERYTHING else endings.get(name, ()):
                users[used].add(path)
        for above in _conftests(path):
            users[above].add(path)
    return users


def _conftests(path: str) -> Iterator[str]:
    folders = path.split("/")[:-1]
    for depth in range(len(folders) + 1):
        yield "/".join([*folders[:depth], "conftest.py"])


def _names(path: str, source: bytes) -> Iterable[str]:
    """Dotted names that a file imports, packages above them included; `*` for whatever cannot be read off."""
    try:
        module = parse_module(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {EVERYTHING}
    package = path.split("/")[:-1]
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*above, *([node.module] if node.module else [])])
            found.update(f"{stem}.{alias.name}" if stem else alias.name for alias in node.names)
            found.add(stem)
        elif {getattr(node, part, None) for part in ("id", "attr", "arg")} & UNREADABLE:
            return {EVERYTHING}
    if any(name.split(".")[-1] in UNREADABLE for name in found):
        return {EVERYTHING}
    return {".".join(name.split(".")[: end + 1]) for name in found if name for end in range(name.count(".") + 1)}
