"""What is made once, however many ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from caches import TTL_S, Fault, FlakyCache, memory_cache

from councilor.adapters.memory.clock import FakeClock, SeededRandomness
from councilor.guards.loading import LoadingCache
from councilor.ports.cache import Cache

NAMES = "names"


class Source:
    """What is expensive to make; each load waits to be let go."""

    def __init__(self) -> None:
        self.value = b"made"
        self.loads = 0
        self.gate = asyncio.Event()
        self.failures: list[Exception] = []

    async def load(self) -> bytes:
        self.loads += 1
        value = self.value
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop()
        return value


@pytest.fixture
def source() -> Source:
    return Source()


def loading(cache: Cache | None = None) -> LoadingCache:
    return LoadingCache(memory_cache() if cache is None else cache, ttl_s=TTL_S, randomness=SeededRandomness())


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def asked_at_once(cache: LoadingCache, load: Callable[[], Awaitable[bytes]], times: int = 20) -> list:
    return [asyncio.create_task(cache.get_or_load(NAMES, "a", load)) for _ in range(times)]


async def test_it_is_made_once_for_all_who_ask_at_the_same_time(source):
    cache = loading()
    asked = await asked_at_once(cache, source.load)
    await settle()
    source.gate.set()
    assert await asyncio.gather(*asked) == [b"made"] * 20
    assert await cache.get_or_load(NAMES, "a", source.load) == b"made"
    assert source.loads == 1


async def test_different_keys_do_not_wait_for_each_other(source):
    cache = loading()
    slow = asyncio.create_task(cache.get_or_load(NAMES, "slow", source.load))
    await settle()

    async def quick() -> bytes:
        return b"quick"

    async with asyncio.timeout(20):
        assert await cache.get_or_load(NAMES, "quick", quick) == b"quick"
    source.gate.set()
    await slow


async def test_a_load_that_fails_is_its_caller_s_matter_only(source):
    cache = loading()
    source.failures = [ValueError("no")]
    asked = await asked_at_once(cache, source.load)
    await settle()
    source.gate.set()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results].count(ValueError) == 1
    assert results.count(b"made") == 19
    assert source.loads == 2


async def test_a_load_that_is_cancelled_strands_nobody(source):
    cache = loading()
    asked = await asked_at_once(cache, source.load)
    await settle()
    asked[0].cancel()
    await settle()
    source.gate.set()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == [b"made"] * 19
    assert source.loads == 2


async def test_one_who_waits_can_be_cancelled_alone(source):
    cache = loading()
    asked = await asked_at_once(cache, source.load)
    await settle()
    asked[5].cancel()
    await settle()
    source.gate.set()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert results.count(b"made") == 19 and source.loads == 1


async def test_one_who_waits_does_so_no_longer_than_its_deadline(source):
    cache = loading()
    asked = await asked_at_once(cache, source.load, 1)
    await settle()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await cache.get_or_load(NAMES, "a", source.load)
    source.gate.set()
    assert await asked[0] == b"made"


@pytest.mark.parametrize("change", ["set", "delete", "clear"])
async def test_a_load_does_not_bring_back_what_was_changed_meanwhile(source, change):
    cache = loading()
    asked = await asked_at_once(cache, source.load, 1)
    await settle()
    source.value = b"newer"
    if change == "set":
        await cache.set(NAMES, "a", b"newer")
    elif change == "delete":
        await cache.delete(NAMES, "a")
    else:
        await cache.clear(NAMES)
    later = asyncio.create_task(cache.get_or_load(NAMES, "a", source.load))
    await settle()
    source.gate.set()
    assert await asked[0] == b"made"
    assert await later == b"newer"
    assert await cache.get(NAMES, "a") == b"newer"


@pytest.mark.parametrize("fault", Fault)
async def test_a_cache_that_fails_costs_a_load_and_no_answer(source, fault):
    shared = FlakyCache(FakeClock())
    shared.fault = fault
    source.gate.set()
    assert await loading(shared).get_or_load(NAMES, "a", source.load) == b"made"


async def test_what_is_made_together_does_not_end_together(source):
    clock = FakeClock()
    cache = loading(memory_cache(clock))
    source.gate.set()
    for number in range(200):
        await cache.get_or_load(NAMES, f"key {number}", source.load)
    await clock.advance(TTL_S * 0.95)
    left = await cache.get_many(NAMES, [f"key {number}" for number in range(200)])
    assert 40 < len(left) < 160
