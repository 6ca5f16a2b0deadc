"""What a value looks like in Redis, so that whatever else lies there is a miss and never an answer.

Rules:
- `magic (4) | generation (16) | check (16) | value`. The check binds the value to its generation, namespace and key: a
  value that was cut, changed, moved to another key or written in another generation is not read.
- A generation is a name that chance gives to a namespace's values. A new one makes all older values unreadable at once,
  those too that are still on their way. It is bound to the server's `run_id`: what a server brings back when it starts
  again is older than what was deleted since, and is not read either.
- With a seal, the check is keyed: nobody who merely can write to the server can make a value. Without one, it finds
  accidents only. A seal does not hide a value.

Source: RFC 7693 (BLAKE2b, keyed); https://redis.io/docs/latest/commands/info/ (run_id).
"""

from __future__ import annotations

import re
from hashlib import blake2b, sha256
from hmac import compare_digest

__all__ = ["LONGEST_SEAL_BYTES", "entry_name", "generation_name", "open_value", "read_generation", "seal_value"]

LONGEST_SEAL_BYTES = 64
"""Source: RFC 7693, section 2.1."""

_MAGIC = b"cch1"
_GENERATION_BYTES = 16
_CHECK_BYTES = 16
_HEAD_BYTES = len(_MAGIC) + _GENERATION_BYTES + _CHECK_BYTES
_PREFIX = "councilor:1"
"""The number is the envelope's: another one has other names."""
_GENERATION = re.compile(rb"([0-9a-f]{40}):([0-9a-f]{32})")


def entry_name(namespace: str, key: str) -> str:
    """The name of a value in Redis; nothing of its key can be read there."""
    return f"{_PREFIX}:{namespace}:{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def generation_name(namespace: str) -> str:
    """The name of a namespace's generation in Redis."""
    return f"{_PREFIX}:{namespace}:generation"


def read_generation(raw: object, run_id: str) -> bytes | None:
    """The generation that a server holds; None when it is no generation, or one of an earlier life of the server."""
    found = _GENERATION.fullmatch(raw) if isinstance(raw, bytes) else None
    if found is None or found[1].decode() != run_id:
        return None
    return bytes.fromhex(found[2].decode())


def seal_value(value: bytes, *, generation: bytes, namespace: str, key: str, seal: bytes) -> bytes:
    """A value in its envelope."""
    return b"".join((_MAGIC, generation, _check(value, generation, namespace, key, seal), value))


def open_value(raw: object, *, generation: bytes, namespace: str, key: str, seal: bytes) -> bytes | None:
    """The value in an envelope; None when it is not ours, not whole or of another generation."""
    if not isinstance(raw, bytes) or len(raw) < _HEAD_BYTES or not raw.startswith(_MAGIC + generation):
        return None
    value = raw[_HEAD_BYTES:]
    check = raw[_HEAD_BYTES - _CHECK_BYTES : _HEAD_BYTES]
    return value if compare_digest(check, _check(value, generation, namespace, key, seal)) else None


def _check(value: bytes, generation: bytes, namespace: str, key: str, seal: bytes) -> bytes:
    place = sha256(f"{namespace}:{key}".encode("utf-8", "surrogatepass")).digest()
    digest = blake2b(generation + place, digest_size=_CHECK_BYTES, key=seal, person=b"councilor-cache")
    digest.update(value)
    return digest.digest()
