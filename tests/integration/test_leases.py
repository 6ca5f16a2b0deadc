"""Who is taken for dead before its lease has expired, and who is not."""

from __future__ import annotations

import asyncio
import threading

import psycopg
import pytest

from councilor.adapters.postgres.lease import LeaseKeeper
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.queue import DatabaseTaskQueue

ONE, TWO = (f"0190aaaa-0000-7000-8000-00000000000{number}" for number in (1, 2))
LEASE_S = 3.0
GONE_PID = 2**22 + 1
"""No process has such an id."""


def silence(url: str, executor_id: str) -> None:
    """What is there of a process whose connection has been gone for a while."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            """UPDATE executor_lease SET session_pid = %s, renewed_at = now() - interval '2 s',
                                         expires_at = now() + interval '1 h' WHERE executor_id = %s""",
            [GONE_PID, executor_id],
        )


async def test_a_process_that_cannot_be_back_yet_after_a_restart_of_the_database_is_not_dead(
    emptied_database_url: str,
) -> None:
    """All connections were ended; the first that is back must not take the others for dead."""
    async with Pool(emptied_database_url) as pool:
        queue = DatabaseTaskQueue(pool)
        for executor_id in (ONE, TWO):
            await queue.enlist(executor_id, host="h", pid=7, version="1", lease_s=LEASE_S)
        silence(emptied_database_url, ONE)
        assert list(await queue.reap()) == [] and len(await queue.leases()) == 2, "nobody knows since when it is back"
        with LeaseKeeper(emptied_database_url, executor_id=TWO, lease_s=LEASE_S, lost=pytest.fail):
            await asyncio.sleep(0.3)
            await queue.reap()
            assert len(await queue.leases()) == 2, "the database itself is back only now"
            await asyncio.sleep(LEASE_S / 4)
            await queue.reap()
            assert [lease.executor_id for lease in await queue.leases()] == [TWO], "it had its time to come back"


async def test_a_lease_that_cannot_be_renewed_for_whatever_reason_is_lost_and_says_so(
    emptied_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the process would go on, and believe that its tasks are its own."""

    def defect(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("councilor.adapters.postgres.lease.psycopg.connect", defect)
    lost = threading.Event()
    with LeaseKeeper(emptied_database_url, executor_id=ONE, lease_s=0.3, lost=lost.set):
        assert await asyncio.to_thread(lost.wait, 5)
