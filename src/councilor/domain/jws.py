"""JWS: a signed body in the form that web services read.

Rules:
- The compact form: protected header, body and signature, each base64url without padding, joined by dots.
- The header holds `alg` (`EdDSA`), `kid` (the signing key's keyid) and `typ` (what the body is), nothing else. Nothing
  in it chooses how it is verified: another algorithm, `none` above all, is refused when it is read.
- The signature covers the first two parts as they are written; the body is carried exactly.

Signing needs a key and so is handed in; this module is pure.

Source: RFC 7515, sections 3.1, 5 and 7.1; RFC 8037, section 3.1.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import rfc8785

from councilor.errors import BrokenChainError

__all__ = ["VERDICT_TYPE", "Jws", "sign_jws"]

ALGORITHM = "EdDSA"
VERDICT_TYPE = "councilor-verdict+jws"
"""`typ` of a council's verdict; RFC 7515 leaves out `application/`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Jws:
    """A body with one signature."""

    kind: str
    """The header's `typ`."""
    keyid: str
    payload: bytes
    signature: bytes

    def signing_input(self) -> bytes:
        """The exact bytes that the signature covers."""
        header = rfc8785.dumps({"alg": ALGORITHM, "kid": self.keyid, "typ": self.kind})
        return f"{_b64url(header)}.{_b64url(self.payload)}".encode()

    def dump(self) -> str:
        """The compact form."""
        return f"{self.signing_input().decode()}.{_b64url(self.signature)}"

    @classmethod
    def load(cls, text: str) -> Jws:
        """Read the compact form; only the very text that `dump` gives.

        Raises:
            BrokenChainError: it is no JWS, has another algorithm or header, or is written differently.
        """
        try:
            header_part, payload, signature = text.split(".")
            header: Any = json.loads(_unb64url(header_part))
            jws = cls(
                kind=str(header["typ"]),
                keyid=str(header["kid"]),
                payload=_unb64url(payload),
                signature=_unb64url(signature),
            )
            canonical = jws.dump()
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
            raise BrokenChainError(f"It is no compact JWS of councilor: {error}") from error
        if canonical != text:
            raise BrokenChainError("The JWS is not written as councilor writes it; it was altered.")
        return jws


def sign_jws(payload: bytes, *, kind: str, keyid: str, sign: Callable[[bytes], bytes]) -> Jws:
    """Sign a body.

    Args:
        payload: the exact bytes, such as a verdict's body.
        kind: the header's `typ`, such as `VERDICT_TYPE`.
        keyid: of the key that `sign` signs with.
        sign: gives the Ed25519 signature of its argument, such as a `Signer`'s `sign`.
    """
    unsigned = Jws(kind=kind, keyid=keyid, payload=payload, signature=b"")
    return Jws(kind=kind, keyid=keyid, payload=payload, signature=sign(unsigned.signing_input()))


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64url(text: str) -> bytes:
    padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
    return base64.b64decode(padded, validate=True)
