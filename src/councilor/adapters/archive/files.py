"""The small files beside the database: collected for a backup, and put back where they are missing.

Rules:
- Plain files only; links are not followed, and a name that a backup cannot hold is an error, not left out silently.
- What is there already stays, whatever a backup says. A file appears whole or not at all.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from councilor.domain.backup import is_member_name, is_private_key
from councilor.errors import InputError
from councilor.guards.ownership import make_own_folder

__all__ = ["Placing", "collect_files", "put_back"]

LARGEST_BYTES = 64 * 2**20


class Placing(StrEnum):
    """What became of a file that a backup holds."""

    PUT_BACK = "put back"
    SAME = "same"
    """It was there, with these bytes."""
    KEPT = "kept"
    """Another one was there and stays."""


def collect_files(folder: Path, below: str) -> Iterator[tuple[str, bytes]]:
    """Name in the backup and bytes of each file in a folder, in the order of their names; none without a folder.

    Raises:
        InputError: one has a name or a size that no backup holds.
        OSError: one cannot be read.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.name.startswith("."):
            continue  # what begins with a dot is a lock, or another process's temporary file
        name = f"{below}/{path.relative_to(folder).as_posix()}"
        try:
            size_bytes = path.stat().st_size
            data = path.read_bytes() if size_bytes <= LARGEST_BYTES else b""
        except FileNotFoundError:  # another process's temporary file
            continue
        if not is_member_name(name) or size_bytes > LARGEST_BYTES:
            raise InputError(
                f"{path} cannot be backed up: its name or its size is not that of a key or checkpoint.",
                field="file",
                hint="Move it out of the folder, which is councilor's own.",
            )
        yield name, data


def put_back(path: Path, data: bytes) -> Placing:
    """Make a file with these bytes, unless something is there; a private key for its owner's eyes only.

    Raises:
        OSError: it cannot be written.
    """
    make_own_folder(path.parent)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o600 if is_private_key(data) else 0o644)
        with suppress(FileExistsError):
            os.link(temporary, path)
            return Placing.PUT_BACK
    finally:
        Path(temporary).unlink()
    return Placing.SAME if path.is_file() and path.read_bytes() == data else Placing.KEPT
