"""Steering by doing: every intervention on a run in another process, and how soon it takes effect."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from commandline import CommandLine, hand
from journey import branches, make_repository, make_spec
from steering import ENDS, REPAIR, TICKING, TIER_1, Watched, queued, submit, until, working

SOON_S = 5.0
"""An intervention takes effect within a second on a quiet machine; this one may not be quiet."""


@pytest.fixture
def own(tmp_path: Path, database_url: str) -> CommandLine:
    make_repository(tmp_path / "shop")
    return CommandLine(tmp_path / "data", env={"V3_STORAGE__DATABASE__URL": database_url})


def test_pausing_stops_the_worker_of_another_process_until_it_is_resumed(tmp_path: Path, own: CommandLine) -> None:
    worker = hand(tmp_path, TICKING + REPAIR)
    task = Watched(own, submit(own, worker, tmp_path, "--iterations", "1"))
    with working(own, worker):
        until(task.ticking)
        assert own("pause", task.task, "--by", "Ada", "--reason", "lunch", "--json").expect(0).data == {
            "task_id": task.task, "did": "pause", "changed": True, "state": "paused", "artifact_id": None,
        }  # fmt: skip
        assert until(lambda: not task.ticking()) < SOON_S
        assert own("pause", task.task, "--json").expect(0).data["changed"] is False, "twice is as good as once"
        assert "paused by Ada: lunch" in own("show", task.task).expect(0).out
        assert "paused" in own("list").expect(0).out
        task.let_go()
        time.sleep(1.0)
        assert (task.state(), task.ticking()) == ("paused", False)
        assert own("resume", task.task, "--json").expect(0).data["state"] == "working"
        task.ends()
    assert len(branches(tmp_path / "shop")) == 2


def test_a_cancelled_task_has_ended_and_its_worker_is_killed(tmp_path: Path, own: CommandLine) -> None:
    worker = hand(tmp_path, TICKING + REPAIR)
    task = Watched(own, submit(own, worker, tmp_path, "--iterations", "1"))
    with working(own, worker):
        until(task.ticking)
        assert own("cancel", task.task, "--json").expect(0).data["state"] == "cancelled"
        assert until(lambda: not task.ticking()) < SOON_S
        until(lambda: queued(own) == [])
        assert own("cancel", task.task, "--json").expect(0).data["changed"] is False
        for command in ("pause", "resume", "approve"):
            assert "it has ended" in own(command, task.task).expect(2).err
    assert len(branches(tmp_path / "shop")) == 1


@pytest.mark.slow
def test_strict_mode_asks_before_work_on_tier_1_and_a_refusal_ends_the_task(tmp_path: Path, own: CommandLine) -> None:
    worker = hand(tmp_path, REPAIR)
    task = Watched(own, submit(own, worker, tmp_path, "--iterations", "1", "--mode", "strict", **TIER_1))
    with working(own, worker):
        task.reaches("awaiting_approval")
        until(lambda: [item["executor_id"] for item in queued(own)] == [None])
        assert "waits for an approval (work)" in own("show", task.task).expect(0).out
        assert "awaiting approval" in own("queue", "list").expect(0).out
        assert not task.home.exists(), "no worker has begun"
        own("reject", task.task).expect(2)
        own("reject", task.task, "--by", "Ada", "--reason", "not now").expect(0)
        task.ends("rejected")
    assert "rejected (work) by Ada, unverified: not now" in own("show", task.task).expect(0).out
    own("verify", task.task).expect(0)
    assert queued(own) == []
    assert len(branches(tmp_path / "shop")) == 1


@pytest.mark.slow
def test_strict_mode_publishes_what_a_person_has_approved_whoever_is_killed_meanwhile(
    tmp_path: Path, own: CommandLine
) -> None:
    worker = hand(tmp_path, REPAIR)
    task = Watched(own, submit(own, worker, tmp_path, "--iterations", "1", "--mode", "strict"))
    with working(own, worker) as process:
        task.reaches("awaiting_approval")
        assert "(publish)" in own("show", task.task).expect(0).out
        os.kill(process.pid, signal.SIGKILL)  # and it waits in the stream, not in a process
    assert len(branches(tmp_path / "shop")) == 1, "nothing is published before it is approved"
    own("approve", task.task, "--by", "Ada", "--reason", "looks right").expect(0)
    with working(own, worker):
        task.ends()
    assert "approved (publish) by Ada, unverified: looks right" in own("show", task.task).expect(0).out
    assert "it has ended" in own("approve", task.task).expect(2).err
    assert len(branches(tmp_path / "shop")) == 2
    own("verify", task.task).expect(0)
    kinds = [item["kind"] for item in own("show", task.task, "--json").expect(0).data["artifacts"]]
    assert kinds.count("approval") == 1


@pytest.mark.slow
def test_a_pause_longer_than_every_limit_costs_nothing_and_survives_the_process(
    tmp_path: Path, own: CommandLine
) -> None:
    """The worker's limit and the task's deadline are shorter than the pause; the process is killed in the middle."""
    worker = hand(tmp_path, TICKING + REPAIR, timeout_s=10.0)
    task = Watched(own, submit(own, worker, tmp_path, "--iterations", "1", "--deadline", "40"))
    quick = ("--set", "engine.lease_s=3")
    with working(own, worker, *quick) as process:
        until(task.ticking)
        own("pause", task.task).expect(0)
        until(lambda: not task.ticking())
        time.sleep(15)
        assert not task.ticking() and task.state() == "paused"
        own("resume", task.task).expect(0)
        assert until(task.ticking) < SOON_S, "the worker goes on where it stood"
        own("pause", task.task).expect(0)
        until(lambda: not task.ticking())
        os.kill(process.pid, signal.SIGKILL)
    with working(own, worker, *quick):
        until(lambda: [item["executor_id"] for item in queued(own)] == [None])
        time.sleep(30)
        assert (task.state(), task.ticking()) == ("paused", False), "the heir stays paused"
        own("resume", task.task).expect(0)
        until(task.ticking)
        task.let_go()
        task.ends()
    assert len(branches(tmp_path / "shop")) == 2


@pytest.mark.slow
def test_a_run_in_the_foreground_is_steered_from_another_shell(tmp_path: Path, own: CommandLine) -> None:
    heeding = (
        "cat > $HOME/prompt; if grep -q 'people who watch' $HOME/prompt; then " + REPAIR + "; else " + TICKING + "fi"
    )
    worker = hand(tmp_path, heeding)
    (tmp_path / "SHOP-1.yaml").write_text(make_spec(id="SHOP-1"))
    run = ("run", tmp_path / "SHOP-1.yaml", "-C", tmp_path / "shop", "--iterations", "1", "--mode", "strict")
    with own.start(*worker, *run) as process:
        until(lambda: bool(own.tasks))
        (task_id,) = own.tasks
        task = Watched(own, task_id)
        until(task.ticking)
        own("guide", "last", "It adds one too much.", "--by", "Ada").expect(0)
        own("extend", "last", "--iterations", "1", "--seconds", "60").expect(0)
        assert "Nothing is extended" in own("extend", "last").expect(2).err
        task.let_go()
        task.reaches("awaiting_approval")
        own("pause", "last").expect(0)
        own("approve", "last").expect(0)
        time.sleep(0.5)
        assert task.state() == "paused" and process.poll() is None
        own("resume", "last").expect(0)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err.decode()
    assert b"Ada: guide, It adds one too much." in err
    assert b"waits for an approval (publish)" in err
    assert "Ada to the worker: It adds one too much." in own("show", "last").expect(0).out
    assert len(branches(tmp_path / "shop")) == 2


@pytest.mark.slow
def test_an_interrupted_run_that_is_cancelled_never_goes_on(tmp_path: Path, own: CommandLine) -> None:
    worker = hand(tmp_path, TICKING + REPAIR)
    (tmp_path / "SHOP-1.yaml").write_text(make_spec(id="SHOP-1"))
    with own.start(*worker, "run", tmp_path / "SHOP-1.yaml", "-C", tmp_path / "shop") as process:
        until(lambda: bool(own.tasks))
        task = Watched(own, next(iter(own.tasks)))
        until(task.ticking)
        os.kill(process.pid, signal.SIGKILL)
    own("cancel", "last", "--reason", "no need").expect(0)
    resumed = own(*worker, "run", "--resume", "last")
    assert resumed.code == 130, resumed.err
    assert task.state() == "cancelled"
    assert len(branches(tmp_path / "shop")) == 1


@pytest.mark.slow
def test_a_worker_in_the_executing_process_stands_still_as_well(tmp_path: Path, own: CommandLine) -> None:
    limit = ("--set", "workers.repair.timeout_s=15")
    task = Watched(own, submit(own, limit, tmp_path, "--iterations", "1", "--worker", "repair"))
    with working(own, limit):
        until(lambda: task.state() == "working")
        own("pause", task.task).expect(0)
        time.sleep(20)
        assert task.state() == "paused"
        own("resume", task.task).expect(0)
        until(lambda: task.state() in ENDS)
    assert "1 of 1 acceptance criteria hold" in own("show", "--why", task.task).expect(0).out, "it found the fix"
