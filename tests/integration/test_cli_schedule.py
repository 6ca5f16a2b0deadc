"""`schedule` as a person and a program use it, and worker processes that share one and are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from commandline import CommandLine, hand
from journey import git, make_repository, make_spec
from scheduling import NOON, START, set_clock, with_own_clock

from councilor.domain.cron import iterate_due
from councilor.domain.schedule import task_id_at

SPEC = ".caws/specs/SHOP-1.yaml"
EVERY_NIGHT = "0 3 * * 1-5"


@pytest.fixture
def own(tmp_path: Path, database_url: str) -> CommandLine:
    """A database of its own, whose clock says noon of a Monday."""
    with psycopg.connect(database_url, autocommit=True) as admin:
        set_clock(admin, NOON)
    return CommandLine(tmp_path / "data", env={"V3_STORAGE__DATABASE__URL": with_own_clock(database_url)})


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "shop", {SPEC: make_spec()})


def schedules(councilor: CommandLine) -> list[dict[str, Any]]:
    return list(councilor("schedule", "list", "--json").expect(0).data)


def test_a_schedule_from_its_beginning_to_its_end(own: CommandLine, shop: Path, tmp_path: Path) -> None:
    assert schedules(own) == []
    assert "no schedule" in own("schedule", "list").expect(0).err
    added = own(
        *hand(tmp_path, "true"), "schedule", "add", "SHOP-1", "--cron", EVERY_NIGHT, "-C", shop, "--name", "nightly",
        "--priority", "5", "--max-tokens", "1000", "--iterations", "2", "--overlap", "allow", "--catch-up", "6h",
        "--dry-run", "--json",
    ).expect(0).data  # fmt: skip
    assert added["next_due"] == "2031-05-06T03:00:00Z", "it is Monday noon"
    assert (added["name"], added["cron"], added["timezone"], added["paused"]) == ("nightly", EVERY_NIGHT, "UTC", False)
    assert (added["spec_path"], added["base_ref"], added["worker"]) == (SPEC, "refs/heads/main", "hand")
    assert (added["priority"], added["max_tokens"], added["max_iterations"], added["mode"]) == (5, 1000, 2, "dry_run")
    assert (added["overlap"], added["catch_up_s"], added["last_outcome"]) == ("allow", 21600.0, None)
    assert schedules(own) == [added]
    listed = own("schedule", "list").expect(0)
    assert "nightly" in listed.out and "2031-05-06 03:00" in listed.out and "UTC" in listed.out
    assert "councilor worker" in listed.err, "nobody would submit"
    shown = own("schedule", "show", "nightly").expect(0).out
    assert all(
        part in shown
        for part in ("SHOP-1", "2031-05-06 03:00", str(shop), "(UTC)", "21600 s", "main", "1,000 tokens", "2 rounds")
    )
    assert own("schedule", "show", "nightly", "--json").expect(0).data["coming"][0] == added["next_due"]
    coming = own("schedule", "next", "nightly", "--count", "6", "--json").expect(0).data["due"]
    assert [item["due_at"][:10] for item in coming] == [
        "2031-05-06", "2031-05-07", "2031-05-08", "2031-05-09", "2031-05-12", "2031-05-13",
    ]  # fmt: skip
    assert coming[0]["task_id"] == task_id_at(added["id"], datetime.fromisoformat(added["next_due"]))
    assert "Tue 2031-05-06 03:00" in own("schedule", "next", "nightly").expect(0).out
    assert own("schedule", "pause", "nightly", "--json").expect(0).data["paused"] is True
    assert "paused" in own("schedule", "list").expect(0).out
    assert "paused" in own("schedule", "next", "nightly").expect(0).err
    assert "2031-05-06 03:00" in own("schedule", "resume", "nightly").expect(0).out
    own("schedule", "remove", "nightly").expect(0)
    assert schedules(own) == []
    for command in ("show", "pause", "resume", "remove", "next"):
        assert "no schedule nightly" in own("schedule", command, "nightly").expect(2).err


def test_where_a_spec_comes_from(own: CommandLine, shop: Path, tmp_path: Path) -> None:
    def add(*given: str | Path) -> Any:
        return own("schedule", "add", *given, "--cron", EVERY_NIGHT, "--json")

    assert add(shop / SPEC, "--name", "inside").expect(0).data["spec_path"] == SPEC
    (tmp_path / "outside.yaml").write_text(make_spec(id="SHOP-9"))
    outside = add(tmp_path / "outside.yaml", "-C", shop).expect(0).data
    assert (outside["name"], outside["spec_path"], outside["spec_id"]) == ("SHOP-9", None, "SHOP-9")
    assert outside["spec_text"] == make_spec(id="SHOP-9")
    (shop / SPEC).write_text(make_spec(title="Changed"))
    changed = add(shop / SPEC, "--name", "changed").expect(0)
    assert "not committed" in changed.err and changed.data["spec_text"] == make_spec()
    (shop / ".caws/specs/SHOP-2.yaml").write_text(make_spec(id="SHOP-2"))
    assert "not committed on main" in add(shop / ".caws/specs/SHOP-2.yaml").expect(2).err
    assert "no spec" in add("SHOP-7", "-C", shop).expect(2).err
    assert "no spec" in add(tmp_path / "nothing.yaml", "-C", shop).expect(2).err
    git(shop, "switch", "-q", "--detach")
    assert "no branch" in add("SHOP-1", "-C", shop, "--name", "detached").expect(2).err
    assert (
        add("SHOP-1", "-C", shop, "--name", "named", "--base", "main").expect(0).data["base_ref"] == "refs/heads/main"
    )
    assert len(schedules(own)) == 4


def test_what_no_schedule_can_be_made_of_is_said(own: CommandLine, shop: Path, tmp_path: Path) -> None:
    def refused(*more: str | Path, cron: str = EVERY_NIGHT) -> str:
        return own("schedule", "add", "SHOP-1", "-C", shop, "--cron", cron, *more).expect(2).err

    told = refused(cron="0 24 * * *")
    assert "The hour, field 2 of the cron line, cannot be '24'" in told and "0 to 23" in told
    assert "names no day" in refused(cron="0 0 30 2 *")
    assert "instead of 5" in refused(cron="hourly")
    assert "cannot be a schedule's name" in refused("--name", "a b")
    assert "no length of time" in refused("--catch-up", "soon") and "60 s at least" in refused("--catch-up", "5s")
    assert "nobody" in refused("--worker", "nobody")
    assert refused("--priority", "101") and refused("--overlap", "maybe")
    own("schedule", "add", "SHOP-1", "-C", shop, "--cron", EVERY_NIGHT).expect(0)
    assert "There is a schedule SHOP-1 already" in refused()
    (shop / SPEC).write_text(make_spec(lifecycle_state="closed"))
    git(shop, "commit", "-q", "-am", "Close it")
    assert "closed" in refused("--name", "other"), "no task could come of it"
    assert [item["name"] for item in schedules(own)] == ["SHOP-1"]


def test_a_backup_holds_schedules(own: CommandLine, shop: Path, tmp_path: Path, empty_database_url: str) -> None:
    own("schedule", "add", "SHOP-1", "-C", shop, "--cron", EVERY_NIGHT).expect(0)
    own("db", "backup", tmp_path / "backup.tar").expect(0)
    other = CommandLine(tmp_path / "other", env={"V3_STORAGE__DATABASE__URL": empty_database_url})
    other("db", "restore", tmp_path / "backup.tar").expect(0)
    assert schedules(other) == schedules(own)
    assert "in use" in other("db", "restore", tmp_path / "backup.tar").expect(2).err


def test_a_batch_job_submits_what_is_due_and_executes_it(
    own: CommandLine, shop: Path, tmp_path: Path, database_url: str
) -> None:
    worker = hand(tmp_path, "sed -i 's/ + 1$//' shop.py; echo 'I did it.'")
    given = (*worker, "schedule", "add", "SHOP-1", "--cron", "*/10 * * * *", "--json")
    added = own(*given, "-C", shop).expect(0).data
    other = make_repository(tmp_path / "other", {SPEC: make_spec()})
    own(*given, "-C", other, "--name", "gone").expect(0)
    git(other, "rm", "-q", SPEC)
    git(other, "commit", "-q", "-m", "It is gone")
    with psycopg.connect(database_url, autocommit=True) as admin:
        set_clock(admin, NOON + timedelta(minutes=25))
    assert own("schedule", "list").expect(0).out.count("2031-05-05 12:10 (overdue)") == 2
    done = own.finish(*worker, "worker", "--until-empty", "--json").expect(0)
    assert "overdue" not in own("schedule", "list").expect(0).out
    assert "could not submit" in done.err
    good, gone = schedules(own)
    task = task_id_at(added["id"], NOON + timedelta(minutes=20))
    assert (good["last_outcome"], good["submitted"], good["missed"]) == ("submitted", 1, 1)
    assert (good["last_task_id"], done.data["ended"]) == (task, [task])
    assert (gone["last_outcome"], gone["failed"], gone["last_task_id"]) == ("failed", 1, None)
    assert own("schedule", "show", "SHOP-1", "--json").expect(0).data["last_task_state"] == "completed"
    assert f"last task {task}: completed" in own("schedule", "show", "SHOP-1").expect(0).out
    listed = own("schedule", "list").expect(0)
    assert "failed" in listed.out and "gone: The base commit has no spec" in listed.err
    assert "no spec" in own("schedule", "show", "gone").expect(0).out


class Processes:
    """Worker processes of one test; those that are left end with it."""

    def __init__(self, councilor: CommandLine, options: tuple[str, ...]) -> None:
        self.councilor, self.options = councilor, options
        self.alive: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self.alive.append(self.councilor.start(*self.options, "--set", "engine.lease_s=2", "worker"))

    def kill(self) -> None:
        """The oldest."""
        victim = self.alive.pop(0)
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate(timeout=10)


@pytest.fixture
def processes(own: CommandLine, tmp_path: Path) -> Iterator[Processes]:
    found = Processes(own, hand(tmp_path, "sleep 600"))
    yield found
    while found.alive:
        found.kill()


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it never happened"
        time.sleep(0.05)


@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.slow)])  # more of the same
def test_processes_that_are_killed_submit_every_minute_once(
    own: CommandLine, shop: Path, processes: Processes, database_url: str, kills: int
) -> None:
    """A minute takes a second and a half. No task ever ends, so what was submitted stays where it can be counted."""
    with psycopg.connect(database_url, autocommit=True) as admin:
        set_clock(admin, START)
        added = own(
            *processes.options, "schedule", "add", "SHOP-1", "-C", shop, "--cron", "* * * * *", "--overlap", "allow",
            "--json",
        ).expect(0).data  # fmt: skip
        for _ in range(2):
            processes.start()
        until(lambda: len(own("queue", "list", "--json").data["workers"]) == 2)
        set_clock(admin, START, pace=40.0)

        def stored() -> dict[str, int]:
            """Task -> how often it was submitted."""
            counts = "SELECT task_id::text, count(*) FROM event WHERE type = 'task.submitted' GROUP BY 1"
            return dict(admin.execute(counts).fetchall())

        for _ in range(kills):
            before = len(stored())
            until(lambda before=before: len(stored()) > before)  # type: ignore[misc]
            processes.kill()
            processes.start()
        before = len(stored())
        until(lambda: len(stored()) >= before + 2)
        row = admin.execute("SELECT fake.clock_timestamp()").fetchone()
        assert row is not None
        set_clock(admin, row[0])
        until(lambda: schedules(own)[0]["pending"] is None)
        time.sleep(1.5)  # whoever would still submit does it now
        (schedule,) = schedules(own)
        due = iterate_due("* * * * *", START)
        passed = list(iter(lambda: next(due), datetime.fromisoformat(schedule["next_due"])))
        tasks = stored()
        assert set(tasks.values()) == {1}
        assert set(tasks) <= {task_id_at(added["id"], moment) for moment in passed}
        assert len(tasks) == schedule["submitted"] == len(passed) - schedule["missed"]
        assert (schedule["failed"], schedule["skipped"]) == (0, 0)
        assert {item["task_id"] for item in own("queue", "list", "--json").data["tasks"]} == set(tasks)
