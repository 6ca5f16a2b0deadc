"""Probes of the database against real servers: one that works, is behind, was set back, or hangs."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg.sql import SQL, Identifier
from storing import execute, signing

from councilor.adapters.ed25519 import Ed25519Signer
from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.probes import DatabaseProbe, LogProbe, PoolProbe, QueueProbe
from councilor.adapters.system import SystemClock
from councilor.domain.checkpoint import Checkpoint, SignedCheckpoint
from councilor.domain.health import HealthStatus
from councilor.errors import InputError, UnavailableError
from councilor.pipeline.health import HealthMonitor

FAIL, PASS, WARN = HealthStatus.FAIL, HealthStatus.PASS, HealthStatus.WARN


def database(url: str | None) -> DatabaseProbe:
    return DatabaseProbe(lambda: url, clock=SystemClock())


@pytest.fixture
def silence() -> Iterator[str]:
    """The URL of something that takes connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"postgresql://somebody:secret-word@127.0.0.1:{listener.getsockname()[1]}/nothing"


async def test_a_migrated_server_is_well_and_its_latency_known(database_url: str):
    check = await database(database_url).check()
    assert (check.status, check.measurement, check.unit) == (PASS, "latency", "s")
    assert 0 < check.observed < 5 and check.output.startswith("PostgreSQL ")


async def test_a_schema_that_is_behind_is_a_warning(empty_database_url: str):
    check = await database(empty_database_url).check()
    assert check.status is WARN and "migrations" in check.output


async def test_a_schema_of_a_newer_release_cannot_be_used(database_url: str):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO schema_migration VALUES (999, '999_later.sql', sha256('x'))")
    with pytest.raises(InputError, match="999_later"):
        await database(database_url).check()


async def test_a_server_that_takes_no_writes_fails(database_url: str):
    name = database_url.rsplit("/", 1)[1].split("?")[0]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(Identifier(name)))
    check = await database(database_url).check()
    assert check.status is FAIL and "no writes" in check.output


async def test_no_server_running_yet_is_no_fault_but_one_that_refuses_is():
    assert (await database(None).check()).status is WARN
    with pytest.raises(UnavailableError):
        await database("postgresql://nobody@127.0.0.1:9/nothing").check()


async def test_a_server_that_answers_nothing_is_told_in_time(silence: str):
    probes = (database(silence), LogProbe(lambda: silence, published=lambda _: (), clock=SystemClock()))
    monitor = HealthMonitor(probes, every_s=0.1, timeout_s=0.3, clock=SystemClock(), metrics=RecordingMetrics())
    began_s = time.monotonic()
    async with monitor.watching():
        while monitor.health().observations[0].time is None:
            await asyncio.sleep(0.01)
        assert time.monotonic() - began_s < 10
        health = monitor.health()
        assert list(health.failing) == ["database"], "what is in it is no second fault"
        assert "no answer" in health.observations[0].check.output
    assert time.monotonic() - began_s < 10


# --- the log


def log(url: str, *, size: int = 0, now: datetime | None = None) -> LogProbe:
    clock = FakeClock(start=now or datetime(2026, 1, 1, tzinfo=UTC))
    published = [signed(size)] if size else []
    return LogProbe(lambda: url, published=lambda _origin: published, clock=clock)


def signed(size: int) -> SignedCheckpoint:
    signer = Ed25519Signer(Ed25519PrivateKey.generate())
    return signing(signer)(Checkpoint(origin="councilor/test", size=size, root=bytes(32)))


def wait_since(url: str, moment: datetime) -> None:
    """Let one statement wait for a checkpoint since then; whose it is does not matter here."""
    artifact_id = UUID(int=int(moment.timestamp() * 1000) << 80 | 0x7 << 76 | 0b10 << 62)
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        admin.execute("INSERT INTO log_identity (origin) VALUES ('councilor/test')")
        admin.execute("INSERT INTO log_pending (artifact_id) VALUES (%s)", [artifact_id])


async def test_nothing_recorded_is_well(database_url: str, empty_database_url: str):
    for url in (database_url, empty_database_url):
        assert (await log(url).check()).status is PASS
    assert (await LogProbe(lambda: None, published=lambda _: (), clock=SystemClock()).check()).status is PASS


