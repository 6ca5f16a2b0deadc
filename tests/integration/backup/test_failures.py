"""Backups and restores that fail in the middle: cut files, killed programs, full disks."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import psycopg
from backups import Place, at, rebuilt, sessions, wait_for
from disks import needs_root, small_disk
from records import contents

from councilor.adapters.postgres.migrate import migrate


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
    with small_disk(tmp_path / "disk", kib=16 * 1024) as disk:
        place.councilor("db", "backup", disk / "old.tar").expect(0)
        before = (disk / "old.tar").read_bytes()
        for arguments in ((disk / "new.tar",), ("--force", disk / "old.tar")):
            printed = heavy.councilor("db", "backup", *arguments).expect(4)
            assert "no space left" in printed.err and "another disk" in printed.err, printed.err
            assert [path.name for path in disk.iterdir()] == ["old.tar"]
        assert (disk / "old.tar").read_bytes() == before
