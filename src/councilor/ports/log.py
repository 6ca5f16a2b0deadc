"""The transparency log: every stored statement becomes a leaf of one append-only Merkle tree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from councilor.domain.checkpoint import Checkpoint, SignedCheckpoint
from councilor.domain.log import LogEntry, LogLeaf, LogState
from councilor.domain.merkle import Rows

__all__ = ["CheckpointShelf", "TransparencyLog"]


class TransparencyLog(Protocol):
    """Raises `UnavailableError` (or `DeadlineError`) when its store does not answer."""

    async def origin(self) -> str:
        """The log's name; made on first use, and never another after that."""
        ...

    async def sequence(
        self, sign: Callable[[Checkpoint], SignedCheckpoint], *, now: datetime, limit: int = 10_000
    ) -> SignedCheckpoint | None:
        """Make leaves of what is stored and waiting, and sign the tree that results: all of it or nothing.

        One sequencer works at a time, whoever else calls. Gives the newest checkpoint, None while the log is empty.

        Args:
            limit: leaves that are added at most.
        """
        ...

    async def state(self) -> LogState:
        """How far the log is."""
        ...

    async def covering(self, index: int) -> SignedCheckpoint | None:
        """The oldest checkpoint that has a leaf; None while there is none."""
        ...

    async def checkpoints(self, *, after: int = 0, limit: int = 1000) -> Sequence[SignedCheckpoint | bytes]:
        """Checkpoints of more than `after` leaves, smallest first; as bytes where they are no checkpoint any more."""
        ...

    async def entries(self, artifact_ids: Collection[str]) -> Mapping[str, LogEntry]:
        """The entries of those artifacts that have one."""
        ...

    async def waiting(self, artifact_ids: Collection[str]) -> Collection[str]:
        """Those of the artifacts that are stored and not yet leaves."""
        ...

    async def leaves(self, *, start: int, limit: int) -> Sequence[LogLeaf]:
        """Entries from an index on, in order, each with the statement that is stored."""
        ...

    async def lost(self, *, limit: int = 100) -> Sequence[LogEntry]:
        """Entries whose artifact is not there any more."""
        ...

    async def read(self, rows: Rows) -> Sequence[bytes]:
        """Hashes of one level of the tree; fewer than were asked for where rows are missing."""
        ...


class CheckpointShelf(Protocol):
    """Where checkpoints are kept outside the database, so that whoever alters it cannot alter them, too.

    Every method raises `UnavailableError` when a place cannot be read or written.
    """

    async def newest(self, origin: str) -> Sequence[SignedCheckpoint]:
        """The newest checkpoint of a log in each place that has one.

        Raises:
            BrokenChainError: what is kept there is no checkpoint of it.
        """
        ...

    async def keep(self, checkpoint: SignedCheckpoint) -> None:
        """Keep a checkpoint in every place; an older one than a place has changes nothing there."""
        ...
