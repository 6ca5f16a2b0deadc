"""The process of `make bench-executor` that executes tasks with PGQueuer; it runs in the peers environment.

Its ten steps are ten calls: it remembers no steps.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
from pgqueuer import PgQueuer, PsycopgDriver, Queries
from pgqueuer.models import Job
from speech import answer_all

STEPS = 10
BATCH = 10
WAIT = timedelta(seconds=30)
"""Its own default: what it does not hear of by NOTIFY it finds then."""


async def _step() -> None:
    pass


class Peer:
    """PGQueuer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._began_at: dict[bytes, float] = {}
        self._number = 0

    async def prepare(self) -> None:
        """Install its tables."""
        async with await self._connect() as connection:
            await Queries(PsycopgDriver(connection)).install()

    async def _connect(self) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(self._url, autocommit=True)

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[Queries]:
        async with await self._connect() as own, await self._connect() as other:
            worker = PgQueuer(PsycopgDriver(own))

            @worker.entrypoint("ten")
            async def ten(job: Job) -> None:
                self._began_at[job.payload or b""] = time.monotonic()
                for _ in range(STEPS):
                    await _step()

            task = asyncio.create_task(worker.run(dequeue_timeout=WAIT, batch_size=BATCH))
            try:
                yield Queries(PsycopgDriver(other))
            finally:
                worker.shutdown.set()
                await asyncio.wait([task], timeout=0.5)
                task.cancel()

    async def throughput(self, tasks: int) -> float:
        """Seconds to execute so many tasks that are queued already."""
        async with await self._connect() as connection:
            queries = Queries(PsycopgDriver(connection))
            await queries.enqueue(["ten"] * tasks, [self._name() for _ in range(tasks)], [0] * tasks)
        began = time.monotonic()
        async with self._working() as queries:
            while any(found.count for found in await queries.queue_size()):  # noqa: ASYNC110 - its queue tells nobody that it is empty
                await asyncio.sleep(0.01)
            return time.monotonic() - began

    async def latency(self, pauses_s: list[float]) -> list[float]:
        """Seconds from the submission of a task to its start, one after the other."""
        found = []
        async with self._working() as queries:
            await asyncio.sleep(0.5)
            for pause_s in pauses_s:
                await asyncio.sleep(pause_s)
                began, name = time.monotonic(), self._name()
                await queries.enqueue("ten", name)
                while name not in self._began_at:  # noqa: ASYNC110 - looking costs all contestants the same
                    await asyncio.sleep(0.001)
                found.append(self._began_at[name] - began)
        return found

    async def idle(self, seconds: float) -> float:
        """Share of a core that this process uses while there is nothing to do."""
        async with self._working():
            await asyncio.sleep(1.0)
            began, used = time.monotonic(), time.process_time()
            await asyncio.sleep(seconds)
            return (time.process_time() - used) / (time.monotonic() - began)

    def _name(self) -> bytes:
        self._number += 1
        return str(self._number).encode()


async def main(url: str) -> None:
    """Answer the benchmark's questions."""
    peer = Peer(url)
    await peer.prepare()
    await answer_all(peer)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
