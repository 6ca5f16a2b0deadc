"""Writing changed test files into the folder for one job, and putting the originals back.

Rules:
- No symbolic link is followed anywhere on the way to a file: the folder belongs to code that is not trusted.
- A file is replaced, never written through: it may share its blocks with another.
- When the originals go back, a file that is no longer what was planted says that the tree was changed.

It does not decide what is planted.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from councilor.adapters.analyzers.pytest.source import SOURCE_BYTES

__all__ = ["Bed", "read_inside"]

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Bed:
    """The planted files of one job."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._planted: dict[str, tuple[bytes, bytes]] = {}
        for path, content in files.items():
            original = read_inside(folder, path)
            if original is not None:
                self._planted[path] = (original, content)
                _replace(folder, path, content)

    def clear(self) -> bool:
        """Put every original back; whether all planted files were still untouched."""
        untouched = True
        for path, (original, planted) in self._planted.items():
            try:
                untouched &= read_inside(self._folder, path) == planted
                _replace(self._folder, path, original)
            except OSError:
                untouched = False
        self._planted.clear()
        return untouched


def read_inside(folder: Path, path: str) -> bytes | None:
    """The bytes of a regular file of at most 1 MB; None for anything else, or where a link leads to it."""
    try:
        with _parent(folder, path) as (parent, name):
            descriptor = os.open(name, _READ, dir_fd=parent)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > SOURCE_BYTES:
            return None
        return file.read()


@contextmanager
def _parent(folder: Path, path: str) -> Iterator[tuple[int, str]]:
    """The descriptor of a file's folder, reached without following a link below `folder`."""
    *parts, name = path.split("/")
    if not name or ".." in parts or name == "..":
        raise NotADirectoryError(path)
    current = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            below = os.open(part, _FOLDER, dir_fd=current)
            os.close(current)
            current = below
        yield current, name
    finally:
        os.close(current)


def _replace(folder: Path, path: str, content: bytes) -> None:
    with _parent(folder, path) as (parent, name):
        mode = 0o644
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode) & 0o777
        fresh = f".{name[:200]}.new"
        with suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=parent)
        with os.fdopen(os.open(fresh, _WRITE, mode, dir_fd=parent), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        os.rename(fresh, name, src_dir_fd=parent, dst_dir_fd=parent)
