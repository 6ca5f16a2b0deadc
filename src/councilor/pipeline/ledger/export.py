"""Exporting: a task's artifacts and statements as files that other tools can verify, and we without a database.

Rules:
- For each artifact: its bytes (`.body`), its envelope (`.dsse.json`), what was signed (`.pae`), the raw signature
  (`.sig`), the envelope as a sigstore bundle (`.sigstore.json`); for a verdict also a JWS (`.jws`), signed on export.
- `checkpoint` is the log's newest signed checkpoint, `log.json` has proofs that lead to it; `record.json` names all.
- The public key is `key.pem`; where several keys signed, `key-<first 16 digits of its id>.pem` each. Beside each known
  key lies its record (`<id>.key.json`) with its validity and who endorsed it.
- A file's name is the artifact's, with everything but letters, digits, `_` and `-` as `-`; a name that is taken gets
  `~2`, `~3`, ... So a recorded name can leave no folder and hide no other file.
- Nothing is judged: what cannot be read is left out, and `verify_task` says why.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.bundle import dump_bundle
from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.exported import (
    CHECKPOINT_FILE,
    KEY_SUFFIX,
    LOG_FILE,
    RECORD_FILE,
    ExportedLog,
    Manifest,
    ManifestItem,
)
from councilor.domain.jws import VERDICT_TYPE, sign_jws
from councilor.domain.provenance import Envelope, encode_for_signing
from councilor.errors import ErasedError, IntegrityError, NotFoundError
from councilor.pipeline.ledger.witness import Witness
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.signer import Signer, Verifier

__all__ = ["ExportSource", "export_task", "file_stems"]

LONGEST_STEM = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportSource:
    """What an export is taken from."""

    storage: ArtifactStorage
    verifier: Verifier
    witness: Witness | None = None
    """Who answers for the log; None leaves its proofs out."""
    signer: Signer | None = None
    """Signs verdicts as JWS; None leaves these out."""
    earlier: Sequence[SignedCheckpoint] = field(default_factory=tuple)
    """Checkpoints that the auditor may hold: the export proves that the log continues them."""


async def export_task(
    task_id: str, source: ExportSource, *, commit: str | None = None
) -> AsyncGenerator[tuple[str, bytes], None]:
    """File names with their bytes; consecutive pieces of one file have the same name, and no name comes back later."""
    artifacts = await source.storage.of_task(task_id)
    stems = file_stems([item.name for item in artifacts])
    items = []
    for stem, artifact in zip(stems, artifacts, strict=True):
        erased = False
        async with aclosing(_body(source.storage, artifact)) as chunks:
            async for chunk in chunks:
                if chunk is None:
                    erased = True
                else:
                    yield f"{stem}.body", chunk
        for suffix, data in _statement_files(artifact.statement):
            yield stem + suffix, data
        if artifact.kind is ArtifactKind.VERDICT and source.signer is not None and not erased:
            yield f"{stem}.jws", await _jws(source.storage, artifact, source.signer)
        items.append(ManifestItem(artifact_id=artifact.id, stem=stem, size_bytes=artifact.size_bytes, erased=erased))
    for name, data in _keys(artifacts, source.verifier):
        yield name, data
    if source.witness is not None:
        for name, data in await _log_files(artifacts, source.witness, source.earlier):
            yield name, data
    yield RECORD_FILE, Manifest(task_id=task_id, commit=commit, items=tuple(items)).dump()


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


async def _body(storage: ArtifactStorage, artifact: ExecutionArtifact) -> AsyncGenerator[bytes | None, None]:
    """An artifact's bytes; None when retention removed them, and less than all when they were altered."""
    empty = True
    try:
        async with aclosing(storage.stream(artifact.id)) as chunks:
            async for chunk in chunks:
                yield chunk
                empty = False
        if empty:
            yield b""
    except ErasedError:
        yield None
    except (IntegrityError, NotFoundError):
        return


async def _jws(storage: ArtifactStorage, artifact: ExecutionArtifact, signer: Signer) -> bytes:
    try:
        body = await storage.read(artifact.id)
    except (IntegrityError, NotFoundError):
        return b""
    return sign_jws(body, kind=VERDICT_TYPE, keyid=signer.keyid, sign=signer.sign).dump().encode()


def _statement_files(statement: bytes) -> Iterator[tuple[str, bytes]]:
    yield ".dsse.json", statement
    try:
        envelope = Envelope.load(statement)
    except IntegrityError:
        return
    yield ".pae", encode_for_signing(envelope.payload, envelope.payload_type)
    yield ".sig", envelope.signature
    yield ".sigstore.json", dump_bundle(envelope)


def _keys(artifacts: Sequence[ExecutionArtifact], verifier: Verifier) -> Iterator[tuple[str, bytes]]:
    keyids = sorted({artifact.keyid for artifact in artifacts})
    for keyid in keyids:
        pem = verifier.public_key_pem(keyid)
        if pem is not None:
            yield ("key.pem" if len(keyids) == 1 else f"key-{keyid[:16]}.pem"), pem
    known = verifier.records()
    for record in known:
        yield record.keyid + KEY_SUFFIX, record.dump()


async def _log_files(
    artifacts: Sequence[ExecutionArtifact], witness: Witness, earlier: Sequence[SignedCheckpoint]
) -> Sequence[tuple[str, bytes]]:
    try:
        head = await witness.checkpoint()
    except IntegrityError:
        return []
    ids = [artifact.id for artifact in artifacts]
    if head is None:
        log = ExportedLog(origin=await witness.origin(), waiting=frozenset(await witness.waiting(ids)))
        return [(LOG_FILE, log.dump())]
    size = head.checkpoint.size
    sizes = sorted({item.checkpoint.size for item in earlier if item.checkpoint.size <= size})
    consistency = [await witness.consistency(old, size) for old in sizes]
    log = ExportedLog(
        origin=await witness.origin(),
        inclusion=await witness.inclusion(ids, size),
        waiting=frozenset(await witness.waiting(ids)),
        consistency=tuple(proof for proof in consistency if proof is not None),
    )
    return [(CHECKPOINT_FILE, head.dump()), (LOG_FILE, log.dump())]
