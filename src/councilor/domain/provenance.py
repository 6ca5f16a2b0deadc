"""Statements: what councilor signs about each artifact, and the exact bytes that are signed.

Rules:
- One in-toto Statement v1 per artifact: one subject (its name and SHA-256) and one predicate of our own type.
- The payload is canonical JSON (RFC 8785), wrapped in a DSSE envelope; the signature covers the DSSE
  pre-authentication encoding, so `openssl` alone can verify it.
- The envelope's bytes are stored as they were made and never serialised again.
- Checking a signature needs a key and so is a port (`ports/signer.py`); this module is pure.

Source: in-toto Attestation Framework, Statement v1; secure-systems-lab DSSE v1.0.2; RFC 8785.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import rfc8785

from councilor.domain.artifact import ArtifactInput, ArtifactKind, ExecutionArtifact
from councilor.errors import BrokenChainError

__all__ = [
    "FIRST_PREDICATE_TYPE",
    "PAYLOAD_TYPE",
    "PREDICATE_TYPE",
    "STATEMENT_TYPE",
    "Envelope",
    "Producer",
    "Provenance",
    "artifact_of_statement",
    "digest",
    "encode_for_signing",
    "hash_inputs",
]

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "urn:councilor:artifact:v2"
FIRST_PREDICATE_TYPE = "urn:councilor:artifact:v1"
"""What was signed before `seq`, `log_origin` and `metadata` were; it is still verified, and never written."""


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def hash_inputs(inputs: Sequence[ArtifactInput]) -> str:
    """SHA-256 of the canonical ordered list of inputs; the hash of `[]` when there is none."""
    return digest(rfc8785.dumps(_inputs_json(inputs)))


def encode_for_signing(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The DSSE v1 pre-authentication encoding: what a signature covers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, kw_only=True, slots=True)
class Producer:
    """Who made an artifact."""

    name: str
    """`councilor`, or the worker whose words or files these are."""
    version: str
    sandbox: str | None = None
    """The sandbox's level, where something was run."""
    env_hash: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """What a statement says of its artifact."""

    artifact_id: str
    task_id: str
    run_id: str
    attempt: int
    kind: ArtifactKind
    name: str
    parent_id: str | None
    inputs: tuple[ArtifactInput, ...]
    input_hash: str
    output_hash: str
    tree: str | None
    media_type: str
    producer: Producer
    created_at: datetime
    seq: int
    """Its place in its task, from 1, without gaps."""
    log_origin: str
    """The transparency log that its envelope becomes a leaf of."""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def payload(self) -> bytes:
        """The canonical bytes of the in-toto Statement."""
        producer = {"name": self.producer.name, "version": self.producer.version}
        if self.producer.sandbox is not None:
            producer["sandbox"] = self.producer.sandbox
        if self.producer.env_hash is not None:
            producer["env_hash"] = self.producer.env_hash
        statement: Any = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": self.name, "digest": {"sha256": self.output_hash}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "artifact_id": self.artifact_id,
                "task_id": self.task_id,
                "run_id": self.run_id,
                "attempt": self.attempt,
                "kind": self.kind.value,
                "parent_id": self.parent_id,
                "inputs": _inputs_json(self.inputs),
                "input_hash": self.input_hash,
                "output_hash": self.output_hash,
                "tree": self.tree,
                "media_type": self.media_type,
                "producer": producer,
                "created_at": self.created_at.isoformat(),
                "seq": self.seq,
                "log_origin": self.log_origin,
                "metadata": self.metadata,
            },
        }
        return rfc8785.dumps(statement)


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """A DSSE envelope with one signature."""

    payload: bytes
    payload_type: str
    keyid: str
    signature: bytes

    def dump(self) -> bytes:
        """The envelope as canonical JSON."""
        signatures = [{"keyid": self.keyid, "sig": _b64(self.signature)}]
        return rfc8785.dumps(
            {"payload": _b64(self.payload), "payloadType": self.payload_type, "signatures": signatures}
        )

    @classmethod
    def load(cls, data: bytes) -> Envelope:
        """Read an envelope; only the very bytes that `dump` gives, for base64 and JSON have other spellings.

        Raises:
            BrokenChainError: it is not a DSSE envelope with exactly one signature, or is written differently.
        """
        try:
            raw: Any = json.loads(data)
            (signature,) = raw["signatures"]
            envelope = cls(
                payload=base64.b64decode(raw["payload"], validate=True),
                payload_type=str(raw["payloadType"]),
                keyid=str(signature["keyid"]),
                signature=base64.b64decode(signature["sig"], validate=True),
            )
            canonical = envelope.dump()
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
            raise BrokenChainError(f"The statement is no DSSE envelope with one signature: {error}") from error
        if canonical != data:
            raise BrokenChainError("The statement's envelope is not written as councilor writes it; it was altered.")
        return envelope

    def statement(self) -> dict[str, Any]:
        """The in-toto Statement inside.

        Raises:
            BrokenChainError: the payload is not JSON of our statement and predicate type.
        """
        try:
            statement: Any = json.loads(self.payload)
        except (ValueError, RecursionError) as error:
            raise BrokenChainError("The statement's payload is not JSON.") from error
        if self.payload_type != PAYLOAD_TYPE or not isinstance(statement, dict):
            raise BrokenChainError(f"The payload type {self.payload_type!r} is not {PAYLOAD_TYPE!r}.")
        expected = {"_type": (STATEMENT_TYPE,), "predicateType": (PREDICATE_TYPE, FIRST_PREDICATE_TYPE)}
        for key, known in expected.items():
            if statement.get(key) not in known:
                raise BrokenChainError(f"The statement's {key} is {statement.get(key)!r}, not {known[0]!r}.")
        return statement


def artifact_of_statement(statement: bytes, *, size_bytes: int) -> ExecutionArtifact:
    """The artifact that a statement describes; its size, which no statement names, is given.

    Nothing is verified: that is for who has the key.

    Raises:
        BrokenChainError: it is no statement about an artifact.
    """
    envelope = Envelope.load(statement)
    content = envelope.statement()
    try:
        (subject,) = content["subject"]
        predicate = content["predicate"]
        return ExecutionArtifact(
            id=str(predicate["artifact_id"]),
            task_id=str(predicate["task_id"]),
            run_id=str(predicate["run_id"]),
            attempt=predicate["attempt"],
            kind=ArtifactKind(predicate["kind"]),
            name=str(subject["name"]),
            parent_id=predicate["parent_id"],
            inputs=tuple(
                ArtifactInput(artifact_id=item["artifact_id"], output_hash=item["sha256"], role=item["role"])
                for item in predicate["inputs"]
            ),
            input_hash=str(predicate["input_hash"]),
            output_hash=str(predicate["output_hash"]),
            tree=predicate["tree"],
            media_type=str(predicate["media_type"]),
            size_bytes=size_bytes,
            created_at=datetime.fromisoformat(predicate["created_at"]),
            statement=statement,
            keyid=envelope.keyid,
            seq=predicate.get("seq"),
            metadata=predicate.get("metadata", {}),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenChainError(f"The statement does not describe an artifact: {error!r}") from error


def _inputs_json(inputs: Sequence[ArtifactInput]) -> Any:
    return [{"artifact_id": item.artifact_id, "sha256": item.output_hash, "role": item.role} for item in inputs]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
