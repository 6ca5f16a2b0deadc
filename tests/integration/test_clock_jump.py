"""A wall clock that jumps by hours, there and back, inside of a process that executes a task.

Nothing is the worse for it: the lease is kept, no task is begun twice, its time is neither gained nor lost.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from commandline import CommandLine, hand
from journey import BUG, FIX, branches, make_repository, make_spec
from psycopg.rows import dict_row
from wallclock import LIBRARY, WallClock, program

from councilor.adapters.ed25519 import KeyFolder
from councilor.domain.intervention import SILENT_S

AHEAD_H, BEHIND_H = 30.0, -50.0
KEY_AGE_H = 100.0
LEASE_S = 5.0
"""Shorter than the clock jumps about."""
SETTINGS = ("--set", f"engine.lease_s={LEASE_S:g}")
NOTICED_S = 2.5
"""Within which a process sees that its clock jumped."""


@pytest.fixture
def clock(tmp_path: Path, service_missing: Callable[[str], None]) -> WallClock:
    if LIBRARY is None:
        service_missing("no wall clock can be made to jump here (apt-get install faketime)")
    return WallClock(tmp_path / "offset")


@dataclass(frozen=True)
class Shop:
    """A repository, its queue, and a worker that waits for a word."""

    folder: Path
    database_url: str
    command: CommandLine
    jumping: CommandLine
    """The same in processes whose clock jumps."""

    @property
    def word(self) -> Path:
        return self.folder / "words" / "go"

    @property
    def options(self) -> tuple[str, ...]:
        wait = f"until test -e {self.word}; do sleep 0.05; done"
        script = f"{wait}; sed -i 's/{BUG}/{FIX}/' shop.py; echo 'I did it.'"
        return (*hand(self.folder, script, folders=[str(self.word.parent)], timeout_s=600.0), *SETTINGS)

    def submit(self, deadline_s: float) -> str:
        spec = self.folder / "SHOP-1.yaml"
        spec.write_text(make_spec(id="SHOP-1"))
        given = (spec, "--repo", self.folder / "repo", "--queue", "--deadline", f"{deadline_s:g}")
        options = (*given, "--iterations", "1", "--json")
        return str(self.command(*self.options, "submit", *options).expect(0).data["tasks"][0]["task_id"])

    def events(self, task: str) -> list[dict[str, Any]]:
        asked = "SELECT seq, attempt, type, ts, data FROM event WHERE task_id = %s ORDER BY seq"
        with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
            return connection.execute(asked, [task]).fetchall()

    def state(self, task: str) -> str:
        with psycopg.connect(self.database_url) as connection:
            (found,) = connection.execute("SELECT state FROM task_head WHERE task_id = %s", [task]).fetchall()
        return str(found[0])

    def queue(self, what: str) -> list[dict[str, Any]]:
        return list(self.command("queue", "list", "--json").expect(0).data[what])

    def until(self, task: str, state: str) -> None:
        self.until_in(lambda: self.state(task) == state)

    def until_in(self, met: Callable[[], bool], seconds: float = 60.0) -> None:
        began = time.monotonic()
        while not met():
            assert time.monotonic() - began < seconds, self.command("list").out
            time.sleep(0.05)


@pytest.fixture
def shop(tmp_path: Path, database_url: str, clock: WallClock) -> Shop:
    command = CommandLine(tmp_path / "data", env={"V3_STORAGE__DATABASE__URL": database_url})
    run = program("import runpy; runpy.run_module('councilor', run_name='__main__', alter_sys=True)")
    jumping = replace(command, env=command.env | clock.variables, program=run)
    KeyFolder(command.data_dir / "keys", now=lambda: datetime.now(UTC) - timedelta(hours=KEY_AGE_H)).signer()
    make_repository(tmp_path / "repo")
    (tmp_path / "words").mkdir()
    return Shop(tmp_path, database_url, command, jumping)


@contextmanager
def worker(command: CommandLine, shop: Shop) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process, which gives what it has back when it is told to stop, and is no trouble to others."""
    with command.start(*shop.options, "worker") as process:
        try:
            yield process
        finally:
            process.kill()
            if (left := process.communicate()[1]) is not None:
                print(left.decode())


