"""Connections and the meaning of their failures, on a real server."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from councilor.adapters.postgres import pool as pool_module
from councilor.adapters.postgres.failures import check_server
from councilor.adapters.postgres.pool import Pool
from councilor.errors import DeadlineError, InputError, UnavailableError


async def test_a_connection_is_set_up_as_promised(database_url: str) -> None:
    async with (
        Pool(database_url, statement_timeout_s=7, application_name="me") as pool,
        pool.connection() as connection,
    ):
        cursor = await connection.execute(
            "SELECT current_setting('TimeZone'), current_setting('statement_timeout'),"
            " current_setting('application_name'), current_setting('client_encoding')"
        )
        assert await cursor.fetchone() == ("UTC", "7s", "me", "UTF8")


async def test_a_transaction_is_undone_by_an_exception(database_url: str) -> None:
    async with Pool(database_url) as pool:
        with pytest.raises(KeyError):
            async with pool.transaction() as connection:
                await connection.execute("CREATE TABLE t ()")
                raise KeyError
        async with pool.connection() as connection:
            cursor = await connection.execute("SELECT to_regclass('t')")
            assert await cursor.fetchone() == (None,)


async def test_a_statement_that_takes_too_long_is_a_deadline(database_url: str) -> None:
    async with Pool(database_url, statement_timeout_s=0.5) as pool:
        with pytest.raises(DeadlineError) as caught:
            async with pool.connection() as connection:
                await connection.execute("SELECT pg_sleep(10)")
        assert caught.value.deadline_s == 0.5


async def test_a_pool_without_a_free_connection_is_a_deadline(database_url: str) -> None:
    async with Pool(database_url, max_connections=1, connect_timeout_s=1) as pool, pool.connection():
        with pytest.raises(DeadlineError):
            async with pool.connection():
                pass


async def test_a_cut_connection_is_unavailable_once_and_replaced(database_url: str) -> None:
    async with Pool(database_url, max_connections=1) as pool:
        with pytest.raises(UnavailableError):
            async with pool.connection() as connection:
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        async with pool.connection() as connection:
            cursor = await connection.execute("SELECT pg_backend_pid()")
            row = await cursor.fetchone()
            assert row is not None
        with psycopg.connect(database_url, autocommit=True) as admin:  # cut while it lies idle in the pool
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [row[0]])
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")


@pytest.mark.parametrize(
    ("statement", "expected", "hint"),
    [
        ("SELECT 1/0", InputError, ""),
        ("SELECT 'x'::uuid", InputError, ""),
        ("SELECT * FROM nowhere", UnavailableError, "councilor db up"),
        ("DO $$ BEGIN RAISE disk_full; END $$", UnavailableError, "space"),
        ("DO $$ BEGIN RAISE serialization_failure; END $$", UnavailableError, "again"),
        ("BEGIN READ ONLY; CREATE TABLE x ()", UnavailableError, "primary"),
    ],
)
async def test_failures_say_what_to_do(database_url: str, statement: str, expected: type[Exception], hint: str) -> None:
    async with Pool(database_url) as pool:
        with pytest.raises(expected) as caught:
            async with pool.connection() as connection:
                await connection.execute(statement)  # type: ignore[call-overload]
    assert type(caught.value) is expected
    assert hint in caught.value.hint()  # type: ignore[attr-defined]


async def test_an_unreachable_server_is_unavailable_and_names_no_password(tmp_path: Path) -> None:
    for url in ("postgresql://me:hunter2@127.0.0.1:1/db", f"postgresql://me:hunter2@/db?host={tmp_path}"):
        with pytest.raises(UnavailableError) as caught:
            async with Pool(url):
                pass
        assert caught.value.backend == "postgres"
        assert "storage.database.url" in caught.value.hint()
        assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


async def test_a_server_that_says_nothing_is_a_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://me:hunter2@127.0.0.1:{silent.getsockname()[1]}/db"
        with pytest.raises(DeadlineError) as caught:
            async with Pool(url, connect_timeout_s=2):
                pass
    assert "hunter2" not in str(caught.value)


async def test_a_missing_database_or_user_is_unavailable(postgres_url: str) -> None:
    with pytest.raises(UnavailableError, match="does not exist"):
        async with Pool(urlsplit(postgres_url)._replace(path="/nowhere").geturl()):
            pass


def test_a_url_that_is_none_is_bad_input() -> None:
    with pytest.raises(InputError) as caught:
        Pool("postgresql://me:hunter2@host/db?nonsense=1")
    assert "hunter2" not in f"{caught.value} {caught.value.hint()} {caught.value.__cause__}"


@pytest.mark.parametrize(("version", "fits"), [(140012, False), (90624, False), (150000, True), (180004, True)])
def test_servers_before_15_are_refused(version: int, fits: bool) -> None:
    if fits:
        check_server(version)
    else:
        with pytest.raises(UnavailableError, match="needs 15"):
            check_server(version)


async def test_cancellation_passes_through_and_gives_the_connection_back(database_url: str) -> None:
    async with Pool(database_url, max_connections=1) as pool:

        async def wait() -> None:
            async with pool.connection() as connection:
                started.set()
                await connection.execute("SELECT pg_sleep(60)")

        started = asyncio.Event()
        waiting = asyncio.create_task(wait())
        async with asyncio.timeout(20):
            await started.wait()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            async with pool.connection() as connection:
                await connection.execute("SELECT 1")


async def test_a_cancellation_at_the_moment_in_which_a_connection_is_free_is_heard(database_url: str) -> None:
    """Asyncio's own wait forgets it before Python 3.12; what is cancelled then would go on for ever."""
    async with Pool(database_url, max_connections=1) as pool:
        for turns in range(60):
            held = asyncio.Event()

            async def wait_for_it(held: asyncio.Event) -> None:
                held.set()
                async with pool.connection():
                    await asyncio.Event().wait()

            async with pool.connection():
                waiting = asyncio.create_task(wait_for_it(held))
                await held.wait()
                await asyncio.sleep(0.001)  # it stands in the pool's line
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting], timeout=10)
            assert waiting.cancelled(), f"{turns} turns of the loop after the connection was given back"


async def test_a_transaction_of_a_process_that_was_stopped_is_ended(
    emptied_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its locks would keep every other process waiting until it is killed."""
    monkeypatch.setattr(pool_module, "ABANDONED_S", 0.3)
    async with Pool(emptied_database_url) as stopped, Pool(emptied_database_url) as other:
        with pytest.raises(UnavailableError):
            async with stopped.transaction() as connection:
                await connection.execute("SELECT pg_advisory_xact_lock(1)")
                async with asyncio.timeout(5), other.transaction() as waiting:
                    await waiting.execute("SELECT pg_advisory_xact_lock(1)")
