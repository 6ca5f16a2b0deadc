"""Writing a backup: one tar that is there whole or not at all.

Rules:
- Into a file without a name where the file system has such, else under a name of its own in the same folder; synced,
  then linked to its name. A writer that is killed leaves nothing, or on such a file system a hidden `.part`.
- Mode 0600. Each member's size and SHA-256 are found while it is written, and its header is written last.
- One piece is in memory at a time.

What it does not do: compress. Source: POSIX.1-2017, pax, "ustar Interchange Format"; open(2) on O_TMPFILE.
"""

from __future__ import annotations

import errno
import os
import secrets
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from councilor.domain.backup import MANIFEST, SUMS, BackupManifest, Member, sums_text
from councilor.errors import InputError

__all__ = ["ArchiveWriter"]

BLOCK = tarfile.BLOCKSIZE
WITHOUT_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS})
"""What file systems without hard links say, such as FAT."""


class ArchiveWriter:
    """One backup being written; use it with `with`, and call `finish` for it to appear.

    Args:
        path: of the backup.
        replace: whether a file that is there already may be replaced.

    Raises:
        InputError: there is such a file, or no such folder.
        OSError: it cannot be written; nothing is left of it.
    """

    def __init__(self, path: Path, *, replace: bool) -> None:
        self._path = path
        self._replace = replace
        self._temporary: Path | None = None
        self._members: list[Member] = []
        self._name = ""
        self._began = 0
        self._hash = sha256()
        if not path.parent.is_dir():
            raise InputError(f"There is no folder {path.parent}.", field="file", hint="Make it first.")
        if path.is_dir() or (replace and path.exists() and not path.is_file()):
            raise InputError(f"{path} is no file.", field="file", hint="Name a file that is not there yet.")
        if not replace and os.path.lexists(path):
            raise self._exists()

    def __enter__(self) -> Self:
        self._file = self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what could not be written was said already
            self._file.close()
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)

    def begin(self, name: str) -> None:
        """Begin a member; `write` and `end` follow."""
        self._name, self._began, self._hash = name, self._file.tell(), sha256()
        self._file.write(bytes(BLOCK))  # the header follows at the end, when the size is known

    def write(self, piece: bytes) -> None:
        """Add to the member that was begun."""
        self._hash.update(piece)
        self._file.write(piece)

    def end(self) -> Member:
        """End the member that was begun."""
        end = self._file.tell()
        size_bytes = end - self._began - BLOCK
        self._file.write(bytes(-size_bytes % BLOCK))
        self._file.seek(self._began)
        self._file.write(_header(self._name, size_bytes))
        self._file.seek(0, os.SEEK_END)
        member = Member(name=self._name, size_bytes=size_bytes, sha256=self._hash.hexdigest())
        self._members.append(member)
        return member

    def add(self, name: str, data: bytes) -> Member:
        """Add a whole member."""
        self.begin(name)
        self.write(data)
        return self.end()

    @property
    def members(self) -> Sequence[Member]:
        """What was written so far."""
        return self._members

    def finish(self, manifest: BackupManifest) -> int:
        """Add the manifest and make the file appear under its name; gives its size in bytes."""
        self.add(MANIFEST, manifest.dump())
        self.add(SUMS, sums_text(self._members))
        self._file.write(bytes(2 * BLOCK))
        self._file.flush()
        os.fsync(self._file.fileno())
        size_bytes = self._file.tell()
        self._appear()
        self._sync_folder()
        return size_bytes

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # there is nothing to sync on such a file system
                raise
        finally:
            os.close(folder)

    def _open(self) -> IO[bytes]:
        flag = getattr(os, "O_TMPFILE", 0)
        if flag and Path("/proc/self/fd").is_dir():
            # not every file system has files without a name
            with suppress(OSError):
                return os.fdopen(os.open(self._path.parent, flag | os.O_RDWR | os.O_CLOEXEC, 0o600), "w+b")
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name[:50]}.", suffix=".part")
        self._temporary = Path(name)
        return os.fdopen(descriptor, "w+b")

    def _appear(self) -> None:
        if self._temporary is None:
            self._temporary = self._path.with_name(f".{self._path.name[:50]}.{secrets.token_hex(4)}.part")
            descriptors = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:  # relative to a folder: only then Python asks the system to follow the link
                os.link(str(self._file.fileno()), self._temporary, src_dir_fd=descriptors)
            finally:
                os.close(descriptors)
        if self._replace:
            self._temporary.replace(self._path)
            return
        try:
            os.link(self._temporary, self._path)
        except FileExistsError as error:
            raise self._exists() from error
        except OSError as error:
            if error.errno not in WITHOUT_LINKS:
                raise
            if os.path.lexists(self._path):
                raise self._exists() from error
            self._temporary.rename(self._path)

    def _exists(self) -> InputError:
        return InputError(f"{self._path} exists.", field="file", hint="Name another file, or pass --force.")


def _header(name: str, size_bytes: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size_bytes, 0o600
    return entry.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")  # it holds sizes above 8 GiB
