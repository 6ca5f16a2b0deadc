"""Backups by doing: round trips, altered files, full databases, killed programs, full disks, passwords, drills."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from commandline import CommandLine
from psycopg.sql import SQL, Identifier
from records import contents, fill, throwaways

from councilor.adapters.postgres.catalogue import connect
from councilor.adapters.postgres.client import check_dumpable, make_client
from councilor.adapters.postgres.embedded import EmbeddedPostgres
from councilor.adapters.postgres.migrate import migrate, packaged_migrations
from councilor.adapters.postgres.restore import load_script
from councilor.domain.backup import sums_text
from councilor.errors import UnavailableError

needs_root = pytest.mark.skipif(os.geteuid() != 0 and "CI" not in os.environ, reason="only root can mount")


@dataclass(frozen=True)
class Place:
    """A data folder with keys, a database with tasks, and a backup of both."""

    url: str
    councilor: CommandLine
    backup: Path


@pytest.fixture(scope="module")
def module_folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="councilor-backup-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def place(_shared_place_database: str, module_folder: Path) -> Place:
    """Never changed by a test."""
    url = _shared_place_database
    migrate(url)
    with psycopg.connect(url) as connection:  # as the engine leaves it: tables of its own, and rows before any run
        connection.execute("CREATE SCHEMA dbos; CREATE TABLE dbos.workflow_status (id text PRIMARY KEY, status text)")
        connection.execute("CREATE TABLE dbos.dbos_migrations AS SELECT 7 AS version")
        connection.execute("INSERT INTO dbos.workflow_status VALUES ('run', 'PENDING')")
    councilor = at(module_folder / "data", url)
    fill(url, councilor.data_dir)
    councilor("db", "backup", module_folder / "backup.tar").expect(0)
    return Place(url, councilor, module_folder / "backup.tar")


@pytest.fixture(scope="module")
def _shared_place_database(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="module")
def heavy(postgres_url: str, module_folder: Path) -> Iterator[Place]:
    """Enough data that a dump takes a while; never changed by a test."""
    with new_database(postgres_url) as url:
        migrate(url)
        command = at(module_folder / "heavy", url)
        fill(url, command.data_dir, tasks=2, large_bytes=16 * 2**20)
        command("db", "backup", module_folder / "heavy.tar").expect(0)
        yield Place(url, command, module_folder / "heavy.tar")


@pytest.fixture
def target(empty_database_url: str, tmp_path: Path) -> Place:
    """Another data folder, and a database with nothing in it."""
    return Place(empty_database_url, at(tmp_path / "other", empty_database_url), tmp_path / "backup.tar")


@contextmanager
def new_database(server_url: str) -> Iterator[str]:
    name = f"backup_{os.urandom(8).hex()}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")  # type: ignore[call-overload]
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]


def at(data_dir: Path, url: str) -> CommandLine:
    return CommandLine(data_dir, {"V3_STORAGE__DATABASE__URL": url})


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def rebuilt(path: Path, target: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Path:
    """A backup with other contents, its manifest and sums made to fit."""
    held = members(path)
    manifest = json.loads(held.pop("manifest.json"))
    del held["SHA256SUMS"]
    change(manifest, held)
    manifest["members"] = [
        {"name": name, "size_bytes": len(data), "sha256": sha256(data).hexdigest()} for name, data in held.items()
    ]
    held["manifest.json"] = json.dumps(manifest).encode()
    sums = [Listed(name, sha256(data).hexdigest()) for name, data in held.items()]
    held["SHA256SUMS"] = sums_text(sums)  # type: ignore[arg-type]
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in held.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return target


@dataclass(frozen=True)
class Listed:
    name: str
    sha256: str


def wait_for(condition: Callable[[], object], *, timeout_s: float = 60) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found


def sessions(url: str, where: str = "true") -> list[Any]:
    """Backends of our programs in a database."""
    with psycopg.connect(url) as connection:
        query = (
            "SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            f"AND application_name LIKE 'councilor backup%' AND {where}"
        )
        return connection.execute(query).fetchall()  # type: ignore[call-overload]


# --- round trips -----------------------------------------------------------------------------------------------------


def test_what_is_restored_is_what_was_backed_up(place: Place, target: Place) -> None:
    restored = target.councilor("db", "restore", place.backup, "--json").expect(0).data
    assert contents(target.url) == contents(place.url)
    assert restored["sound"] and not restored["drill"]
    assert (restored["audit"]["tasks"], restored["audit"]["artifacts"], restored["audit"]["statements"]) == (3, 12, 12)
    keyid = restored["audit"]["keyids"][0]
    (published,) = (place.councilor.data_dir / "checkpoints").iterdir()
    kept = [f"checkpoints/{published.name}", f"keys/{keyid}.json", f"keys/{keyid}.pem"]
    assert sorted(restored["put_back"]) == kept
    assert (restored["audit"]["leaves"], restored["audit"]["outside_checkpoints"]) == (12, 1)
    assert restored["unknown_keyids"] == [keyid], "until now nobody here knew that key"
    assert (target.councilor.data_dir / kept[0]).read_bytes() == published.read_bytes()
    assert not (target.councilor.data_dir / "keys/signing-key.pem").exists()
    assert target.councilor("verify", "--json").expect(0).data["sound"]
    assert {item["task_id"] for item in target.councilor("list", "--json").expect(0).data} == place.councilor.tasks


def test_the_manifest_tells_what_is_in_the_file(place: Place) -> None:
    held = members(place.backup)
    manifest = json.loads(held["manifest.json"])
    assert [name.split("/")[0] for name in held] == [
        "checkpoints", "database.dump", "keys", "keys", "manifest.json", "SHA256SUMS",
    ]  # fmt: skip
    assert {f"{table['schema']}.{table['name']}": table["rows"] for table in manifest["tables"]}.items() >= {
        "public.task_head": 3, "public.event": 6, "public.execution_artifacts": 12, "dbos.workflow_status": 1,
    }.items()  # fmt: skip
    assert [line["name"] for line in manifest["migrations"]] == [item.name for item in packaged_migrations()]
    assert manifest["newest_checkpoint"]["size"] == 12
    assert manifest["server_version"] >= 150000 and manifest["database_bytes"] > 2**20
    assert manifest["with_private_key"] is False
    assert stat.S_IMODE(place.backup.stat().st_mode) == 0o600
    assert held["database.dump"].startswith(b"PGDMP")


def test_the_private_key_goes_along_only_when_asked(place: Place, target: Place, tmp_path: Path) -> None:
    old = place.councilor.data_dir / "keys/retired"
    try:
        old.write_bytes(b"-----BEGIN PRIVATE KEY-----\n")
        plain = place.councilor("db", "backup", tmp_path / "plain.tar").expect(0)
        assert "private signing key is not in it" in plain.err
        assert not any(b"PRIVATE KEY" in data for data in members(tmp_path / "plain.tar").values())
        whole = place.councilor("db", "backup", "--with-private-key", tmp_path / "whole.tar").expect(0)
        assert "PRIVATE signing key" in whole.err
        assert {"keys/signing-key.pem", "keys/retired"} < set(members(tmp_path / "whole.tar"))
        assert stat.S_IMODE((tmp_path / "whole.tar").stat().st_mode) == 0o600
    finally:
        old.unlink()
    target.councilor("db", "restore", tmp_path / "whole.tar").expect(0)
    back = target.councilor.data_dir / "keys/signing-key.pem"
    assert back.read_bytes() == (place.councilor.data_dir / "keys/signing-key.pem").read_bytes()
    assert stat.S_IMODE(back.stat().st_mode) == 0o600


def test_a_key_that_is_there_is_never_replaced(place: Place, target: Place) -> None:
    name = next(name for name in members(place.backup) if name.startswith("keys/") and name.endswith(".pem"))
    mine = target.councilor.data_dir / name
    mine.parent.mkdir(parents=True)
    mine.write_text("my own")
    printed = target.councilor("db", "restore", place.backup, "--json")
    assert printed.code != 0 and mine.read_text() == "my own"
    assert str(mine) in printed.err, "what is there is no key, and nothing is verified with it"
    assert count(target.url, "execution_artifacts") == 12, "the data is restored all the same"


def test_the_embedded_server_and_everything_in_it(councilor: CommandLine, place: Place, tmp_path: Path) -> None:
    """As root its programs run as the server's own user."""
    made = councilor("db", "backup", tmp_path / "own.tar", "--json").expect(0).data
    assert made["file"] == str(tmp_path / "own.tar") and made["size_bytes"] == (tmp_path / "own.tar").stat().st_size
    drilled = councilor("db", "restore", "--drill", tmp_path / "own.tar", "--json").expect(0).data
    assert drilled["sound"] and drilled["unknown_keyids"] == []
    folder = Path(tempfile.mkdtemp(prefix="ch-"))
    folder.chmod(0o711)
    fresh = CommandLine(folder / "data")
    try:
        assert "sound: 3 tasks, 12 artifacts" in fresh("db", "restore", place.backup).expect(0).out
        assert fresh.tasks == place.councilor.tasks
        assert "has rows" in fresh("db", "restore", place.backup).expect(2).err
    finally:
        fresh("db", "down")
        shutil.rmtree(folder, ignore_errors=True)


