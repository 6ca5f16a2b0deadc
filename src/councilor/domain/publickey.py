"""Public keys: the forms of one Ed25519 key, as bytes.

Rules:
- The raw key is 32 bytes; its SPKI DER is a fixed beginning and these; its PEM is that in base64 between two lines.
- A key's id (`keyid`) is the SHA-256 of its SPKI DER, in hexadecimal.
- Only the exact form that is written here is read, so that one key has one form.

Whether the 32 bytes are a point of the curve is for who verifies with them.

Source: RFC 8410, section 4 (SPKI); RFC 7468, section 13 (PEM).
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256

from councilor.errors import BrokenChainError

__all__ = ["PUBLIC_KEY_BYTES", "keyid_of", "public_key_of_pem", "public_key_of_spki", "public_key_pem", "spki_of"]

PUBLIC_KEY_BYTES = 32
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
_PEM_HEAD = b"-----BEGIN PUBLIC KEY-----\n"
_PEM_TAIL = b"\n-----END PUBLIC KEY-----\n"


def spki_of(public_key: bytes) -> bytes:
    """The SPKI DER, 44 bytes, of a raw key of 32 bytes."""
    return _SPKI_PREFIX + public_key


def keyid_of(public_key: bytes) -> str:
    """The id of a raw key: 64 hexadecimal digits."""
    return sha256(spki_of(public_key)).hexdigest()


def public_key_pem(public_key: bytes) -> bytes:
    """The SPKI PEM of a raw key."""
    return _PEM_HEAD + base64.b64encode(spki_of(public_key)) + _PEM_TAIL


def public_key_of_spki(spki: bytes) -> bytes:
    """The raw key in a SPKI DER.

    Raises:
        BrokenChainError: it is not that of an Ed25519 key.
    """
    if len(spki) != len(_SPKI_PREFIX) + PUBLIC_KEY_BYTES or not spki.startswith(_SPKI_PREFIX):
        raise BrokenChainError("The public key is not the SPKI of an Ed25519 key.")
    return spki[len(_SPKI_PREFIX) :]


def public_key_of_pem(pem: bytes) -> bytes:
    """The raw key in a SPKI PEM.

    Raises:
        BrokenChainError: it is not that of an Ed25519 key, or is written differently.
    """
    try:
        spki = base64.b64decode(pem.removeprefix(_PEM_HEAD).removesuffix(_PEM_TAIL), validate=True)
    except binascii.Error as error:
        raise BrokenChainError(f"The public key is no PEM: {error}") from error
    public_key = public_key_of_spki(spki)
    if public_key_pem(public_key) != pem:
        raise BrokenChainError("The public key's PEM is not written as councilor writes it.")
    return public_key
