"""Reading an artifact's bytes on their way into a store: in chunks, each seen once, and refused if they are not what
the artifact says.

A file that changes while it is read, or is not what was hashed, is found at its end, one that grew where it should have
ended: the store then keeps nothing. Only a regular file is read: a pipe or a device need not have an end.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from councilor.domain.artifact import Body, ExecutionArtifact
from councilor.domain.stored import require_bytes
from councilor.errors import InputError

__all__ = ["CHUNK_BYTES", "checked_chunks", "digest_body"]

CHUNK_BYTES = 2**20


def checked_chunks(artifact: ExecutionArtifact, body: Body) -> Iterator[bytes]:
    """The bytes in chunks of 1 MiB, the last one shorter; none for empty bytes.

    Raises:
        HashMismatchError: at the end, when they are not what the artifact says.
        InputError: the file cannot be read.
    """
    seen, size_bytes = sha256(), 0
    for chunk in _chunks(body):
        size_bytes += len(chunk)
        if size_bytes > artifact.size_bytes:
            break
        seen.update(chunk)
        yield chunk
    require_bytes(artifact, size_bytes, seen.hexdigest())


def digest_body(body: Body) -> tuple[str, int]:
    """SHA-256 in hexadecimal, and the size in bytes.

    Raises:
        InputError: the file cannot be read.
    """
    seen, size_bytes = sha256(), 0
    for chunk in _chunks(body):
        seen.update(chunk)
        size_bytes += len(chunk)
    return seen.hexdigest(), size_bytes


def _chunks(body: Body) -> Iterator[bytes]:
    if not isinstance(body, Path):
        view = memoryview(body)
        for start in range(0, len(view), CHUNK_BYTES):
            yield bytes(view[start : start + CHUNK_BYTES])
        return
    try:
        if not stat.S_ISREG(body.stat().st_mode):
            raise InputError(f"{body} is not a regular file.", field="body")
        with body.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise InputError(f"The file {body} cannot be read: {error.strerror}.", field="body") from error
