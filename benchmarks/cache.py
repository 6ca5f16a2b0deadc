"""What a value from the cache costs: from each tier, while Redis hangs, and what is out of date afterwards.

What is measured, against a redis-server of its own on this machine:
- `local_us`: a fresh value from this process, through everything that `app` puts around it.
- `redis_us`: the same when the local tier has nothing, so that Redis is asked each time; beside it redis-py alone (its
  defaults, one GET), and one value of 50 that are read at once.
- `hung_p99_ms`: the server is stopped (SIGSTOP). Again and again twenty callers read, write and delete for a
  while. A hang's figure is the 99th percentile of the reads that did ask the server (the first ones, and those that
  try it while the breaker is open); the others are answered here. It is the median over all hangs, as a process that
  the machine put aside says nothing of the cache; the longest wait of all stands beside it, and how late this process's
  own timers were. redis-py with its defaults is given one GET, and at most half a minute.
- `stale_after_recovery`: values are overwritten or deleted while the server hangs, is full, is killed (with a snapshot
  from before), or gets what was sent long after it was given up. Once it is back, three processes read every key, each
  with an empty memory and with what it had: how many old values come back. The same without tombstones shows that they
  would.
- What is kept: predicting which tests a change of councilor's own source may concern, first and again; a picture of a
  lineage of 1,000 artifacts, drawn and found.

`QUICK=1` is shorter. The last line is JSON: {"local_us", "redis_us", "hung_p99_ms", "stale_after_recovery", ...}.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from contest.figures import quantile
from servers import RedisServer, redis_server
from slowproxy import SlowProxy, slow_proxy

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.app.caching import open_cache
from councilor.app.guarding import make_guarding
from councilor.domain.artifact import ArtifactKind
from councilor.domain.lineage import Direction, Edge, Lineage, LineageNode
from councilor.guards.loading import LoadingCache
from councilor.guards.tiers import TieredCache
from councilor.guards.tombstones import Ending, Tombstones, Write
from councilor.pipeline.drawings import draw_shared
from councilor.pipeline.reach import Foresight
from councilor.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
QUICK = bool(os.environ.get("QUICK"))
NAMES = "names"
VALUE = os.urandom(512)
BLOCKS = 60 if QUICK else 300
HANGS, HUNG_S = (5, 1.2) if QUICK else (20, 2.0)
KEYS = 200 if QUICK else 1000
PATIENCE_S = 12.0 if QUICK else 30.0
AIMS = {"hung_p99_ms": 250.0, "stale_after_recovery": 0}


@dataclass(frozen=True, slots=True)
class Process:
    """The cache of one process."""

    cache: LoadingCache
    metrics: RecordingMetrics

    @property
    def tiers(self) -> TieredCache:
        return self.cache._cache  # type: ignore[return-value]

    async def forget_locally(self) -> None:
        await self.tiers._local.clear(NAMES)

    async def settled(self, *, within_s: float = 10.0) -> bool:
        """Whether the shared tier was told everything in time."""
        for _ in range(int(within_s / 0.02)):
            if not self.metrics.value("v3.cache.tombstones"):
                return True
            await asyncio.sleep(0.02)
        return False


@asynccontextmanager
async def open_process(folder: Path, url: str, *, fresh_s: float = 5.0) -> AsyncIterator[Process]:
    """Put together as `app` does it."""
    flags = {"data_dir": str(folder), "observability.redis": True, "redis.url": url, "cache.fresh_s": fresh_s}
    settings = load_settings(flags=flags)
    metrics, clock, randomness = RecordingMetrics(), SystemClock(), SystemRandomness()
    guarding = make_guarding(settings, clock=clock, metrics=metrics, randomness=randomness)
    async with open_cache(settings, guarding=guarding, clock=clock, metrics=metrics, randomness=randomness) as cache:
        yield Process(cache, metrics)


# --- what a value costs


async def microseconds(contenders: Mapping[str, tuple[int, Callable[[], Awaitable[object]]]]) -> dict[str, float]:
    """Of one call: everybody's turns in rounds of short blocks, the median over blocks."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(BLOCKS):
        for name, (calls, call) in contenders.items():
            began = time.perf_counter()
            for _ in range(calls):
                await call()
            taken[name].append((time.perf_counter() - began) / calls * 1e6)
    return {name: statistics.median(found) for name, found in taken.items()}


async def costs(folder: Path, server: RedisServer) -> dict[str, float]:
    """Of a value from each tier."""
    import redis.asyncio as library

    async with open_process(folder, server.url, fresh_s=3600) as near, open_process(folder, server.url) as far:
        keys = [f"key {number}" for number in range(50)]
        for key in keys:
            await near.cache.set(NAMES, key, VALUE)
        shared = far.tiers._shared
        assert shared is not None
        bare = library.Redis.from_url(server.url)
        await bare.set("bare", VALUE)
        found = await microseconds(
            {
                "local_us": (200, lambda: near.cache.get(NAMES, "key 1")),
                "redis_us": (20, lambda: shared.get(NAMES, "key 1")),
                "redis_py_us": (20, lambda: bare.get("bare")),
                "of_50_us": (2, lambda: shared.get_many(NAMES, keys)),
            }
        )
        await bare.aclose()
        return found | {"of_50_us": found["of_50_us"] / 50}


