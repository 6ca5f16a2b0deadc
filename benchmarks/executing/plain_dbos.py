"""The process of `make bench-executor` that executes the same steps with DBOS alone: its queue, its poll, no events."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from dbos import DBOS, DBOSClient, DBOSConfig
from speech import answer_all

STEPS = 10
PARALLEL = 50
POLL_S = 0.1
QUEUE = "bench"
began_at: dict[str, float] = {}
ended: set[str] = set()


def _step() -> dict[str, str]:
    return {}


@DBOS.workflow(name="ten")
def ten(task_id: str) -> None:
    """The ten steps, as plain functions: quicker in DBOS than coroutines."""
    began_at[task_id] = time.monotonic()
    for number in range(STEPS):
        DBOS.run_step({"name": f"step {number}"}, _step)
    ended.add(task_id)


class Plain:
    """DBOS alone."""

    def __init__(self, url: str) -> None:
        self._config: DBOSConfig = {
            "name": "plain", "system_database_url": url, "log_level": "CRITICAL", "enable_otlp": False,
            "executor_id": "plain", "application_version": "1",
        }  # fmt: skip
        with self._working():  # makes the schema
            pass
        self._client = DBOSClient(system_database_url=url)

    async def throughput(self, tasks: int) -> float:
        """Seconds to execute so many tasks that are queued already."""
        return await asyncio.to_thread(self._throughput, tasks)

    async def latency(self, pauses_s: list[float]) -> list[float]:
        """Seconds from the submission of a task to its start, one after the other."""
        return await asyncio.to_thread(self._latency, pauses_s)

    async def idle(self, seconds: float) -> float:
        """Share of a core that this process uses while there is nothing to do."""
        return await asyncio.to_thread(self._idle, seconds)

    def _throughput(self, tasks: int) -> float:
        ids = {self._enqueue() for _ in range(tasks)}
        with self._working():
            began = time.monotonic()
            while not ids <= ended:
                time.sleep(0.005)
            while self._client.list_workflows(status=["PENDING", "ENQUEUED"], limit=1):
                time.sleep(0.005)
            return time.monotonic() - began

    def _latency(self, pauses_s: list[float]) -> list[float]:
        found = []
        with self._working():
            for pause_s in pauses_s:
                time.sleep(pause_s)
                began = time.monotonic()
                task_id = self._enqueue()
                while task_id not in began_at:
                    time.sleep(0.001)
                found.append(began_at[task_id] - began)
        return found

    def _idle(self, seconds: float) -> float:
        with self._working():
            time.sleep(1.0)
            began, used = time.monotonic(), time.process_time()
            time.sleep(seconds)
            return (time.process_time() - used) / (time.monotonic() - began)

    def _enqueue(self) -> str:
        task_id = str(uuid.uuid4())
        self._client.enqueue(
            {"workflow_name": "ten", "queue_name": QUEUE, "workflow_id": task_id, "app_version": "1"}, task_id
        )
        return task_id

    @contextmanager
    def _working(self) -> Iterator[None]:
        DBOS(config=self._config)
        DBOS.launch()
        DBOS.register_queue(QUEUE, worker_concurrency=PARALLEL, polling_interval_sec=POLL_S)
        try:
            yield
        finally:
            DBOS.destroy()


if __name__ == "__main__":
    asyncio.run(answer_all(Plain(sys.argv[1])))
