"""A small and a large database with their backups, and an empty one to restore into."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from backups import Place, at, new_database
from records import fill

from councilor.adapters.postgres.migrate import migrate


@pytest.fixture(scope="package")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="councilor-backup-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="package")
def place(_place_url: str, folder: Path) -> Place:
    """Never changed by a test."""
    url = _place_url
    migrate(url)
    with psycopg.connect(url) as connection:  # as the engine leaves it: tables of its own, and rows before any run
        connection.execute("CREATE SCHEMA dbos; CREATE TABLE dbos.workflow_status (id text PRIMARY KEY, status text)")
        connection.execute("CREATE TABLE dbos.dbos_migrations AS SELECT 7 AS version")
        connection.execute("INSERT INTO dbos.workflow_status VALUES ('run', 'PENDING')")
    councilor = at(folder / "data", url)
    fill(url, councilor.data_dir)
    councilor("db", "backup", folder / "backup.tar").expect(0)
    return Place(url, councilor, folder / "backup.tar")


@pytest.fixture(scope="package")
def _place_url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="package")
def heavy(postgres_url: str, folder: Path) -> Iterator[Place]:
    """Enough data that a dump takes a while; never changed by a test."""
    with new_database(postgres_url) as url:
        migrate(url)
        command = at(folder / "heavy", url)
        fill(url, command.data_dir, tasks=2, large_bytes=16 * 2**20)
        command("db", "backup", folder / "heavy.tar").expect(0)
        yield Place(url, command, folder / "heavy.tar")


@pytest.fixture
def target(empty_database_url: str, tmp_path: Path) -> Place:
    """Another data folder, and a database with nothing in it."""
    return Place(empty_database_url, at(tmp_path / "other", empty_database_url), tmp_path / "backup.tar")
