"""The stores that the contracts are about."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.pool import Pool
from councilor.ports.artifacts import ArtifactStorage


@pytest.fixture(params=["memory", "postgres"])
async def artifacts(request: pytest.FixtureRequest) -> AsyncIterator[ArtifactStorage]:
    """Every store of artifacts, empty."""
    if request.param == "memory":
        yield MemoryArtifactStorage()
    else:
        async with Pool(request.getfixturevalue("emptied_database_url")) as pool:
            yield DatabaseArtifactStorage(pool)
