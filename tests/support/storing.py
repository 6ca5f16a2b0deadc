"""What tests of the stores share: artifacts that are well formed, a look into the database, an intruder in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from councilor.adapters.ed25519 import Ed25519Signer
from councilor.domain.artifact import ArtifactInput, ArtifactKind, ExecutionArtifact
from councilor.domain.checkpoint import Checkpoint, SignedCheckpoint
from councilor.domain.publickey import public_key_of_pem

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
TASK = str(UUID(int=7))
OTHER_TASK = str(UUID(int=8))


def artifact(number: int, body: bytes, **changes: object) -> ExecutionArtifact:
    """An artifact of `TASK` whose id ascends with its number."""
    made = ExecutionArtifact(
        id=str(UUID(int=1000 + number)),
        task_id=TASK,
        run_id="run-1",
        attempt=1,
        kind=ArtifactKind.REPORT,
        name=f"report-{number}",
        parent_id=None,
        inputs=(),
        input_hash=sha256(b"[]").hexdigest(),
        output_hash=sha256(body).hexdigest(),
        tree=None,
        media_type="text/plain",
        size_bytes=len(body),
        created_at=START + timedelta(seconds=number),
        statement=b"\x00\xffstatement %d" % number,
        keyid=sha256(b"key").hexdigest(),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def made_from(*parents: ExecutionArtifact, role: str = "input") -> tuple[ArtifactInput, ...]:
    """Inputs that cite these artifacts."""
    return tuple(ArtifactInput(artifact_id=item.id, output_hash=item.output_hash, role=role) for item in parents)


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    """What a statement gives; as somebody whom the database's own rules bind."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)  # type: ignore[call-overload]
        return list(cursor.fetchall()) if cursor.description else []


def intrude(url: str, *statements: str) -> None:
    """Do what the database refuses: as a superuser who switches its triggers and foreign keys off."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def new_signer() -> Ed25519Signer:
    """A key of its own."""
    return Ed25519Signer(Ed25519PrivateKey.generate())


def signing(signer: Ed25519Signer) -> Callable[[Checkpoint], SignedCheckpoint]:
    """What a log is given to sign with."""
    public_key = public_key_of_pem(signer.public_key_pem())
    return lambda checkpoint: checkpoint.sign(signer.sign, public_key)
