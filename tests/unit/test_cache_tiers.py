"""The two tiers: what is read where, what is told later, and that no failure reaches a caller."""

from __future__ import annotations

import asyncio
import logging
import random
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta

import pytest
from caches import TTL_S, Fault, FlakyCache, memory_cache, tiered_cache

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.errors import UnavailableError
from councilor.guards.budget import budget
from councilor.guards.deadline import with_deadline
from councilor.guards.tiers import TieredCache

NAMES = "names"
FRESH_S = 5.0


class Process:
    """One process's cache over a shared tier."""

    def __init__(self, shared: FlakyCache, clock: FakeClock, *, most: int = 4096) -> None:
        self.metrics = RecordingMetrics()
        self.clock = clock
        self.local = memory_cache(clock)
        self.cache: TieredCache = tiered_cache(
            shared, clock=clock, metrics=self.metrics, fresh_s=FRESH_S, most=most, local=self.local
        )

    async def read_shared(self, key: str) -> bytes | None:
        """What it reads once it remembers nothing itself."""
        await self.local.delete(NAMES, key)
        await self.cache.settle()
        return await self.cache.get(NAMES, key)

    @property
    def owed(self) -> float:
        return self.metrics.value("v3.cache.tombstones")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shared(clock) -> FlakyCache:
    return FlakyCache(clock)


@pytest.fixture
def process(shared, clock) -> Process:
    return Process(shared, clock)


# --- reading


async def test_a_value_of_another_process_is_found_and_kept_here(process, shared, clock):
    await Process(shared, clock).cache.set(NAMES, "a", b"1")
    assert [await process.cache.get(NAMES, "a") for _ in range(3)] == [b"1"] * 3
    assert process.metrics.value("v3.cache.requests", namespace=NAMES, outcome="shared") == 1
    assert process.metrics.value("v3.cache.requests", namespace=NAMES, outcome="local") == 2


async def test_what_another_process_changed_is_seen_when_the_value_here_is_not_fresh(process, shared, clock):
    other = Process(shared, clock)
    await process.cache.set(NAMES, "a", b"1")
    await process.cache.set(NAMES, "b", b"1")
    await other.cache.set(NAMES, "a", b"2")
    await other.cache.delete(NAMES, "b")
    assert await process.cache.get_many(NAMES, ["a", "b"]) == {"a": b"1", "b": b"1"}
    await clock.advance(FRESH_S)
    assert await process.cache.get_many(NAMES, ["a", "b"]) == {"a": b"2"}


async def test_a_value_from_another_process_lives_here_no_longer_than_it_was_to(process, shared, clock):
    await Process(shared, clock).cache.set(NAMES, "a", b"1", ttl_s=100.0)
    await clock.advance(90.0)
    assert await process.cache.get(NAMES, "a") == b"1"
    shared.fault = Fault.REFUSED
    await clock.advance(9.0)
    assert await process.cache.get(NAMES, "a") == b"1"
    await clock.advance(2.0)
    assert await process.cache.get(NAMES, "a") is None


NAN, ENDLESS = float("nan"), float("inf")


@pytest.mark.parametrize(
    "foreign",
    [b"", b"short", b"\0" * 15]
    + [
        struct.pack("!dd", *times) + b"value"
        for times in [(0, 0), (NAN, 1), (1, NAN), (ENDLESS, ENDLESS), (1e300, 1e300)]
    ],
)
async def test_a_shared_value_without_a_sensible_time_is_a_miss(process, shared, foreign):
    await shared.set(NAMES, "a", foreign)
    assert await process.cache.get(NAMES, "a") is None


async def test_a_private_namespace_never_leaves_the_process(process, shared):
    await process.cache.set("private", "a", b"1")
    assert await process.cache.get("private", "a") == b"1"
    assert await process.cache.get("private", "b") is None
    await process.cache.delete("private", "a")
    await process.cache.clear("private")
    assert shared.calls == 0


# --- failing


@pytest.mark.parametrize("fault", Fault)
async def test_no_failure_reaches_the_caller_and_the_local_tier_goes_on(process, shared, clock, fault):
    await process.cache.set(NAMES, "a", b"1")
    shared.fault = fault
    await clock.advance(FRESH_S)
    assert await process.cache.get(NAMES, "a") == b"1"
    await process.cache.set(NAMES, "b", b"2")
    await process.cache.delete(NAMES, "a")
    await clock.advance(FRESH_S)
    assert await process.cache.get_many(NAMES, ["a", "b"]) == {"b": b"2"}


