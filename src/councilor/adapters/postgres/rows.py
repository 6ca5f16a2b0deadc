"""How an artifact becomes a row, and a row an artifact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from psycopg.types.numeric import Int4, Int8

from councilor.domain.artifact import ArtifactInput, ArtifactKind, ExecutionArtifact
from councilor.domain.metadata import canonical_metadata

__all__ = ["artifact_of_row", "row_of_artifact"]


def row_of_artifact(artifact: ExecutionArtifact) -> dict[str, Any]:
    """The parameters of `queries.ADD_ARTIFACT` that say what the artifact is."""
    parent = [artifact.parent_id] if artifact.parent_id else []
    return {
        "id": artifact.id,
        "task_id": artifact.task_id,
        "run_id": artifact.run_id,
        # an integer's own size would choose its type, and each choice be a statement of its own to prepare
        "attempt": Int4(artifact.attempt),
        "kind": artifact.kind.value,
        "name": artifact.name,
        "parent_id": artifact.parent_id,
        "input_hash": bytes.fromhex(artifact.input_hash),
        "output_hash": bytes.fromhex(artifact.output_hash),
        "tree": artifact.tree,
        "media_type": artifact.media_type,
        "size_bytes": Int8(artifact.size_bytes),
        "created_at": artifact.created_at,
        "statement": artifact.statement,
        "keyid": bytes.fromhex(artifact.keyid),
        "seq": None if artifact.seq is None else Int4(artifact.seq),
        "metadata": canonical_metadata(artifact.metadata).decode(),
        "input_ids": [item.artifact_id for item in artifact.inputs],
        "input_roles": [item.role for item in artifact.inputs],
        "ancestor_ids": [item.artifact_id for item in artifact.inputs] + parent,
        "ancestor_hashes": [bytes.fromhex(item.output_hash) for item in artifact.inputs] + [None for _ in parent],
    }


def artifact_of_row(row: Sequence[Any]) -> ExecutionArtifact:
    """The artifact in a row of `queries.ARTIFACT`."""
    (id_, task_id, run_id, attempt, kind, name, parent_id, input_hash, output_hash, tree, media_type, size_bytes,
     created_at, statement, keyid, seq, metadata, inputs) = row  # fmt: skip
    return ExecutionArtifact(
        id=id_,
        task_id=task_id,
        run_id=run_id,
        attempt=attempt,
        kind=ArtifactKind(kind),
        name=name,
        parent_id=parent_id,
        inputs=tuple(ArtifactInput(artifact_id=item, output_hash=digest, role=role) for item, digest, role in inputs),
        input_hash=input_hash.hex(),
        output_hash=output_hash.hex(),
        tree=tree,
        media_type=media_type,
        size_bytes=size_bytes,
        created_at=created_at.astimezone(UTC),
        statement=statement,
        keyid=keyid.hex(),
        seq=seq,
        metadata=json.loads(metadata),
    )
