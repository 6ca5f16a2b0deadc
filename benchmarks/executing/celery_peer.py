"""The process of `make bench-executor` that executes tasks with Celery and Redis; it runs in the peers environment.

A worker of one process (`--pool solo`), late acknowledgement as one has it who must not lose tasks. Its ten steps are
ten calls: it remembers no steps.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from celery import Celery
from speech import answer_all

STEPS = 10
URL = os.environ["BENCH_REDIS"]
app = Celery("celery_peer", broker=URL)
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=10, task_ignore_result=True)
_store = redis.Redis.from_url(URL)


def _step() -> None:
    pass


@app.task(name="ten")
def ten(name: str) -> None:
    """The ten steps."""
    _store.set(f"began:{name}", repr(time.monotonic()))
    for _ in range(STEPS):
        _step()
    _store.incr("ended")


class Peer:
    """Celery with a worker process that is started for each question."""

    def __init__(self) -> None:
        self._number = 0
        self._worker: subprocess.Popen[bytes] | None = None

    async def throughput(self, tasks: int) -> float:
        """Seconds from the first start to the last end of so many tasks that are queued already."""
        return await asyncio.to_thread(self._throughput, tasks)

    async def latency(self, pauses_s: list[float]) -> list[float]:
        """Seconds from the submission of a task to its start, one after the other."""
        return await asyncio.to_thread(self._latency, pauses_s)

    async def idle(self, seconds: float) -> float:
        """Share of a core that the worker uses while there is nothing to do."""
        return await asyncio.to_thread(self._idle, seconds)

    def _throughput(self, tasks: int) -> float:
        _store.set("ended", 0)
        first = self._number + 1
        for _ in range(tasks):
            ten.delay(self._name())
        with self._working():
            while int(_store.get("ended") or 0) < tasks:
                time.sleep(0.002)
            began = _store.get(f"began:{first}")
            assert began is not None
            return time.monotonic() - float(began)

    def _latency(self, pauses_s: list[float]) -> list[float]:
        found = []
        with self._working():
            self._wait_for_start()
            for pause_s in pauses_s:
                time.sleep(pause_s)
                began, name = time.monotonic(), self._name()
                ten.delay(name)
                while (started := _store.get(f"began:{name}")) is None:
                    time.sleep(0.001)
                found.append(float(started) - began)
        return found

    def _idle(self, seconds: float) -> float:
        with self._working():
            self._wait_for_start()
            began, used = time.monotonic(), self._used_s()
            time.sleep(seconds)
            return (self._used_s() - used) / (time.monotonic() - began)

    def _wait_for_start(self) -> None:
        name = self._name()
        ten.delay(name)
        while _store.get(f"began:{name}") is None:
            time.sleep(0.01)
        time.sleep(1.0)

    def _used_s(self) -> float:
        assert self._worker is not None
        fields = Path(f"/proc/{self._worker.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @contextmanager
    def _working(self) -> Iterator[None]:
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "celery_peer",
            "worker",
            "--pool",
            "solo",
            "--loglevel",
            "ERROR",
        ]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, cwd=Path(__file__).parent, **quiet) as self._worker:  # type: ignore[call-overload]
            try:
                yield
            finally:
                self._worker.terminate()
                try:
                    self._worker.wait(10)
                except subprocess.TimeoutExpired:
                    self._worker.kill()

    def _name(self) -> str:
        self._number += 1
        return str(self._number)


if __name__ == "__main__":
    asyncio.run(answer_all(Peer()))
