"""Three verifiers, each stronger than the one before: what signatures, chains and a checkpoint are each worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.provenance import Envelope, digest, encode_for_signing
from councilor.errors import CouncilorError, IntegrityError
from councilor.pipeline.ledger import task_ids, verify_all, verify_record
from councilor.ports.signer import Verifier
from tampering.holdings import Holdings

__all__ = ["VERIFIERS", "accepted_by", "accepted_in_full"]

VERIFIERS = ("signatures", "signatures, chain", "signatures, chain, checkpoint")


async def accepted_by(held: Holdings, keys: Verifier, trusted: Sequence[SignedCheckpoint]) -> Mapping[str, bool]:
    """Which of the verifiers find nothing wrong with a store."""
    answers = (
        _signatures(held, keys),
        await _chains(held, keys),
        await accepted_in_full(held, keys, trusted),
    )
    return dict(zip(VERIFIERS, answers, strict=True))


def _signatures(held: Holdings, keys: Verifier) -> bool:
    """Each stored statement is signed by a known key, and its subject is the stored bytes, if there are any."""
    try:
        for artifact in held.artifacts.values():
            envelope = Envelope.load(artifact.statement)
            subject = envelope.statement()["subject"][0]["digest"]["sha256"]
            signed = keys.verify(encode_for_signing(envelope.payload), envelope.signature, envelope.keyid)
            there = artifact.id not in held.erased
            if not signed or (there and subject != digest(held.bodies[artifact.id])):
                return False
    except (IntegrityError, KeyError, TypeError, IndexError):
        return False
    return True


async def _chains(held: Holdings, keys: Verifier) -> bool:
    """`verify_record` of each task that is there, without the log."""
    store = held.store()
    try:
        async for task_id in task_ids(store):
            if not (await verify_record(task_id, store, keys)).sound:
                return False
    except CouncilorError:
        return False
    return True


async def accepted_in_full(held: Holdings, keys: Verifier, trusted: Sequence[SignedCheckpoint]) -> bool:
    """`verify_all`, against one checkpoint from outside the database."""
    try:
        return (await verify_all(held.store(), held.log(), keys, trusted=trusted)).sound
    except CouncilorError:
        return False
