"""Signing and verifying bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from councilor.domain.signingkey import KeyRecord, Window

__all__ = ["Signer", "Verifier"]


class Signer(Protocol):
    """Holds one private key."""

    keyid: str
    """SHA-256 of the public key's SPKI DER, hexadecimal."""

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature (64 bytes, RFC 8032) of `message`.

        Whatever time `message` says it was made at must have been read before this is called: then a signature that is
        given lies within the key's window.

        Raises:
            UnavailableError: the key is not valid now, or another took its place; the hint says what to do.
        """
        ...

    def public_key_pem(self) -> bytes:
        """The public key as SPKI PEM, for outside verifiers."""
        ...


class Verifier(Protocol):
    """Knows public keys."""

    def verify(self, message: bytes, signature: bytes, keyid: str) -> bool:
        """Whether `keyid` is a known key and `signature` is its signature of `message`."""
        ...

    def public_key_pem(self, keyid: str) -> bytes | None:
        """A known public key as SPKI PEM, for outside verifiers; None for an unknown one."""
        ...

    def records(self) -> Sequence[KeyRecord]:
        """Every known key with what was recorded when it was made, the oldest first.

        `domain.signingkey.chain_problem` says whether one follows from another.

        Raises:
            IntegrityError: a record is damaged; names where it is.
            UnavailableError: they cannot be read.
        """
        ...

    def window(self, keyid: str) -> Window | None:
        """From when until when a key is valid, None for an open side; None for an unknown key.

        `domain.signingkey.window_problem` compares a moment with it. Errors: those of `records`.
        """
        ...
