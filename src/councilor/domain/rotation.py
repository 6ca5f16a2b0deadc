"""Rotation: the statement by which an old signing key hands over to a new one.

Rules:
- It is an in-toto Statement v1 in a DSSE envelope, signed by the old key. Its subject is the new key: its keyid, which
  is the SHA-256 of its SPKI DER.
- The predicate holds both keyids, the new public key, and from when the new key is valid. That moment ends the old
  key's validity too: no other record says so.
- Only the very bytes that are written here are read.

Source: in-toto Attestation Framework, Statement v1; secure-systems-lab DSSE v1.0.2; RFC 8785.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import rfc8785

from councilor.domain.provenance import PAYLOAD_TYPE, STATEMENT_TYPE, Envelope, encode_for_signing
from councilor.domain.publickey import keyid_of, public_key_of_spki, spki_of
from councilor.errors import BrokenChainError

__all__ = ["ROTATION_TYPE", "Rotation", "read_moment", "written_moment"]

ROTATION_TYPE = "urn:councilor:key-rotation:v1"


def written_moment(moment: datetime | None) -> str | None:
    """A moment in UTC as text; None stays None."""
    return None if moment is None else moment.isoformat()


def read_moment(text: object) -> datetime | None:
    """The moment that `written_moment` wrote.

    Raises:
        ValueError: it is not written like that, or not in UTC.
    """
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no moment")
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() != timedelta(0) or moment.isoformat() != text:
        raise ValueError(f"{text!r} is not a moment in UTC as councilor writes it")
    return moment


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """What the old key says of the new one."""

    old_keyid: str
    public_key: bytes
    """The new key, raw, 32 bytes."""
    valid_from: datetime
    """UTC; the old key's validity ends then, if it has not ended before."""
    valid_until: datetime | None
    """UTC; None when no end is planned."""

    @property
    def new_keyid(self) -> str:
        """The new key's id."""
        return keyid_of(self.public_key)

    def payload(self) -> bytes:
        """The canonical bytes of the in-toto Statement."""
        statement: Any = {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": self.new_keyid, "digest": {"sha256": self.new_keyid}}],
            "predicateType": ROTATION_TYPE,
            "predicate": {
                "old_keyid": self.old_keyid,
                "new_keyid": self.new_keyid,
                "new_public_key": base64.b64encode(spki_of(self.public_key)).decode(),
                "valid_from": written_moment(self.valid_from),
                "valid_until": written_moment(self.valid_until),
            },
        }
        return rfc8785.dumps(statement)

    def sign(self, sign: Callable[[bytes], bytes]) -> Envelope:
        """The envelope; `sign` gives the old key's signature of its argument."""
        payload = self.payload()
        signature = sign(encode_for_signing(payload))
        return Envelope(payload=payload, payload_type=PAYLOAD_TYPE, keyid=self.old_keyid, signature=signature)

    @classmethod
    def of_envelope(cls, envelope: Envelope) -> Rotation:
        """What an envelope says; whether its signature verifies is for the caller to check.

        Raises:
            BrokenChainError: it is no such statement, or names another key than the one it was signed with.
        """
        try:
            predicate: Any = json.loads(envelope.payload)["predicate"]
            valid_from = read_moment(predicate["valid_from"])
            if valid_from is None:
                raise ValueError("it has no valid_from")
            rotation = cls(
                old_keyid=str(predicate["old_keyid"]),
                public_key=public_key_of_spki(base64.b64decode(predicate["new_public_key"], validate=True)),
                valid_from=valid_from,
                valid_until=read_moment(predicate["valid_until"]),
            )
            canonical = rotation.payload()
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
            raise BrokenChainError(f"The endorsement is no statement about a key's rotation: {error}") from error
        if envelope.payload_type != PAYLOAD_TYPE or canonical != envelope.payload:
            raise BrokenChainError("The endorsement is not written as councilor writes it; it was altered.")
        if rotation.old_keyid != envelope.keyid:
            raise BrokenChainError("The endorsement is signed by another key than the one that it says hands over.")
        return rotation
