"""The metering guard: how many bytes go in and out of an artifact store, whoever asks.

Latency and errors of every call are the deadline guard's; here are the bytes. A stream counts what it gave, also when
it was left half way.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

from councilor.domain.artifact import Body, ExecutionArtifact
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.metrics import MetricsBackend

__all__ = ["with_metering"]


def with_metering(storage: ArtifactStorage, *, metrics: MetricsBackend) -> ArtifactStorage:
    """The same store, its bytes counted in `v3.artifact.bytes`."""
    return cast("ArtifactStorage", _Metered(storage, metrics))


class _Metered:
    """Stands in for `storage`."""

    def __init__(self, storage: ArtifactStorage, metrics: MetricsBackend) -> None:
        self._storage = storage
        self._metrics = metrics

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._storage, name)

    async def put(self, artifact: ExecutionArtifact, body: Body) -> str:
        stored = await self._storage.put(artifact, body)
        self._metrics.counter("v3.artifact.bytes", {"operation": "put"}, artifact.size_bytes)
        return stored

    async def read(self, artifact_id: str) -> bytes:
        body = await self._storage.read(artifact_id)
        self._metrics.counter("v3.artifact.bytes", {"operation": "get"}, len(body))
        return body

    async def fetch(self, artifact_id: str) -> tuple[ExecutionArtifact, bytes]:
        artifact, body = await self._storage.fetch(artifact_id)
        self._metrics.counter("v3.artifact.bytes", {"operation": "get"}, len(body))
        return artifact, body

    async def stream(self, artifact_id: str) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._storage.stream(artifact_id)) as chunks:
            async for chunk in chunks:
                self._metrics.counter("v3.artifact.bytes", {"operation": "get"}, len(chunk))
                yield chunk
