"""The local tier: its bounds, and what it tells of values that it gives up."""

from __future__ import annotations

import pytest
from caches import TTL_S, memory_cache
from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.metrics import RecordingMetrics

NAMES = "names"


async def test_the_least_recently_used_value_goes_first():
    metrics = RecordingMetrics()
    cache = memory_cache(metrics=metrics, max_items=2)
    await cache.set(NAMES, "a", b"1")
    await cache.set(NAMES, "b", b"2")
    await cache.get(NAMES, "a")
    await cache.set(NAMES, "c", b"3")
    assert await cache.get_many(NAMES, ["a", "b", "c"]) == {"a": b"1", "c": b"3"}
    assert metrics.value("v3.cache.evictions", reason="size") == 1
    assert metrics.value("v3.cache.entries") == 2


async def test_what_outlived_its_time_gives_its_memory_back():
    clock, metrics = FakeClock(), RecordingMetrics()
    cache = memory_cache(clock, metrics)
    await cache.set(NAMES, "a", b"1" * 1000, ttl_s=1)
    await cache.set(NAMES, "b", b"2")
    await clock.advance(1)
    assert await cache.get(NAMES, "a") is None
    await cache.set(NAMES, "c", b"3")
    assert cache.size_bytes < 10
    assert metrics.value("v3.cache.evictions", reason="ttl") == 1
    await clock.advance(TTL_S)
    assert len(cache) == 0


async def test_room_is_made_of_what_is_over_first():
    clock, metrics = FakeClock(), RecordingMetrics()
    cache = memory_cache(clock, metrics, max_items=2)
    await cache.set(NAMES, "old", b"1")
    await cache.set(NAMES, "short", b"2", ttl_s=1)
    await clock.advance(1)
    await cache.set(NAMES, "new", b"3")
    assert await cache.get(NAMES, "old") == b"1"
    assert metrics.value("v3.cache.evictions", reason="size") == 0


@pytest.mark.parametrize("bounds", [{"max_items": 0}, {"max_bytes": 0}])
def test_a_cache_without_room_is_refused(bounds):
    with pytest.raises(ValueError, match="room"):
        memory_cache(**bounds)


@given(
    max_items=st.integers(1, 5),
    max_bytes=st.integers(1, 60),
    sizes=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 70)), max_size=30),
)
async def test_neither_bound_is_passed_and_the_newest_value_is_right(max_items, max_bytes, sizes):
    cache = memory_cache(max_items=max_items, max_bytes=max_bytes)
    for number, (key, size) in enumerate(sizes):
        value = bytes([number]) * size
        await cache.set(NAMES, key, value)
        assert len(cache) <= max_items and cache.size_bytes <= max_bytes
        assert await cache.get(NAMES, key) == (value if size + 1 <= max_bytes else None)
