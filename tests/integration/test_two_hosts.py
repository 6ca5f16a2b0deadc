"""Two hosts, one database: one that is cut off in the middle of its tasks loses them to the other, and writes nothing.

The hosts are network namespaces with a cable each to the database, which asks for a password.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from lightworker import LOST, command, lines_of, submit
from processes import with_support

from councilor.adapters.postgres.embedded import EmbeddedPostgres
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.migrate import migrate
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.queue import DatabaseTaskQueue
from councilor.domain.event import EventType

STEPS = 3
LEASE_S = 4.0
PASSWORD = "only of this test"
PORT = 5432
"""Of the embedded server, on the addresses of this test only."""


@dataclass(frozen=True)
class Host:
    """A network namespace, and the near end of its cable."""

    name: str
    cable: str
    address: str
    """The database's, at this cable."""

    def url(self, database: str) -> str:
        return f"postgresql://worker:{PASSWORD.replace(' ', '%20')}@{self.address}:{PORT}/{database}"

    def start(self, **given: Any) -> subprocess.Popen[bytes]:
        inside = ["ip", "netns", "exec", self.name, *command(given)]
        return subprocess.Popen(inside, env=with_support(), stdout=subprocess.PIPE, stderr=sys.stderr)

    def cut(self) -> None:
        ip("link", "set", self.cable, "down")

    def join(self) -> None:
        ip("link", "set", self.cable, "up")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@contextmanager
def a_host(number: int) -> Iterator[Host]:
    mine = f"{os.getpid() % 100_000}"
    name, near, far = f"cw{mine}-{number}", f"cw{mine}n{number}", f"cw{mine}f{number}"
    net = f"10.213.{(os.getpid() % 100) * 2 + number}"
    with ExitStack() as stack:
        ip("netns", "add", name)
        stack.callback(ip, "netns", "del", name)
        ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        ip("addr", "add", f"{net}.1/24", "dev", near)
        ip("link", "set", near, "up")
        ip("-n", name, "addr", "add", f"{net}.2/24", "dev", far)
        ip("-n", name, "link", "set", far, "up")
        ip("-n", name, "link", "set", "lo", "up")
        yield Host(name, near, f"{net}.1")


@pytest.fixture
def hosts(service_missing: Callable[[str], None]) -> Iterator[tuple[Host, Host]]:
    if os.geteuid() != 0 or shutil.which("ip") is None:
        service_missing("network namespaces need root and iproute2 (apt-get install iproute2)")
    with ExitStack() as stack:
        try:
            made = tuple(stack.enter_context(a_host(number)) for number in (0, 1))
        except subprocess.CalledProcessError as error:
            service_missing(f"no network namespace can be made here: {error.stderr}")
        yield made[0], made[1]


@pytest.fixture
def server(hosts: tuple[Host, Host]) -> Iterator[EmbeddedPostgres]:
    """A database that both hosts reach, with a role of its own that may not do everything."""
    folder = Path(tempfile.mkdtemp(prefix="cw-"))
    folder.chmod(0o711)
    made = EmbeddedPostgres(folder / "postgres")
    try:
        with psycopg.connect(made.up(), autocommit=True) as admin:
            admin.execute(f"CREATE ROLE worker LOGIN PASSWORD '{PASSWORD}'")  # type: ignore[call-overload]  # ours
            admin.execute("CREATE DATABASE shared OWNER worker")
            addresses = ",".join(host.address for host in hosts)
            admin.execute(f"ALTER SYSTEM SET listen_addresses = '{addresses}'")  # type: ignore[call-overload]  # ours
        made.down()
        with (folder / "postgres/data/pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.213.0.0/16 scram-sha-256\n")
        made.up()
        yield made
    finally:
        made.down()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow  # half a minute, most of it until the lonely host gives up
async def test_the_tasks_of_a_host_that_is_cut_off_are_finished_by_the_other(
    hosts: tuple[Host, Host], server: EmbeddedPostgres, tmp_path: Path
) -> None:
    lonely, other = hosts
    log, url = tmp_path / "log", server.url("shared")
    migrate(other.url("shared"))
    async with Pool(other.url("shared")) as pool:
        events, queue = DatabaseEventStream(pool), DatabaseTaskQueue(pool)
        tasks = await submit(events, queue, 6)
        given = {"log": str(log), "steps": STEPS, "pause_s": 0.6, "lease_s": LEASE_S, "parallel": 2}
        processes = {host.name: host.start(url=host.url("shared"), host=host.name, **given) for host in (lonely, other)}
        try:
            await until(lambda: claims(url, lonely.name) and claims(url, other.name) and lines_of(log))
            lonely.cut()
            cut_at, theirs = time.monotonic(), claims(url, lonely.name)
            assert theirs
            begun = {task for (task,) in ask(url, "SELECT task_id::text FROM task_head WHERE attempt > 0")}
            await until(lambda: not claims(url, lonely.name))
            assert time.monotonic() - cut_at < LEASE_S + 4
            await until(lambda: not ask(url, "SELECT FROM task_queue"))
            # Still cut off: it finds that out by itself, and ends.
            assert await asyncio.to_thread(processes[lonely.name].wait, 60) == LOST
            before = ask(url, "SELECT task_id, seq, attempt FROM event ORDER BY 1, 2")
            lonely.join()
            await asyncio.sleep(0.5)
            assert ask(url, "SELECT task_id, seq, attempt FROM event ORDER BY 1, 2") == before
        finally:
            for process in processes.values():
                process.kill()
                process.communicate()
        for task in tasks:
            found = await events.read(task, limit=1000)
            assert [event.type for event in found].count(EventType.TASK_FINISHED) == 1
            attempts = [event.attempt for event in found]
            assert attempts == sorted(attempts)
            # one that had only been claimed when the cable was cut is begun by the other one
            assert attempts[-1] == 2 or task not in theirs or task not in begun, "the other one went on with it"
            assert {int(step) for name, step, _ in lines_of(log) if name == task} == set(range(STEPS))


def ask(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as connection:
        return list(connection.execute(statement).fetchall())  # type: ignore[call-overload]  # constants


def claims(url: str, host: str) -> list[str]:
    """Tasks that a host executes."""
    found = ask(
        url,
        "SELECT q.task_id::text FROM task_queue q JOIN executor_lease l ON l.executor_id = q.executor_id"
        f" WHERE l.host = '{host}'",
    )
    return [task for (task,) in found]


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.05)
