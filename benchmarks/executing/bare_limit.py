"""The process of `make bench-executor` that is the limit: a table, SKIP LOCKED, NOTIFY, nothing remembered.

Its ten steps are ten calls. Nothing survives a crash but which tasks are still to do.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from speech import answer_all

STEPS = 10
PARALLEL = 16
TABLE = (
    "CREATE TABLE IF NOT EXISTS bare (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, done boolean DEFAULT false)"
)
ADD = "INSERT INTO bare DEFAULT VALUES RETURNING id, pg_notify('bare', '')"
TAKE = "SELECT id FROM bare WHERE NOT done ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
DONE = "UPDATE bare SET done = true WHERE id = %s"


async def _step() -> None:
    pass


class Bare:
    """A queue by hand."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._began_at: dict[int, float] = {}
        self._wake = asyncio.Event()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(TABLE)

    async def _execute(self, *, until_empty: bool) -> None:
        async with await psycopg.AsyncConnection.connect(self._url) as connection:
            while True:
                self._wake.clear()
                row = await (await connection.execute(TAKE)).fetchone()
                if row is None:
                    await connection.rollback()
                    if until_empty:
                        return
                    await self._wake.wait()
                    continue
                self._began_at[row[0]] = time.monotonic()
                for _ in range(STEPS):
                    await _step()
                await connection.execute(DONE, row)
                await connection.commit()

    async def _listen(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute("LISTEN bare")
            async for _ in connection.notifies():
                self._wake.set()

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[psycopg.AsyncConnection[tuple[int]]]:
        async with await psycopg.AsyncConnection[tuple[int]].connect(self._url, autocommit=True) as connection:
            tasks = [asyncio.create_task(self._execute(until_empty=False)) for _ in range(2)]
            tasks.append(asyncio.create_task(self._listen()))
            try:
                yield connection
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

    async def throughput(self, tasks: int) -> float:
        """Seconds to execute so many tasks that are queued already."""
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute("INSERT INTO bare (done) SELECT false FROM generate_series(1, %s)", [tasks])
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL):
                group.create_task(self._execute(until_empty=True))
        return time.monotonic() - began

    async def latency(self, pauses_s: list[float]) -> list[float]:
        """Seconds from the submission of a task to its start, one after the other."""
        found = []
        async with self._working() as connection:
            for pause_s in pauses_s:
                await asyncio.sleep(pause_s)
                began = time.monotonic()
                row = await (await connection.execute(ADD)).fetchone()
                assert row is not None
                while row[0] not in self._began_at:  # noqa: ASYNC110 - looking costs all contestants the same
                    await asyncio.sleep(0.001)
                found.append(self._began_at[row[0]] - began)
        return found

    async def idle(self, seconds: float) -> float:
        """Share of a core that this process uses while there is nothing to do."""
        async with self._working():
            await asyncio.sleep(1.0)
            began, used = time.monotonic(), time.process_time()
            await asyncio.sleep(seconds)
            return (time.process_time() - used) / (time.monotonic() - began)


if __name__ == "__main__":
    asyncio.run(answer_all(Bare(sys.argv[1])))
