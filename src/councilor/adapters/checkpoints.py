"""Published checkpoints: one file a log, in folders outside the database.

Rules:
- A file holds the newest signed note and is replaced whole: written beside it, synced, renamed. What a killed writer
  left beside it is removed by the next one.
- A checkpoint never takes the place of a larger one, and never of another one of the same size.
- The first folder is made when missing. Another one, such as a mounted disk, must be there: an empty folder in its
  place would look like a log that nobody published.
- A folder that hangs, or is locked by a process that was stopped, holds up nobody but who asks: threads are our own.

Source: C2SP tlog-checkpoint.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from councilor.domain.checkpoint import SignedCheckpoint
from councilor.errors import BrokenChainError, UnavailableError
from councilor.guards.aside import Lanes

__all__ = ["FolderCheckpointShelf"]

LARGEST_NOTE_BYTES = 4096


class FolderCheckpointShelf:
    """A `CheckpointShelf` of files.

    Args:
        folder: councilor's own; made with mode 0700 if missing.
        others: more folders, which must exist.
    """

    def __init__(self, folder: Path, others: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._others = tuple(others)
        self._lanes = Lanes("checkpoints")

    async def newest(self, origin: str) -> Sequence[SignedCheckpoint]:
        """The newest checkpoint of a log in each folder that has one."""
        return await self._lanes.run(lambda: self.read_newest(origin))

    async def keep(self, checkpoint: SignedCheckpoint) -> None:
        """Keep a checkpoint in every folder."""
        await self._lanes.run(lambda: self._keep(checkpoint))

    def read_newest(self, origin: str) -> Sequence[SignedCheckpoint]:
        """`newest`, for a caller with a thread of its own."""
        with _told_as_unavailable():
            found = [_read(folder / _name(origin), origin) for folder in (self._folder, *self._existing())]
        return [item for item in found if item is not None]

    def _keep(self, checkpoint: SignedCheckpoint) -> None:
        with _told_as_unavailable():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (self._folder, *self._existing()):
                _replace(folder, checkpoint)

    def _existing(self) -> Sequence[Path]:
        for folder in self._others:
            if not folder.is_dir():
                raise UnavailableError(
                    f"The folder {folder} for checkpoints is not there.",
                    backend="checkpoints",
                    hint="Mount or make it, or take it out of storage.checkpoints.folders.",
                )
        return self._others


def _replace(folder: Path, checkpoint: SignedCheckpoint) -> None:
    path, held = folder / _name(checkpoint.checkpoint.origin), checkpoint.checkpoint
    with _locked(folder) as lock:
        before = _read(path, held.origin)
        if before is not None and before.checkpoint.size >= held.size:
            if before.checkpoint.size == held.size and before.checkpoint.root != held.root:
                raise BrokenChainError(f"{path} holds another root for a log of {held.size} leaves.")
            return
        for stale in folder.glob(f".{path.name}.*"):
            stale.unlink()
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(checkpoint.dump())
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
            os.fsync(lock)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _read(path: Path, origin: str) -> SignedCheckpoint | None:
    try:
        with path.open("rb") as stream:
            note = stream.read(LARGEST_NOTE_BYTES + 1)
    except FileNotFoundError:
        return None
    try:
        found = SignedCheckpoint.load(note)
    except BrokenChainError as error:
        raise BrokenChainError(f"{path}: {error.message}") from error
    if found.checkpoint.origin != origin:
        raise BrokenChainError(f"{path} holds a checkpoint of {found.checkpoint.origin}, not of {origin}.")
    return found


def _name(origin: str) -> str:
    """A file name for a log; an origin is a name like `councilor/<uuid>`."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", origin) + ".checkpoint"


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _told_as_unavailable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"The checkpoint cannot be kept: {error}",
            backend="checkpoints",
            hint="See to the folder; what was recorded stays recorded, and the next checkpoint covers it.",
        ) from error
