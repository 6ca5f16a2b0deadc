"""`councilor watch`: live, resumable, ended by the task, by Ctrl-C, and by a reader that goes."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from commandline import CommandLine
from tasks import make_task

from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.pool import Pool
from councilor.adapters.postgres.queue import DatabaseTaskQueue
from councilor.domain.codec import encode
from councilor.domain.event import EventType, NewEvent
from councilor.domain.queue import QueueEntry

BEGUN: list[tuple[EventType, dict[str, Any]]] = [
    (EventType.TASK_STARTED, {"sandbox": "bubblewrap"}),
    (EventType.PHASE_STARTED, {"phase": "working", "iteration": 1}),
    (EventType.WORKER_HEARTBEAT, {"phase": "trying", "done": 1, "total": 7, "line": ""}),
    (EventType.PHASE_FINISHED, {"phase": "working", "iteration": 1, "duration_s": 2.5}),
]
END = (EventType.TASK_FINISHED, {"state": "rejected", "commit": None})


def task_id(number: int) -> str:
    return f"0190{number:04x}-0000-7000-8000-00000000{number:04x}"


class Teller:
    """Tells events into a database, as an executing process would."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, number: int, *told: tuple[EventType, dict[str, Any]]) -> str:
        asyncio.run(self._tell(task_id(number), told))
        return task_id(number)

    async def _tell(self, id_: str, told: Sequence[tuple[EventType, dict[str, Any]]]) -> None:
        events = [NewEvent(task_id=id_, type=kind, ts=datetime.now(UTC), data=data) for kind, data in told]
        async with Pool(self._url) as pool:
            await DatabaseEventStream(pool).append(events)

    def submit(self, number: int, *told: tuple[EventType, dict[str, Any]]) -> str:
        task = make_task(id=task_id(number), title="Fix \x1b[31mit", tier=2, submitted_at=datetime.now(UTC))
        return self(number, (EventType.TASK_SUBMITTED, {"task": encode(task)}), *told)


@pytest.fixture
def tell(database_url: str) -> Teller:
    return Teller(database_url)


@pytest.fixture
def own(tmp_path: Path, database_url: str) -> CommandLine:
    """A database of its own: nobody else's tasks are seen."""
    return CommandLine(tmp_path / "data", env={"V3_STORAGE__DATABASE__URL": database_url})


def read_until(process: subprocess.Popen[bytes], wanted: str) -> list[str]:
    """The lines of standard output up to the first that contains a text."""
    assert process.stdout is not None
    found: list[str] = []
    for line in process.stdout:
        found.append(line.decode())
        if wanted in found[-1]:
            return found
    raise AssertionError(f"{wanted!r} never came: {found}")


def test_what_waits_in_the_queue_is_said_to(own: CommandLine, tell: Teller, database_url: str) -> None:
    async def enqueue(id_: str) -> None:
        async with Pool(database_url) as pool:
            entry = QueueEntry(task_id=id_, repository="/srv/shop", tier=2, enqueued_at=datetime.now(UTC))
            await DatabaseTaskQueue(pool).add(entry)

    id_ = tell.submit(1)
    asyncio.run(enqueue(id_))
    with own.start("watch", id_) as process:
        assert process.stderr is not None
        assert b"waits in the queue" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_a_task_is_watched_live_to_its_end_whose_exit_code_it_has(own: CommandLine, tell: Teller) -> None:
    id_ = tell.submit(1, *BEGUN)
    with own.start("watch", id_[-8:]) as process:
        first = read_until(process, "working took 2.5 s")
        assert first[0].startswith(f"task {id_}: Fix \\x1b[31mit (tier 2, working)")
        assert [line.split("s ", 1)[1].strip() for line in first[2:]] == [
            "started by attempt 0, sandbox bubblewrap", "working, iteration 1", "trying 1 of 7", "working took 2.5 s",
        ]  # fmt: skip
        tell(1, END)
        assert "rejected" in read_until(process, "rejected")[-1]
        assert process.wait(20) == 1
    documents = [json.loads(line) for line in own("watch", "last", "--after", "4", "--json").expect(1).out.splitlines()]
    assert [(document["seq"], document["type"]) for document in documents] == [
        (5, "phase.finished"),
        (6, "task.finished"),
    ]


def test_ctrl_c_ends_the_watching_and_says_how_to_go_on(own: CommandLine, tell: Teller) -> None:
    id_ = tell.submit(1, *BEGUN)
    with own.start("watch") as process:
        read_until(process, "working took")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 130
    assert out == b""
    assert f"councilor watch {id_} --after 5" in err.decode().replace("\n", " ")
    assert "Traceback" not in err.decode()


def test_all_tasks_are_watched_and_new_ones_found(own: CommandLine, tell: Teller) -> None:
    tell.submit(1, *BEGUN, END)
    running = tell.submit(2, *BEGUN)
    with own.start("watch", "--all", "--json") as process:
        (head,) = (json.loads(line) for line in read_until(process, "head"))
        assert (head["type"], head["task_id"], head["last_seq"]) == ("head", running, 5)
        new = tell.submit(3, *BEGUN[:1])
        tell(2, END)
        documents = [json.loads(line) for line in read_until(process, "task.started")]
        assert ("head", new) in [(document["type"], document["task_id"]) for document in documents]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 130
    assert b"councilor watch --all" in err and b"Traceback" not in err
    own("watch", running, "--all").expect(2)
    own("watch", "--all", "--after", "3").expect(2)


def test_pruned_events_are_a_gap(own: CommandLine, tell: Teller) -> None:
    id_ = tell.submit(1, *BEGUN, END)
    keep = ("--set", "storage.retention.events.max_age_days=0.0000001")
    assert own("artifacts", "gc", "--json").expect(0).data["events"] == {"tasks": 0, "events": 0}
    due = own(*keep, "artifacts", "retention", "--json").expect(0).data["events"]
    assert (due["tasks"], due["events"]) == (1, 1)
    own("artifacts", "hold", id_, "--reason", "audit").expect(0)
    assert own(*keep, "artifacts", "gc", "--json").expect(0).data["events"]["events"] == 0
    own("artifacts", "release", id_).expect(0)
    assert "1 event(s) of 1 task(s) pruned" in own(*keep, "artifacts", "gc").expect(0).out
    documents = [json.loads(line) for line in own("watch", id_, "--json").expect(1).out.splitlines()]
    assert [document["type"] for document in documents] == [
        "task.submitted", "task.started", "gap", "worker.heartbeat", "phase.finished", "task.finished",
    ]  # fmt: skip
    assert (documents[2]["after"], documents[2]["floor"], documents[2]["head"]["state"]) == (2, 5, "rejected")
    assert "were pruned" in own("watch", id_).expect(1).out


def test_it_ends_when_nobody_reads_any_more(own: CommandLine, tell: Teller) -> None:
    id_ = tell.submit(1, *BEGUN)
    with own.start("watch", id_, "--json") as process:
        read_until(process, "task.submitted")
        assert process.stdout is not None
        process.stdout.close()
        for number in range(3):
            tell(1, (EventType.WORKER_HEARTBEAT, {"phase": "trying", "done": number, "total": 7, "line": ""}))
        assert process.wait(20) == 0
        assert process.stderr is not None and b"Traceback" not in process.stderr.read()


def test_what_cannot_be_watched(own: CommandLine, tell: Teller) -> None:
    assert "no task" in own("watch").expect(2).err
    tell.submit(1)
    own("watch", "abcd").expect(2)
    own("watch", "last", "--after", "-1").expect(2)
