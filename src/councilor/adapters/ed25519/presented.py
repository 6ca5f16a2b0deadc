"""Presented keys: those that came with a record, as far as keys that are trusted already vouch for them.

Rules:
- A root is a key that the auditor trusts for reasons of their own.
- A presented key counts only if it is a root, or if endorsements lead to it from one. All others verify nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from councilor.domain.publickey import keyid_of, public_key_pem
from councilor.domain.signingkey import KeyRecord, Window, chain_problem, windows_of

__all__ = ["PresentedKeys"]


class PresentedKeys:
    """A `Verifier` of presented keys.

    Args:
        records: the keys that were presented, with what is said of them.
        roots: raw public keys, 32 bytes each, that are trusted.
    """

    def __init__(self, records: Sequence[KeyRecord], *, roots: Sequence[bytes]) -> None:
        presented = {record.keyid: record for record in records}
        rooted = {keyid_of(key): presented.get(keyid_of(key)) or KeyRecord(public_key=key) for key in roots}
        everything = {**presented, **rooted}
        self._raw = {keyid: record.public_key for keyid, record in everything.items()}
        self._trusted: Mapping[str, KeyRecord] = {
            keyid: record for keyid, record in everything.items() if self._follows(keyid, rooted, everything)
        }
        self._windows = windows_of(list(self._trusted.values()))

    def verify(self, message: bytes, signature: bytes, keyid: str) -> bool:
        """Whether `keyid` is a trusted key and `signature` its signature of `message`."""
        return keyid in self._trusted and self._verify(message, signature, keyid)

    def public_key_pem(self, keyid: str) -> bytes | None:
        """A trusted public key as SPKI PEM."""
        record = self._trusted.get(keyid)
        return None if record is None else public_key_pem(record.public_key)

    def records(self) -> Sequence[KeyRecord]:
        """Every trusted key."""
        return list(self._trusted.values())

    def window(self, keyid: str) -> Window | None:
        """From when until when a trusted key is valid."""
        return self._windows.get(keyid)

    def _follows(self, keyid: str, roots: Mapping[str, KeyRecord], everything: Mapping[str, KeyRecord]) -> bool:
        records = list(everything.values())
        return any(chain_problem(keyid, trusted=root, records=records, verify=self._verify) is None for root in roots)

    def _verify(self, message: bytes, signature: bytes, keyid: str) -> bool:
        raw = self._raw.get(keyid)
        if raw is None:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True