REASONS = {Fault.REFUSED: "breaker_open", Fault.DECLINED: "unavailable", Fault.LOST: "unavailable"}


@pytest.mark.parametrize("fault", Fault)
async def test_a_fallback_is_counted_by_its_reason_and_logged_once_for_each_change(
    process, shared, clock, caplog, fault
):
    caplog.set_level(logging.INFO)
    shared.fault = fault
    for number in range(10):
        await process.cache.get(NAMES, f"key {number}")
        await process.cache.delete(NAMES, f"key {number}")
    reason = REASONS.get(fault, "deadline")
    assert process.metrics.value("v3.fallback.used", port="cache", reason=reason) >= 11
    shared.fault = None
    await clock.advance(6.0)
    for _ in range(10):
        await process.cache.settle()
        await process.cache.get(NAMES, "a")
        await process.cache.delete(NAMES, "a")
        await clock.advance(1.0)
    messages = [record.message for record in caplog.records if record.name == "councilor.guards.standing"]
    assert messages == ["a backend fails, another answers", "the backend answers again"]


async def test_an_unexpected_error_is_a_fallback_too_and_its_text_is_not_repeated(process, shared, caplog, monkeypatch):
    async def broken(namespace: str, keys: Iterable[str]) -> Mapping[str, bytes]:
        raise RuntimeError("redis://:secret@host")

    monkeypatch.setattr(shared, "get_many", broken)
    assert await process.cache.get(NAMES, "a") is None
    assert process.metrics.value("v3.fallback.used", port="cache", reason="unexpected") == 1
    assert "secret" not in str([vars(record) for record in caplog.records])


@pytest.mark.parametrize("call", ["get", "set", "delete"])
async def test_a_caller_without_time_is_no_outage(process, shared, clock, caplog, call):
    late = with_deadline(shared, port="cache", backend="redis", default_s=1.0)
    cache = tiered_cache(late, clock=clock, metrics=process.metrics, local=process.local)
    await cache.set(NAMES, "a", b"1")
    await clock.advance(FRESH_S)
    caplog.set_level(logging.INFO)
    calls = shared.calls
    with budget(-1.0):
        if call == "set":
            await cache.set(NAMES, "a", b"2")
        elif call == "delete":
            await cache.delete(NAMES, "a")
        assert await cache.get(NAMES, "a") == {"get": b"1", "set": b"2", "delete": None}[call]
    assert (shared.calls, caplog.messages) == (calls, [])
    assert process.metrics.value("v3.fallback.used", port="cache", reason="deadline") == 0
    await cache.settle()
    await process.local.delete(NAMES, "a")
    assert await cache.get(NAMES, "a") == (b"1" if call == "get" else None), "and nothing old comes back"


# --- recovering


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("write", ["set", "delete"])
async def test_what_was_changed_during_an_outage_does_not_come_back(process, shared, clock, fault, write):
    await process.cache.set(NAMES, "a", b"old")
    shared.fault = fault
    if write == "set":
        await process.cache.set(NAMES, "a", b"new")
    else:
        await process.cache.delete(NAMES, "a")
    shared.fault = None
    assert await process.read_shared("a") != b"old"
    assert process.owed == 0
    assert await Process(shared, clock).cache.get(NAMES, "a") != b"old"


async def test_a_tombstone_is_told_before_the_shared_tier_is_read(process, shared):
    await process.cache.set(NAMES, "a", b"old")
    shared.fault = Fault.REFUSED
    await process.cache.delete(NAMES, "a")
    assert process.owed == 1
    shared.fault = None
    assert await process.cache.get(NAMES, "other") is None  # any key of the namespace leads to it
    assert process.owed == 0
    assert await shared.get(NAMES, "a") is None


async def test_a_new_value_lifts_the_tombstone_of_its_key(process, shared):
    shared.fault = Fault.REFUSED
    await process.cache.delete(NAMES, "a")
    shared.fault = None
    await process.cache.set(NAMES, "a", b"new")
    assert process.owed == 0
    assert await process.read_shared("a") == b"new"


@pytest.mark.parametrize("then", ["set", "delete"])
async def test_a_write_that_arrives_late_brings_nothing_back(process, shared, clock, then):
    shared.fault = Fault.DELAYED
    await process.cache.set(NAMES, "a", b"old")
    shared.fault = None
    await process.cache.settle()
    if then == "set":
        await process.cache.set(NAMES, "a", b"new")
    else:
        await process.cache.delete(NAMES, "a")
    await process.cache.settle()
    await shared.arrive()
    assert await process.read_shared("a") != b"old"
    assert await Process(shared, clock).cache.get(NAMES, "a") != b"old"


