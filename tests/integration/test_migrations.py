"""The migration runner on a real server."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from councilor.adapters.postgres.migrate import Migration, migrate, packaged_migrations
from councilor.errors import DeadlineError, InputError, IntegrityError, UnavailableError


def file(number: int, sql: str, name: str = "step") -> Migration:
    return Migration(number=number, name=f"{number:03}_{name}.sql", body=sql.encode())


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return list(connection.execute(query).fetchall())  # type: ignore[call-overload]


def tables(url: str) -> set[object]:
    return {row[0] for row in rows(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


FIRST = file(1, "CREATE TABLE one (n int); CREATE TABLE two (n int)")
FIFTH = file(5, "INSERT INTO one VALUES (5)")


def test_the_packaged_migrations_apply_once_and_make_every_table(empty_database_url: str) -> None:
    assert migrate(empty_database_url) == [known.name for known in packaged_migrations()]
    made = tables(empty_database_url)
    assert made >= {"event", "task_head", "execution_artifacts", "artifact_blobs", "artifact_chunks", "artifact_inputs"}
    assert made >= {"artifact_versions", "artifact_aliases", "artifact_releases", "legal_holds"}
    assert made >= {"log_identity", "log_pending", "log_entries", "log_subtrees", "log_checkpoints"}
    assert migrate(empty_database_url) == []
    assert tables(empty_database_url) == made


def test_gaps_are_allowed_and_filled_later(empty_database_url: str) -> None:
    assert migrate(empty_database_url, migrations=[FIRST, FIFTH]) == [FIRST.name, FIFTH.name]
    third = file(3, "INSERT INTO one VALUES (3)")
    assert migrate(empty_database_url, migrations=[FIRST, third, FIFTH]) == [third.name]
    assert rows(empty_database_url, "SELECT n FROM one ORDER BY n") == [(3,), (5,)]


def test_a_failing_file_leaves_everything_as_it_was(empty_database_url: str) -> None:
    bad = file(2, "CREATE TABLE three (n int); INSERT INTO one VALUES (1); SELECT 1/0")
    with pytest.raises(UnavailableError, match=r"002_step\.sql failed and was undone: division by zero"):
        migrate(empty_database_url, migrations=[FIRST, bad, FIFTH])
    assert tables(empty_database_url) == {"one", "two", "schema_migration"}
    assert rows(empty_database_url, "SELECT * FROM one") == []
    assert rows(empty_database_url, "SELECT number FROM schema_migration") == [(1,)]
    corrected = file(2, "CREATE TABLE three (n int)")
    assert migrate(empty_database_url, migrations=[FIRST, corrected, FIFTH]) == [corrected.name, FIFTH.name]


@pytest.mark.parametrize("broken", ["CREATE TABEL x ()", "SELECT * FROM nowhere", "COMMIT", "ROLLBACK; SELECT 1"])
def test_a_broken_file_is_named_and_not_recorded(empty_database_url: str, broken: str) -> None:
    with pytest.raises((UnavailableError, InputError)):
        migrate(empty_database_url, migrations=[file(1, broken)])
    assert rows(empty_database_url, "SELECT number FROM schema_migration") == []


def test_an_edited_file_is_refused_and_nothing_more_is_applied(empty_database_url: str) -> None:
    migrate(empty_database_url, migrations=[FIRST])
    edited = replace(FIRST, body=FIRST.body + b" ")
    with pytest.raises(IntegrityError, match=r"001_step\.sql was edited"):
        migrate(empty_database_url, migrations=[edited, FIFTH])
    assert rows(empty_database_url, "SELECT * FROM one") == []


@pytest.mark.parametrize("number", [9, 3])
def test_a_database_of_a_newer_release_is_refused(empty_database_url: str, number: int) -> None:
    unknown = file(number, "CREATE TABLE later ()", name="later")
    migrate(empty_database_url, migrations=[FIRST, FIFTH, unknown])
    with pytest.raises(InputError, match=f"{number:03}_later") as caught:
        migrate(empty_database_url, migrations=[FIRST, FIFTH])
    assert "Upgrade councilor" in caught.value.hint()


def test_concurrent_starters_apply_each_file_once(empty_database_url: str) -> None:
    slow = [FIRST, file(2, "SELECT pg_sleep(0.2); CREATE TABLE three ()"), FIFTH]
    with ThreadPoolExecutor(8) as starters:
        done = list(starters.map(lambda _: migrate(empty_database_url, migrations=slow), range(8)))
    assert sorted(map(len, done)) == [0] * 7 + [3]
    assert rows(empty_database_url, "SELECT n FROM one") == [(5,)]


def test_concurrent_processes_agree_on_the_packaged_schema(empty_database_url: str) -> None:
    program = "import sys; from councilor.adapters.postgres.migrate import migrate; print(len(migrate(sys.argv[1])))"
    starters = [
        subprocess.Popen([sys.executable, "-c", program, empty_database_url], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    outputs = [starter.communicate(timeout=120)[0].strip() for starter in starters]
    assert [starter.returncode for starter in starters] == [0] * 6
    assert sorted(outputs) == ["0"] * 5 + [str(len(packaged_migrations()))]


def test_waiting_for_another_migrator_has_a_limit(empty_database_url: str) -> None:
    migrate(empty_database_url, migrations=[])
    with psycopg.connect(empty_database_url) as holder:
        holder.execute("SELECT pg_advisory_lock(x'636F756E63696C'::bigint)")
        with pytest.raises(DeadlineError):
            migrate(empty_database_url, migrations=[FIRST], timeout_s=0.3)
    assert migrate(empty_database_url, migrations=[FIRST]) == [FIRST.name]


def test_an_unreachable_server_or_a_bad_url_never_shows_the_password(tmp_path: Path) -> None:
    for url in (
        f"postgresql://me:hunter2@/db?host={tmp_path}",
        "postgresql://me:hunter2@127.0.0.1:1/db",
        "postgresql://me:hunter2@/db?nonsense=1",
        "postgres//me:hunter2@host/db",
        "postgresql://me:hunter2@[::1/db",
    ):
        with pytest.raises((UnavailableError, InputError)) as caught:
            migrate(url)
        assert caught.value.hint()
        assert "hunter2" not in f"{caught.value} {caught.value.hint()} {caught.value.__cause__}"


def test_two_files_of_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("001_a.sql", "001_b.sql", "readme.txt"):
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(InputError, match="001"):
        packaged_migrations(tmp_path)


def test_released_migrations_have_their_digests_in_the_ledger(database_url: str) -> None:
    ledger = rows(database_url, "SELECT number, name, sha256 FROM schema_migration ORDER BY number")
    assert ledger == [(known.number, known.name, known.digest) for known in packaged_migrations()]
