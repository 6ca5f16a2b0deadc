"""Nothing is published twice: processes killed between what they did outside and what they remember of it."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from journey import branches, git, make_repository

from councilor.app import open_service
from councilor.domain.event import EventType
from councilor.domain.task import TaskState
from councilor.pipeline.executor import Parts
from councilor.pipeline.ledger import verify_task
from councilor.settings import load_settings

SUPPORT = Path(__file__).resolve().parents[1] / "support"
PATHS = os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])
PROCESS = """
import asyncio, pathlib, sys
from dataclasses import replace

from journey import Hand, git, make_spec, repair
from councilor.app import open_service
from councilor.domain.task import RunMode
from councilor.pipeline.submission import Order, draft_task
from councilor.settings import load_settings

data_dir, database_url, folder, log, hang, config, other = sys.argv[1:]


def note(line):
    with pathlib.Path(log).open("a") as file:
        file.write(line + "\\n")


async def stop_here(place):
    if place == hang:
        note("reached")
        await asyncio.Event().wait()


class Around:
    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)


class Storage(Around):
    async def put(self, artifact, body):
        result = await self.inner.put(artifact, body)
        await stop_here(artifact.name)
        return result


class Outlet(Around):
    async def deliver(self, publication, repository):
        where = await self.inner.deliver(publication, repository)
        await stop_here(self.inner.target)
        return where


def work(workspace, assignment):
    if assignment.iteration > 1:
        return "I could not."
    repair(workspace)
    path = pathlib.Path(folder)
    (path / other).write_text("OTHER = 1\\n")
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "Somebody else's")


def adapt(parts):
    outlets = [Outlet(outlet) for outlet in parts.publishing.outlets]
    return replace(
        parts,
        servers=None,
        tester=None,
        ledger=replace(parts.ledger, storage=Storage(parts.ledger.storage)),
        workers={"hand": Hand(acts=[work])},
        asked={"hand"},
        publishing=replace(parts.publishing, outlets=outlets),
    )


async def main():
    flags = {"data_dir": data_dir, "storage.database.url": database_url}
    settings = load_settings(config=pathlib.Path(config), flags=flags)
    async with open_service(settings, adapt=adapt) as service:
        repository = await service.tools.repositories.open(pathlib.Path(folder))
        order = Order(
            spec_text=make_spec(), base=await repository.resolve("HEAD"), worker="hand", mode=RunMode.AUTO,
            max_iterations=1 if other == "other.py" else 2, deadline_s=120.0, base_ref=await repository.branch("HEAD"),
        )
        task = await draft_task(order, repository, clock=service.runtime.clock, ids=service.runtime.ids)
        note(f"task {task.id}")
        await service.executor.submit(task)
        await service.executor.run(task.id)


asyncio.run(main())
"""


async def killed_at(place: str, log: Path, *arguments: str) -> str:
    """A process that is killed once it has come to `place`; gives the task's id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROCESS, *arguments[:3], str(log), place, *arguments[3:],
        env=os.environ | {"PYTHONPATH": PATHS}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            while "reached" not in (lines := log.read_text().splitlines() if log.exists() else []):
                assert process.returncode is None, (await process.communicate())[0].decode()
                await asyncio.sleep(0.02)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
    return lines[0].removeprefix("task ")


SLOW = [pytest.param(place, marks=pytest.mark.slow) for place in ("patch/2", "verdict/2", "command")]


@pytest.mark.parametrize("place", ["push", *SLOW])
async def test_a_run_killed_while_it_publishes_publishes_once(tmp_path, database_url, place):
    repository, bare, log, ran = (tmp_path / name for name in ("repo", "remote.git", "log", "ran"))
    make_repository(repository)
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(repository, "remote", "add", "origin", str(bare))
    config = tmp_path / "config.yaml"
    config.write_text(f"publish:\n  push: origin\n  command: [/bin/sh, -c, 'echo once >> {ran}; echo there']\n")
    data_dir = tmp_path / "data"
    task_id = await killed_at(place, log, str(data_dir), database_url, str(repository), str(config), "other.py")

    def adapt(parts: Parts) -> Parts:  # without the worker: its work is done
        return replace(parts, servers=None, tester=None)

    settings = load_settings(config=config, flags={"data_dir": str(data_dir), "storage.database.url": database_url})
    async with open_service(settings, adapt=adapt) as service:
        outcome = await service.executor.resume(task_id)
        assert await service.executor.resume(task_id) == outcome
        events = await service.store.events.read(task_id, limit=1000)
        head = await service.store.events.head(task_id)
        opened = await service.tools.repositories.open(repository)
        verification = await verify_task(head, service.store.artifacts, service.store.keys, opened)

    assert outcome.state is TaskState.COMPLETED and verification.sound
    assert sorted(branches(repository)) == sorted(["main", outcome.branch])
    assert git(repository, "rev-parse", f"{outcome.branch}^") == git(repository, "rev-parse", "main")
    assert git(bare, "rev-parse", outcome.branch) == outcome.commit == git(repository, "rev-parse", outcome.branch)
    assert git(bare, "rev-list", "--count", outcome.branch) == "3"
    assert ran.read_text() == "once\n"
    kinds = [event.type for event in events]
    assert kinds.count(EventType.TASK_FINISHED) == 1
    finished = {event.data["target"] for event in events if event.type is EventType.PUBLICATION_FINISHED}
    failed = {event.data["target"]: event.data for event in events if event.type is EventType.PUBLICATION_FAILED}
    if place == "command":
        assert finished == {"push"} and "not run twice" in failed["command"]["error"]
    else:
        assert finished == {"push", "command"} and failed == {}


@pytest.mark.slow
@pytest.mark.parametrize("place", ["patch/3", "verdict/3", "push"])
async def test_a_run_killed_while_it_keeps_what_conflicts_publishes_once(tmp_path, database_url, place):
    repository, bare, log = (tmp_path / name for name in ("repo", "remote.git", "log"))
    make_repository(repository)
    base = git(repository, "rev-parse", "HEAD")
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(repository, "remote", "add", "origin", str(bare))
    config = tmp_path / "config.yaml"
    config.write_text("publish:\n  push: origin\n")
    data_dir = tmp_path / "data"
    task_id = await killed_at(place, log, str(data_dir), database_url, str(repository), str(config), "shop.py")

    def adapt(parts: Parts) -> Parts:  # without the worker: its work is done
        return replace(parts, servers=None, tester=None, asked={"hand"})

    settings = load_settings(config=config, flags={"data_dir": str(data_dir), "storage.database.url": database_url})
    async with open_service(settings, adapt=adapt) as service:
        outcome = await service.executor.resume(task_id)
        events = await service.store.events.read(task_id, limit=1000)
        head = await service.store.events.head(task_id)
        opened = await service.tools.repositories.open(repository)
        verification = await verify_task(head, service.store.artifacts, service.store.keys, opened)
    assert (outcome.state, head.decision) == (TaskState.COMPLETED, "accept") and verification.sound
    assert git(repository, "rev-parse", f"{outcome.branch}^") == base
    assert git(bare, "rev-parse", outcome.branch) == outcome.commit == git(repository, "rev-parse", outcome.branch)
    assert [event.data["outcome"] for event in events if event.type is EventType.PUBLICATION_REBASED] == [
        "conflict",
        "kept",
    ]
    assert [event.type for event in events].count(EventType.TASK_FINISHED) == 1
