"""Signing keys: from when until when each is valid, and which key follows from which.

Rules:
- A key's record holds its public key, its planned validity and, for a key that another handed over to, that key's
  endorsement (`rotation.py`). A record is written once, with its key, and never changed.
- A window is from when until when a key is valid; the first moment belongs to it, the last does not. It ends when it
  was planned to end, or when the key handed over, whichever is earlier. None is an open side.
- A key without a record, from before there were any, has a window open on both sides until it hands over.
- A key follows from a trusted one when endorsements lead from one to the other.

Source: councilor's own format; the records are canonical JSON, RFC 8785.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import rfc8785

from councilor.domain.provenance import Envelope, encode_for_signing
from councilor.domain.publickey import keyid_of, public_key_of_spki, spki_of
from councilor.domain.rotation import Rotation, read_moment, written_moment
from councilor.errors import BrokenChainError

__all__ = [
    "KeyRecord",
    "Verify",
    "Window",
    "chain_problem",
    "describe_window",
    "endorsement_problem",
    "window_problem",
    "windows_of",
]

Window = tuple[datetime | None, datetime | None]
"""From, until; UTC."""
Verify = Callable[[bytes, bytes, str], bool]
"""Whether the second argument is the signature of the first by the key with the third as its id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRecord:
    """One key and what was recorded when it was made."""

    public_key: bytes
    """Raw, 32 bytes."""
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    """The planned end; the real one is in the key's window."""
    endorsement: Envelope | None = None
    """Signed by the key before it; None for a first key."""

    @property
    def keyid(self) -> str:
        """SHA-256 of the SPKI DER, 64 hexadecimal digits."""
        return keyid_of(self.public_key)

    @property
    def endorsed_by(self) -> str | None:
        """The keyid of the key before it."""
        return None if self.endorsement is None else self.endorsement.keyid

    def dump(self) -> bytes:
        """The record as canonical JSON."""
        endorsement = None if self.endorsement is None else json.loads(self.endorsement.dump())
        record: Any = {
            "keyid": self.keyid,
            "public_key": base64.b64encode(spki_of(self.public_key)).decode(),
            "valid_from": written_moment(self.valid_from),
            "valid_until": written_moment(self.valid_until),
            "endorsement": endorsement,
        }
        return rfc8785.dumps(record)

    @classmethod
    def load(cls, data: bytes) -> KeyRecord:
        """Read a record; only the very bytes that `dump` gives.

        Raises:
            BrokenChainError: it is no record, or its endorsement is about something else.
        """
        try:
            raw: Any = json.loads(data)
            endorsement = raw["endorsement"]
            record = cls(
                public_key=public_key_of_spki(base64.b64decode(raw["public_key"], validate=True)),
                valid_from=read_moment(raw["valid_from"]),
                valid_until=read_moment(raw["valid_until"]),
                endorsement=None if endorsement is None else Envelope.load(rfc8785.dumps(endorsement)),
            )
            canonical = record.dump()
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
            raise BrokenChainError(f"It is no record of a key: {error}") from error
        if canonical != data:
            raise BrokenChainError("The record is not written as councilor writes it; it was altered.")
        _require_sense(record)
        return record

    def rotation(self) -> Rotation | None:
        """What the endorsement says; None without one.

        Raises:
            BrokenChainError: the endorsement is no statement about a rotation.
        """
        return None if self.endorsement is None else Rotation.of_envelope(self.endorsement)


def windows_of(records: Iterable[KeyRecord]) -> dict[str, Window]:
    """keyid -> window, for each of the records."""
    known = {record.keyid: record for record in records}
    ends = {keyid: [record.valid_until] for keyid, record in known.items()}
    for record in known.values():
        if record.endorsed_by in ends:
            ends[record.endorsed_by].append(record.valid_from)
    return {
        keyid: (record.valid_from, min((end for end in ends[keyid] if end is not None), default=None))
        for keyid, record in known.items()
    }


def describe_window(window: Window) -> str:
    """A window in words, such as `valid from 2026-01-01T00:00:00+00:00`."""
    valid_from, valid_until = (written_moment(moment) for moment in window)
    match valid_from, valid_until:
        case None, None:
            return "valid at any time"
        case None, _:
            return f"valid until {valid_until}"
        case _, None:
            return f"valid from {valid_from}"
        case _:
            return f"valid from {valid_from} until {valid_until}"


def window_problem(moment: datetime, window: Window) -> str | None:
    """What is wrong with a signature made at `moment` by a key with this window; None when nothing is."""
    valid_from, valid_until = window
    if (valid_from is None or valid_from <= moment) and (valid_until is None or moment < valid_until):
        return None
    return f"it was signed at {written_moment(moment)} by a key {describe_window(window)}"


def chain_problem(keyid: str, *, trusted: str, records: Sequence[KeyRecord], verify: Verify) -> str | None:
    """Why a key does not follow from the trusted one; None when endorsements lead from one to the other.

    Args:
        trusted: the keyid of a key that is known to be good.
        records: all that are known. A key that handed over to two keys is a problem: its owner makes one only.
        verify: such as a `Verifier`'s `verify`.
    """
    known = {record.keyid: record for record in records}
    heirs = Counter(record.endorsed_by for record in known.values())
    current, seen = keyid, set[str]()
    while current != trusted:
        if current not in known:
            return f"key {current[:16]} is not known"
        if current in seen:
            return f"key {current[:16]} is endorsed by itself"
        seen.add(current)
        before = known[current].endorsed_by
        if before is not None and heirs[before] > 1:
            return f"key {before[:16]} handed over to {heirs[before]} keys"
        problem = endorsement_problem(known[current], verify)
        if problem is not None or before is None:
            return f"key {current[:16]} {problem}"
        current = before
    return None if trusted in known else f"key {trusted[:16]} is not known"


def endorsement_problem(record: KeyRecord, verify: Verify) -> str | None:
    """What is wrong with a record's endorsement, after `key ... `; None when it verifies."""
    envelope = record.endorsement
    if envelope is None:
        return "is endorsed by no other key"
    try:
        _require_sense(record)
    except BrokenChainError as error:
        return f"has a broken record: {error.message}"
    if not verify(encode_for_signing(envelope.payload), envelope.signature, envelope.keyid):
        return f"has an endorsement that does not verify with key {envelope.keyid[:16]}"
    return None


def _require_sense(record: KeyRecord) -> None:
    if record.valid_from and record.valid_until and record.valid_from >= record.valid_until:
        raise BrokenChainError("The key's validity ends before it begins.")
    rotation = record.rotation()
    if rotation is None:
        return
    endorsed = (rotation.public_key, rotation.valid_from, rotation.valid_until)
    if endorsed != (record.public_key, record.valid_from, record.valid_until):
        raise BrokenChainError("The record is not what its endorsement says.")
