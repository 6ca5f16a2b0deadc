"""Backups: what one file holds, and which names may stand in it.

Rules:
- The database's dump, the public keys with what lies beside them, the published checkpoints, and a manifest that names
  each with its size and SHA-256. `SHA256SUMS` repeats them, the manifest's own among them, for `sha256sum --check`.
- A name is one of the two fixed ones or a file below `keys/` or `checkpoints/`: plain ASCII parts that begin with no
  dot, at most 100 bytes. So nothing that a backup holds can be put anywhere else.
- A private key is whatever says so inside, whatever its name.

It reads and writes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from councilor.domain.codec import decode, encode
from councilor.errors import InputError

__all__ = [
    "CHECKPOINTS", "DUMP", "KEYS", "MANIFEST", "SUMS",
    "AppliedMigration", "BackupManifest", "Checkpoint", "Member", "TableRows",
    "is_member_name", "is_private_key", "newest_checkpoint", "read_manifest", "sums_text",
]  # fmt: skip

FORMAT = "councilor-backup"
FORMAT_VERSION = 1
DUMP = "database.dump"
MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
KEYS = "keys"
CHECKPOINTS = "checkpoints"
LONGEST_NAME_BYTES = 100
"""What a tar header holds without an extension of the format."""
_PART = r"[A-Za-z0-9_+@=,-][A-Za-z0-9._+@=,-]*"
_NAME = re.compile(rf"{re.escape(DUMP)}|(?:{KEYS}|{CHECKPOINTS})(?:/{_PART})+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One file in the backup."""

    name: str
    size_bytes: int
    sha256: str
    """Hexadecimal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRows:
    """One table, and how many rows of it the backup holds."""

    schema: str
    name: str
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AppliedMigration:
    """One line of the migration ledger."""

    number: int
    name: str
    sha256: str
    """Of the file that was applied, hexadecimal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The newest published checkpoint that the backup holds."""

    file: str
    size: int
    """Entries that it covers."""
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BackupManifest:
    """What a backup says of itself."""

    councilor_version: str
    server_version: int
    """As libpq gives it: 150004 for 15.4."""
    created_at: datetime
    """UTC; when the snapshot was taken."""
    database_bytes: int
    """The database's size on its server's disk."""
    tables: tuple[TableRows, ...]
    migrations: tuple[AppliedMigration, ...]
    newest_checkpoint: Checkpoint | None
    with_private_key: bool
    members: tuple[Member, ...]
    format: str = FORMAT
    format_version: int = FORMAT_VERSION

    def dump(self) -> bytes:
        """The manifest as JSON, for programs and for people."""
        return (json.dumps(encode(self), indent=1) + "\n").encode()


def read_manifest(data: bytes) -> BackupManifest:
    """The manifest that `data` is.

    Raises:
        InputError: it is none, of a newer format, or it names what no backup holds.
    """
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError("The backup's manifest is not JSON.", field=MANIFEST) from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise InputError("This is no backup of councilor's.", field=MANIFEST)
    if raw.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"The backup is of format {raw.get('format_version')!r}; this release reads {FORMAT_VERSION}.",
            field=MANIFEST,
            hint="Restore it with the release that made it, or a newer one.",
        )
    manifest = decode(BackupManifest, raw)
    for member in manifest.members:
        if not (is_member_name(member.name) and member.size_bytes >= 0 and _SHA256.fullmatch(member.sha256)):
            raise InputError(f"The manifest names {member.name!r}, which no backup holds.", field=MANIFEST)
    if DUMP not in {member.name for member in manifest.members}:
        raise InputError("The manifest names no dump of a database.", field=MANIFEST)
    return manifest


def is_member_name(name: str) -> bool:
    """Whether a backup may hold a file of that name, besides the manifest and the sums."""
    return _NAME.fullmatch(name) is not None and len(name) <= LONGEST_NAME_BYTES


def is_private_key(content: bytes) -> bool:
    """Whether a PEM file holds a private key, of whatever kind."""
    return b"PRIVATE KEY" in content


def sums_text(members: Iterable[Member]) -> bytes:
    """The text of `SHA256SUMS`."""
    return "".join(f"{member.sha256}  {member.name}\n" for member in members).encode()


def newest_checkpoint(files: Sequence[tuple[str, bytes]]) -> Checkpoint | None:
    """The checkpoint that covers most entries; what is no checkpoint is passed over.

    Source: C2SP tlog-checkpoint: origin, size and root hash on a line each.
    """
    found = []
    for name, data in files:
        lines = data.decode("utf-8", "replace").split("\n")
        if len(lines) > 3 and re.fullmatch(r"\d{1,18}", lines[1]):
            found.append(Checkpoint(file=name, size=int(lines[1]), text=data.decode("utf-8", "replace")))
    return max(found, key=lambda checkpoint: checkpoint.size, default=None)