# --- a server that hangs


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds that callers waited."""

    reads: list[float] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    """Reads among them that did ask the server."""
    late: list[float] = field(default_factory=list)
    """How late timers were."""


async def hanging(folder: Path, server: RedisServer) -> dict[str, float]:
    """How long callers wait for a server that does not answer."""
    every: list[Waits] = []
    for _ in range(HANGS):
        waits = Waits()
        every.append(waits)
        async with open_process(folder, server.url, fresh_s=0.001) as process:
            for number in range(200):
                await process.cache.set(NAMES, f"key {number}", VALUE)
            server.hang()
            ends = time.perf_counter() + HUNG_S
            await asyncio.gather(lateness(waits, ends), *(use(process, worker, waits, ends) for worker in range(20)))
            server.go_on()
    server.hang()
    gave_up_s = await patience(server)
    server.go_on()
    reads = [seconds for waits in every for seconds in waits.reads]
    return {
        "hung_reads": len(reads),
        "hung_asked": sum(len(waits.asked) for waits in every),
        "hung_all_p99_ms": quantile(reads, 0.99) * 1000,
        "hung_p99_ms": statistics.median(quantile(waits.asked, 0.99) for waits in every) * 1000,
        "hung_worst_ms": max(reads) * 1000,
        "timers_late_ms": max(seconds for waits in every for seconds in waits.late) * 1000,
        "redis_py_hung_s": gave_up_s,
    }


async def use(process: Process, worker: int, waits: Waits, ends: float) -> None:
    """Read, and now and then write or delete."""
    turn = worker
    while time.perf_counter() < ends:
        key = f"key {turn % 200}"
        before, began = asking(process), time.perf_counter()
        value = await process.cache.get(NAMES, key)
        waited = time.perf_counter() - began
        assert value in {VALUE, None}
        waits.reads.append(waited)
        if asking(process) > before and waited > 0.1:
            waits.asked.append(waited)
        if turn % 10 == 0:
            await process.cache.set(NAMES, key, VALUE)
        if turn % 11 == 0:
            await process.cache.delete(NAMES, key)
        turn += 1
        await asyncio.sleep(0.002)


async def lateness(waits: Waits, ends: float) -> None:
    """Of timers as long as a call's."""
    while time.perf_counter() < ends:
        began = time.perf_counter()
        await asyncio.sleep(0.2)
        waits.late.append(time.perf_counter() - began - 0.2)


def asking(process: Process) -> float:
    """Calls that the server was asked and did not answer."""
    return process.metrics.value("v3.fallback.used", port="cache", reason="deadline")


async def patience(server: RedisServer) -> float:
    """Seconds for which redis-py with its defaults waits for one value, `PATIENCE_S` at most."""
    import redis.asyncio as library

    client, began = library.Redis.from_url(server.url), time.perf_counter()
    with suppress(TimeoutError, library.RedisError):
        async with asyncio.timeout(PATIENCE_S):
            await client.get("key")
    waited_s = time.perf_counter() - began
    with suppress(TimeoutError, library.RedisError):
        async with asyncio.timeout(1):
            await client.aclose()
    return waited_s


# --- what comes back


class Forgetful(Tombstones):
    """Remembers nothing, as a plain two-tier cache."""

    def end(self, write: Write, ending: Ending) -> None:
        """Forget it."""
        super().end(write, Ending.DONE)


Outage = Callable[[RedisServer, SlowProxy, bool], Awaitable[None]]


async def hang(server: RedisServer, proxy: SlowProxy, away: bool) -> None:
    """Stopped, and let go on."""
    server.hang() if away else server.go_on()


async def kill(server: RedisServer, proxy: SlowProxy, away: bool) -> None:
    """Killed, and started again with a snapshot from before."""
    if away:
        server.command("SAVE")
        server.kill()
    else:
        server.start()


async def fill(server: RedisServer, proxy: SlowProxy, away: bool) -> None:
    """Without memory for writes."""
    server.command("CONFIG", "SET", "maxmemory", "100kb" if away else "0")


async def hold(server: RedisServer, proxy: SlowProxy, away: bool) -> None:
    """What was sent arrives after the server is back."""
    if away:
        proxy.held = asyncio.Event()
    else:
        held, proxy.held = proxy.held, None
        assert held is not None
        asyncio.get_running_loop().call_later(1.5, held.set)


OUTAGES: dict[str, Outage] = {"hung": hang, "killed": kill, "full": fill, "late": hold}


