"""Worker processes that are killed or frozen at every place, and a database that is restarted, fills up or jumps ahead.

The tasks are light (tests/support/lightworker.py): three steps, each leaves a line in a file. All else is real.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from lightworker import LOST, command, lines_of, submit
from processes import with_support
from servers import own_server
from wallclock import LIBRARY, WallClock

from councilor.adapters.postgres import programs
from councilor.adapters.postgres.embedded import EmbeddedPostgres
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.postmaster import processes_in
from councilor.adapters.postgres.queue import DatabaseTaskQueue
from councilor.adapters.system import SystemClock, SystemIds
from councilor.domain.event import EventType
from councilor.domain.queue import QueueLimits

STEPS = 3
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk, which needs root")


@dataclass
class Plant:
    """Processes on one database."""

    url: str
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self, **given: Any) -> subprocess.Popen[bytes]:
        """Start a process; it is ready when this returns."""
        about = {"url": self.url, "log": str(self.log), "steps": STEPS} | given
        process = subprocess.Popen(command(about), env=with_support(), stdout=subprocess.PIPE, stderr=sys.stderr)
        self.processes.append(process)
        return process

    def places(self, *places: str) -> str:
        """The file that says where processes end themselves."""
        file = self.folder / "places"
        file.write_text("\n".join(places))
        return str(file)

    async def submit(self, tasks: int = 1) -> list[str]:
        async with Pool(self.url) as pool:
            return await submit(DatabaseEventStream(pool), DatabaseTaskQueue(pool), tasks)

    def ask(self, statement: str) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            return list(connection.execute(statement).fetchall())  # type: ignore[call-overload]  # constants below

    async def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(psycopg.OperationalError):  # restarted by the test
                    if await asyncio.to_thread(condition):
                        return
                await asyncio.sleep(0.05)

    async def is_empty(self, seconds: float = 60.0) -> None:
        await self.until(lambda: self.ask("SELECT count(*) FROM task_queue") == [(0,)], seconds)

    async def ended_once(self, tasks: list[str]) -> None:
        """Every task was completed, once; no step ran again after a later one; nobody wrote for an older attempt."""
        async with Pool(self.url) as pool:
            events = DatabaseEventStream(pool)
            for task in tasks:
                found = await events.read(task, limit=1000)
                assert [event.type for event in found].count(EventType.TASK_FINISHED) == 1
                assert found[-1].type is EventType.TASK_FINISHED
                attempts = [event.attempt for event in found]
                assert attempts == sorted(attempts)
        steps: dict[str, list[int]] = {task: [] for task in tasks}
        for task, step, _ in lines_of(self.log):
            steps[task].append(int(step))
        for task, found_steps in steps.items():
            assert found_steps == sorted(found_steps), (task, found_steps)
            assert set(found_steps) == set(range(STEPS)), (task, found_steps)

    def end(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.communicate()


@pytest.fixture
def plant(tmp_path: Path, database_url: str) -> Iterator[Plant]:
    made = Plant(database_url, tmp_path)
    yield made
    made.end()


async def test_killed_at_every_boundary_and_in_every_step_each_step_is_done_once(plant: Plant) -> None:
    (task,) = await plant.submit()
    boundaries = [f"after {number}" for number in range(STEPS)]
    within = [f"before {number}" for number in range(STEPS)]
    places = [place for pair in zip(within, boundaries, strict=True) for place in pair]
    end = plant.places(*(f"{place} SIGKILL" for place in [*places, "told"]))
    for number in range(len(places) + 2):
        # One of them always waits already; their clocks differ by two days.
        plant.start(end=end, skew_s=86_400.0 * (-1) ** number)
    await plant.is_empty(180.0)
    assert sum(process.poll() == -signal.SIGKILL for process in plant.processes) == len(places) + 1
    await plant.ended_once([task])
    assert [int(step) for _, step, _ in lines_of(plant.log)] == list(range(STEPS))


async def test_only_a_step_that_was_not_remembered_is_done_again(plant: Plant) -> None:
    (task,) = await plant.submit()
    end = plant.places("done 1 SIGKILL")
    for _ in range(2):
        plant.start(end=end)
    await plant.is_empty()
    await plant.ended_once([task])
    assert Counter(step for _, step, _ in lines_of(plant.log)) == {"0": 1, "1": 2, "2": 1}


async def test_a_process_frozen_in_the_middle_of_storing_an_artifact_stores_nothing_later(plant: Plant) -> None:
    (task,) = await plant.submit()
    end = plant.places("put SIGSTOP")
    zombie = plant.start(end=end, body_bytes=64 * 2**20)
    await plant.until(lambda: not Path(end).read_text())
    heir = plant.start(body_bytes=64 * 2**20, until_empty=True)
    await plant.is_empty()
    assert heir.wait(30) == 0
    zombie.send_signal(signal.SIGCONT)
    assert zombie.wait(60) == LOST
    assert plant.ask(f"SELECT attempt FROM execution_artifacts WHERE task_id = '{task}'") == [(2,)]
    await plant.ended_once([task])


# --- the database ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def own_plant(folder: Path, disk: Path | None = None) -> AsyncIterator[tuple[Plant, EmbeddedPostgres]]:
    with own_server(disk or folder) as server:
        made = Plant(server.url(), folder)
        try:
            yield made, server
        finally:
            await asyncio.to_thread(made.end)


async def restart(server: EmbeddedPostgres, folder: Path, *, away_s: float = 0.0) -> None:
    """End the server as a crash would, and start it again."""
    while pids := processes_in(folder / "postgres"):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(away_s)
    await asyncio.to_thread(server.up)


async def test_a_database_that_is_restarted_in_a_task_and_in_its_recovery_costs_no_task(short_folder: Path) -> None:
    async with own_plant(short_folder) as (plant, server):
        tasks = await plant.submit(3)
        first = plant.start(pause_s=0.3, lease_s=4.0)
        await plant.until(lambda: lines_of(plant.log))
        await restart(server, short_folder)  # in the middle of steps
        before = len(lines_of(plant.log))
        await plant.until(lambda: len(lines_of(plant.log)) > before)
        plant.start(pause_s=0.1, lease_s=4.0)
        await plant.until(lambda: len(plant.ask("SELECT FROM executor_lease")) == 2)
        first.kill()
        await asyncio.sleep(0.5)
        await restart(server, short_folder)  # before, or while, the other one takes over
        await plant.is_empty()
        await plant.ended_once(tasks)


@pytest.mark.slow  # away for a quarter of a minute
async def test_a_database_that_is_away_for_longer_than_is_waited_for_it_strands_no_task(short_folder: Path) -> None:
    """The lease outlives it: nobody takes the tasks over, and the process has to go on with them by itself."""
    async with own_plant(short_folder) as (plant, server):
        tasks = await plant.submit(5)
        process = plant.start(pause_s=0.4, lease_s=60.0, parallel=3)
        await plant.until(lambda: len(lines_of(plant.log)) >= 2)
        await restart(server, short_folder, away_s=15.0)
        await plant.is_empty(90)
        assert process.poll() is None and len(plant.processes) == 1
        await plant.ended_once(tasks)


@needs_root
@pytest.mark.slow  # fills and recovers a server: half a minute
async def test_a_full_disk_interrupts_tasks_and_they_go_on_when_there_is_space(short_folder: Path) -> None:
    disk = short_folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=260m,mode=0711", "tmpfs", disk], check=True)
    try:
        async with own_plant(short_folder, disk) as (plant, server):
            tasks = await plant.submit(4)
            plant.start(pause_s=0.1, body_bytes=4 * 2**20, lease_s=6.0, parallel=4)
            await plant.until(lambda: lines_of(plant.log))
            ballast = disk / "ballast"
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - 2 * 2**20)
            await asyncio.sleep(4)
            assert len([step for _, step, _ in lines_of(plant.log) if int(step) == STEPS - 1]) < len(tasks)
            assert plant.processes[0].poll() in (None, LOST)
            ballast.unlink()
            await asyncio.to_thread(server.up)
            plant.start(body_bytes=4 * 2**20, lease_s=6.0)
            await plant.is_empty(120)
            await plant.ended_once(tasks)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


async def test_a_server_whose_clock_is_set_back_misses_a_dead_process_all_the_same(database_url: str) -> None:
    gone, here = SystemIds(clock=SystemClock()).new(), SystemIds(clock=SystemClock()).new()
    async with Pool(database_url) as pool:
        queue = DatabaseTaskQueue(pool)
        (task,) = await submit(DatabaseEventStream(pool), queue, 1)
        for id_, lease_s in ((gone, 0.3), (here, 600.0)):
            await queue.enlist(id_, host="h", pid=1, version="1", lease_s=lease_s)
        assert await queue.claim(gone, limits=QueueLimits(per_repository=9))
        async with pool.connection() as connection:  # what is stored is hours ahead of the clock now
            ahead = "renewed_at = renewed_at + interval '5 h', expires_at = expires_at + interval '5 h'"
            await connection.execute(f"UPDATE executor_lease SET {ahead}")  # type: ignore[call-overload]  # a constant
        assert await queue.reap() == [], "it may live, and renews its lease in a moment"
        await asyncio.sleep(0.4)
        assert await queue.reap() == [task]
        (left,) = await queue.leases()
        assert left.executor_id == here and left.expires_at < datetime.now(UTC) + timedelta(seconds=601)


@pytest.mark.slow  # waits for leases
@pytest.mark.parametrize("hours", [5.0, -5.0])
async def test_a_machine_whose_clock_jumps_with_its_database_loses_no_task(
    short_folder: Path, hours: float, service_missing: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ahead, all leases are over at once, and processes end that others may have taken for dead."""
    if LIBRARY is None:
        service_missing("no wall clock can be made to jump here (apt-get install faketime)")
    clock = WallClock(short_folder / "offset")
    monkeypatch.setattr(programs, "CLOSED_ENVIRONMENT", programs.CLOSED_ENVIRONMENT | clock.variables)
    async with own_plant(short_folder) as (plant, _):
        tasks = await plant.submit(6)
        for _ in range(2):
            plant.start(pause_s=0.5, lease_s=4.0)
        await plant.until(lambda: len(lines_of(plant.log)) >= 2)
        clock.jump(hours)
        plant.processes[0].kill()
        await plant.until(lambda: abs(plant.ask("SELECT now()")[0][0].timestamp() - time.time()) > 3600)
        if hours > 0:
            assert await asyncio.to_thread(plant.processes[1].wait, 30) == LOST
        plant.start(pause_s=0.1, lease_s=4.0)
        await plant.is_empty()
        await plant.ended_once(tasks)


# --- many ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow  # a thousand tasks: one to three minutes
@pytest.mark.timeout(900)
async def test_a_thousand_tasks_whose_executors_are_killed_at_random_end_once_each(plant: Plant) -> None:
    chance = Random(7)
    tasks = await plant.submit(1000)
    kills = 0
    began = time.monotonic()
    while plant.ask("SELECT count(*) FROM task_queue") != [(0,)]:
        assert time.monotonic() - began < 800
        living = [process for process in plant.processes if process.poll() is None]
        living += [plant.start(parallel=8) for _ in range(3 - len(living))]
        await asyncio.sleep(chance.uniform(0.5, 3.0))
        victim = chance.choice(living)
        frozen = chance.random() < 0.2
        victim.send_signal(signal.SIGSTOP if frozen else signal.SIGKILL)
        kills += 1
        if frozen:
            await asyncio.sleep(4.5)  # longer than the lease
            victim.send_signal(signal.SIGCONT)
        else:
            victim.wait()
    assert kills >= 10
    await plant.ended_once(tasks)
