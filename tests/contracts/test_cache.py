"""What every cache does: memory, Redis, and both as tiers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from caches import memory_cache, redis_cache, tiered_cache

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.system import SystemClock
from councilor.errors import InputError
from councilor.ports.cache import LONGEST_KEY, Cache

NAMES = "names"
OTHER = "other"


@pytest.fixture(params=["memory", "redis", "tiers", "tiers_read_through"])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    if request.param == "memory":
        yield memory_cache(SystemClock())
        return
    shared = redis_cache(request.getfixturevalue("redis"))
    try:
        if request.param == "redis":
            yield shared
        else:  # nothing is fresh in the second: every value comes from Redis
            fresh_s = 0.0 if request.param == "tiers_read_through" else 60.0
            yield tiered_cache(shared, clock=SystemClock(), fresh_s=fresh_s, metrics=RecordingMetrics())
    finally:
        await shared.close()


async def test_a_value_is_kept_until_it_is_deleted(cache):
    assert await cache.get(NAMES, "a") is None
    await cache.set(NAMES, "a", b"1")
    assert await cache.get(NAMES, "a") == b"1"
    await cache.delete(NAMES, "a")
    assert await cache.get(NAMES, "a") is None


async def test_the_newest_value_counts(cache):
    await cache.set(NAMES, "a", b"1")
    await cache.set(NAMES, "a", b"2")
    assert await cache.get(NAMES, "a") == b"2"


@pytest.mark.parametrize("value", [b"", b"\0\r\n", bytes(range(256)) * 400])
async def test_a_value_is_bytes_of_any_kind(cache, value):
    await cache.set(NAMES, "a", value)
    assert await cache.get(NAMES, "a") == value


@pytest.mark.parametrize("key", ["a:b", "a b\r\nSET x y", "ü" * LONGEST_KEY, "\0", "\udc80", "councilor:1:names"])
async def test_a_key_is_any_text(cache, key):
    await cache.set(NAMES, key, b"1")
    await cache.set(NAMES, key + "x" if len(key) < 9 else key[1:], b"2")
    assert await cache.get(NAMES, key) == b"1"


async def test_namespaces_keep_apart(cache):
    await cache.set(NAMES, "a", b"1")
    assert await cache.get(OTHER, "a") is None
    await cache.set(OTHER, "a", b"2")
    await cache.clear(NAMES)
    assert await cache.get(NAMES, "a") is None
    assert await cache.get(OTHER, "a") == b"2"


async def test_a_cleared_namespace_can_be_written_again(cache):
    await cache.set(NAMES, "a", b"1")
    await cache.clear(NAMES)
    await cache.set(NAMES, "a", b"2")
    assert await cache.get(NAMES, "a") == b"2"


async def test_many_are_read_at_once(cache):
    for key in "abc":
        await cache.set(NAMES, key, key.encode())
    await cache.delete(NAMES, "b", "nowhere")
    assert await cache.get_many(NAMES, ["a", "b", "c", "c", "d"]) == {"a": b"a", "c": b"c"}
    assert await cache.get_many(NAMES, []) == {}


async def test_more_are_read_at_once_than_one_command_asks_for(cache):
    keys = [f"key {number}" for number in range(600)]
    await asyncio.gather(*(cache.set(NAMES, key, b"x") for key in keys[::2]))
    assert set(await cache.get_many(NAMES, keys)) == set(keys[::2])
    await cache.delete(NAMES, *keys)
    assert await cache.get_many(NAMES, keys) == {}


async def test_a_value_is_forgotten_after_its_time(cache):
    await cache.set(NAMES, "a", b"1", ttl_s=0.03)
    await cache.set(NAMES, "b", b"2")
    await asyncio.sleep(0.06)
    assert await cache.get_many(NAMES, ["a", "b"]) == {"b": b"2"}


async def test_a_new_value_has_its_own_time(cache):
    await cache.set(NAMES, "a", b"1", ttl_s=0.03)
    await cache.set(NAMES, "a", b"2")
    await asyncio.sleep(0.06)
    assert await cache.get(NAMES, "a") == b"2"


async def test_a_value_that_is_too_large_is_not_kept_nor_is_the_old_one(cache):
    await cache.set(NAMES, "a", b"1")
    await cache.set(NAMES, "a", b"x" * (2**20 + 1))
    assert await cache.get(NAMES, "a") is None


@pytest.mark.parametrize("namespace", ["", "Names", "a:b", "a\n", "x" * 33])
async def test_a_namespace_is_a_name(cache, namespace):
    for call in (cache.get(namespace, "a"), cache.set(namespace, "a", b""), cache.clear(namespace)):
        with pytest.raises(InputError):
            await call


@pytest.mark.parametrize("key", ["", "x" * (LONGEST_KEY + 1)])
async def test_a_key_has_a_length(cache, key):
    for call in (cache.get(NAMES, key), cache.set(NAMES, key, b""), cache.delete(NAMES, key)):
        with pytest.raises(InputError):
            await call


@pytest.mark.parametrize("ttl_s", [0.0, -1.0, 1e9, float("inf"), float("nan")])
async def test_a_time_to_keep_a_value_is_positive_and_ends(cache, ttl_s):
    with pytest.raises(InputError):
        await cache.set(NAMES, "a", b"1", ttl_s=ttl_s)
    assert await cache.get(NAMES, "a") is None


async def test_many_callers_at_a_time_get_their_own_answers(cache):
    async def use(number: int) -> bool:
        key, value = f"key {number % 50}", b"%d" % (number % 50)
        await cache.set(NAMES, key, value)
        return await cache.get(NAMES, key) in {value, None}

    assert all(await asyncio.gather(*(use(number) for number in range(300))))