def test_a_backup_is_one_moment_while_others_write(place: Place, database_url: str, tmp_path: Path) -> None:
    writer = at(tmp_path / "busy", database_url)
    fill(database_url, writer.data_dir, tasks=1)
    program = "import sys; from pathlib import Path; from records import fill\n"
    program += "while True: fill(sys.argv[1], Path(sys.argv[2]), tasks=5, large_bytes=2000)"
    support = Path(__file__).parents[1] / "support"
    command = [sys.executable, "-c", program, database_url, str(writer.data_dir)]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(support)}) as other:
        try:
            wait_for(lambda: len(contents(database_url)) and count(database_url, "task_head") > 5)
            writer("db", "backup", tmp_path / "busy.tar").expect(0)
            after = count(database_url, "task_head")
        finally:
            other.kill()
    drilled = writer("db", "restore", "--drill", tmp_path / "busy.tar", "--json").expect(0).data
    assert drilled["row_findings"] == [] and 5 < drilled["audit"]["tasks"] <= after


def count(url: str, table: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[call-overload]
        return int(row[0])


def test_memory_does_not_grow_with_the_database(place: Place, heavy: Place, tmp_path: Path) -> None:
    """The most memory that one process of it takes, in KiB, for 9 MiB and for 32 MiB of data."""
    program = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL); "
    program += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    for order in ("backup", "restore"):
        peaks = []
        for kind in (place, heavy):
            rest = (tmp_path / f"{kind.backup.stem}.tar",) if order == "backup" else ("--drill", kind.backup)
            command = [sys.executable, "-c", program, sys.executable, "-m", "councilor", "db", order, *map(str, rest)]
            done = subprocess.run(command, env=os.environ | kind.councilor._own, capture_output=True, check=True)
            peaks.append(int(done.stdout.split()[-1]))
        # verifying holds one artifact, here of 3 and of 16 MiB, some times over; that is the store's own affair
        most = 8 if order == "backup" else 8 + 3 * 13
        assert peaks[1] - peaks[0] < most * 1024, (order, peaks)


