"""The stores and streams that the contracts are about."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.events import MemoryEventStream
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.pool import Pool
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.events import EventStream


@pytest.fixture(params=["memory", "postgres"])
async def artifacts(request: pytest.FixtureRequest) -> AsyncIterator[ArtifactStorage]:
    """Every store of artifacts, empty."""
    if request.param == "memory":
        yield MemoryArtifactStorage()
    else:
        async with Pool(request.getfixturevalue("emptied_database_url")) as pool:
            yield DatabaseArtifactStorage(pool)


@pytest.fixture(params=["memory", "alone", "together"])
async def stream(request: pytest.FixtureRequest) -> AsyncIterator[EventStream]:
    """In memory; in the database, each caller by itself; and as a process uses it, with shared reading and writing."""
    if request.param == "memory":
        yield MemoryEventStream()
        return
    async with Pool(request.getfixturevalue("emptied_database_url")) as pool:
        if request.param == "alone":
            yield DatabaseEventStream(pool, poll_s=0.05)
        else:
            async with DatabaseEventStream(pool, poll_s=3600) as stream:
                yield stream
