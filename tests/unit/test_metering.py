"""The metering guard counts what goes in and out of a store, and changes nothing of it."""

from __future__ import annotations

from hashlib import sha256

import pytest
from storing import artifact

from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.errors import InputError, NotFoundError
from councilor.guards.metering import with_metering


async def test_bytes_are_counted_both_ways():
    metrics, storage = RecordingMetrics(), MemoryArtifactStorage()
    metered = with_metering(storage, metrics=metrics)
    item = artifact(1, b"12345")
    assert await metered.put(item, b"12345") == item.id
    assert await metered.read(item.id) == b"12345"
    assert await metered.fetch(item.id) == (item, b"12345")
    assert [chunk async for chunk in metered.stream(item.id)] == [b"12345"]
    assert await metered.get(item.id) == item
    assert metrics.value("v3.artifact.bytes", operation="put") == 5
    assert metrics.value("v3.artifact.bytes", operation="get") == 15
    assert metered.durable is storage.durable


async def test_what_is_refused_is_not_counted():
    metrics = RecordingMetrics()
    metered = with_metering(MemoryArtifactStorage(), metrics=metrics)
    with pytest.raises(InputError):
        await metered.put(artifact(1, b"x", output_hash=sha256(b"x").hexdigest(), name=""), b"x")
    with pytest.raises(NotFoundError):
        await metered.read("nothing")
    assert metrics.value("v3.artifact.bytes", operation="put") == 0
