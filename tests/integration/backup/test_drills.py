"""Drills: a backup restored into a throw-away database and audited there."""

from __future__ import annotations

import signal
from pathlib import Path

import psycopg
from backups import Place, at, count, wait_for
from psycopg.sql import SQL, Identifier
from records import contents, fill, throwaways

from councilor.adapters.postgres.migrate import migrate, packaged_migrations


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
