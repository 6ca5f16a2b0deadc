"""Who can say what the log holds: the log itself, or a record that was exported from it.

What a witness says is believed only as far as its proofs lead to a signed checkpoint.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.log import ConsistencyProof, InclusionProof, LogEntry
from councilor.errors import InputError
from councilor.pipeline.ledger.proofs import TreeReader
from councilor.ports.log import TransparencyLog

__all__ = ["LogWitness", "Witness"]


class Witness(Protocol):
    """Answers about one log."""

    async def origin(self) -> str:
        """The log's name."""
        ...

    async def checkpoint(self) -> SignedCheckpoint | None:
        """The newest checkpoint; None when there is none.

        Raises:
            BrokenChainError: what is kept as such is none.
        """
        ...

    async def inclusion(self, artifact_ids: Collection[str], size: int) -> Mapping[str, InclusionProof]:
        """Proofs that artifacts' statements are among the first `size` leaves; only for those that can be proved."""
        ...

    async def waiting(self, artifact_ids: Collection[str]) -> Collection[str]:
        """Those of the artifacts that are said to be not yet leaves."""
        ...

    async def consistency(self, old_size: int, new_size: int) -> ConsistencyProof | None:
        """A proof that the larger tree begins with the smaller; None when it cannot be given."""
        ...

    async def lost(self) -> Sequence[LogEntry]:
        """Leaves whose artifact is not there any more."""
        ...


class LogWitness:
    """The log as it is stored.

    Args:
        log: that is asked.
    """

    def __init__(self, log: TransparencyLog) -> None:
        self._log = log
        self._tree = TreeReader(log)

    async def origin(self) -> str:
        """The log's name."""
        return await self._log.origin()

    async def checkpoint(self) -> SignedCheckpoint | None:
        """The newest checkpoint."""
        return (await self._log.state()).head

    async def inclusion(self, artifact_ids: Collection[str], size: int) -> Mapping[str, InclusionProof]:
        """Proofs from the stored tree."""
        proofs = {}
        for artifact_id, entry in (await self._log.entries(artifact_ids)).items():
            try:
                proofs[artifact_id] = await self._tree.inclusion(entry.index, size)
            except InputError:
                continue  # beyond the checkpoint, or rows are missing: not proved
        return proofs

    async def waiting(self, artifact_ids: Collection[str]) -> Collection[str]:
        """Those that are queued."""
        return await self._log.waiting(artifact_ids)

    async def consistency(self, old_size: int, new_size: int) -> ConsistencyProof | None:
        """A proof from the stored tree."""
        try:
            return await self._tree.consistency(old_size, new_size)
        except InputError:
            return None

    async def lost(self) -> Sequence[LogEntry]:
        """Leaves whose artifact is not there any more."""
        return await self._log.lost()