def stopped(process: subprocess.Popen[bytes]) -> str:
    """What a process that was told to stop said; it ended well."""
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    return err.decode()


def only(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = (event for event in events if event["type"] == kind)
    return found


def test_a_task_is_executed_once_and_in_its_time_while_the_clock_jumps(shop: Shop, clock: WallClock) -> None:
    task = shop.submit(deadline_s=90.0)
    with worker(shop.jumping, shop) as process:
        shop.until(task, "working")
        (lease,) = shop.queue("workers")
        for hours in (AHEAD_H, BEHIND_H):
            clock.jump(hours)
            time.sleep(NOTICED_S)
        shop.word.touch()
        shop.until(task, "checking")
        clock.jump(AHEAD_H)
        shop.until(task, "completed")
        (kept,) = shop.queue("workers")
        stopped(process)
    assert (lease["executor_id"], lease["started_at"]) == (kept["executor_id"], kept["started_at"])
    events = shop.events(task)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert {event["attempt"] for event in events} == {0, 1}, "one execution"
    only(events, "worker.assigned"), only(events, "task.finished")
    times = [event["ts"] for event in events]
    assert max(times) - min(times) > timedelta(hours=AHEAD_H), "the clock did jump"
    finished = [event["data"] for event in events if event["type"] == "phase.finished"]
    assert all(0 <= data["duration_s"] < 90 for data in finished)
    spent_s = [data["spent_s"] for data in finished]
    assert spent_s == sorted(spent_s) and spent_s[-1] < 90
    assert len(branches(shop.folder / "repo")) == 2
    shop.command("verify", task).expect(0)


@pytest.mark.slow  # waits for a deadline
@pytest.mark.parametrize("hours", [AHEAD_H, BEHIND_H])
def test_a_clock_that_jumps_gives_a_task_no_time(shop: Shop, clock: WallClock, hours: float) -> None:
    deadline_s = 8.0
    task = shop.submit(deadline_s=deadline_s)
    with worker(shop.jumping, shop) as process:
        shop.until(task, "working")
        clock.jump(hours)
        shop.until_in(lambda: shop.state(task) in ("failed", "rejected", "undecided"))
        stopped(process)
    assert not shop.word.exists(), "nothing but its deadline has ended it"


@pytest.mark.slow  # two processes, one after the other
@pytest.mark.parametrize("hours", [AHEAD_H, BEHIND_H])
def test_who_takes_over_from_a_clock_that_jumped_loses_a_minute_at_most(
    shop: Shop, clock: WallClock, hours: float
) -> None:
    task = shop.submit(deadline_s=150.0)
    with worker(shop.jumping, shop) as process:
        shop.until(task, "working")
        clock.jump(hours)
        time.sleep(NOTICED_S)
        noticed = len(shop.events(task))
        shop.until_in(lambda: len(shop.events(task)) > noticed)  # its worker says nothing: a sign of life each 5 s
        process.kill()
        process.communicate()
    before = shop.events(task)[-1]
    assert before["type"] == "worker.heartbeat" and before["data"]["spent_s"] > NOTICED_S
    shop.word.touch()
    with worker(shop.command, shop) as process:  # its clock is right
        shop.until(task, "completed")
        stopped(process)
    events = shop.events(task)
    spent_s = [event["data"]["spent_s"] for event in events if "spent_s" in event["data"]]
    assert spent_s == sorted(spent_s) and spent_s[-1] < 150
    assert [event["attempt"] for event in events if event["type"] == "worker.assigned"] == [1, 2]
    first = next(event["data"]["spent_s"] for event in events if "spent_s" in event["data"] and event["attempt"] == 2)
    assert 0 <= first - before["data"]["spent_s"] < SILENT_S + 10


@pytest.mark.slow  # waits for the next try
def test_a_clock_behind_the_signing_key_interrupts_a_task_until_it_is_right(shop: Shop, clock: WallClock) -> None:
    task = shop.submit(deadline_s=90.0)
    with worker(shop.jumping, shop) as process:
        shop.until(task, "working")
        clock.jump(-2 * KEY_AGE_H)
        time.sleep(NOTICED_S)
        shop.word.touch()
        shop.until_in(lambda: {event["attempt"] for event in shop.events(task)} >= {2, 3})
        clock.jump(0)
        shop.until(task, "completed")
        assert "valid from" in stopped(process)
    only(shop.events(task), "task.finished")
    assert len(branches(shop.folder / "repo")) == 2
    shop.command("verify", task).expect(0)


OPEN_S = 8.0
TIMERS = """
import asyncio, json, time
from councilor.adapters.memory.cache import MemoryCache
from councilor.adapters.system import SystemClock, SystemIds, SystemRandomness
from councilor.domain.breaker import BreakerPolicy
from councilor.errors import UnavailableError
from councilor.guards.breaker import Breaker
from councilor.guards.tiers import TieredCache
from councilor.ports.metrics import NoMetrics


async def main():
    clock, metrics = SystemClock(), NoMetrics()
    ids = SystemIds(clock=clock)
    memory = {"max_items": 9, "max_bytes": 999, "ttl_s": 60.0, "clock": clock, "metrics": metrics}
    shared = MemoryCache(**memory)
    tiers = {"local": MemoryCache(**memory), "shared": shared, "ttl_s": 60.0, "fresh_s": 60.0}
    cache = TieredCache(**tiers, clock=clock, metrics=metrics)
    policy = BreakerPolicy(open_s=OPEN_S, jitter=0.0)
    breaker = Breaker("b", policy=policy, clock=clock, randomness=SystemRandomness(), listener=lambda event: None)

    async def fail():
        raise UnavailableError("down", backend="b")

    async def work():
        return "ok"

    async def ask(function):
        try:
            return await breaker.call(function)
        except UnavailableError as error:
            return type(error).__name__

    for number in range(policy.streak):
        await ask(fail)
    opened = time.monotonic()
    await cache.set("n", "short", b"1", ttl_s=OPEN_S)
    await cache.set("n", "long", b"1")
    made = [ids.new()]
    while (line := await asyncio.to_thread(input)) == "tell":
        made.append(ids.new())
        said = {
            "hour": round(time.time() / 3600), "breaker": await ask(work), "ids": made == sorted(made),
            "short": (await cache.get("n", "short")) is not None, "long": (await cache.get("n", "long")) is not None,
            "waited_s": time.monotonic() - opened,
        }
        print(json.dumps(said), flush=True)


asyncio.run(main())
"""


@pytest.mark.slow  # waits for the breaker
def test_a_clock_that_jumps_moves_no_breaker_and_no_cache(clock: WallClock) -> None:
    command = program(f"OPEN_S = {OPEN_S}; exec({TIMERS!r})")
    env = {**os.environ, **clock.variables}
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def tell() -> dict[str, Any]:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("tell\n")
            process.stdin.flush()
            return dict(json.loads(process.stdout.readline()))

        try:
            first = tell()
            for hours in (AHEAD_H, BEHIND_H):
                clock.jump(hours)
                time.sleep(NOTICED_S)
                said = tell()
                assert abs(said["hour"] - first["hour"] - hours) <= 1, "the clock did jump"
                if said["waited_s"] < OPEN_S:
                    assert said["breaker"] == "BreakerOpenError" and said["short"], "its time is not over"
                assert said["long"] and said["ids"]
            time.sleep(max(0.0, OPEN_S - said["waited_s"]) + 0.2)
            last = tell()
            assert last["breaker"] == "ok" and not last["short"], "its time is over"
            assert last["long"]
        finally:
            process.kill()
