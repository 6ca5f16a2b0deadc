"""`submit --queue`, `queue` and `worker`: tasks that processes share, killed and frozen ones among them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from commandline import CommandLine, Printed, hand
from journey import BUG, FIX, branches, make_repository, make_spec

DO = f"sed -i 's/{BUG}/{FIX}/' shop.py; echo 'I did it.'"
SLOWLY = "sleep 600"
"""A worker that is still at it."""
QUICK = ("--set", "engine.lease_s=4")


def queued(councilor: CommandLine) -> list[dict[str, Any]]:
    return list(councilor("queue", "list", "--json").expect(0).data["tasks"])


def until(condition: Callable[[], bool], seconds: float = 60.0) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it never happened"
        time.sleep(0.1)
    return time.monotonic() - began


def state(councilor: CommandLine, task_id: str) -> str:
    heads = councilor("list", "--json").expect(0).data
    return str(next(head["state"] for head in heads if head["task_id"] == task_id))


@pytest.fixture
def own(tmp_path: Path, database_url: str) -> CommandLine:
    """A database of its own: what other tests queue must not be taken."""
    return CommandLine(tmp_path / "data", env={"V3_STORAGE__DATABASE__URL": database_url})


def submit(own: CommandLine, worker: tuple[str, str], folder: Path, *more: str, specs: int = 1) -> list[str]:
    for number in range(1, specs + 1):
        (folder / f"SHOP-{number}.yaml").write_text(make_spec(id=f"SHOP-{number}"))
    files = [folder / f"SHOP-{number}.yaml" for number in range(1, specs + 1)]
    given = (*files, "--repo", folder / "shop", "--queue", "--iterations", "1", *more, "--json")
    return [str(task["task_id"]) for task in own(*worker, "submit", *given).expect(0).data["tasks"]]


def test_queued_tasks_are_executed_by_worker_processes(tmp_path: Path, own: CommandLine) -> None:
    shop = make_repository(tmp_path / "shop")
    worker = hand(tmp_path, DO)
    first, second, third = submit(own, worker, tmp_path, specs=3)
    assert [(item["task_id"], item["executor_id"]) for item in queued(own)] == [
        (first, None), (second, None), (third, None),
    ]  # fmt: skip
    own("reprioritise", third, "7").expect(0)
    own("pause", second).expect(0)
    assert [item["task_id"] for item in queued(own)] == [third, first, second]
    assert "paused" in own("queue", "list").expect(0).out
    assert submit(own, worker, tmp_path, specs=3) == [first, second, third], "submitted again, nothing is there twice"
    with own.start(*worker, "worker", "--parallel", "1") as process:
        until(lambda: [item["task_id"] for item in queued(own)] == [second])
        leases = own("queue", "list", "--json").expect(0).data["workers"]
        assert [lease["pid"] for lease in leases] == [process.pid]
        own("resume", second).expect(0)
        until(lambda: queued(own) == [])
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert [state(own, task) for task in (first, second, third)] == ["completed"] * 3
    assert len(branches(shop)) == 4
    assert own("queue", "list", "--json").expect(0).data == {"tasks": [], "workers": []}


def test_what_cannot_be_queued_is_said(tmp_path: Path, own: CommandLine) -> None:
    make_repository(tmp_path / "shop")
    (tmp_path / "SHOP-1.yaml").write_text(make_spec(id="SHOP-1"))
    given = ("submit", tmp_path / "SHOP-1.yaml", "--repo", tmp_path / "shop")
    assert "--priority is about the queue" in own(*given, "--priority", "3").expect(2).err
    assert "no time" in own(*given, "--queue", "--at", "soon").expect(2).err
    assert own(*given, "--queue", "--priority", "101").expect(2).err
    assert "no task" in own(*given, "--queue", "--after", "0123abcd").expect(2).err
    assert own("list", "--json").expect(0).data == [], "nothing was stored that was not queued"
    (task,) = submit(own, hand(tmp_path, DO), tmp_path, "--at", "2h")
    assert "not before" in own("queue", "list").expect(0).out
    with psycopg.connect(own.env["V3_STORAGE__DATABASE__URL"], autocommit=True) as older:
        older.execute("UPDATE task_queue SET version = '0'")
    assert "version 0" in " ".join(own("queue", "list").expect(0).out.split()), "what it waits for is said"
    own("queue", "remove", task).expect(0)
    assert "does not wait" in own("queue", "remove", task).expect(2).err
    assert queued(own) == []


def _stopped(
    own: CommandLine, tmp_path: Path, how: signal.Signals, heir: CommandLine | None = None
) -> tuple[str, subprocess.Popen[bytes], Printed]:
    """A task whose first process is stopped while its worker works, and is executed by a second process."""
    make_repository(tmp_path / "shop")
    for name in ("slow", "quick"):
        (tmp_path / name).mkdir()
    slow, quick = hand(tmp_path / "slow", SLOWLY), hand(tmp_path / "quick", DO)
    (task,) = submit(own, quick, tmp_path)
    victim = own.start(*slow, *QUICK, "worker")
    until(lambda: state(own, task) == "working")
    os.kill(victim.pid, how)
    return task, victim, (heir or own).finish(*quick, *QUICK, "worker", "--until-empty", timeout_s=120)


def test_what_a_killed_process_had_begun_another_finishes(tmp_path: Path, own: CommandLine) -> None:
    task, victim, heir = _stopped(own, tmp_path, signal.SIGKILL)
    victim.communicate(timeout=10)
    heir.expect(0)
    assert state(own, task) == "completed"
    assert len(branches(tmp_path / "shop")) == 2


@pytest.mark.slow  # what it adds to the test above is where files are
def test_what_a_killed_process_had_begun_one_with_another_data_folder_finishes(
    tmp_path: Path, own: CommandLine
) -> None:
    """Its keys, environments and run folders are others, as on another machine."""
    elsewhere = CommandLine(tmp_path / "elsewhere", env=own.env)
    task, victim, heir = _stopped(own, tmp_path, signal.SIGKILL, elsewhere)
    victim.communicate(timeout=10)
    heir.expect(0)
    assert state(own, task) == "completed"
    for machine, other in ((own, elsewhere), (elsewhere, own)):
        for key in (other.data_dir / "keys").glob("*"):
            if key.suffix in (".pem", ".json") and key.stem != "signing-key":
                shutil.copy(key, machine.data_dir / "keys" / key.name)
    elsewhere("verify", task).expect(0)


def test_a_frozen_process_that_wakes_up_writes_nothing(tmp_path: Path, own: CommandLine) -> None:
    task, victim, heir = _stopped(own, tmp_path, signal.SIGSTOP)
    heir.expect(0)
    assert state(own, task) == "completed"
    before = own("artifacts", "list", "--task", task, "--json").expect(0).data
    os.kill(victim.pid, signal.SIGCONT)
    out, err = victim.communicate(timeout=60)
    assert victim.returncode == 4, (out, err)
    assert b"lost its lease" in err
    assert own("artifacts", "list", "--task", task, "--json").expect(0).data == before
    assert len(branches(tmp_path / "shop")) == 2
