"""The agent's files, read and written for it: inside the workspace only, whatever it does there meanwhile.

Rules:
- Every folder on the way is opened by its descriptor and never through a symbolic link, so that exchanging one between
  a check and its use leads nowhere. `..` and absolute paths do not come here: `domain.permission` locates them first.
- Regular files only, of at most `FILE_BYTES`, in UTF-8. A file with a second name is not written to.
- A refusal says why, in a sentence for the agent.

It decides nothing about scope: see `domain.permission`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["FILE_BYTES", "RefusedError", "WorkspaceFiles"]

FILE_BYTES = 2**20
DEEPEST = 64
LONGEST = 4096
OPENED = os.O_NOFOLLOW | os.O_CLOEXEC
FOLDER = OPENED | os.O_RDONLY | os.O_DIRECTORY


class RefusedError(Exception):
    """A file that is not read or written; its text is for the agent."""


class WorkspaceFiles:
    """The files of one workspace; blocking, to be called in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, place: str) -> str:
        """A file's text.

        Raises:
            RefusedError: it is not there, or not a text that may be read.
        """
        with self._parent(place) as (parent, name):
            fd = os.open(name, OPENED | os.O_RDONLY | os.O_NONBLOCK, dir_fd=parent)
            with os.fdopen(fd, "rb") as file:
                if _regular(fd, place).st_size > FILE_BYTES:
                    raise RefusedError(f"{place} is larger than {FILE_BYTES} bytes; read it yourself")
                data = file.read(FILE_BYTES + 1)
        try:
            return data[:FILE_BYTES].decode()
        except UnicodeDecodeError:
            raise RefusedError(f"{place} is not UTF-8; read it yourself") from None

    def write(self, place: str, text: str) -> None:
        """Put a text in a file, which is created with its folders where it is missing.

        Raises:
            RefusedError: it cannot be written.
        """
        try:
            data = text.encode()
        except UnicodeEncodeError:
            raise RefusedError(f"the text for {place} is not UTF-8") from None
        if len(data) > FILE_BYTES:
            raise RefusedError(f"the text for {place} is larger than {FILE_BYTES} bytes; write it yourself")
        with self._parent(place, create=True) as (parent, name):
            flags = OPENED | os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK
            with os.fdopen(os.open(name, flags, 0o644, dir_fd=parent), "wb") as file:
                if _regular(file.fileno(), place).st_nlink != 1:
                    raise RefusedError(f"{place} has a second name")
                file.truncate(0)
                file.write(data)

    @contextmanager
    def _parent(self, place: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """The open folder of a file, and the file's name in it."""
        *folders, name = place.split("/")
        odd = "\0" in place or {"", ".", ".."} & {*folders, name} or not _is_text(place)
        if len(folders) > DEEPEST or len(place) > LONGEST or odd:
            raise RefusedError(f"{place[:200]!r} is not a path of a file")
        try:
            fd = os.open(self._folder, FOLDER)
            try:
                for folder in folders:
                    if create:
                        _make_folder(folder, fd)
                    inner = os.open(folder, FOLDER, dir_fd=fd)
                    os.close(fd)
                    fd = inner
                yield fd, name
            finally:
                os.close(fd)
        except OSError as error:
            raise RefusedError(f"{place}: {error.strerror}") from error


def _is_text(place: str) -> bool:
    """Whether it can be encoded: JSON may hold halves of surrogate pairs."""
    return not any("\ud800" <= char <= "\udfff" for char in place)


def _make_folder(name: str, parent: int) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=parent)  # pathlib has no dir_fd
    except FileExistsError:
        return


def _regular(fd: int, place: str) -> os.stat_result:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise RefusedError(f"{place} is not a regular file")
    return found
