"""Signing keys: Ed25519 in files that only their owner can read.

Rules:
- The private key is PKCS#8 PEM with mode 0600, made on first use and never overwritten.
- Every public key that was ever used stays beside it as `<keyid>.pem`, so that old statements keep verifying.
- A key file that others can read is refused.

Source: RFC 8032 (Ed25519), RFC 8410 (its PKCS#8 and SPKI form).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from councilor.errors import IntegrityError, UnavailableError

__all__ = ["Ed25519Signer", "KeyFolder"]

PRIVATE_NAME = "signing-key.pem"


class Ed25519Signer:
    """One private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.keyid = _keyid(key.public_key())

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature (64 bytes) of `message`."""
        return self._key.sign(message)

    def public_key_pem(self) -> bytes:
        """The public key as SPKI PEM."""
        return _pem(self._key.public_key())


class KeyFolder:
    """The signing key and every public key that is trusted here.

    Args:
        folder: made with mode 0700 if missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Ed25519PublicKey] = {}

    def signer(self) -> Ed25519Signer:
        """The signing key, made on first use.

        Raises:
            IntegrityError: the key file is damaged or readable by others.
            UnavailableError: the folder cannot be written.
        """
        path = self._folder / PRIVATE_NAME
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not path.exists():
                _create(path, _private_pem(Ed25519PrivateKey.generate()))
            if path.stat().st_mode & 0o077:
                raise IntegrityError(
                    f"The signing key {path} can be read by others.",
                    hint=f"chmod 600 {path}; if others may have copied it, move it away and let a new one be made.",
                )
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except ValueError as error:
            raise IntegrityError(f"The signing key {path} is damaged: {error}") from error
        except OSError as error:
            raise UnavailableError(f"The key folder cannot be used: {error}", backend="ed25519") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise IntegrityError(f"The signing key {path} is not an Ed25519 key.")
        signer = Ed25519Signer(key)
        public = self._folder / f"{signer.keyid}.pem"
        if not public.exists():
            _create(public, signer.public_key_pem(), mode=0o644)
        return signer

    def public_key_path(self, keyid: str) -> Path:
        """Where a trusted public key is kept."""
        return self._folder / f"{keyid}.pem"

    def verify(self, message: bytes, signature: bytes, keyid: str) -> bool:
        """Whether `keyid` is a key of this folder and `signature` its signature of `message`."""
        key = self._public_key(keyid)
        if key is None:
            return False
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def public_key_pem(self, keyid: str) -> bytes | None:
        """A key of this folder as SPKI PEM; None when it has no such key."""
        key = self._public_key(keyid)
        return None if key is None else _pem(key)

    def _public_key(self, keyid: str) -> Ed25519PublicKey | None:
        if keyid not in self._known:
            # A keyid comes out of an untrusted envelope, so it must not become a path before it is known to be a hash.
            if len(keyid) != 64 or not set(keyid) <= set("0123456789abcdef"):
                return None
            path = self.public_key_path(keyid)
            if not path.is_file():
                return None
            try:
                key = serialization.load_pem_public_key(path.read_bytes())
            except ValueError:
                return None
            if not isinstance(key, Ed25519PublicKey) or _keyid(key) != keyid:
                return None
            self._known[keyid] = key
        return self._known[keyid]


def _keyid(key: Ed25519PublicKey) -> str:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _create(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a new file whole or not at all; when another process was first, its file stays."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(mode)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
