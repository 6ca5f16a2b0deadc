"""An artifact's bytes as they lie in the database.

Rules:
- Up to 1 MiB they lie in their own row; above it in rows of 1 MiB each, so that nobody ever holds a large value whole.
- A value is compressed with zstd where that saves a tenth; each chunk is a frame of its own, and is read alone.
- What is read is never trusted: a frame may not unpack to more than a chunk, nor ask for more memory than that, and
  the whole must have its hash.

Source: RFC 8878 (Zstandard).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from councilor.adapters.postgres.pool import Connection, Pool
from councilor.adapters.postgres.queries import artifacts as queries
from councilor.errors import ErasedError, HashMismatchError
from councilor.guards.bodies import CHUNK_BYTES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["Blob", "Packed", "add_chunks", "pack", "read_blob", "stream_blob"]

RAW, ZSTD = "raw", "zstd"
WORTH_COMPRESSING_BYTES = 512
WORTH_A_THREAD_BYTES = 256 * 1024
"""Below it hashing and compressing take less than handing them to a thread and back."""
LEVEL = 1
READING: dict[int, int] = {zstd.DecompressionParameter.window_log_max: CHUNK_BYTES.bit_length() - 1}


@dataclass(frozen=True, slots=True)
class Packed:
    """One value as it is stored."""

    codec: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes that the database has, or had; the fields are the columns of `queries.READ_BLOB`."""

    sha256: bytes
    size: int
    codec: str
    inline_body: bytes | None
    """None: in chunks, or erased."""
    erased_at: datetime | None


def pack(body: bytes) -> Packed:
    """Compress what is worth it."""
    if len(body) >= WORTH_COMPRESSING_BYTES:
        data = zstd.compress(body, LEVEL)
        if len(data) < len(body) * 0.9:
            return Packed(ZSTD, data)
    return Packed(RAW, body)


async def add_chunks(connection: Connection, digest: bytes, codec: str, chunks: Iterator[bytes]) -> None:
    """Write chunks as rows, one statement each; every one with the codec that the blob's row says."""
    seq = 0
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        data = await asyncio.to_thread(zstd.compress, chunk, LEVEL) if codec == ZSTD else chunk
        await connection.execute(queries.ADD_CHUNK, [digest, seq, data])
        seq += 1


async def read_blob(pool: Pool, blob: Blob, artifact_id: str) -> bytes:
    """All the bytes, checked. Errors: those of `stream_blob`."""
    if blob.inline_body is None or len(blob.inline_body) >= WORTH_A_THREAD_BYTES:
        async with aclosing(stream_blob(pool, blob, artifact_id)) as chunks:
            return b"".join([chunk async for chunk in chunks])
    body = await _unpacked(blob.inline_body, blob.codec, artifact_id)
    if (len(body), sha256(body).digest()) != (blob.size, blob.sha256):
        raise HashMismatchError(f"The bytes of artifact {artifact_id} were altered.")
    return body


async def stream_blob(pool: Pool, blob: Blob, artifact_id: str) -> AsyncGenerator[bytes, None]:
    """The bytes in chunks, the last one after the whole was checked; no connection is kept between two chunks.

    Raises:
        ErasedError: retention has removed them.
        HashMismatchError: they were altered.
    """
    if blob.erased_at is not None:
        raise _erased(artifact_id, blob.erased_at)
    seen, size, held = sha256(), 0, b""
    stored = _inline(blob) if blob.inline_body is not None else _chunked(pool, blob)
    async with aclosing(stored):
        async for data in stored:
            chunk = await _unpacked(data, blob.codec, artifact_id)
            await _update(seen, chunk)
            size += len(chunk)
            if size > blob.size:
                break
            if held:
                yield held
            held = chunk
    if (size, seen.digest()) != (blob.size, blob.sha256):
        await _refuse_erased(pool, blob, artifact_id)  # it may have gone between two chunks
        raise HashMismatchError(f"The bytes of artifact {artifact_id} were altered.")
    if held:
        yield held


def _erased(artifact_id: str, erased_at: datetime) -> ErasedError:
    return ErasedError(f"The bytes of artifact {artifact_id} were erased on {erased_at:%Y-%m-%d}.")


async def _refuse_erased(pool: Pool, blob: Blob, artifact_id: str) -> None:
    async with pool.connection() as connection:
        row = await (await connection.execute(queries.WHEN_ERASED, [blob.sha256])).fetchone()
    if row is not None and row[0] is not None:
        raise _erased(artifact_id, row[0])


async def _inline(blob: Blob) -> AsyncGenerator[bytes, None]:
    if blob.inline_body is not None:
        yield blob.inline_body


async def _chunked(pool: Pool, blob: Blob) -> AsyncGenerator[bytes, None]:
    seq = -1
    while True:
        async with pool.connection() as connection:
            cursor = await connection.execute(queries.READ_CHUNK, [blob.sha256, seq], binary=True)
            row = await cursor.fetchone()
        if row is None:
            return
        seq, data = row
        yield data


async def _unpacked(data: bytes, codec: str, artifact_id: str) -> bytes:
    if codec == RAW:
        return data
    try:
        if len(data) >= WORTH_A_THREAD_BYTES:
            return await asyncio.to_thread(_decompress, data)
        return _decompress(data)
    except (zstd.ZstdError, EOFError) as error:
        raise HashMismatchError(f"The bytes of artifact {artifact_id} were altered.") from error


def _decompress(data: bytes) -> bytes:
    """At most one byte more than a chunk: a frame that would unpack to more is not one of ours."""
    return zstd.ZstdDecompressor(options=READING).decompress(data, max_length=CHUNK_BYTES + 1)


async def _update(seen: sha256, chunk: bytes) -> None:  # type: ignore[valid-type]
    if len(chunk) >= WORTH_A_THREAD_BYTES:
        await asyncio.to_thread(seen.update, chunk)  # type: ignore[attr-defined]
    else:
        seen.update(chunk)  # type: ignore[attr-defined]
