"""One Ed25519 key: signing with it, and its forms.

Source: RFC 8032 (Ed25519), RFC 8410 (its PKCS#8 and SPKI form).
"""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from councilor.domain.publickey import keyid_of, public_key_pem

__all__ = ["Ed25519Signer", "private_pem", "raw_public_key", "read_private_key"]


def _always() -> None:
    """A key that belongs to no folder has nobody who could forbid it to sign."""


class Ed25519Signer:
    """One private key.

    Args:
        require_valid: called before each signature; raises when the key may not sign any more.
    """

    def __init__(self, key: Ed25519PrivateKey, *, require_valid: Callable[[], None] = _always) -> None:
        self._key = key
        self._require_valid = require_valid
        self.keyid = keyid_of(raw_public_key(key))

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature (64 bytes) of `message`.

        Raises:
            UnavailableError: the key is not valid now, or another one took its place; the hint says what to do.
        """
        self._require_valid()
        return self._key.sign(message)

    def public_key_pem(self) -> bytes:
        """The public key as SPKI PEM."""
        return public_key_pem(raw_public_key(self._key))


def raw_public_key(key: Ed25519PrivateKey) -> bytes:
    """The public key, 32 bytes."""
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """The private key as PKCS#8 PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_private_key(pem: bytes) -> Ed25519PrivateKey:
    """The key in a PKCS#8 PEM.

    Raises:
        ValueError: it is none, or of another kind.
    """
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("it is not an Ed25519 key")
    return key
