"""Nothing is published twice: processes killed between what they did outside and what they remember of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from journey import branches, git, make_repository
from onerun import killed_at, settings_of

from councilor.app import open_service
from councilor.domain.event import EventType
from councilor.domain.task import TaskState
from councilor.pipeline.executor import Parts
from councilor.pipeline.ledger import verify_task

SLOW = [pytest.param(place, marks=pytest.mark.slow) for place in ("patch/2", "verdict/2", "command")]


@pytest.mark.parametrize("place", ["push", *SLOW])
async def test_a_run_killed_while_it_publishes_publishes_once(tmp_path, database_url, place):
    repository, bare, log, ran = (tmp_path / name for name in ("repo", "remote.git", "log", "ran"))
    make_repository(repository)
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(repository, "remote", "add", "origin", str(bare))
    config = tmp_path / "config.yaml"
    config.write_text(f"publish:\n  push: origin\n  command: [/bin/sh, -c, 'echo once >> {ran}; echo there']\n")
    about = {"data_dir": tmp_path / "data", "url": database_url, "repository": repository, "log": log, "config": config}
    task_id = await killed_at(place, **about, moves=True, shallow=True)

    def adapt(parts: Parts) -> Parts:  # without the worker: its work is done
        return replace(parts, servers=None, tester=None)

    async with open_service(settings_of(about), adapt=adapt) as service:
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
    about = {"data_dir": tmp_path / "data", "url": database_url, "repository": repository, "log": log, "config": config}
    task_id = await killed_at(place, **about, moves=True, collides=True, shallow=True)

    def adapt(parts: Parts) -> Parts:  # without the worker: its work is done
        return replace(parts, servers=None, tester=None, asked={"hand"})

    async with open_service(settings_of(about), adapt=adapt) as service:
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
