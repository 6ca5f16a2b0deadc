"""A run that waits for an approval says so to who does not watch, whatever becomes of the message or of the process."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from commandline import CommandLine, hand
from journey import Journey, OneEnvironment, branches, make_repository, open_journey
from listener import Listener, listening
from steering import REPAIR, Watched, queued, submit, until, working

from councilor.adapters.memory.queue import MemoryTaskQueue
from councilor.domain.notification import Notification
from councilor.domain.task import RunMode, TaskState
from councilor.errors import RunCancelledError, StandbyError
from councilor.pipeline.executor import Executor, Outcome
from councilor.pipeline.interventions import Interventions
from councilor.settings import load_settings


@dataclass
class Mailbox:
    """Keeps what it is sent; holds it until `over`, where that is given."""

    channel: str = "webhook"
    over: asyncio.Event | None = None
    got: list[Notification] = field(default_factory=list)
    ended: int = 0

    async def send(self, notification: Notification) -> None:
        self.got.append(notification)
        if self.over is not None:
            await self.over.wait()
        self.ended += 1


class Asking:
    """A strict run with somebody who is to be told."""

    def __init__(self, journey: Journey, folder: Path, box: Mailbox) -> None:
        journey.parts = replace(journey.parts, notifiers=[box], notify_on=("ended", "approval_needed"))
        self.journey, self.folder, self.parts, self.box = journey, folder, journey.parts, box
        self.task_id = ""
        queue = MemoryTaskQueue(self.parts.events, clock=self.parts.clock)
        self.do = Interventions(
            events=self.parts.events, queue=queue, ledger=self.parts.ledger, clock=self.parts.clock,
            metrics=self.parts.metrics,
        )  # fmt: skip

    async def begin(self) -> Executor:
        task = await self.journey.task(self.folder, mode=RunMode.STRICT)
        self.task_id = task.id
        executor = self.journey.executor
        await executor.start()
        await executor.submit(task)
        return executor

    async def kinds(self) -> list[str]:
        return [event.type.value for event in await self.parts.events.read(self.task_id, limit=10_000)]

    async def reaches(self, state: TaskState) -> None:
        async with asyncio.timeout(60):
            while (head := await self.parts.events.head(self.task_id)) is None or head.state is not state:
                await asyncio.sleep(0.01)


@pytest.fixture
async def asking(tmp_path: Path, shared_environment: OneEnvironment) -> AsyncIterator[Asking]:
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        yield Asking(journey, make_repository(tmp_path / "repo"), Mailbox())


async def _heard(box: Mailbox, count: int = 1) -> None:
    async with asyncio.timeout(60):
        while len(box.got) < count:
            await asyncio.sleep(0.01)


async def test_who_is_told_can_answer_and_is_told_of_the_end(asking: Asking) -> None:
    executor = await asking.begin()
    running = asyncio.create_task(executor.run(asking.task_id))
    await asking.reaches(TaskState.AWAITING_APPROVAL)
    await _heard(asking.box)
    await asking.do.approve(asking.task_id, by="Ada")
    outcome = await running
    await executor.stop()
    asked, ended = asking.box.got
    assert (asked.reason, asked.checkpoint, asked.decision) == ("approval_needed", "publish", "accept")
    assert asked.summary.startswith("It waits for an approval before the accepted change is published: accept, P = 0.")
    assert f"councilor diff {asking.task_id}" in asked.action and f"councilor approve {asking.task_id}" in asked.action
    assert (ended.reason, ended.commit) == ("accepted", outcome.commit)
    kinds = await asking.kinds()
    assert kinds.count("notification.started") == kinds.count("notification.sent") == 2
    assert kinds.index("approval.requested") < kinds.index("notification.started") < kinds.index("task.finished")


async def test_the_answer_takes_effect_while_the_message_hangs(asking: Asking) -> None:
    asking.box.over = asyncio.Event()
    executor = await asking.begin()
    running = asyncio.create_task(executor.run(asking.task_id))
    await _heard(asking.box)
    await asking.do.approve(asking.task_id, by="Ada")
    await asking.reaches(TaskState.COMPLETED)
    assert asking.box.ended == 0 and not running.done(), "what was begun is not thrown away"
    asking.box.over.set()
    await running
    await executor.stop()
    assert asking.box.ended == 2


async def test_a_cancelled_run_waits_for_no_message(asking: Asking) -> None:
    asking.box.over = asyncio.Event()
    executor = await asking.begin()
    running = asyncio.create_task(executor.run(asking.task_id))
    await _heard(asking.box)
    began = time.monotonic()
    await asking.do.cancel(asking.task_id, by="Ada")
    with pytest.raises(RunCancelledError):
        await asyncio.wait_for(running, 10)
    assert time.monotonic() - began < 5 and asking.box.ended == 0
    await executor.stop()


async def test_a_process_with_other_tasks_tells_it_before_it_gives_the_task_back_and_only_once(asking: Asking) -> None:
    executor = await asking.begin()
    for _ in range(3):
        with pytest.raises(StandbyError):
            await executor.run(asking.task_id, patient=False)
    assert [message.reason for message in asking.box.got] == ["approval_needed"] and asking.box.ended == 1
    await asking.do.approve(asking.task_id, by="Ada")
    outcome: Outcome = await executor.run(asking.task_id, patient=False)
    await executor.stop()
    assert outcome.state is TaskState.COMPLETED and len(asking.box.got) == 2


# --- through the command line, with a real server, a real program and processes that are killed --------------------


def config(folder: Path, **notify: Any) -> tuple[str, str]:
    path = Path(hand(folder, REPAIR)[1])
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"notify": notify}))
    return "--config", str(path)


@pytest.fixture
def own(tmp_path: Path, database_url: str) -> CommandLine:
    make_repository(tmp_path / "shop")
    return CommandLine(tmp_path / "data", env={"V3_STORAGE__DATABASE__URL": database_url})


def reasons(server: Listener) -> list[str]:
    return [str(request.data["reason"]) for request in server.got]


@pytest.mark.slow
def test_a_webhook_is_told_that_a_queued_task_waits_and_one_that_fails_harms_nothing(
    tmp_path: Path, own: CommandLine
) -> None:
    assert "approval_needed" in load_settings(config=None, flags={}).notify.reasons, "usual once somebody is named"
    with listening(500, 200) as server:
        told = config(tmp_path, webhook=f"{server.url}/secret-path", attempts=1)
        task = Watched(own, submit(own, told, tmp_path, "--iterations", "1", "--mode", "strict"))
        with working(own, told):
            task.reaches("awaiting_approval")
            until(lambda: [item["executor_id"] for item in queued(own)] == [None])
            assert reasons(server) == ["approval_needed"], "and a failure of the other side is not repeated for ever"
            assert server.got[0].data["checkpoint"] == "publish"
            own("approve", task.task).expect(0)
            task.ends()
            until(lambda: len(server.got) == 2)
    assert reasons(server) == ["approval_needed", "accepted"]
    watched = own("watch", task.task).expect(0).out
    assert "told by webhook: not" in watched and "500" in watched and "secret-path" not in watched


@pytest.mark.slow
def test_processes_that_are_killed_while_they_tell_it_are_followed_by_one_more_message(
    tmp_path: Path, own: CommandLine
) -> None:
    ran, go = tmp_path / "ran", tmp_path / "go"
    script = f"cat > /dev/null; echo once >> {ran}; while ! test -e {go}; do sleep 0.05; done"
    told = config(tmp_path, command=["sh", "-c", script], timeout_s=60.0)
    quick = ("--set", "engine.lease_s=3")
    task = Watched(own, submit(own, told, tmp_path, "--iterations", "1", "--mode", "strict"))
    for count in (1, 2):
        with working(own, told, *quick) as process:
            until(lambda count=count: ran.exists() and len(ran.read_text().split()) == count)  # type: ignore[misc]
            os.kill(process.pid, signal.SIGKILL)
    with working(own, told, *quick):
        until(lambda: [item["executor_id"] for item in queued(own)] == [None] and task.state() == "awaiting_approval")
        time.sleep(1.0)
        assert ran.read_text().split() == ["once", "once"], "not a third time"
        go.touch()
        own("approve", task.task).expect(0)
        task.ends()
    assert len(branches(tmp_path / "shop")) == 2
