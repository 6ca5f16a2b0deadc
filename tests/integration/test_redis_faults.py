"""A real Redis server in every bad state: no caller waits, nothing is lost, nothing old comes back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from servers import RedisServer, free_port
from slowproxy import slow_proxy

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.app.caching import open_cache
from councilor.app.guarding import make_guarding
from councilor.domain.breaker import BreakerState
from councilor.guards.loading import LoadingCache
from councilor.settings import load_settings

NAMES = "names"
TIMEOUT_S = 0.2
LONGEST_S = TIMEOUT_S + 0.3
"""For one trip, on a machine that does other things too."""


@dataclass
class Process:
    """What one process has."""

    cache: LoadingCache
    metrics: RecordingMetrics
    state: Callable[[], BreakerState]
    took_s: list[float] = field(default_factory=list)

    async def timed(self, call: Awaitable[bytes | None]) -> bytes | None:
        began = time.perf_counter()
        try:
            return await call
        finally:
            self.took_s.append(time.perf_counter() - began)

    async def get(self, key: str) -> bytes | None:
        return await self.timed(self.cache.get(NAMES, key))

    async def load(self, key: str, value: bytes) -> bytes | None:
        async def make() -> bytes:
            return value

        return await self.timed(self.cache.get_or_load(NAMES, key, make))

    async def forget_locally(self) -> None:
        await self.cache._cache._local.clear(NAMES)

    async def until_it_answers(self, key: str, value: bytes, *, within_s: float = 5.0) -> None:
        """Until Redis has what is written."""
        async with asyncio.timeout(within_s):
            while True:
                await self.cache.set(NAMES, key, value)
                await self.forget_locally()
                if await self.cache.get(NAMES, key) == value:
                    return
                await asyncio.sleep(0.02)

    def fallbacks(self, **labels: str) -> float:
        return self.metrics.value("v3.fallback.used", port="cache", **labels)


@pytest.fixture
async def open_process(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Process]]]:
    """Open the cache of a process as `app` puts it together."""
    async with AsyncExitStack() as stack:

        async def opened(url: str, *, fresh_s: float = 0.05, folder: str = "data", **flags: object) -> Process:
            return await stack.enter_async_context(process(tmp_path / folder, url, fresh_s, flags))

        yield opened


@asynccontextmanager
async def process(folder: Path, url: str, fresh_s: float, flags: dict[str, object]) -> AsyncIterator[Process]:
    folder.mkdir(exist_ok=True)
    chosen = {
        "data_dir": str(folder), "observability.redis": True, "redis.url": url, "redis.timeout_s": TIMEOUT_S,
        "cache.fresh_s": fresh_s, "breakers.open_s": 0.1, "breakers.longest_open_s": 0.2,
    }  # fmt: skip
    settings = load_settings(flags=chosen | {key.replace("__", "."): value for key, value in flags.items()})
    metrics, clock, randomness = RecordingMetrics(), SystemClock(), SystemRandomness()
    guarding = make_guarding(settings, clock=clock, metrics=metrics, randomness=randomness)
    async with open_cache(settings, guarding=guarding, clock=clock, metrics=metrics, randomness=randomness) as cache:
        yield Process(cache, metrics, lambda: guarding.breakers.of("redis").snapshot().state)


@pytest.fixture
def server(start_redis: Callable[..., RedisServer]) -> RedisServer:
    return start_redis()


# --- away


async def test_a_server_that_is_not_there_costs_no_answer(open_process, caplog):
    process = await open_process(f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    for number in range(40):
        assert await process.load(f"key {number}", b"made") == b"made"
        assert await process.load(f"key {number}", b"again") == b"made"
    assert max(process.took_s) < LONGEST_S
    assert process.state() is BreakerState.OPEN
    assert process.fallbacks(reason="unavailable") >= 5
    assert process.fallbacks(reason="breaker_open") > 20
    told = [record for record in caplog.records if record.name == "councilor.guards.standing"]
    assert [record.levelname for record in told] == ["WARNING"]
    assert "hunter2" not in str([vars(record) for record in caplog.records])


async def test_a_killed_server_is_used_again_once_it_is_back(server, open_process):
    process = await open_process(server.url)
    await process.until_it_answers("a", b"1")
    server.kill()
    assert await process.load("b", b"2") == b"2"
    assert await process.get("a") == b"1"
    for _ in range(10):
        await process.load("c", b"3")
    assert max(process.took_s) < LONGEST_S
    server.start()
    await process.until_it_answers("a", b"new")
    assert process.state() is BreakerState.CLOSED


async def test_a_server_that_is_restarted_while_many_load_loses_nobody_s_answer(server, open_process):
    process = await open_process(server.url, fresh_s=0.001)
    stopped = asyncio.Event()
    answers = 0

    async def work(number: int) -> None:
        nonlocal answers
        while not stopped.is_set():
            key = f"key {number} {answers % 7}"
            assert await process.load(key, key.encode()) == key.encode()
            answers += 1
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as tasks:
        for number in range(10):
            tasks.create_task(work(number))
        for _ in range(2):
            await asyncio.sleep(0.2)
            server.kill()
            await asyncio.sleep(0.2)
            server.start()
        await asyncio.sleep(0.5)
        before = process.metrics.value("v3.cache.requests", outcome="shared")
        await asyncio.sleep(0.3)
        assert process.metrics.value("v3.cache.requests", outcome="shared") > before
        stopped.set()
    assert answers > 500
    assert sorted(process.took_s)[int(len(process.took_s) * 0.99)] < 2 * LONGEST_S


# --- silent


async def test_nobody_waits_for_a_server_that_hangs_longer_than_the_timeout(server, open_process, caplog):
    process = await open_process(server.url)
    await process.until_it_answers("a", b"1")
    caplog.clear()
    server.hang()
    await asyncio.sleep(0.06)
    assert await asyncio.gather(*(process.get("a") for _ in range(10))) == [b"1"] * 10
    assert max(process.took_s) < LONGEST_S
    for _ in range(200):
        assert await process.get("a") == b"1"
    assert process.state() is not BreakerState.CLOSED
    assert sorted(process.took_s)[-3] < LONGEST_S
    assert process.fallbacks(reason="deadline") >= 5
    assert len([record for record in caplog.records if record.name == "councilor.guards.standing"]) == 1
    server.go_on()
    await process.until_it_answers("a", b"2")


async def test_what_was_changed_while_the_server_hung_does_not_come_back_to_anybody(server, open_process):
    one, other = await open_process(server.url), await open_process(server.url)
    keys = [f"key {number}" for number in range(60)]
    for key in keys:
        await one.cache.set(NAMES, key, b"old")
    assert len(await other.cache.get_many(NAMES, keys)) == 60
    server.hang()
    for number, key in enumerate(keys):
        if number % 2:
            await one.cache.delete(NAMES, key)
        else:
            await one.cache.set(NAMES, key, b"new")
    server.go_on()
    await asyncio.sleep(1.5)  # nobody asks for anything: what is owed is told all the same
    assert one.metrics.value("v3.cache.tombstones") == 0
    for process in (one, other, await open_process(server.url)):
        assert b"old" not in (await process.cache.get_many(NAMES, keys)).values()
        await process.forget_locally()
        assert b"old" not in (await process.cache.get_many(NAMES, keys)).values()


async def test_a_write_that_a_network_delivers_late_brings_nothing_back(server, open_process):
    async with slow_proxy(server.port) as proxy:
        process = await open_process(proxy.url)
        await process.until_it_answers("other", b"1")
        proxy.held = asyncio.Event()
        await process.cache.set(NAMES, "a", b"old")  # is on its way
        late, proxy.held = proxy.held, None
        await process.until_it_answers("other", b"2")
        await process.cache.set(NAMES, "a", b"new")
        await process.cache.get(NAMES, "other")
        late.set()
        await asyncio.sleep(0.15)
        await process.forget_locally()
        assert await process.get("a") in {None, b"new"}
        assert await (await open_process(proxy.url)).get("a") in {None, b"new"}


async def test_a_slow_server_is_waited_for_up_to_the_timeout(server, open_process):
    async with slow_proxy(server.port) as proxy:
        process = await open_process(proxy.url)
        await process.until_it_answers("a", b"1")
        proxy.delay_s = 0.05
        await process.forget_locally()
        assert await process.get("a") == b"1"
        proxy.delay_s = 1.0
        await process.forget_locally()
        assert await process.get("a") is None
        assert max(process.took_s) < LONGEST_S


# --- answering, and yet no use


async def test_a_full_server_is_read_and_not_written(start_redis, open_process, caplog):
    server = start_redis(maxmemory_policy="noeviction")
    process = await open_process(server.url)
    await process.cache.set(NAMES, "a", b"old")
    server.command("CONFIG", "SET", "maxmemory", "100kb")
    assert server.command("SET", "filling", b"x").startswith(b"-OOM")
    caplog.clear()
    for number in range(20):
        await process.cache.set(NAMES, f"key {number}", b"new")
        await process.cache.set(NAMES, "a", b"new")
        await process.forget_locally()
        assert await process.get("a") in {None, b"new"}
    assert process.state() is BreakerState.CLOSED, "it works"
    assert process.fallbacks(reason="unavailable") >= 20
    assert len([record for record in caplog.records if record.name == "councilor.guards.standing"]) == 1
    server.command("CONFIG", "SET", "maxmemory", "100mb")
    await process.until_it_answers("a", b"newer")


async def test_a_wrong_password_costs_no_answer_and_is_not_told(start_redis, open_process, caplog):
    server = start_redis(password="correct horse")
    process = await open_process(server.url.replace("correct%20horse", "hunter2").replace("correct horse", "hunter2"))
    assert await process.load("a", b"made") == b"made"
    assert process.fallbacks(reason="unavailable") >= 1
    told = str([vars(record) for record in caplog.records])
    assert "does not accept the password" in told and "hunter2" not in told
    right = await open_process(server.url)
    await right.until_it_answers("a", b"1")


async def test_a_server_that_is_flushed_is_filled_again(server, open_process):
    one, other = await open_process(server.url), await open_process(server.url)
    await one.until_it_answers("a", b"old")
    server.command("FLUSHALL")
    await one.forget_locally()
    assert await one.load("a", b"new") == b"new"
    assert await other.get("a") == b"new"


async def test_what_a_server_brings_back_when_it_starts_again_is_not_read(server, open_process):
    process = await open_process(server.url)
    await process.cache.set(NAMES, "deleted", b"old")
    await process.cache.set(NAMES, "overwritten", b"old")
    server.command("SAVE")
    await process.cache.delete(NAMES, "deleted")
    await process.cache.set(NAMES, "overwritten", b"new")
    server.kill()
    server.start()
    assert server.command("DBSIZE") == b":3\r\n", "it has them again, and the generation"
    await process.forget_locally()
    await process.until_it_answers("fresh", b"1")
    for each in (process, await open_process(server.url)):
        assert await each.get("deleted") is None
        assert await each.get("overwritten") is None


FOREIGN: list[Callable[[RedisServer, str, bytes], object]] = [
    lambda server, name, raw: server.command("SET", name, b"text"),
    lambda server, name, raw: server.command("SET", name, b""),
    lambda server, name, raw: server.command("SET", name, raw[:-1]),
    lambda server, name, raw: server.command("SET", name, raw[:-1] + bytes([raw[-1] ^ 1])),
    lambda server, name, raw: server.command("SET", name, raw[:30] + bytes([raw[30] ^ 1]) + raw[31:]),
    lambda server, name, raw: (server.command("DEL", name), server.command("RPUSH", name, b"a list")),
    lambda server, name, raw: server.command("SET", f"councilor:1:{NAMES}:generation", b"\xff" * 40),
    lambda server, name, raw: (
        server.command("DEL", f"councilor:1:{NAMES}:generation"),
        server.command("RPUSH", f"councilor:1:{NAMES}:generation", b"a list"),
    ),
]


@pytest.mark.parametrize("damage", range(len(FOREIGN)))
async def test_what_is_damaged_or_not_ours_is_a_miss_and_is_replaced(server, open_process, damage):
    process = await open_process(server.url, fresh_s=0.001)
    await process.cache.set(NAMES, "a", b"value")
    name, raw = stored(server)
    FOREIGN[damage](server, name, raw)
    await process.forget_locally()
    assert await process.get("a") is None
    await process.until_it_answers("a", b"made again")


async def test_a_value_that_was_moved_to_another_key_is_a_miss(server, open_process):
    process = await open_process(server.url)
    await process.cache.set(NAMES, "a", b"value")
    name, raw = stored(server)
    await process.cache.set(NAMES, "b", b"other")
    other = next(key for key in keys_of(server) if key != name)
    server.command("SET", other, raw)
    await process.forget_locally()
    assert await process.get("b") is None
    assert await process.get("a") == b"value"


async def test_who_does_not_have_the_seal_can_write_nothing_that_is_believed(server, open_process):
    ours, theirs = await open_process(server.url), await open_process(server.url, folder="elsewhere")
    await ours.cache.set(NAMES, "a", b"ours")
    assert await theirs.get("a") is None
    await theirs.cache.set(NAMES, "a", b"forged")
    await ours.forget_locally()
    assert await ours.get("a") is None


def keys_of(server: RedisServer) -> list[str]:
    answer = server.command("KEYS", f"councilor:1:{NAMES}:*").decode()
    return [line for line in answer.split("\r\n") if line.startswith("councilor:") and not line.endswith("generation")]


def stored(server: RedisServer) -> tuple[str, bytes]:
    (name,) = keys_of(server)
    head, _, rest = server.command("GET", name).partition(b"\r\n")
    return name, rest[: int(head[1:])]


# --- this side's own faults


async def test_all_connections_in_use_is_no_broken_server(server, open_process):
    async with slow_proxy(server.port) as proxy:
        process = await open_process(proxy.url, redis__max_connections=1)
        await process.until_it_answers("a", b"1")
        proxy.delay_s = 0.08
        await process.forget_locally()
        found = await asyncio.gather(*(process.get(f"key {number}") for number in range(20)))
        assert found == [None] * 20
        assert process.fallbacks(reason="unavailable") >= 10
        assert process.state() is BreakerState.CLOSED
        assert max(process.took_s) < LONGEST_S
        proxy.delay_s = 0.0
        await process.until_it_answers("a", b"2")


async def test_a_cancelled_call_s_answer_is_read_by_nobody_else(server, open_process):
    async with slow_proxy(server.port) as proxy:
        process = await open_process(proxy.url, redis__max_connections=3)
        keys = [f"key {number}" for number in range(30)]
        for key in keys:
            await process.until_it_answers(key, key.encode())
        proxy.delay_s = 0.004
        wrong: list[str] = []

        async def ask(key: str, after_s: float) -> None:
            await process.cache._cache._local.delete(NAMES, key)
            try:
                async with asyncio.timeout(after_s):
                    if await process.cache.get(NAMES, key) not in {key.encode(), None}:
                        wrong.append(key)
            except TimeoutError:
                cut.append(key)

        cut: list[str] = []
        for number in range(60):
            some = [keys[(number + step) % 30] for step in range(4)]
            await asyncio.gather(*(ask(key, 0.0005 * ((number + step) % 16)) for step, key in enumerate(some)))
        assert len(cut) > 50 and wrong == []
        proxy.delay_s = 0.0
        for key in keys:  # no connection was lost on the way
            await process.until_it_answers(key, b"2")
        assert await asyncio.gather(*(process.get(key) for key in keys)) == [b"2"] * 30


async def test_a_spent_budget_is_not_the_server_s_fault(server, open_process, caplog):
    caplog.set_level(logging.INFO)
    process = await open_process(server.url)
    await process.until_it_answers("a", b"1")
    server.hang()
    for _ in range(20):
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.005):
                await process.forget_locally()
                await process.get("a")
    assert process.state() is BreakerState.CLOSED
    server.go_on()
    await process.until_it_answers("a", b"2")


# --- how little it needs


async def test_a_user_needs_few_rights(server, open_process):
    rights = ("on", ">secret", "resetkeys", "~councilor:*", "-@all", "+mget", "+set", "+unlink", "+ping", "+info")
    assert server.command("ACL", "SETUSER", "cacher", *rights) == b"+OK\r\n"
    process = await open_process(f"redis://cacher:secret@127.0.0.1:{server.port}/0")
    await process.cache.set(NAMES, "a", b"1")
    await process.forget_locally()
    assert await process.get("a") == b"1"
    await process.cache.clear(NAMES)
    await process.cache.delete(NAMES, "a")
    assert process.fallbacks() == 0


async def test_a_user_who_may_not_write_is_declined(server, open_process):
    server.command("ACL", "SETUSER", "reader", "on", ">secret", "~councilor:*", "-@all", "+mget", "+ping", "+info")
    process = await open_process(f"redis://reader:secret@127.0.0.1:{server.port}/0")
    for number in range(10):
        await process.cache.set(NAMES, f"key {number}", b"1")
        assert await process.get(f"key {number}") == b"1"
    assert process.fallbacks(reason="unavailable") >= 10
