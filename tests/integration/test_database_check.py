"""The canary by doing: it is silent on a sound schema, sees what was done to one, and leaves the database alone."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import psycopg
import pytest
from commandline import CommandLine, Printed
from records import contents, fill, throwaways

from councilor.adapters.postgres.migrate import migrate, packaged_migrations
from councilor.adapters.postgres.schema import describe_schema, find_differences, list_refusals


@pytest.fixture
def checked(database_url: str, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "data", {"V3_STORAGE__DATABASE__URL": database_url})


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def statuses(printed: Printed) -> dict[str, str]:
    return {check["name"]: check["status"] for check in printed.data["checks"]}


def details(printed: Printed) -> dict[str, str]:
    return {check["name"]: check["detail"] for check in printed.data["checks"]}


def failed(printed: Printed) -> set[str]:
    return {name for name, status in statuses(printed).items() if status == "failed"}


def test_a_sound_database_is_sound_and_left_alone(checked: CommandLine, database_url: str) -> None:
    fill(database_url, checked.data_dir, tasks=1)
    execute(database_url, "CREATE TABLE mine (n int)", "CREATE INDEX mine_too ON event (ts)")
    before, files = contents(database_url), sorted(checked.data_dir.rglob("*.pem"))
    printed = checked("db", "check", "--json").expect(0)
    assert printed.data["sound"] and set(statuses(printed).values()) == {"ok"}
    assert contents(database_url) == before
    assert (throwaways(database_url), sorted(checked.data_dir.rglob("*.pem"))) == (set(), files)
    assert list((checked.data_dir / "temporary").iterdir()) == []
    refused = details(printed)["changes refused"]
    for table in ("execution_artifacts", "artifact_inputs"):
        assert all(f"{operation} {table}" in refused for operation in ("UPDATE", "DELETE", "TRUNCATE"))
    assert {name for name in statuses(printed) if name.endswith(" found")} == {
        f"altered {what} found" for what in ("body", "chunk", "name", "statement", "inputs")
    }


def test_the_embedded_server(councilor: CommandLine) -> None:
    printed = councilor("db", "check").expect(0)
    assert "sound: 13 checks" in printed.out and "NOT" not in printed.out and "migration ledger" in printed.out


def test_pending_migrations_are_tried_in_the_copy_only(empty_database_url: str, tmp_path: Path) -> None:
    known = packaged_migrations()
    migrate(empty_database_url, migrations=known[:1])
    command = CommandLine(tmp_path / "data", {"V3_STORAGE__DATABASE__URL": empty_database_url})
    before = contents(empty_database_url)
    printed = command("db", "check", "--json").expect(0)
    assert all(item.name in details(printed)["pending migrations"] for item in known[1:])
    assert f"1 applied and unaltered, {len(known) - 1} pending" in details(printed)["migration ledger"]
    assert contents(empty_database_url) == before


def test_a_database_with_nothing_in_it(empty_database_url: str, tmp_path: Path) -> None:
    command = CommandLine(tmp_path / "data", {"V3_STORAGE__DATABASE__URL": empty_database_url})
    command("db", "check").expect(0)
    assert contents(empty_database_url) == {}


def test_a_pending_migration_that_fails_on_this_schema_is_told(empty_database_url: str, tmp_path: Path) -> None:
    migrate(empty_database_url, migrations=packaged_migrations()[:1])
    execute(empty_database_url, "CREATE TABLE artifact_blobs (sha256 int)")
    command = CommandLine(tmp_path / "data", {"V3_STORAGE__DATABASE__URL": empty_database_url})
    printed = command("db", "check", "--json").expect(1)
    assert "007_execution_artifacts.sql failed and was undone" in details(printed)["pending migrations"]
    assert statuses(printed)["artifacts stored"] == "skipped" == statuses(printed)["altered body found"]
    assert throwaways(empty_database_url) == set()


def test_an_edited_or_unknown_migration_is_told(checked: CommandLine, database_url: str) -> None:
    execute(database_url, "UPDATE schema_migration SET sha256 = sha256('edited') WHERE number = 7")
    printed = checked("db", "check", "--json").expect(1)
    assert "007_execution_artifacts.sql was edited" in details(printed)["migration ledger"]
    execute(
        database_url,
        "UPDATE schema_migration SET number = 999, name = '999_later.sql' WHERE number = 7",
    )
    assert "999_later.sql" in details(checked("db", "check", "--json").expect(1))["migration ledger"]


@pytest.mark.parametrize(
    ("done", "seen", "accepts"),
    [
        ("DROP TRIGGER immutable_rows ON execution_artifacts", "immutable_rows", "UPDATE execution_artifacts"),
        ("ALTER TABLE artifact_inputs DISABLE TRIGGER immutable_table", "immutable_table", "TRUNCATE artifact_inputs"),
        (
            "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RETURN coalesce(NEW, OLD); END$$",
            "refuse_change",
            "TRUNCATE execution_artifacts",
        ),
    ],
    ids=["dropped", "disabled", "replaced"],
)
def test_a_trigger_that_no_longer_refuses(
    done: str, seen: str, accepts: str, checked: CommandLine, database_url: str
) -> None:
    execute(database_url, done)
    printed = checked("db", "check", "--json").expect(1)
    assert failed(printed) == {"schema as released", "changes refused"}
    assert seen in details(printed)["schema as released"]
    assert accepts in details(printed)["changes refused"]


async def test_a_schema_that_is_not_as_released(checked: CommandLine, database_url: str) -> None:
    released = await describe_schema(database_url)
    for done, seen in (
        ("DROP INDEX execution_artifacts_parent", "the index execution_artifacts_parent is missing"),
        ("ALTER TABLE artifact_chunks DROP CONSTRAINT artifact_chunks_sha256_fkey", "artifact_chunks_sha256_fkey"),
        ("ALTER TABLE task_head ALTER COLUMN tier TYPE integer", "the column task_head.tier is 'integer"),
        ("ALTER TABLE event ALTER COLUMN data DROP NOT NULL", "the column event.data"),
        ("ALTER TABLE artifact_chunks ALTER COLUMN body SET STORAGE EXTENDED", "the column artifact_chunks.body"),
        ("CREATE TABLE mine (n int)", None),
    ):
        before = await describe_schema(database_url)
        execute(database_url, done)
        differences = find_differences(before, await describe_schema(database_url))
        assert [seen in difference for difference in differences] == [True] if seen else differences == [], done
    assert len(find_differences(released, await describe_schema(database_url))) == 5
    assert len(await list_refusals(database_url)) >= 2
    printed = await asyncio.to_thread(checked, "db", "check", "--json")
    assert failed(printed.expect(1)) == {"schema as released"}
    assert "index execution_artifacts_parent is missing" in details(printed)["schema as released"]


def test_a_table_that_takes_no_artifacts(checked: CommandLine, database_url: str) -> None:
    execute(database_url, "ALTER TABLE execution_artifacts ADD CHECK (kind <> 'transcript')")
    printed = checked("db", "check", "--json").expect(1)
    assert failed(printed) == {"artifacts stored"}
    assert statuses(printed)["changes refused"] == "skipped"


def test_a_canary_that_could_alter_nothing_has_shown_nothing(checked: CommandLine, database_url: str) -> None:
    execute(database_url, "CREATE RULE quietly AS ON UPDATE TO artifact_chunks DO INSTEAD NOTHING")
    printed = checked("db", "check", "--json").expect(1)
    assert failed(printed) == {"altered chunk found"}


def test_a_killed_check_leaves_nothing_for_long(checked: CommandLine, database_url: str) -> None:
    with checked.start("db", "check") as process:
        deadline = time.monotonic() + 60
        while len(throwaways(database_url)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert throwaways(database_url)
    # The server notices after a moment that its client has gone; within a transaction one would not see it.
    with psycopg.connect(database_url, autocommit=True) as watcher:
        deadline = time.monotonic() + 60
        while watcher.execute(  # other tests may back up other databases of this server meanwhile
            "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'councilor backup%%' AND datname = ANY(%s)",
            [[database_url.partition("?")[0].rpartition("/")[2], *throwaways(database_url)]],
        ).fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    checked("db", "check").expect(0)
    assert throwaways(database_url) == set()
