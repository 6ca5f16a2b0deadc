"""Auditing an exported record: with the keys that the auditor trusts, and with nothing else of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from councilor.adapters.ed25519.presented import PresentedKeys
from councilor.adapters.exported import ExportFolder
from councilor.app.keys import open_keys
from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.publickey import keyid_of, public_key_of_pem
from councilor.domain.signingkey import KeyRecord
from councilor.errors import BrokenChainError, InputError
from councilor.pipeline.ledger import Verification, verify_record
from councilor.settings import Settings

__all__ = ["audit_export", "open_export"]

LARGEST_PEM_BYTES = 4096

Trust = Literal["given", "this machine", "export"]
"""Where the trusted keys came from."""


def open_export(folder: Path) -> ExportFolder:
    """An exported record, unverified.

    Raises:
        InputError: the folder is no export.
    """
    return ExportFolder(folder)


async def audit_export(
    settings: Settings, folder: Path, *, keys: Sequence[Path], trusted: Sequence[SignedCheckpoint]
) -> tuple[Verification, Trust]:
    """Verify an exported record.

    Trusted are the given keys; without any, those of this machine's key folder; where that knows none of the record's
    keys, the record's own. Keys that a trusted one handed over to are trusted too.

    Args:
        keys: PEM files.
        trusted: checkpoints that the record's log must continue.

    Raises:
        InputError: the folder is no export, or a key cannot be read.
    """
    export = await asyncio.to_thread(ExportFolder, folder)
    records = await asyncio.to_thread(export.key_records)
    roots, trust = _roots(settings, keys, records)
    verifier = PresentedKeys(records, roots=roots)
    report = await verify_record(
        export.manifest.task_id, export, verifier, witness=export if export.log else None, trusted=trusted
    )
    return report, trust


def _roots(settings: Settings, keys: Sequence[Path], records: Sequence[KeyRecord]) -> tuple[Sequence[bytes], Trust]:
    """Raw public keys that are trusted, and where they came from."""
    if keys:
        return [_public_key(path) for path in keys], "given"
    local = open_keys(settings).records() if settings.keys_dir.is_dir() else ()
    known = {record.keyid for record in records}
    if any(keyid_of(record.public_key) in known for record in local):
        return [record.public_key for record in local], "this machine"
    return [record.public_key for record in records], "export"


def _public_key(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return public_key_of_pem(stream.read(LARGEST_PEM_BYTES))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", field="key") from error
    except BrokenChainError as error:
        raise InputError(f"{path}: {error.message}", field="key", hint="Give an Ed25519 public key in PEM.") from error
