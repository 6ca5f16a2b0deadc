"""Checkpoints: what the transparency log held at one moment, signed, in a form that lives outside the database.

Rules:
- A checkpoint is an origin (the log's name), its size in leaves and its root. Its text is three lines: these.
- It is signed as a note: the text, an empty line, and one line with the origin, the key's id and the signature. The
  signature covers the text's bytes alone, so `openssl` can verify it.
- A note's key id is not councilor's keyid: it is four bytes, of the name and the key, and only says which key to try.
- The same fits on one line, for a commit's trailer: `<origin> <size> <root> <signature>`. Both forms hold the same.
- Only the very bytes that are written here are read: one signature, no extension lines, standard base64.

Signing and verifying need keys and so are handed in; this module is pure. Whether the signing key was trusted, and
valid then, is for who verifies.

Source: C2SP tlog-checkpoint and signed-note, v1.0.0.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from councilor.domain.merkle import HASH_BYTES, LARGEST_SIZE
from councilor.domain.publickey import PUBLIC_KEY_BYTES
from councilor.errors import BrokenChainError, InputError

__all__ = ["Checkpoint", "SignedCheckpoint", "note_key_id", "require_origin", "verifier_key"]

LONGEST_ORIGIN = 255
KEY_ID_BYTES = 4
SIGNATURE_BYTES = 64
_ED25519 = b"\x01"
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_DASH = "\N{EM DASH}"


def require_origin(origin: str) -> None:
    """Refuse a text that cannot be a log's name: it has 1 to 255 printable characters, no white space and no `+`.

    Raises:
        InputError: says what is wrong.
    """
    # What is printable has no lone surrogates and no white space but the space itself.
    if not 0 < len(origin) <= LONGEST_ORIGIN or not origin.isprintable() or set(origin) & {" ", "+"}:
        raise InputError(
            f"{origin[:LONGEST_ORIGIN]!r} cannot be a log's name: 1 to {LONGEST_ORIGIN} printable characters without "
            "white space and without '+'.",
            field="origin",
            hint="Name it like a web address without its scheme: example.com/councilor.",
        )


def note_key_id(name: str, public_key: bytes) -> bytes:
    """The four bytes by which a note says which key signed it.

    Args:
        name: of the signer, here the log's origin.
        public_key: 32 bytes, raw.
    """
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:KEY_ID_BYTES]


def verifier_key(name: str, public_key: bytes) -> str:
    """A public key as other tools for signed notes take it (`vkey`): `<name>+<key id>+<base64 of type and key>`.

    Raises:
        InputError: `name` cannot be a log's name, or the key has not 32 bytes.
    """
    require_origin(name)
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise InputError(f"A public key has {PUBLIC_KEY_BYTES} bytes, not {len(public_key)}.", field="public_key")
    return f"{name}+{note_key_id(name, public_key).hex()}+{_b64(_ED25519 + public_key)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The size and root of one log.

    Raises:
        InputError: a field is out of range.
    """

    origin: str
    size: int
    """Leaves, 0 to 2^63 - 1."""
    root: bytes
    """32 bytes."""

    def __post_init__(self) -> None:
        require_origin(self.origin)
        if not 0 <= self.size <= LARGEST_SIZE:
            raise InputError(f"A log cannot have {self.size} leaves.", field="size")
        if len(self.root) != HASH_BYTES:
            raise InputError(f"A root has {HASH_BYTES} bytes, not {len(self.root)}.", field="root")

    def note_text(self) -> bytes:
        """The exact bytes that are signed."""
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n".encode()

    def sign(self, sign: Callable[[bytes], bytes], public_key: bytes) -> SignedCheckpoint:
        """Sign it.

        Args:
            sign: gives the Ed25519 signature of its argument, such as a `Signer`'s `sign`.
            public_key: 32 bytes, raw, of the key that `sign` signs with.
        """
        return SignedCheckpoint(
            checkpoint=self, key_id=note_key_id(self.origin, public_key), signature=sign(self.note_text())
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedCheckpoint:
    """A checkpoint with one signature.

    Raises:
        InputError: key id or signature have not their length.
    """

    checkpoint: Checkpoint
    key_id: bytes
    """4 bytes: `note_key_id` of the origin and the key."""
    signature: bytes
    """64 bytes."""

    def __post_init__(self) -> None:
        if len(self.key_id) != KEY_ID_BYTES or len(self.signature) != SIGNATURE_BYTES:
            raise InputError("A note is signed with 4 bytes of key id and 64 of signature.", field="signature")

    def dump(self) -> bytes:
        """The signed note."""
        return self.checkpoint.note_text() + f"\n{_DASH} {self.checkpoint.origin} {self._signed()}\n".encode()

    def trailer(self) -> str:
        """The same on one line, for a commit's trailer."""
        held = self.checkpoint
        return f"{held.origin} {held.size} {_b64(held.root)} {self._signed()}"

    def _signed(self) -> str:
        return _b64(self.key_id + self.signature)

    @classmethod
    def load(cls, note: bytes) -> SignedCheckpoint:
        """Read a signed note; only the very bytes that `dump` gives.

        Raises:
            BrokenChainError: it is not a checkpoint with exactly one signature of its origin.
        """
        try:
            origin, size, root, empty, line, end = note.decode().split("\n")
            dash, name, signed = line.split(" ")
        except ValueError as error:  # a UnicodeDecodeError is one, too
            raise BrokenChainError("The checkpoint is not a signed note of three lines and one signature.") from error
        if (empty, dash, name, end) != ("", _DASH, origin, ""):
            raise BrokenChainError("The checkpoint's signature line is not one of its origin.")
        return cls._of_fields(origin, size, root, signed)

    @classmethod
    def of_trailer(cls, line: str) -> SignedCheckpoint:
        """Read the form that `trailer` gives.

        Raises:
            BrokenChainError: it is no such line.
        """
        try:
            origin, size, root, signed = line.split(" ")
        except ValueError as error:
            raise BrokenChainError("The checkpoint's line is not an origin, a size, a root and a signature.") from error
        return cls._of_fields(origin, size, root, signed)

    @classmethod
    def _of_fields(cls, origin: str, size: str, root: str, signed: str) -> SignedCheckpoint:
        if not _SIZE.fullmatch(size):
            raise BrokenChainError(f"The checkpoint's size is {size[:32]!r}, which is no number of leaves.")
        blob = _unb64(signed, "signature")
        try:
            checkpoint = Checkpoint(origin=origin, size=int(size), root=_unb64(root, "root"))
            return cls(checkpoint=checkpoint, key_id=blob[:KEY_ID_BYTES], signature=blob[KEY_ID_BYTES:])
        except InputError as error:
            raise BrokenChainError(f"The checkpoint cannot be one: {error.message}") from error

    def signer_among(self, keys: Mapping[str, bytes], verify: Callable[[bytes, bytes, str], bool]) -> str | None:
        """The id of the key that signed it; None when it was none of these.

        Args:
            keys: keyid -> raw public key of 32 bytes.
            verify: whether its second argument is the signature of its first by the key with its third as id, such as
                a `Verifier`'s `verify`.
        """
        text = self.checkpoint.note_text()
        for keyid, public_key in keys.items():
            named = note_key_id(self.checkpoint.origin, public_key) == self.key_id
            if named and verify(text, self.signature, keyid):
                return keyid
        return None


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(text: str, field: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise BrokenChainError(f"The checkpoint's {field} is not base64.") from error
    if _b64(data) != text:
        raise BrokenChainError(f"The checkpoint's {field} is not written as councilor writes it.")
    return data