async def stale(folder: Path, server: RedisServer, outage: Outage, *, forgetful: bool = False) -> int:
    """Old values that come back after an outage in which every key was changed."""
    keys = [f"key {number}" for number in range(KEYS)]
    server.command("FLUSHALL")
    async with (
        slow_proxy(server.port) as proxy,
        open_process(folder, proxy.url, fresh_s=0.1) as writer,
        open_process(folder, server.url, fresh_s=0.1) as reader,
    ):
        if forgetful:
            writer.tiers._tombstones = Forgetful()
        for key in keys:
            await writer.cache.set(NAMES, key, b"old")
        await reader.cache.get_many(NAMES, keys)
        await outage(server, proxy, True)
        for number, key in enumerate(keys):
            if number % 2:
                await writer.cache.delete(NAMES, key)
            else:
                await writer.cache.set(NAMES, key, b"new")
        await outage(server, proxy, False)
        await asyncio.sleep(2.0)  # a second to be told, and what is late has arrived
        assert await writer.settled(), "it was not told"
        async with open_process(folder, server.url) as third:
            return sum([await old_values(process, keys) for process in (writer, reader, third)])


async def old_values(process: Process, keys: Sequence[str]) -> int:
    """With what the process remembers, and without."""
    found = await process.cache.get_many(NAMES, keys)
    await process.forget_locally()
    again = await process.cache.get_many(NAMES, keys)
    return [*found.values(), *again.values()].count(b"old")


# --- what is kept


async def keeping(folder: Path, server: RedisServer) -> dict[str, float]:
    """What the real users of the cache gain."""
    async with open_process(folder, server.url) as first, open_process(folder, server.url) as second:
        foresight, changed = Foresight(first.cache), ["councilor/errors.py"]
        lineage = large_lineage(1000)
        return {
            "foresee_ms": await milliseconds(foresight.reaching(ROOT / "src", changed)),
            "foresee_again_ms": await milliseconds(foresight.reaching(ROOT / "src", changed)),
            "draw_ms": await milliseconds(draw_shared(lineage, first.cache)),
            "find_drawing_ms": await milliseconds(draw_shared(lineage, second.cache)),
        }


async def milliseconds(call: Awaitable[object]) -> float:
    """Of one call."""
    began = time.perf_counter()
    await call
    return (time.perf_counter() - began) * 1000


def large_lineage(count: int) -> Lineage:
    """Layers of eight, each artifact with two inputs."""
    nodes = [
        LineageNode(
            artifact_id=f"00000000-0000-7000-8000-{number:012x}",
            task_id="task",
            kind=ArtifactKind.REPORT,
            name=f"report {number}",
            output_hash="a" * 64,
            depth=number // 8,
        )
        for number in range(count)
    ]
    edges = [
        Edge(child_id=nodes[number].artifact_id, parent_id=nodes[number + step].artifact_id, role="input")
        for number in range(count - 9)
        for step in (8, 9)
    ]
    return Lineage(root_id=nodes[0].artifact_id, direction=Direction.ANCESTORS, nodes=nodes, edges=edges, complete=True)


async def measure(folder: Path) -> dict[str, float]:
    """Every figure."""
    found: dict[str, float] = {}
    with redis_server() as server:
        found |= await costs(folder, server)
        print("us for one value: " + ", ".join(f"{name} {value:.1f}" for name, value in found.items()))
        found |= await keeping(folder, server)
        print(
            f"which tests a change may concern: {found['foresee_ms']:.0f} ms, again {found['foresee_again_ms']:.0f} ms;"
            f" a picture of 1,000 artifacts: {found['draw_ms']:.0f} ms, found {found['find_drawing_ms']:.1f} ms"
        )
        found |= await hanging(folder, server)
        print(
            f"hung: {found['hung_reads']:.0f} reads, {found['hung_asked']:.0f} of them asked the server; these took "
            f"{found['hung_p99_ms']:.0f} ms (p99), all reads {found['hung_all_p99_ms']:.2f} ms (p99), the longest "
            f"{found['hung_worst_ms']:.0f} ms, where timers were up to {found['timers_late_ms']:.0f} ms late; redis-py "
            f"by itself waits {found['redis_py_hung_s']:.1f} s"
            + (" or more" if found["redis_py_hung_s"] >= PATIENCE_S else "")
        )
        total, without = 0, 0
        for name, outage in OUTAGES.items():
            here = await stale(folder, server, outage)
            plain = await stale(folder, server, outage, forgetful=True)
            print(f"{name}: {here} old values came back; without tombstones {plain}")
            total, without = total + here, without + plain
        return found | {"stale_after_recovery": total, "stale_without_tombstones": without}


def main() -> None:
    """Measure and print. A figure is no failure: the exit code says only whether it could be measured."""
    logging.disable(logging.CRITICAL)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="councilor-cache-") as folder:
        found = asyncio.run(measure(Path(folder)))
    print("aims: " + ", ".join(f"{name} <= {aim:g}" for name, aim in AIMS.items()))
    rounded = {name: round(value, 2) for name, value in found.items()}
    print(json.dumps(rounded | {"elapsed_s": round(time.perf_counter() - began, 1)}))


if __name__ == "__main__":
    main()
