"""The transparency log's values: what it holds about an artifact, and the proofs that others can check.

Rules:
- The log is one Merkle tree (domain/merkle.py); leaf number `index` is the envelope of one artifact's statement.
- A proof is worth as much as the signed checkpoint that it leads to (domain/checkpoint.py).

Source: RFC 6962, section 2.1 (Merkle trees); C2SP tlog-checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from councilor.domain.checkpoint import SignedCheckpoint

__all__ = ["ConsistencyProof", "InclusionProof", "LogEntry", "LogLeaf", "LogState"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LogEntry:
    """An artifact's place in the log."""

    index: int
    leaf_hash: bytes
    """32 bytes: RFC 6962's hash of the envelope."""
    artifact_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLeaf:
    """An entry with what it should be the hash of."""

    entry: LogEntry
    task_id: str | None
    """None: the artifact is not there any more."""
    statement: bytes | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LogState:
    """How far the log is."""

    origin: str
    size: int
    pending: int
    """Artifacts that are stored and not yet leaves."""
    head: SignedCheckpoint | None
    """The newest checkpoint; None before the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InclusionProof:
    """Shows that a leaf is in the tree of a checkpoint."""

    index: int
    size: int
    hashes: Sequence[bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsistencyProof:
    """Shows that the tree of one checkpoint begins with that of another."""

    old_size: int
    new_size: int
    hashes: Sequence[bytes]
