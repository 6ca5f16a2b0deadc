"""Proofs from the log: that a leaf is in a tree, and that one tree continues another.

They are computed from what the log stores and so prove nothing to who computes them here, but everything to who checks
them against a checkpoint that was kept elsewhere: no stored row can make a proof that leads to another root.

Source: RFC 9162, section 2.1 (proofs and their verification).
"""

from __future__ import annotations

from collections.abc import Sequence

from councilor.domain.checkpoint import Checkpoint
from councilor.domain.log import ConsistencyProof, InclusionProof
from councilor.domain.merkle import (
    EMPTY_ROOT,
    Rows,
    Span,
    consistency_spans,
    fold,
    inclusion_spans,
    root_spans,
    rows_for,
    verify_consistency,
)
from councilor.errors import InputError
from councilor.ports.log import TransparencyLog

__all__ = ["TreeReader", "continues"]


class TreeReader:
    """Reads hashes of one log's tree, each row once.

    Args:
        log: whose tree it is.
    """

    def __init__(self, log: TransparencyLog) -> None:
        self._log = log
        self._read: dict[Rows, Sequence[bytes]] = {}

    async def root(self, size: int) -> bytes:
        """The root of the first `size` leaves, of what is stored.

        Raises:
            InputError: rows of them are missing.
        """
        if size == 0:
            return EMPTY_ROOT
        (root,) = await self._hashes(root_spans(size))
        return root

    async def inclusion(self, index: int, size: int) -> InclusionProof:
        """A proof that leaf `index` is among the first `size`.

        Raises:
            InputError: there is no such leaf, or rows are missing.
        """
        return InclusionProof(index=index, size=size, hashes=await self._hashes(inclusion_spans(index, size)))

    async def consistency(self, old_size: int, new_size: int) -> ConsistencyProof:
        """A proof that the first `new_size` leaves begin with the first `old_size`.

        Raises:
            InputError: the old size is the larger one, or rows are missing.
        """
        hashes = await self._hashes(consistency_spans(old_size, new_size))
        return ConsistencyProof(old_size=old_size, new_size=new_size, hashes=hashes)

    async def _hashes(self, spans: Sequence[Span]) -> Sequence[bytes]:
        found = []
        for span in spans:
            for rows in rows_for(span):
                if rows not in self._read:
                    self._read[rows] = await self._log.read(rows)
            found.append(fold(span, self._read))
        return found


async def continues(log: TransparencyLog, old: Checkpoint, new: Checkpoint) -> bool:
    """Whether the tree of `new`, as the log stores it, begins with the tree of `old`."""
    try:
        proof = await TreeReader(log).consistency(old.size, new.size)
    except InputError:
        return False
    return old.origin == new.origin and verify_consistency(old.size, old.root, new.size, new.root, proof.hashes)
