"""The repository's files between trials: changed ones are put in, and afterwards everything is as before.

Rules:
- What a trial adds is removed, what it was given is put back.
- What a trial changed or removed by itself cannot be put back: the tree is spoilt, and the server says so.
- Files are looked at one by one up to `MOST_FILES`; beyond, only folders: they show what was added or removed.

It follows no symbolic link. Python 3.9 and later, standard library only.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress

__all__ = ["Tree"]

MOST_FILES = 2000
Mark = tuple[int, int, int]


class Tree:
    """The files of one server; nobody else changes them."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._folders: dict[str, Mark] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._files: dict[str, Mark] = {}
        self._kept: dict[str, bytes] = {}
        self._given: frozenset[str] = frozenset()
        for where, folders, files in os.walk(folder):
            self._folders[where] = _mark(where)
            self._names[where] = frozenset([*folders, *files])
            if len(self._files) <= MOST_FILES:
                self._files.update((path, _mark(path)) for path in (f"{where}/{name}" for name in files))
        if len(self._files) > MOST_FILES:
            self._files.clear()

    def original(self, path: str) -> bytes:
        """The bytes of a file as it was at the beginning.

        Raises:
            OSError: it cannot be read.
        """
        if path not in self._kept:
            with open(f"{self._folder}/{path}", "rb") as file:  # noqa: PTH123
                self._kept[path] = file.read()
        return self._kept[path]

    def put(self, files: dict[str, bytes]) -> None:
        """Give files their changed content."""
        for path, content in files.items():
            self.original(path)
            self._write(path, content)
        self._given = frozenset(files)

    def restore(self) -> bool:
        """Undo what a trial left; False when that is not possible."""
        whole = True
        for path in self._given:
            whole &= stat.S_ISREG(_mark(f"{self._folder}/{path}")[2])
            with suppress(OSError):
                self._write(path, self._kept[path])
        for where in [where for where, mark in self._folders.items() if _mark(where) != mark]:
            whole &= self._tidy(where)
        given = {f"{self._folder}/{path}" for path in self._given}
        whole &= all(_mark(path) == mark for path, mark in self._files.items() if path not in given)
        self._given = frozenset()
        return whole

    def _write(self, path: str, content: bytes) -> None:
        full = f"{self._folder}/{path}"
        with open(full, "wb") as file:  # noqa: PTH123
            file.write(content)
        if full in self._files:
            self._files[full] = _mark(full)

    def _tidy(self, where: str) -> bool:
        try:
            with os.scandir(where) as entries:
                names = frozenset(entry.name for entry in entries)
        except OSError:
            return False
        for name in names - self._names[where]:
            _remove(f"{where}/{name}")
        self._folders[where] = _mark(where)
        return names >= self._names[where]


def _mark(path: str) -> Mark:
    try:
        found = os.lstat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, 0 if stat.S_ISDIR(found.st_mode) else found.st_size, found.st_mode)


def _remove(path: str) -> None:
    with suppress(OSError):
        if stat.S_ISDIR(_mark(path)[2]):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)  # noqa: PTH108  # beside the others of its kind
