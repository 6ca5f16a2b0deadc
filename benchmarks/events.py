"""How many events one machine stores, and how late many readers have them.

What is measured, on a PostgreSQL of its own (embedded, fsync on) and with the event stream as `app` opens it:
- `append_per_s`: 20 writers in one process append 50 events each time, readers off. Beside it the same with single
  events, which are gathered into transactions while the one before is written; and, in turn with them, the statements
  alone on one connection with rows made beforehand, which is what this server on this machine takes just now. The CPU
  that the writing process takes for each event hardly depends on what else runs here.
- `read_p95_ms`: another process appends single events at random moments, 400 a second over 20 tasks, while 500 readers
  in this process follow them, 25 a task; each is cut off every few seconds and resumes after the last number it took,
  and one more never reads on. The lag is from before `append` until a reader has the event.
- `out_of_order`, `lost`: of everything that every reader was to get, also in a second part in which this process's
  connections to the server, the listening one among them, are ended twice a second.
- `rss_mb`: the largest memory of the process with the readers.

`QUICK=1` is shorter. The last line is JSON: {"append_per_s", "read_p95_ms", "out_of_order", "lost", "rss_mb", ...}.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from contest.figures import quantile
from eventing.reading import Seen, read_all
from eventing.writing import Process, open_stream, submit, task_ids, write_bare, write_fast, write_steadily

from councilor.adapters.postgres.embedded import EmbeddedPostgres
from councilor.adapters.postgres.migrate import migrate
from councilor.errors import UnavailableError

QUICK = bool(os.environ.get("QUICK"))
WRITERS = 20
ROUNDS = 3 if QUICK else 7
ROUND_S = 1.5 if QUICK else 5.0
READERS, TASKS, PER_S = 500, 20, 400.0
READ_S = 10.0 if QUICK else 60.0
CUT_S = 5.0 if QUICK else 20.0
EVERY_CUT_S = 0.5
READER = "reader"
"""The name of the readers' connections."""
AIMS = {"append_per_s": 50_000, "read_p95_ms": 10.0, "out_of_order": 0, "lost": 0}


@dataclass
class Bench:
    """A server, and rounds with ids of their own."""

    url: str
    round: int = 0
    cuts: int = 0
    cpu_us: float = 0.0
    """Of the process that appended last, for each event."""

    async def tasks(self, count: int) -> Sequence[str]:
        """New tasks."""
        self.round += 1
        ids = task_ids(self.round, count)
        async with open_stream(self.url) as stream:
            await submit(stream, ids)
        return ids

    async def append(self, work: Callable[..., None], *, batch: int) -> float:
        """Events a second that a process with writers appends, `batch` each time."""
        process = Process(work, self.url, await self.tasks(WRITERS), batch, ROUND_S)
        await asyncio.to_thread(process.wait)
        process.go()
        count, spent_s, cpu_s = await asyncio.to_thread(process.wait)
        process.end()
        self.cpu_us = cpu_s / count * 1e6
        return float(count / spent_s)

    async def read(self, seconds: float, *, cut: bool = False) -> tuple[Seen, int, list[float]]:
        """What readers saw, how many events they lost, and the seconds of each append."""
        ids = await self.tasks(TASKS)
        writer = Process(write_steadily, self.url, ids, PER_S, seconds)
        await asyncio.to_thread(writer.wait)
        async with open_stream(self.url, name=READER) as stream, asyncio.TaskGroup() as group:
            reading = group.create_task(read_all(stream, ids, READERS))
            await asyncio.sleep(1.0)  # all readers have caught up
            cutting = group.create_task(self._cut_off()) if cut else None
            writer.go()
            written = await asyncio.to_thread(writer.wait)
            if cutting is not None:
                cutting.cancel()
            seen = await reading
        writer.end()
        return seen, seen.lost(written["last"]), written["took_s"]

    async def _cut_off(self) -> None:
        """End all connections of the readers, again and again."""
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as admin:
            while True:
                await admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [READER]
                )
                self.cuts += 1
                await asyncio.sleep(EVERY_CUT_S)


