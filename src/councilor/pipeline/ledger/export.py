"""Exporting: a task's artifacts and statements as files that other tools can verify.

Rules:
- For each artifact: its bytes (`.body`), its envelope (`.dsse.json`), what was signed (`.pae`) and the raw signature
  (`.sig`). The public key is `key.pem`; where several keys signed, `key-<first 16 digits of its id>.pem` each.
- A file's name is the artifact's, with everything but letters, digits, `_` and `-` as `-`; a name that is taken gets
  `~2`, `~3`, ... So a recorded name can leave no folder and hide no other file.
- Nothing is judged: what cannot be read is left out, and `verify_task` says why.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Sequence

from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.provenance import Envelope, encode_for_signing
from councilor.errors import IntegrityError
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.signer import Verifier

__all__ = ["export_task", "file_stems"]

LONGEST_STEM = 100


async def export_task(
    task_id: str, storage: ArtifactStorage, verifier: Verifier
) -> AsyncGenerator[tuple[str, bytes], None]:
    """File names, none of them twice, with their bytes; one artifact is in memory at a time."""
    artifacts = await storage.of_task(task_id)
    for name, pem in _keys(artifacts, verifier):
        yield name, pem
    for stem, artifact in zip(file_stems([item.name for item in artifacts]), artifacts, strict=True):
        if (body := await _body(storage, artifact)) is not None:
            yield f"{stem}.body", body
        for suffix, data in _statement_files(artifact.statement):
            yield stem + suffix, data


def file_stems(names: Sequence[str]) -> Sequence[str]:
    """A safe file name, without its suffix, for each of the names; no two are equal, also when case is ignored."""
    taken: set[str] = set()
    stems = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_-]", "-", name)[:LONGEST_STEM].lstrip("-") or "artifact"
        stem, number = plain, 1
        while stem.lower() in taken:
            number += 1
            stem = f"{plain}~{number}"
        taken.add(stem.lower())
        stems.append(stem)
    return stems


async def _body(storage: ArtifactStorage, artifact: ExecutionArtifact) -> bytes | None:
    """An artifact's bytes; None when they were altered, for they are not the artifact's any more."""
    try:
        return await storage.read(artifact.id)
    except IntegrityError:
        return None


def _statement_files(statement: bytes) -> Iterator[tuple[str, bytes]]:
    yield ".dsse.json", statement
    try:
        envelope = Envelope.load(statement)
    except IntegrityError:
        return
    yield ".pae", encode_for_signing(envelope.payload, envelope.payload_type)
    yield ".sig", envelope.signature


def _keys(artifacts: Sequence[ExecutionArtifact], verifier: Verifier) -> Iterator[tuple[str, bytes]]:
    keyids = sorted({artifact.keyid for artifact in artifacts})
    for keyid in keyids:
        pem = verifier.public_key_pem(keyid)
        if pem is not None:
            yield ("key.pem" if len(keyids) == 1 else f"key-{keyid[:16]}.pem"), pem