async def test_statements_that_wait_for_long_are_a_warning(database_url: str):
    moment = datetime(2026, 5, 1, tzinfo=UTC)
    wait_since(database_url, moment)
    soon = await log(database_url, now=moment + timedelta(seconds=10)).check()
    late = await log(database_url, now=moment + timedelta(seconds=100)).check()
    assert (soon.status, soon.observed) == (PASS, 10.0)
    assert (late.status, late.observed) == (WARN, 100.0)
    back = await log(database_url, now=moment - timedelta(hours=1)).check()
    assert (back.status, back.observed) == (PASS, 0.0), "a clock that was set back"


async def test_a_log_that_is_shorter_than_what_was_published_is_an_alarm(database_url: str):
    execute(database_url, "INSERT INTO log_identity (origin) VALUES ('councilor/test')")
    check = await log(database_url, size=7).check()
    assert (check.standing, check.fallback) == (FAIL, None)
    assert "7 statements" in check.output and "verify" in check.detail


# --- queue and pool


async def test_tasks_that_wait_are_counted_and_missed_workers_told(database_url: str, empty_database_url: str):
    metrics = RecordingMetrics()
    probe = QueueProbe(lambda: database_url, metrics=metrics)
    assert (await probe.check()).observed == 0
    for number, column, value in (
        (1, "paused", "false"), (2, "paused", "true"), (3, "not_before", "now() + interval '1 hour'"),
        (4, "not_before", "now() - interval '1 hour'"),
    ):  # fmt: skip
        enqueue(database_url, number, column, value)
    enqueue(database_url, 5, "paused", "false")
    execute(database_url, f"UPDATE task_queue SET after = '{{{UUID(int=2)}}}' WHERE task_id = '{UUID(int=5)}'")
    alone = await probe.check()
    assert (alone.status, alone.observed, metrics.value("v3.engine.queued")) == (WARN, 2, 2)
    assert "councilor worker" in alone.output
    execute(
        database_url,
        f"""INSERT INTO executor_lease (executor_id, host, pid, version, lease, expires_at)
            VALUES ('{UUID(int=9)}', 'here', 1, '1', '1 s', now() + interval '1 hour')""",
    )
    assert (await probe.check()).status is PASS
    execute(database_url, f"UPDATE task_queue SET executor_id = '{UUID(int=9)}' WHERE task_id = '{UUID(int=1)}'")
    assert (await probe.check()).observed == 1
    execute(database_url, "UPDATE executor_lease SET expires_at = now() - interval '1 s'")
    assert (await probe.check()).status is WARN
    for nothing in (None, empty_database_url):
        assert (await QueueProbe(lambda url=nothing: url, metrics=metrics).check()).observed == 0


def enqueue(url: str, number: int, column: str, value: str) -> None:
    task_id = UUID(int=number)
    execute(
        url,
        f"""INSERT INTO task_head
            VALUES ('{task_id}', 1, 'queued', '/r', 'S-1', 't', 3, NULL, NULL, NULL, now(), now());
            INSERT INTO task_queue (task_id, repository, tier, priority, after, enqueued_at, {column})
            VALUES ('{task_id}', '/r', 3, 0, '{{}}', now(), {value})""",
    )


async def test_callers_that_wait_for_a_connection_are_seen(database_url: str):
    metrics = RecordingMetrics()
    async with Pool(database_url, max_connections=1) as pool:
        probe = PoolProbe(pool.usage, metrics=metrics)
        assert (await probe.check()).status is PASS
        assert metrics.value("v3.database.connections", state="idle") == 1
        async with asyncio.TaskGroup() as group, pool.connection():
            waiting = group.create_task(take(pool))
            await until(lambda: pool.usage()["waiting"] == 1)
            check = await probe.check()
            assert check.status is WARN and "1 callers wait" in check.output
            shown = {state: metrics.value("v3.database.connections", state=state) for state in pool.usage()}
            assert shown == {"idle": 0, "used": 1, "waiting": 1}
        await waiting
        assert (await probe.check()).status is PASS


async def take(pool: Pool) -> None:
    async with pool.connection():
        pass


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)