async def measure(url: str) -> dict[str, float]:
    """Every figure."""
    bench = Bench(url)
    await bench.append(write_fast, batch=50)  # warms up
    many, bare, single, cpu_us = [], [], [], []
    for _ in range(ROUNDS):
        many.append(await bench.append(write_fast, batch=50))
        cpu_us.append(bench.cpu_us)
        bare.append(await bench.append(write_bare, batch=50))
        single.append(await bench.append(write_fast, batch=1))
    shares = [ours / limit for ours, limit in zip(many, bare, strict=True)]
    say(f"20 writers, 50 events at a time: {rounded(many)} events/s, {statistics.median(cpu_us):.1f} us of CPU each")
    say(f"the statements alone, 1,000 at a time: {rounded(bare)}; ours is {statistics.median(shares):.2f} of that")
    say(f"20 writers, one event at a time: {rounded(single)} events/s")
    seen, lost, took_s = await bench.read(READ_S)
    say(f"{READERS} readers, {PER_S:g} events/s: {told(seen, lost)}")
    say(f"of which append {spread([each_s * 1e3 for each_s in took_s])}; the readers' own timers were late by")
    read_us = seen.cpu_s / seen.events * 1e6
    say(f"{spread(seen.loop_late_ms)}; a delivery took {read_us:.0f} us of their CPU")
    cut, cut_lost, _ = await bench.read(CUT_S, cut=True)
    say(f"their connections ended {bench.cuts} times: {told(cut, cut_lost)}")
    return {
        "append_per_s": round(statistics.median(many)),
        "append_single_per_s": round(statistics.median(single)),
        "append_cpu_us": round(statistics.median(cpu_us), 1),
        "read_cpu_us": round(read_us, 1),
        "append_x_bare": round(statistics.median(shares), 2),
        "read_p50_ms": round(quantile(seen.lags_ms, 0.5), 1),
        "read_p95_ms": round(quantile(seen.lags_ms, 0.95), 1),
        "out_of_order": seen.out_of_order + cut.out_of_order,
        "lost": lost + cut_lost,
        "rss_mb": round(seen.rss_mb, 1),
        "deliveries": seen.events,
    }


def told(seen: Seen, lost: int) -> str:
    """What readers saw, in words."""
    return (
        f"{seen.events:,} deliveries, lag {spread(seen.lags_ms)}; {seen.resumed} times resumed,"
        f" {seen.out_of_order} out of order, {lost} lost"
    )


def spread(figures_ms: Sequence[float]) -> str:
    """Some quantiles of milliseconds."""
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return ", ".join(f"{name} {quantile(figures_ms, share):.1f} ms" for name, share in shares.items())


def rounded(figures: Sequence[float]) -> str:
    """The median, and between which it lies."""
    return f"{statistics.median(figures):,.0f} ({min(figures):,.0f} to {max(figures):,.0f})"


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)


async def main() -> None:
    """Measure and print. A figure is no failure: the exit code says only whether it could be measured."""
    began = time.perf_counter()
    folder = Path(tempfile.mkdtemp(prefix="councilor-bench-"))
    folder.chmod(0o711)  # as root the server's own user passes through
    server = EmbeddedPostgres(folder / "postgres")
    try:
        url = await asyncio.to_thread(server.up)
        await asyncio.to_thread(migrate, url)
        figures = await measure(url)
    except UnavailableError as problem:
        sys.exit(f"{problem} {problem.hint()}")
    finally:
        await asyncio.to_thread(server.down)
        shutil.rmtree(folder, ignore_errors=True)
    say("aims: " + ", ".join(f"{name} {aim:,}" for name, aim in AIMS.items()))
    print(json.dumps(figures | {"elapsed_s": round(time.perf_counter() - began, 1)}))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside, it still stops what it started
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
