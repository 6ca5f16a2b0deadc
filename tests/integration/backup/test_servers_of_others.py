"""Backups of servers that are not ours: passwords, rights, TLS, other versions."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from backups import Place, at, sessions, wait_for
from records import contents, fill, throwaways

from councilor.adapters.postgres.catalogue import connect
from councilor.adapters.postgres.client import check_dumpable, make_client
from councilor.adapters.postgres.embedded import EmbeddedPostgres
from councilor.adapters.postgres.migrate import migrate
from councilor.adapters.postgres.restore import load_script
from councilor.errors import UnavailableError


@pytest.fixture(scope="module")
def guarded_server() -> Iterator[EmbeddedPostgres]:
    """A server that asks everybody but its superuser for a password."""
    folder = Path(tempfile.mkdtemp(prefix="councilor-pg-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres(folder / "postgres")
    try:
        with psycopg.connect(server.up(), autocommit=True) as admin:
            admin.execute("CREATE ROLE keeper LOGIN PASSWORD 'hunter 2&\\\"''x'")
            admin.execute("CREATE DATABASE kept OWNER keeper")
            admin.execute("CREATE DATABASE spare OWNER keeper")
            (folder / "postgres/data/pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
            admin.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        server.down()
        shutil.rmtree(folder, ignore_errors=True)


def keeper(server: EmbeddedPostgres, database: str, password: str = "hunter%202%26%5C%22%27x") -> str:
    return server.url(database).replace("postgres@", f"keeper:{password}@")


def test_a_server_with_a_password(guarded_server: EmbeddedPostgres, tmp_path: Path) -> None:
    kept, spare = (keeper(guarded_server, name) for name in ("kept", "spare"))
    migrate(kept)
    command = at(tmp_path / "data", kept)
    fill(kept, command.data_dir, tasks=1)
    with psycopg.connect(guarded_server.url("kept")) as blocker:
        blocker.execute("LOCK TABLE artifact_chunks IN ACCESS EXCLUSIVE MODE NOWAIT")
        with command.start("db", "backup", tmp_path / "kept.tar") as process:
            # counting waits for the lock first, pg_dump comes when that is gone
            wait_for(lambda: sessions(guarded_server.url("kept")))
            blocker.rollback()
            seen = set()
            while process.poll() is None:
                seen |= set(command_lines())
    assert process.returncode == 0
    assert any("pg_dump" in line for line in seen) and not any("hunter" in line for line in seen)
    at(tmp_path / "data", spare)("db", "restore", tmp_path / "kept.tar").expect(0)
    assert contents(guarded_server.url("spare")) == contents(guarded_server.url("kept"))
    wrong = at(tmp_path / "data", keeper(guarded_server, "kept", "hunter3"))
    printed = wrong("db", "backup", tmp_path / "no.tar").expect(4)
    assert "hunter3" not in printed.err and not (tmp_path / "no.tar").exists()


def command_lines() -> Iterator[str]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue


def test_a_user_who_may_not_create_databases(guarded_server: EmbeddedPostgres, place: Place, tmp_path: Path) -> None:
    command = at(tmp_path / "data", keeper(guarded_server, "kept"))
    for order in (("db", "restore", "--drill", place.backup), ("db", "check")):
        printed = command(*order).expect(4)
        assert 'ALTER ROLE "keeper" CREATEDB' in printed.err
    with psycopg.connect(guarded_server.url("kept"), autocommit=True) as admin:
        admin.execute("ALTER ROLE keeper CREATEDB")
    try:
        command("db", "restore", "--drill", place.backup).expect(0)
        command("db", "check").expect(0)
        assert throwaways(guarded_server.url()) == set()
    finally:
        with psycopg.connect(guarded_server.url("kept"), autocommit=True) as admin:
            admin.execute("ALTER ROLE keeper NOCREATEDB")


def test_the_programs_know_tls_on_another_server(place: Place, tmp_path: Path) -> None:
    """The wheel's own would say that TLS is not compiled in."""

    async def ask() -> str:
        async with connect(place.url) as connection:
            client = await make_client(connection, copies=tmp_path, embedded=False)
        async with client.run(
            "psql", "--dbname=host=127.0.0.1 port=1 sslmode=require", "--command=SELECT 1"
        ) as program:
            with pytest.raises(UnavailableError) as caught:
                await program.finish()
            return caught.value.message

    assert "Connection refused" in asyncio.run(ask())


def test_a_newer_server_is_refused_by_both_numbers() -> None:
    check_dumpable(180004)
    check_dumpable(150018)
    with pytest.raises(UnavailableError, match=r"PostgreSQL 19.*of 18") as caught:
        check_dumpable(190001)
    assert caught.value.hint()


async def test_a_setting_that_older_servers_do_not_know_is_left_out(empty_database_url: str, tmp_path: Path) -> None:
    async with connect(empty_database_url) as connection:
        client = await make_client(connection, copies=tmp_path, embedded=False)

    async def script() -> Any:
        yield b"CREATE TABLE seen AS SELECT $$SET transaction_time"
        yield b"out = 0;\nrest$$ AS text;\n"

    await load_script(client, script(), drop_empty=False)
    with psycopg.connect(empty_database_url) as reader:
        assert reader.execute("SELECT text FROM seen").fetchone() == ("rest",)
