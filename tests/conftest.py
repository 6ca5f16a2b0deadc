"""What every test may ask for."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from commandline import CommandLine
from psycopg.sql import SQL, Identifier
from servers import RedisServer, ServerMissing, redis_server

from councilor.adapters.postgres.embedded import EmbeddedPostgres
from councilor.adapters.postgres.migrate import migrate
from councilor.adapters.sandbox.choose import choose_sandbox
from councilor.adapters.system import SystemClock
from councilor.errors import SandboxError, UnavailableError
from councilor.ports.metrics import NoMetrics
from councilor.ports.sandbox import Sandbox

LARGE_BYTES = 8 * 2**20
"""Of a database between two tests, dead rows included; emptying it in the quick way would leave it so large."""


def pytest_configure() -> None:
    """Hear Ctrl-C: a script's background job is born deaf to it, and so would be what the tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def service_missing() -> object:
    """Skip because a service is missing; in CI that is a failure."""

    def missing(reason: str) -> None:
        if os.environ.get("CI"):
            pytest.fail(f"a service is missing in CI: {reason}")
        pytest.skip(reason)

    return missing


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory, service_missing: Callable[[str], None]) -> Sandbox:
    """The one that a run would choose here; chosen once, for its attempts to break out take a while."""
    scratch = tmp_path_factory.mktemp("sandbox")
    try:
        return asyncio.run(choose_sandbox(scratch=scratch, metrics=NoMetrics(), clock=SystemClock()))
    except SandboxError as error:
        service_missing(error.message)
        raise


@pytest.fixture(scope="session")
def postgres_url(service_missing: Callable[[str], None]) -> Iterator[str]:
    """A server for the whole session: the one named by V3_TEST_DATABASE_URL, else an embedded one of its own."""
    if url := os.environ.pop("V3_TEST_DATABASE_URL", None):  # no setting: commands would refuse it
        yield url
        return
    folder = Path(tempfile.mkdtemp(prefix="councilor-test-"))
    folder.chmod(0o711)  # as root the server's own user passes through
    server = EmbeddedPostgres(folder / "postgres")
    try:
        try:
            url = server.up()
            _trade_durability_for_speed(url)
            yield url
        except UnavailableError as error:
            service_missing(f"{error} {error.hint()}")
    finally:
        server.down()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _template_database(postgres_url: str) -> Iterator[str]:
    """The name of a migrated database to copy from."""
    with _new_database(postgres_url) as (name, url):
        migrate(url)
        yield name


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A fresh database with nothing in it."""
    with _new_database(postgres_url) as (_, url):
        yield url


@pytest.fixture
def database_url(postgres_url: str, _template_database: str) -> Iterator[str]:
    """A fresh database, migrated."""
    with _new_database(postgres_url, template=_template_database) as (_, url):
        yield url


@pytest.fixture(scope="session")
def engine_database_url(postgres_url: str) -> Iterator[str]:
    """A database that all tests of the engine share: its schema takes a quarter of a second to make."""
    with _new_database(postgres_url) as (_, url):
        yield url


@pytest.fixture(scope="session")
def _shared_database_url(postgres_url: str, _template_database: str) -> Iterator[str]:
    with _new_database(postgres_url, template=_template_database) as (_, url):
        yield url


@pytest.fixture
def emptied_database_url(_shared_database_url: str) -> Iterator[str]:
    """A migrated database whose tables are empty; ten times quicker than a fresh one."""
    yield _shared_database_url
    with psycopg.connect(_shared_database_url, autocommit=True) as admin:
        found = admin.execute(
            """SELECT tablename, pg_total_relation_size(tablename::regclass) FROM pg_tables
               WHERE schemaname = 'public' AND tablename <> 'schema_migration'"""
        ).fetchall()
        tables = [Identifier(name) for name, _ in found]
        admin.execute("SET session_replication_role = replica")  # what is recorded refuses to be removed
        if sum(size for _, size in found) > LARGE_BYTES:
            admin.execute(SQL("TRUNCATE {}").format(SQL(", ").join(tables)))
        else:  # five times quicker where there is little
            admin.execute(SQL("; ").join(SQL("DELETE FROM {}").format(table) for table in tables))


@pytest.fixture(scope="session")
def _session_redis(service_missing: Callable[[str], None]) -> Iterator[RedisServer]:
    with _starting_redis(service_missing) as start:
        yield start()


@pytest.fixture
def redis(_session_redis: RedisServer) -> RedisServer:
    """An empty redis-server that is shared with other tests: nothing may be done to it but what clients do."""
    _session_redis.command("FLUSHALL")
    return _session_redis


@pytest.fixture
def start_redis(service_missing: Callable[[str], None]) -> Iterator[Callable[..., RedisServer]]:
    """Start redis-servers that a test may stop, kill and fill; they end with it."""
    with _starting_redis(service_missing) as start:
        yield start


@contextmanager
def _starting_redis(service_missing: Callable[[str], None]) -> Iterator[Callable[..., RedisServer]]:
    with ExitStack() as stack:

        def start(**options: str) -> RedisServer:
            try:
                return stack.enter_context(redis_server(**options))
            except ServerMissing as missing:
                service_missing(str(missing))
                raise

        yield start


@pytest.fixture(scope="session")
def councilor(service_missing: Callable[[str], None]) -> Iterator[CommandLine]:
    """The command line with a data folder of its own, in which an embedded server runs."""
    folder = Path(tempfile.mkdtemp(prefix="councilor-cli-"))
    folder.chmod(0o711)  # as root the server's own user passes through
    command = CommandLine(folder / "data")
    try:
        up = command("db", "up")
        if up.code == 4:
            service_missing(up.err)
        up.expect(0)
        yield command
    finally:
        command("db", "down")
        shutil.rmtree(folder, ignore_errors=True)


def _trade_durability_for_speed(url: str) -> None:
    """Databases come and go with each test; tests about durability start a server of their own."""
    with psycopg.connect(url, autocommit=True) as admin:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            admin.execute(SQL("ALTER SYSTEM SET {} = off").format(Identifier(setting)))
        admin.execute("SELECT pg_reload_conf()")


@contextmanager
def _new_database(server_url: str, *, template: str = "template0") -> Iterator[tuple[str, str]]:
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
    try:
        yield name, urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