async def test_the_same_value_again_costs_the_namespace_nothing(process, shared):
    await process.cache.set(NAMES, "other", b"kept")
    shared.fault = Fault.DELAYED
    await process.cache.set(NAMES, "a", b"same")
    shared.fault = None
    await process.cache.settle()
    await process.cache.set(NAMES, "a", b"same")
    await shared.arrive()
    assert await process.read_shared("a") == b"same"
    assert await process.read_shared("other") == b"kept"


async def test_more_changes_than_tombstones_void_the_whole_namespace(shared, clock):
    process = Process(shared, clock, most=3)
    for key in "abcdef":
        await process.cache.set(NAMES, key, b"old")
    await process.cache.set("other", "a", b"kept")
    shared.fault = Fault.REFUSED
    for key in "abcdef":
        await process.cache.delete(NAMES, key)
        assert process.owed <= 3
    shared.fault = None
    assert [await process.read_shared(key) for key in "abcdef"] == [None] * 6
    assert await process.cache.get("other", "a") == b"kept"
    assert process.owed == 0


async def test_a_namespace_that_could_not_be_cleared_is_cleared_later(process, shared):
    await process.cache.set(NAMES, "a", b"old")
    shared.fault = Fault.LOST
    await process.cache.clear(NAMES)
    assert await process.cache.get(NAMES, "a") is None
    shared.fault = None
    assert await process.read_shared("a") is None
    assert process.owed == 0


async def test_a_recovery_that_fails_is_tried_again(process, shared):
    await process.cache.set(NAMES, "a", b"old")
    shared.fault = Fault.LOST
    await process.cache.delete(NAMES, "a")
    assert not await process.cache.settle()
    assert process.owed == 1
    shared.fault = None
    assert await process.cache.settle()
    assert await process.read_shared("a") is None


# --- at the same time


class SlowCache(FlakyCache):
    """Calls end when they are let go, in any order."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.gates: list[asyncio.Event] = []
        self.slow = False

    async def _wait(self) -> None:
        if self.slow:
            gate = asyncio.Event()
            self.gates.append(gate)
            await gate.wait()

    async def get_many(self, namespace: str, keys: Iterable[str]) -> Mapping[str, bytes]:
        found = await super().get_many(namespace, keys)
        await self._wait()
        return found

    async def set(self, namespace: str, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        await self._wait()
        await super().set(namespace, key, value, ttl_s=ttl_s)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_answer_that_was_overtaken_by_a_write_is_not_kept(clock):
    shared = SlowCache(clock)
    process = Process(shared, clock)
    await Process(shared, clock).cache.set(NAMES, "a", b"old")
    shared.slow = True
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(process.cache.get(NAMES, "a"))
        await settled()
        shared.slow = False
        await process.cache.set(NAMES, "a", b"new")
        shared.gates[0].set()
    assert reading.result() == b"new"
    assert await process.cache.get(NAMES, "a") == b"new"


async def test_a_key_that_is_being_written_is_not_read_from_the_shared_tier(clock):
    shared = SlowCache(clock)
    process = Process(shared, clock)
    await process.cache.set(NAMES, "a", b"old")
    shared.slow = True
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(process.cache.set(NAMES, "a", b"new"))
        await settled()
        await process.local.delete(NAMES, "a")
        assert await process.cache.get(NAMES, "a") is None
        shared.gates[0].set()
    shared.slow = False
    assert await process.read_shared("a") == b"new"


async def test_two_writes_at_a_time_leave_no_older_value(clock):
    shared = SlowCache(clock)
    process = Process(shared, clock)
    shared.slow = True
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(process.cache.set(NAMES, "a", b"old"))
        await settled()
        tasks.create_task(process.cache.set(NAMES, "a", b"new"))
        await settled()
        shared.gates[1].set()
        await settled()
        shared.gates[0].set()  # the older one arrives last
    shared.slow = False
    assert await process.cache.get(NAMES, "a") == b"new"
    assert await process.read_shared("a") != b"old"


async def test_a_write_that_is_cancelled_leaves_no_older_value(clock):
    shared = SlowCache(clock)
    process = Process(shared, clock)
    await process.cache.set(NAMES, "a", b"old")
    shared.slow = True
    writing = asyncio.create_task(process.cache.set(NAMES, "a", b"new"))
    await settled()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    shared.slow = False
    assert process.owed == 1
    assert await process.read_shared("a") != b"old"


async def test_nobody_waits_while_another_caller_tells_the_shared_tier(process, shared, monkeypatch):
    shared.fault = Fault.REFUSED
    await process.cache.delete(NAMES, "a")
    shared.fault = None
    gate = asyncio.Event()
    telling = shared.delete

    async def slow(namespace: str, *keys: str) -> None:
        await gate.wait()
        await telling(namespace, *keys)

    monkeypatch.setattr(shared, "delete", slow)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(process.cache.get(NAMES, "a"))
        await settled()
        async with asyncio.timeout(20):
            assert await process.cache.get(NAMES, "b") is None
        gate.set()


async def test_a_value_is_forgotten_after_the_cache_s_own_time(process, shared, clock):
    await process.cache.set(NAMES, "a", b"1")
    await clock.advance(TTL_S - 1)
    assert await process.cache.get(NAMES, "a") == b"1"
    await clock.advance(2)
    assert await process.cache.get(NAMES, "a") is None
    assert await shared.get(NAMES, "a") is None


# --- clocks that differ, and every order of events


class OtherClock(FakeClock):
    """Another machine's: its wall clock is off."""

    def __init__(self, clock: FakeClock, *, off_s: float) -> None:
        super().__init__()
        self._clock, self._off_s = clock, off_s

    def now(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self._off_s)

    def monotonic(self) -> float:
        return self._clock.monotonic()


