"""How long bytes are kept: rules by kind, legal holds, and what the collector found.

Rules:
- Only an artifact's bytes ever go. Its record, its statement and its leaf in the log stay, so chains still verify.
- What decides or explains a decision (specs, verdicts, choices, waivers, overrides, approvals, erasures) is kept
  without end.
- Bytes go when every artifact that has them was released, none of them is held, and the grace period is over.
- An erasure is announced by a signed statement first: bytes that are missing without one were tampered with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from councilor.domain.artifact import ArtifactKind

__all__ = ["ALWAYS_KEPT", "CondemnedBlob", "KindUsage", "LegalHold", "RetentionRule", "StorageStats"]

ALWAYS_KEPT = frozenset(
    {
        ArtifactKind.SPEC,
        ArtifactKind.VERDICT,
        ArtifactKind.CHOICE,
        ArtifactKind.WAIVER,
        ArtifactKind.OVERRIDE,
        ArtifactKind.APPROVAL,
        ArtifactKind.ERASURE,
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RetentionRule:
    """When the bytes of one kind may go; with both limits, only what is beyond both."""

    kind: ArtifactKind
    max_age: timedelta | None = None
    keep_last: int | None = None
    """The newest versions of each name in a task that stay whatever their age; None: age alone decides."""

    @property
    def lets_go(self) -> bool:
        """Whether it ever lets bytes go: it has a limit, and its kind is not kept without end."""
        return self.kind not in ALWAYS_KEPT and (self.max_age is not None or self.keep_last is not None)

    def created_before(self, now: datetime) -> datetime | None:
        """Only what was created before then may go; None: age does not matter."""
        return None if self.max_age is None else now - self.max_age

    def __str__(self) -> str:
        """The rule in words."""
        limits = []
        if self.max_age is not None:
            limits.append(f"older than {self.max_age / timedelta(days=1):g} days")
        if self.keep_last is not None:
            limits.append(f"not among the newest {self.keep_last} of its name")
        return f"{self.kind.value}: {' and '.join(limits) or 'kept'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class LegalHold:
    """A task whose bytes must stay."""

    task_id: str
    reason: str
    placed_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class CondemnedBlob:
    """Bytes that nothing needs any more."""

    sha256: str
    size_bytes: int
    condemned_at: datetime
    artifacts: Sequence[tuple[str, str]]
    """(task id, artifact id) of each artifact that has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KindUsage:
    """What one kind takes."""

    artifacts: int
    size_bytes: int
    """The sum of the artifacts' sizes, before deduplication and compression."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageStats:
    """What the store holds."""

    kinds: Mapping[ArtifactKind, KindUsage]
    blobs: int
    blob_bytes: int
    """Sizes of the distinct blobs that still have their bytes."""
    stored_bytes: int
    """What they take where they lie: compressed, and in a database with its indexes."""
    condemned: int
    erased: int
    held_tasks: int
    quota_bytes: int | None