# --- files that are no backups ---------------------------------------------------------------------------------------


def test_an_existing_file_is_replaced_only_by_force(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("mine")
    assert "--force" in place.councilor("db", "backup", path).expect(2).err
    assert path.read_text() == "mine"
    place.councilor("db", "backup", "--force", path).expect(0)
    assert path.read_bytes()[:11] == b"checkpoints"
    assert "no folder" in place.councilor("db", "backup", tmp_path / "no/file").expect(2).err
    assert [item.name for item in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize("where", ["header", "dump", "key", "manifest", "sums"])
def test_a_flipped_byte_changes_nothing(where: str, place: Place, target: Place) -> None:
    data = bytearray(place.backup.read_bytes())
    marks = {"header": b"ustar", "dump": b"PGDMP", "key": b"BEGIN PUBLIC", "manifest": b'"tables"', "sums": b"  keys/"}
    position = data.index(marks[where]) + (200_000 if where == "dump" else 1)
    data[position] ^= 1
    target.backup.write_bytes(data)
    for extra in ((), ("--drill",)):
        printed = target.councilor("db", "restore", target.backup, *extra)
        assert printed.code in (1, 2) and "another backup" in printed.err, printed.err
    assert contents(target.url) == {}
    assert not (target.councilor.data_dir / "keys").exists()


@pytest.mark.parametrize("share", [0.0, 0.4, 0.999])
def test_a_cut_file_changes_nothing(share: float, place: Place, target: Place) -> None:
    whole = place.backup.read_bytes()
    target.backup.write_bytes(whole[: int(len(whole) * share)])
    assert "no whole backup" in target.councilor("db", "restore", target.backup).expect(2).err
    assert contents(target.url) == {}


def test_a_hostile_member_goes_nowhere(place: Place, target: Place, tmp_path: Path) -> None:
    for name, kind in (("../evil", tarfile.REGTYPE), ("keys/x", tarfile.SYMTYPE), ("/tmp/evil", tarfile.REGTYPE)):
        with tarfile.open(target.backup, "w") as archive:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd" if kind == tarfile.SYMTYPE else ""
            archive.addfile(entry)
        target.councilor("db", "restore", target.backup).expect(2)
        target.councilor("db", "restore", "--drill", target.backup).expect(2)
    assert not (tmp_path / "evil").exists() and not Path("/tmp/evil").exists()
    assert contents(target.url) == {}


def test_a_backup_of_a_newer_or_altered_release_is_refused(place: Place, target: Place) -> None:
    def add(manifest: dict[str, Any], held: dict[str, bytes]) -> None:
        manifest["migrations"].append({"number": 900, "name": "900_later.sql", "sha256": "0" * 64})

    def alter(manifest: dict[str, Any], held: dict[str, bytes]) -> None:
        manifest["migrations"][0]["sha256"] = "0" * 64

    rebuilt(place.backup, target.backup, add)
    printed = target.councilor("db", "restore", target.backup).expect(2)
    assert "900_later" in printed.err and "Upgrade councilor" in printed.err
    rebuilt(place.backup, target.backup, alter)
    assert "edited" in target.councilor("db", "restore", "--drill", target.backup).expect(1).err
    assert contents(target.url) == {}


# --- databases that are not empty ------------------------------------------------------------------------------------


def test_a_database_in_use_is_refused(place: Place) -> None:
    before = contents(place.url)
    printed = place.councilor("db", "restore", place.backup).expect(2)
    assert "has rows" in printed.err and "--drill" in printed.err
    assert contents(place.url) == before


def test_a_run_that_the_engine_knows_is_use(place: Place, target: Place) -> None:
    migrate(target.url)
    with psycopg.connect(target.url) as connection:
        connection.execute("CREATE SCHEMA dbos; CREATE TABLE dbos.workflow_status AS SELECT 1 AS id")
    assert "dbos.workflow_status has rows" in target.councilor("db", "restore", place.backup).expect(2).err


def test_tables_of_somebody_else_are_refused(place: Place, target: Place) -> None:
    with psycopg.connect(target.url) as connection:
        connection.execute("CREATE TABLE customers (name text)")
    before = contents(target.url)
    assert "public.customers" in target.councilor("db", "restore", place.backup).expect(2).err
    assert contents(target.url) == before


def test_an_empty_schema_of_another_release_makes_room(place: Place, target: Place) -> None:
    """As after `councilor list` with a newer release: its tables are there, with things that the backup has not."""
    migrate(target.url)
    with psycopg.connect(target.url) as connection:
        connection.execute(
            "CREATE SCHEMA dbos; CREATE TABLE dbos.workflow_status (id text); CREATE TABLE dbos.settings AS SELECT 1;"
            "CREATE TYPE mood AS ENUM ('a'); CREATE DOMAIN hash AS bytea;"
            "CREATE TABLE later (id uuid REFERENCES execution_artifacts, mood mood, hash hash, n serial);"
            "CREATE VIEW latest AS SELECT * FROM later;"
            "CREATE FUNCTION refuse_more() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;"
            "CREATE TRIGGER more BEFORE INSERT ON later FOR EACH ROW EXECUTE FUNCTION refuse_more()"
        )
    target.councilor("db", "restore", place.backup).expect(0)
    assert contents(target.url) == contents(place.url)


# --- failures in the middle ------------------------------------------------------------------------------------------


def test_a_dump_that_ends_early_leaves_the_database_as_it_was(place: Place, target: Place) -> None:
    def cut(manifest: dict[str, Any], held: dict[str, bytes]) -> None:
        held["database.dump"] = held["database.dump"][: len(held["database.dump"]) // 2]

    migrate(target.url)
    before = contents(target.url)
    rebuilt(place.backup, target.backup, cut)
    printed = target.councilor("db", "restore", target.backup).expect(4)
    assert "pg_restore did not do its work" in printed.err
    assert contents(target.url) == before
    assert list((target.councilor.data_dir / "keys").iterdir()) == [], "no key of a backup that failed is trusted"
    target.councilor("db", "restore", place.backup).expect(0)


def test_a_statement_that_fails_leaves_the_database_as_it_was(place: Place, target: Place) -> None:
    """The last one of all: the tables are full by then."""
    migrate(target.url)
    before = contents(target.url)
    with psycopg.connect(target.url, autocommit=True) as admin:
        admin.execute(
            "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN "
            "IF current_query() LIKE '%execution_artifacts_parent_id_fkey%' THEN RAISE 'not this one'; END IF; END$$;"
            "CREATE SCHEMA apart; ALTER FUNCTION refuse SET SCHEMA apart;"
            "CREATE EVENT TRIGGER refusing ON ddl_command_end EXECUTE FUNCTION apart.refuse()"
        )
    printed = target.councilor("db", "restore", place.backup).expect(4)
    assert "psql did not do its work" in printed.err and "not this one" in printed.err
    assert contents(target.url) == before


def test_counts_that_are_not_the_manifests_are_found(place: Place, target: Place) -> None:
    def miscount(manifest: dict[str, Any], held: dict[str, bytes]) -> None:
        next(table for table in manifest["tables"] if table["name"] == "event")["rows"] += 1

    rebuilt(place.backup, target.backup, miscount)
    printed = target.councilor("db", "restore", "--drill", target.backup, "--json").expect(1)
    assert printed.data["row_findings"] == ["public.event has 6 rows, not 7"]


def test_an_unreachable_server_leaves_no_file(tmp_path: Path) -> None:
    nobody = at(tmp_path / "data", f"postgresql://me:hunter2@/db?host={tmp_path}")
    folder = tmp_path / "backups"
    folder.mkdir()
    printed = nobody("db", "backup", folder / "x.tar").expect(4)
    assert "hunter2" not in printed.err and list(folder.iterdir()) == []
    assert nobody("db", "check").code == 4


def test_kill_minus_9_during_a_backup_leaves_no_file(heavy: Place, tmp_path: Path) -> None:
    with heavy.councilor.start("db", "backup", tmp_path / "cut.tar") as process:
        wait_for(lambda: written_by(process.pid) > 2**20)
        process.send_signal(signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []
    wait_for(lambda: not sessions(heavy.url))


def written_by(pid: int) -> int:
    """The largest file without a name, or with a hidden one, that a process has open; in bytes."""
    sizes = [0]
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if "deleted" in str(entry.readlink()) or ".part" in str(entry.readlink()):
                sizes.append(entry.stat().st_size)
        except OSError:
            continue
    return max(sizes)


def test_kill_minus_9_during_a_restore_leaves_the_database_as_it_was(heavy: Place, target: Place) -> None:
    migrate(target.url)
    before = contents(target.url)
    with target.councilor.start("db", "restore", heavy.backup) as process:
        wait_for(lambda: sessions(target.url, "query LIKE 'COPY public.artifact_chunks%' AND state = 'active'"))
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: not sessions(target.url))
    assert contents(target.url) == before
    target.councilor("db", "restore", heavy.backup).expect(0)
    assert contents(target.url) == contents(heavy.url)


def test_an_interrupted_restore_ends_its_programs(heavy: Place, target: Place) -> None:
    with target.councilor.start("db", "restore", heavy.backup) as process:
        wait_for(lambda: sessions(target.url, "query LIKE 'COPY public.artifact_chunks%' AND state = 'active'"))
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    wait_for(lambda: not sessions(target.url))
    assert contents(target.url) == {}
    assert list((target.councilor.data_dir / "keys").iterdir()) == []


@needs_root
def test_a_full_disk_leaves_no_file_and_the_old_one(heavy: Place, place: Place, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], check=True)
    try:
        place.councilor("db", "backup", disk / "old.tar").expect(0)
        before = (disk / "old.tar").read_bytes()
        for arguments in ((disk / "new.tar",), ("--force", disk / "old.tar")):
            printed = heavy.councilor("db", "backup", *arguments).expect(4)
            assert "no space left" in printed.err and "another disk" in printed.err, printed.err
            assert [path.name for path in disk.iterdir()] == ["old.tar"]
        assert (disk / "old.tar").read_bytes() == before
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


# --- drills ----------------------------------------------------------------------------------------------------------


def test_a_drill_touches_nothing(place: Place) -> None:
    before, files = contents(place.url), sorted(place.councilor.data_dir.rglob("*.pem"))
    drilled = place.councilor("db", "restore", "--drill", place.backup, "--json").expect(0).data
    assert drilled["drill"] and drilled["sound"] and drilled["unknown_keyids"] == []
    assert (contents(place.url), sorted(place.councilor.data_dir.rglob("*.pem"))) == (before, files)
    assert throwaways(place.url) == set()
    assert list((place.councilor.data_dir / "temporary").iterdir()) == []


def test_a_drill_finds_what_was_altered_before_the_backup(database_url: str, tmp_path: Path) -> None:
    command = at(tmp_path / "data", database_url)
    fill(database_url, command.data_dir)
    with psycopg.connect(database_url) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("UPDATE artifact_chunks SET body = set_byte(body, 7, get_byte(body, 7) # 1) WHERE seq = 1")
        owner.execute("UPDATE execution_artifacts SET tree = 'other' WHERE name = 'verdict/1'")
    command("db", "backup", tmp_path / "altered.tar").expect(0)
    drilled = command("db", "restore", "--drill", tmp_path / "altered.tar", "--json").expect(1).data
    assert drilled["audit"]["findings_total"] == 6 and not drilled["sound"]
    problems = [finding["problem"] for finding in drilled["audit"]["findings"]]
    assert any("bytes" in problem for problem in problems) and any("tree" in problem for problem in problems)
    assert "NOT sound" in command("db", "restore", "--drill", tmp_path / "altered.tar").expect(1).out
    assert throwaways(database_url) == set()


def test_artifacts_without_events_and_verdicts_without_artifacts_are_found(database_url: str, tmp_path: Path) -> None:
    command = at(tmp_path / "data", database_url)
    first, second, _ = fill(database_url, command.data_dir, large_bytes=100)
    with psycopg.connect(database_url) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("DELETE FROM event WHERE task_id = %s", [first])
        owner.execute("DELETE FROM task_head WHERE task_id = %s", [first])
        owner.execute(
            "DELETE FROM artifact_inputs WHERE child_id IN (SELECT id FROM execution_artifacts WHERE task_id = %s)",
            [second],
        )
        for table in ("artifact_versions", "log_entries"):  # or the dump could not be restored
            owner.execute(
                SQL(
                    "DELETE FROM {} WHERE artifact_id IN (SELECT id FROM execution_artifacts WHERE task_id = %s)"
                ).format(Identifier(table)),
                [second],
            )
        owner.execute("DELETE FROM execution_artifacts WHERE task_id = %s", [second])
    command("db", "backup", tmp_path / "cut.tar").expect(0)
    found = command("db", "restore", "--drill", tmp_path / "cut.tar", "--json").expect(1).data["audit"]
    assert (found["tasks"], found["artifacts"]) == (3, 8)
    named = {finding["name"] for finding in found["findings"]}
    assert named >= {first, second} and "checkpoint of 12 leaves" in named


def test_a_drill_rehearses_pending_migrations(empty_database_url: str, tmp_path: Path) -> None:
    first = [item for item in packaged_migrations() if item.number <= 7]
    migrate(empty_database_url, migrations=first)
    command = at(tmp_path / "data", empty_database_url)
    command("db", "backup", tmp_path / "early.tar").expect(0)
    pending = [item.name for item in packaged_migrations() if item.number > 7]
    drilled = command("db", "restore", "--drill", tmp_path / "early.tar", "--json").expect(0).data
    assert drilled["migrated"] == pending
    assert count(empty_database_url, "schema_migration") == len(first), "a backup migrates nothing"


def test_what_a_killed_drill_left_goes_with_the_next(heavy: Place) -> None:
    with heavy.councilor.start("db", "restore", "--drill", heavy.backup) as process:
        wait_for(lambda: throwaways(heavy.url))
        process.send_signal(signal.SIGKILL)
    (left,) = throwaways(heavy.url)
    drilled = heavy.councilor("db", "restore", "--drill", heavy.backup, "--json").expect(0).data
    assert drilled["sound"] and throwaways(heavy.url) == set(), left


# --- servers of others -----------------------------------------------------------------------------------------------


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
