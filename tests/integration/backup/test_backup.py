"""Backups by doing: round trips, altered files, databases that are not empty."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import pytest
from backups import Place, at, count, members, rebuilt, wait_for
from commandline import CommandLine
from processes import with_support
from records import contents, fill

from councilor.adapters.postgres.migrate import migrate, packaged_migrations

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
    command = [sys.executable, "-c", program, database_url, str(writer.data_dir)]
    with subprocess.Popen(command, env=with_support()) as other:
        try:
            wait_for(lambda: len(contents(database_url)) and count(database_url, "task_head") > 5)
            writer("db", "backup", tmp_path / "busy.tar").expect(0)
            after = count(database_url, "task_head")
        finally:
            other.kill()
    drilled = writer("db", "restore", "--drill", tmp_path / "busy.tar", "--json").expect(0).data
    assert drilled["row_findings"] == [] and 5 < drilled["audit"]["tasks"] <= after


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
