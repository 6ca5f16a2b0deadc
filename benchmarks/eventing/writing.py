"""Processes that write events: as fast as they can, or at a steady rate.

Each has an event stream of its own with a writer coroutine for every task, as a process has that executes them.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

import psycopg

from councilor.adapters.postgres.eventrows import array, event_columns
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.queries import events as queries
from councilor.domain.codec import encode, json_text
from councilor.domain.event import Event, EventType, NewEvent
from councilor.domain.task import RunMode, Task
from councilor.ports.events import EventStream

__all__ = ["open_stream", "submit", "task_ids", "write_bare", "write_fast", "write_steadily"]

WARM_S = 0.5


@asynccontextmanager
async def open_stream(url: str, *, name: str = "writer") -> AsyncIterator[DatabaseEventStream]:
    """The event stream of one process, as `app` opens it; its connections have a name."""
    async with Pool(url, application_name=name) as pool, DatabaseEventStream(pool) as stream:
        yield stream


def task_ids(round_: int, count: int) -> Sequence[str]:
    """Ids that no other round has."""
    return [f"0190{round_:04x}-{number:04x}-7000-8000-00000000{number:04x}" for number in range(count)]


async def submit(stream: EventStream, ids: Sequence[str]) -> None:
    """Begin the streams of tasks."""
    await stream.append(
        [NewEvent(task_id=id_, type=EventType.TASK_SUBMITTED, ts=now(), data=_task(id_)) for id_ in ids]
    )


def _task(id_: str) -> dict[str, object]:
    task = Task(
        id=id_, repository="/srv/repository", base_commit="c" * 40, base_tree="t" * 40, spec_text="id: X",
        spec_id="FIX-1", title="Fix it", tier=2, worker="repair", mode=RunMode.AUTO, max_iterations=3, deadline_s=60.0,
        submitted_at=now(),
    )  # fmt: skip
    return {"task": encode(task)}


def now() -> datetime:
    """UTC."""
    return datetime.now(UTC)


def heartbeat(task_id: str, done: int) -> NewEvent:
    """What a worker's sign of life carries, with the moment at which it was given away."""
    data = {
        "phase": "testing", "done": done, "total": 5000, "tokens": 1200 + done, "cost_usd": 0.0125,
        "line": f"tests/unit/test_total.py::test_of_number[{done}] PASSED", "given_ns": time.monotonic_ns(),
    }  # fmt: skip
    return NewEvent(task_id=task_id, type=EventType.WORKER_HEARTBEAT, ts=now(), attempt=0, data=data)


def write_fast(url: str, ids: Sequence[str], batch: int, seconds: float, told: Connection) -> None:
    """Append as fast as it goes, a writer for each task; tells how many, in how many seconds, and those of its CPU."""
    told.send(asyncio.run(_write_fast(url, ids, batch, seconds, told)))


async def _write_fast(
    url: str, ids: Sequence[str], batch: int, seconds: float, told: Connection
) -> tuple[int, float, float]:
    written = 0
    over = False

    async def write(stream: DatabaseEventStream, id_: str) -> None:
        nonlocal written
        done = 0
        while not over:
            await stream.append([heartbeat(id_, done + index) for index in range(batch)])
            done += batch
            written += batch

    async with open_stream(url) as stream, asyncio.TaskGroup() as group:
        told.send("ready")
        await asyncio.to_thread(told.recv)
        for id_ in ids:
            group.create_task(write(stream, id_))
        await asyncio.sleep(WARM_S)
        began, before, cpu_s = time.perf_counter(), written, time.process_time()
        await asyncio.sleep(seconds)
        spent_s, count, cpu_s = time.perf_counter() - began, written - before, time.process_time() - cpu_s
        over = True
    return count, spent_s, cpu_s


def write_bare(url: str, ids: Sequence[str], batch: int, seconds: float, told: Connection) -> None:
    """The same rows by the same statements, made beforehand and without any rule: what the server takes."""
    last, size = 1, batch * len(ids)
    made = [heartbeat(ids[0], done) for done in range(size)]
    rows = [Event(task_id=ids[0], type=each.type, ts=each.ts, data=each.data, seq=1) for each in made]
    columns = list(event_columns(rows, [json_text(dict(each.data)) for each in made]))
    with psycopg.connect(url, autocommit=True) as connection:
        told.send("ready")
        told.recv()
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            with connection.transaction():
                columns[1] = array(map(str, range(last + 1, last + size + 1)))
                last += size
                connection.execute("UPDATE task_head SET last = %s WHERE task_id = %s", [last, ids[0]])
                connection.execute(queries.ADD_EVENTS, columns)
                connection.execute(queries.ANNOUNCE_EVENTS, [ids[0]])
    told.send((last - 1, time.perf_counter() - began, 0.0))


def write_steadily(url: str, ids: Sequence[str], per_s: float, seconds: float, told: Connection) -> None:
    """Append single events at random moments, `per_s` a second over all tasks, then end the tasks."""
    told.send(asyncio.run(_write_steadily(url, ids, per_s, seconds, told)))


async def _write_steadily(
    url: str, ids: Sequence[str], per_s: float, seconds: float, told: Connection
) -> dict[str, Any]:
    took_s: list[float] = []

    async def write(stream: DatabaseEventStream, id_: str) -> int:
        draw = random.Random(id_)
        due = time.monotonic()
        end = due + seconds
        count = 0
        while (due := due + draw.expovariate(per_s / len(ids))) < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            began = time.perf_counter()
            await stream.append([heartbeat(id_, count)])
            took_s.append(time.perf_counter() - began)
            count += 1
        return count

    async with open_stream(url) as stream:
        told.send("ready")
        await asyncio.to_thread(told.recv)
        counts = await asyncio.gather(*(write(stream, id_) for id_ in ids))
        ends = [
            NewEvent(task_id=id_, type=EventType.TASK_FINISHED, ts=now(), data={"state": "completed"}) for id_ in ids
        ]
        await stream.append(ends)
    return {"last": {id_: count + 2 for id_, count in zip(ids, counts, strict=True)}, "took_s": took_s}


class Process:
    """One of these functions in a process of its own."""

    def __init__(self, work: Callable[..., None], *given: object) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(*given, theirs), daemon=True)
        self._process.start()

    def wait(self) -> Any:
        """What it tells next."""
        if not self._pipe.poll(120):
            raise TimeoutError("a process of the benchmark does not answer")
        return self._pipe.recv()

    def go(self) -> None:
        """Let it begin."""
        self._pipe.send("go")

    def end(self) -> None:
        """Wait for its end."""
        self._process.join(30)
        self._process.kill()
