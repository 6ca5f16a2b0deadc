"""An exported record in a folder: what `councilor verify --from` reads, with no database and no network.

Everything in the folder is untrusted. Files are read only under the names that an export has, never through links, and
never more of a small file than it can have.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from pathlib import Path

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.exported import (
    CHECKPOINT_FILE,
    KEY_SUFFIX,
    LOG_FILE,
    RECORD_FILE,
    ExportedLog,
    Manifest,
    ManifestItem,
)
from councilor.domain.log import ConsistencyProof, InclusionProof, LogEntry
from councilor.domain.provenance import artifact_of_statement
from councilor.domain.signingkey import KeyRecord
from councilor.errors import ErasedError, HashMismatchError, InputError, NotFoundError
from councilor.guards.bodies import CHUNK_BYTES

__all__ = ["ExportFolder"]

LARGEST_FILE_BYTES = 64 * 2**20
"""Of everything but a body."""


class ExportFolder:
    """A task's record as it was exported; answers as a `Record` and as a `Witness`.

    Args:
        folder: that `councilor provenance export` wrote.

    Raises:
        InputError: it is no such folder, or a file of it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.manifest = Manifest.load(self._small(RECORD_FILE))
        self.log = ExportedLog.load(self._small(LOG_FILE)) if (folder / LOG_FILE).exists() else None
        self._items = {item.artifact_id: item for item in self.manifest.items}

    def key_records(self) -> Sequence[KeyRecord]:
        """The keys that came with the record; whether to trust them is for who verifies.

        Raises:
            BrokenChainError: one of them is no record of a key.
        """
        names = sorted(path.name for path in self._folder.iterdir() if path.name.endswith(KEY_SUFFIX))
        return [KeyRecord.load(self._small(name)) for name in names]

    async def of_task(self, task_id: str) -> Sequence[ExecutionArtifact]:
        """The artifacts that the statements describe, oldest first."""
        made = [artifact_of_statement(await asyncio.to_thread(self._statement, item), size_bytes=item.size_bytes)
                for item in self.manifest.items]  # fmt: skip
        return sorted((item for item in made if item.task_id == task_id), key=lambda item: item.id)

    async def stream(self, artifact_id: str) -> AsyncGenerator[bytes, None]:
        """An artifact's bytes, as the file has them."""
        item = self._items.get(artifact_id)
        if item is None:
            raise NotFoundError(f"The export has no artifact {artifact_id}.")
        path = self._folder / f"{item.stem}.body"
        if item.erased and not path.exists():
            raise ErasedError(f"The bytes of artifact {artifact_id} were erased before the export.")
        descriptor = await asyncio.to_thread(_open, path)
        with os.fdopen(descriptor, "rb") as stream:
            while chunk := await asyncio.to_thread(stream.read, CHUNK_BYTES):
                yield chunk

    # --- what it says of the log

    async def origin(self) -> str:
        """The log's name."""
        return self._proofs().origin

    async def checkpoint(self) -> SignedCheckpoint | None:
        """The checkpoint that the proofs lead to."""
        if not (self._folder / CHECKPOINT_FILE).exists():
            return None
        return SignedCheckpoint.load(self._small(CHECKPOINT_FILE))

    async def inclusion(self, artifact_ids: Collection[str], size: int) -> Mapping[str, InclusionProof]:
        """The exported proofs."""
        return {id_: proof for id_, proof in self._proofs().inclusion.items() if id_ in artifact_ids}

    async def waiting(self, artifact_ids: Collection[str]) -> Collection[str]:
        """Those that were not yet leaves."""
        return self._proofs().waiting & set(artifact_ids)

    async def consistency(self, old_size: int, new_size: int) -> ConsistencyProof | None:
        """The exported proof between these sizes; none is needed between equal ones."""
        if old_size == new_size:
            return ConsistencyProof(old_size=old_size, new_size=new_size, hashes=[])
        wanted = (old_size, new_size)
        return next((item for item in self._proofs().consistency if (item.old_size, item.new_size) == wanted), None)

    async def lost(self) -> Sequence[LogEntry]:
        """An export has no leaf without an artifact."""
        return []

    def _proofs(self) -> ExportedLog:
        if self.log is None:
            raise InputError(f"The export has no {LOG_FILE}.", field=LOG_FILE)
        return self.log

    def _statement(self, item: ManifestItem) -> bytes:
        return self._small(f"{item.stem}.dsse.json")

    def _small(self, name: str) -> bytes:
        path = self._folder / name
        try:
            descriptor = _open(path)
        except HashMismatchError as error:
            raise InputError(f"{path} is not there, so this is no export or part of it was removed.") from error
        with os.fdopen(descriptor, "rb") as stream:
            data = stream.read(LARGEST_FILE_BYTES + 1)
        if len(data) > LARGEST_FILE_BYTES:
            raise InputError(f"{path} has more than {LARGEST_FILE_BYTES} bytes.")
        return data


def _open(path: Path) -> int:
    """A descriptor of a plain file.

    Raises:
        HashMismatchError: it is not there.
        InputError: it is something else, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise HashMismatchError(f"{path.name} is missing from the export.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{path} is not a plain file.")
    return descriptor