@pytest.mark.parametrize("off_s", [-86400.0, -30.0, 0.0, 30.0, 86400.0])
async def test_a_clock_that_is_off_keeps_no_value_longer_than_it_was_to_be_kept(process, shared, clock, off_s):
    await process.cache.set(NAMES, "a", b"1", ttl_s=100.0)
    other = Process(shared, OtherClock(clock, off_s=off_s))
    found = await other.cache.get(NAMES, "a")
    assert found == (b"1" if off_s < 100 else None)
    shared.fault = Fault.REFUSED  # so that only its own tier tells
    await clock.advance(100.0)
    assert await other.cache.get(NAMES, "a") is None


class JitteryCache(FlakyCache):
    """Calls take turns in any order, and fail by chance."""

    def __init__(self, clock: FakeClock, chance: random.Random) -> None:
        super().__init__(clock)
        self._chance = chance
        self.failing = 0.0

    async def get_many(self, namespace: str, keys: Iterable[str]) -> Mapping[str, bytes]:
        await self._pause()
        found = await super().get_many(namespace, keys)
        await self._pause()
        return found

    async def _do(self, act: Callable[[], Awaitable[None]]) -> None:
        await self._pause()
        self.fault = self._chance.choice(list(Fault)) if self._chance.random() < self.failing else None
        failed: Exception | None = None
        try:
            await super()._do(act)
        except UnavailableError as error:
            failed = error
        self.fault = None
        await self._pause()
        if failed is not None:
            raise failed

    async def _pause(self) -> None:
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)
        if self.late and self._chance.random() < 0.2:
            await self.arrive()


@pytest.mark.parametrize("seed", range(60))
async def test_whatever_the_order_nothing_old_is_left(clock, seed):
    """Tasks of one process change the same few keys at once, calls fail, are cancelled, and arrive late."""
    chance = random.Random(seed)
    shared = JitteryCache(clock, chance)
    process = Process(shared, clock, most=chance.choice([2, 4096]))
    newest: dict[str, bytes | None] = dict.fromkeys("ab")
    shared.failing = 0.4

    async def change(number: int) -> None:
        for step in range(8):
            key, value = chance.choice("ab"), b"%d %d" % (number, step)
            if chance.random() < 0.2:
                await process.cache.get(NAMES, key)
            elif chance.random() < 0.3:
                newest[key] = None
                await process.cache.delete(NAMES, key)
            else:
                newest[key] = value
                await process.cache.set(NAMES, key, value)

    tasks = [asyncio.create_task(change(number)) for number in range(5)]
    for _ in range(chance.randrange(40)):
        await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    shared.failing = 0.0
    while not await process.cache.settle():
        pass
    while shared.late:
        await shared.arrive()
    for key, value in newest.items():
        assert await process.cache.get(NAMES, key) in {value, None}
        assert await process.read_shared(key) in {value, None}
        assert await Process(shared, clock).cache.get(NAMES, key) in {value, None}
