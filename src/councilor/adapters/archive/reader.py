"""Reading a backup: a reader that trusts nothing in the file.

Rules:
- Plain files under known names only. Links, devices, folders, sparse files, extension headers, a name twice, bytes
  between members and after the end are all refused before anything is used, by looking at headers alone.
- `SHA256SUMS` must be the sums of the manifest and of what it lists, and that must be what the file holds; the bytes of
  each member are checked whenever they are read.
- One piece is in memory at a time, whatever sizes the file claims.

What it does not do: judge who made the file. Source: POSIX.1-2017, pax, "ustar Interchange Format".
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from councilor.domain.backup import (
    DUMP,
    MANIFEST,
    SUMS,
    BackupManifest,
    Member,
    is_member_name,
    read_manifest,
    sums_text,
)
from councilor.errors import HashMismatchError, InputError

__all__ = ["ArchiveReader"]

PIECE_BYTES = 2**18
BLOCK = tarfile.BLOCKSIZE
LARGEST_TEXT_BYTES = 64 * 2**20
"""Of a manifest, or of a key or checkpoint."""
MOST_MEMBERS = 1_000_000
ANOTHER = "The file was altered or cut; use another backup."


class ArchiveReader:
    """One backup, its structure checked; use it with `with`.

    Args:
        path: of the backup.

    Raises:
        InputError: there is no such file, or it is no whole backup.
        HashMismatchError: the manifest was altered.
    """

    def __init__(self, path: Path) -> None:
        try:
            # a FIFO would wait for a writer
            self._file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
        except FileNotFoundError as error:
            raise InputError(f"There is no file {path}.", field="file") from error
        except (IsADirectoryError, NotADirectoryError) as error:
            raise InputError(f"{path} is no file.", field="file") from error
        try:
            state = os.fstat(self._file.fileno())
            if not stat.S_ISREG(state.st_mode):
                raise InputError(f"{path} is no plain file.", field="file")
            self._size_bytes = state.st_size
            self._places = self._find_members()
            self.manifest = self._read_manifest()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def members_below(self, folder: str) -> Sequence[Member]:
        """Keys or checkpoints."""
        return [member for member in self.manifest.members if member.name.startswith(f"{folder}/")]

    def pieces(self, name: str) -> Iterator[bytes]:
        """A member's bytes.

        Raises:
            HashMismatchError: at the end, when they are not what the manifest says.
        """
        wanted = next(member for member in self.manifest.members if member.name == name)
        found = sha256()
        for piece in self._pieces(name):
            found.update(piece)
            yield piece
        if found.hexdigest() != wanted.sha256:
            raise HashMismatchError(f"{name} in the backup was altered.", hint=ANOTHER)

    def read(self, name: str) -> bytes:
        """A small member, checked."""
        return b"".join(self.pieces(name))

    def _pieces(self, name: str) -> Iterator[bytes]:
        offset, left = self._places[name]
        while left:
            self._file.seek(offset)
            piece = self._file.read(min(left, PIECE_BYTES))
            if not piece:
                raise _broken("it became shorter while it was read")
            offset, left = offset + len(piece), left - len(piece)
            yield piece

    def _find_members(self) -> dict[str, tuple[int, int]]:
        """Name -> offset and size of each member's bytes."""
        places: dict[str, tuple[int, int]] = {}
        while (header := self._file.read(BLOCK)) != bytes(BLOCK):
            name, size_bytes = self._read_header(header)
            if name in places or len(places) > MOST_MEMBERS:
                raise _broken(f"it holds {name} twice" if name in places else "it holds too many files")
            places[name] = (self._file.tell(), size_bytes)
            self._file.seek(size_bytes, os.SEEK_CUR)
            if any(self._file.read(-size_bytes % BLOCK)):
                raise _broken(f"there is something between {name} and what follows")
        rest = self._size_bytes - self._file.tell()
        if rest > LARGEST_TEXT_BYTES or self._file.read(BLOCK) != bytes(BLOCK) or any(self._file.read()):
            raise _broken("its end is missing, or something follows it")
        return places

    def _read_header(self, header: bytes) -> tuple[str, int]:
        try:
            entry = tarfile.TarInfo.frombuf(header, "ascii", "strict")
        except (tarfile.HeaderError, UnicodeError) as error:
            raise _broken(f"no tar header at byte {self._file.tell() - len(header)}") from error
        name = entry.name
        if not (is_member_name(name) or name in (MANIFEST, SUMS)):
            raise _broken(f"it holds {name[:200]!r}, which no backup does")
        if entry.type != tarfile.REGTYPE or entry.linkname:
            raise _broken(f"{name} is no plain file")
        if not 0 <= entry.size <= self._size_bytes - self._file.tell():
            raise _broken(f"{name} is cut: the file ends before it")
        if entry.size > LARGEST_TEXT_BYTES and name != DUMP:
            raise _broken(f"{name} has {entry.size} bytes")
        return name, entry.size

    def _read_manifest(self) -> BackupManifest:
        if MANIFEST not in self._places or SUMS not in self._places:
            raise _broken("it has no manifest")
        data = b"".join(self._pieces(MANIFEST))
        own = Member(name=MANIFEST, size_bytes=len(data), sha256=sha256(data).hexdigest())
        sums = b"".join(self._pieces(SUMS))
        if not sums.endswith(sums_text([own])):
            raise HashMismatchError("The backup's manifest was altered.", hint=ANOTHER)
        manifest = read_manifest(data)
        if sums != sums_text([*manifest.members, own]):
            raise HashMismatchError("The backup's sums are not those of its manifest.", hint=ANOTHER)
        listed = {member.name: member.size_bytes for member in manifest.members}
        held = {name: size for name, (_, size) in self._places.items() if name not in (MANIFEST, SUMS)}
        if listed != held or len(listed) != len(manifest.members):
            raise _broken("it does not hold what its manifest lists")
        return manifest


def _broken(reason: str) -> InputError:
    return InputError(f"This is no whole backup: {reason}.", field="file", hint=ANOTHER)
