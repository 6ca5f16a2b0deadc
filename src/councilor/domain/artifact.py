"""Artifacts: stored bytes with metadata, each with one signed statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

__all__ = ["ArtifactInput", "ArtifactKind", "ArtifactVersion", "Body", "ExecutionArtifact"]

Body = bytes | Path
"""An artifact's bytes, or the file that holds them: a file of any size is stored in constant memory."""


class ArtifactKind(StrEnum):
    """What an artifact holds."""

    SPEC = "spec"
    CODE_CHANGES = "code_changes"
    COMMAND_LOG = "command_log"
    TEST_REPORT = "test_report"
    COVERAGE = "coverage"
    LINT = "lint"
    GATES = "gates"
    REFINEMENT = "refinement"
    CLAIMS = "claims"
    REPORT = "report"
    TRANSCRIPT = "transcript"
    VERDICT = "verdict"
    CHOICE = "choice"
    WAIVER = "waiver"
    OVERRIDE = "override"
    APPROVAL = "approval"
    ERASURE = "erasure"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactInput:
    """One artifact that another was made from."""

    artifact_id: str
    output_hash: str
    role: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ExecutionArtifact:
    """One stored artifact, without its bytes. Immutable once stored."""

    id: str
    """UUIDv7, canonical form."""
    task_id: str
    run_id: str
    attempt: int
    kind: ArtifactKind
    name: str
    """1 to 255 characters, no NUL, unique neither in a task nor elsewhere."""
    parent_id: str | None
    """The artifact it follows: the chain of one task leads back to its spec."""
    inputs: tuple[ArtifactInput, ...]
    input_hash: str
    """SHA-256 of the canonical (RFC 8785) ordered list of inputs."""
    output_hash: str
    """SHA-256 of its bytes."""
    tree: str | None
    """The git tree it is about."""
    media_type: str
    size_bytes: int
    created_at: datetime
    """UTC."""
    statement: bytes
    """The DSSE envelope of its in-toto statement, exactly as it was signed."""
    keyid: str
    """SHA-256 of the signing key's SPKI DER."""
    seq: int | None = None
    """Its place in its task: 1, 2, 3, ... without gaps. None: recorded before places were signed."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What its maker says about it, JSON; at most 16 KiB in canonical form. Signed with the rest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactVersion:
    """One version of a name in a task."""

    task_id: str
    name: str
    version: int
    """1, 2, 3, ... in the order in which they were stored, without gaps."""
    artifact_id: str
