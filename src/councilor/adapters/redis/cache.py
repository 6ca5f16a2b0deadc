"""A `Cache` in Redis, for several processes.

Rules:
- One trip for each `get`, `get_many` of up to 500 keys, `set` and `delete`. Reading takes the namespace's generation
  along (`envelope`), so that every process notices at its next read that a namespace was cleared, or the server's
  memory was lost.
- What is not ours, damaged or of an older generation is a miss.
- A value over `most_bytes` is refused here, before it is sent; what was there goes.
- Nothing is in Redis for ever but one short name for each namespace.

It does not fall back and has no breaker (guards do), and it promises nothing: the server may forget anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from councilor.adapters.redis.client import RedisClient
from councilor.adapters.redis.envelope import (
    LONGEST_SEAL_BYTES,
    entry_name,
    generation_name,
    open_value,
    read_generation,
    seal_value,
)
from councilor.errors import InputError
from councilor.ports.cache import check_lifetime, check_place
from councilor.ports.clock import Randomness

__all__ = ["RedisCache"]

_BATCH = 500
"""Keys of one command: a server that is busy with one serves nobody else."""


class RedisCache:
    """A `Cache` in Redis.

    Args:
        url: `redis://[[user]:password@]host:port/number`; `rediss://` for TLS.
        timeout_s: seconds for each wait.
        max_connections: most connections.
        ttl_s: seconds to keep a value for whose writer does not say.
        randomness: names generations.
        most_bytes: bytes above which a value is not sent.
        seal: a secret of at most 64 bytes that every process has; empty: none.

    Raises:
        MissingExtraError: the extra `redis` is not installed.
        InputError: the URL is none, or the seal too long.
    """

    def __init__(
        self,
        *,
        url: str,
        timeout_s: float,
        max_connections: int,
        ttl_s: float,
        randomness: Randomness,
        most_bytes: int = 2**20,
        seal: bytes = b"",
    ) -> None:
        if len(seal) > LONGEST_SEAL_BYTES:
            raise InputError(f"The seal has more than {LONGEST_SEAL_BYTES} bytes.", field="redis.seal")
        self._client = RedisClient(url=url, timeout_s=timeout_s, max_connections=max_connections)
        self._ttl_s = check_lifetime(ttl_s)
        self._randomness = randomness
        self._most_bytes = most_bytes
        self._seal = seal
        self._generations: dict[str, tuple[str, bytes]] = {}
        """By namespace: in which life of the server, and which."""
        self._beginning = asyncio.Lock()

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()

    async def get(self, namespace: str, key: str) -> bytes | None:
        """The value, or None."""
        return (await self.get_many(namespace, [key])).get(key)

    async def get_many(self, namespace: str, keys: Iterable[str]) -> Mapping[str, bytes]:
        """The values that are there, by key."""
        wanted = list(dict.fromkeys(keys))
        check_place(namespace, *wanted)
        found: dict[str, bytes] = {}
        for start in range(0, len(wanted), _BATCH):
            found |= await self._read(namespace, wanted[start : start + _BATCH])
        return found

    async def set(self, namespace: str, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Keep a value."""
        check_place(namespace, key)
        lives_s = self._ttl_s if ttl_s is None else check_lifetime(ttl_s)
        if len(value) > self._most_bytes:
            return await self.delete(namespace, key)
        generation = await self._generation(namespace)
        sealed = seal_value(value, generation=generation, namespace=namespace, key=key, seal=self._seal)
        await self._client.execute("SET", entry_name(namespace, key), sealed, "PX", max(1, int(lives_s * 1000)))
        return None

    async def delete(self, namespace: str, *keys: str) -> None:
        """Forget values."""
        check_place(namespace, *keys)
        for start in range(0, len(keys), _BATCH):
            names = [entry_name(namespace, key) for key in keys[start : start + _BATCH]]
            await self._client.execute("UNLINK", *names)

    async def clear(self, namespace: str) -> None:
        """Begin a new generation; the older values are unreadable, and go as their time comes."""
        check_place(namespace)
        if self._client.run_id is None:
            await self._client.execute("PING")
        await self._begin(namespace)

    async def _read(self, namespace: str, keys: Sequence[str]) -> dict[str, bytes]:
        names = [entry_name(namespace, key) for key in keys]
        held, *raws = await self._client.execute("MGET", generation_name(namespace), *names)
        generation = self._learn(namespace, held)
        if generation is None:
            return {}
        opened = (
            (key, open_value(raw, generation=generation, namespace=namespace, key=key, seal=self._seal))
            for key, raw in zip(keys, raws, strict=True)
        )
        return {key: value for key, value in opened if value is not None}

    async def _generation(self, namespace: str) -> bytes:
        """The namespace's generation as last heard of; asked for, or begun, where there is none."""
        if (generation := self._known(namespace)) is not None:
            return generation
        async with self._beginning:  # or each of many first writers would begin another one
            return self._known(namespace) or await self._join(namespace)

    def _known(self, namespace: str) -> bytes | None:
        life, generation = self._generations.get(namespace, ("", None))
        return generation if life == self._client.run_id else None

    async def _join(self, namespace: str) -> bytes:
        """The generation that the server holds, begun if there is none."""
        name = generation_name(namespace)
        # Not GET, which fails where something else than a text lies there.
        (held,) = await self._client.execute("MGET", name)
        if held is None:
            own = f"{self._client.run_id or ''}:{self._randomness.token()}"
            await self._client.execute("SET", name, own, "NX")
            (held,) = await self._client.execute("MGET", name)
        return self._learn(namespace, held) or await self._begin(namespace)

    def _learn(self, namespace: str, held: object) -> bytes | None:
        life = self._client.run_id or ""
        generation = read_generation(held, life)
        if generation is None:
            self._generations.pop(namespace, None)
        else:
            self._generations[namespace] = life, generation
        return generation

    async def _begin(self, namespace: str) -> bytes:
        # Of two processes that do so at the same time, one writes what nobody reads, until it reads itself.
        life, name = self._client.run_id or "", self._randomness.token()
        await self._client.execute("SET", generation_name(namespace), f"{life}:{name}")
        self._generations[namespace] = life, bytes.fromhex(name)
        return bytes.fromhex(name)
