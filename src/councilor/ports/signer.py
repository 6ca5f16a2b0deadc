"""Signing and verifying bytes."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Signer", "Verifier"]


class Signer(Protocol):
    """Holds one private key."""

    keyid: str
    """SHA-256 of the public key's SPKI DER, hexadecimal."""

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature (64 bytes, RFC 8032) of `message`."""
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
