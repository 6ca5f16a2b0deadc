"""Nothing is judged or published twice: runs whose process is killed or interrupted, with the durable engine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
from journey import branches, git, make_repository, make_spec
from onerun import WHOLE_SUITE, is_whole, killed_at, settings_of
from processes import councilor, started, that_mention, until

from councilor.app import open_service
from councilor.domain.artifact import ArtifactKind
from councilor.domain.event import EventType
from councilor.domain.evidence import TestRun
from councilor.domain.task import TaskState
from councilor.domain.verdict import Decision
from councilor.pipeline.executor import Parts
from councilor.pipeline.ledger import verify_task
from councilor.ports.analyzer import TestRequest, TestRunner


class Asked:
    """A test runner that keeps what it is asked for."""

    def __init__(self, inner: TestRunner, asked: list[TestRequest]) -> None:
        self.inner, self.asked = inner, asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def run(self, request: TestRequest, **options: Any) -> TestRun:
        self.asked.append(request)
        return await self.inner.run(request, **options)


@pytest.mark.parametrize("place", ["examine", "verdict/1", "strength/1", "verdict/1.2", "publish", "end"])
async def test_a_run_killed_in_the_middle_is_judged_and_published_once(tmp_path, database_url, place):
    repository, log = make_repository(tmp_path / "repo"), tmp_path / "log"
    about = {"data_dir": tmp_path / "data", "url": database_url, "repository": repository, "log": log}
    task_id = await killed_at(place, **about)
    asked: list[TestRequest] = []

    def adapt(parts: Parts) -> Parts:
        return replace(parts, runner=Asked(parts.runner, asked))

    # Without the worker: work that is done is not done again.
    async with open_service(settings_of(about), adapt=adapt) as service:
        outcome = await service.executor.resume(task_id)
        assert await service.executor.resume(task_id) == outcome
        events = await service.store.events.read(task_id, limit=1000)
        artifacts = await service.store.artifacts.of_task(task_id)
        head = await service.store.events.head(task_id)
        opened = await service.tools.repositories.open(repository)
        verification = await verify_task(head, service.store.artifacts, service.store.keys, opened)

    assert (outcome.decision, outcome.state) == (Decision.ACCEPT, TaskState.COMPLETED)
    assert sorted(branches(repository)) == sorted(["main", outcome.branch])
    assert git(repository, "rev-list", "--count", f"main..{outcome.branch}") == "1"
    assert git(repository, "rev-parse", outcome.branch) == outcome.commit == head.commit
    verdicts = {item.name: item.id for item in artifacts if item.kind is ArtifactKind.VERDICT}
    assert list(verdicts) == ["verdict/1", "verdict/1.2"] and verdicts["verdict/1.2"] == outcome.verdict_artifact
    assert verification.sound
    kinds = [event.type for event in events]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert (kinds.count(EventType.VERDICT_REACHED), kinds.count(EventType.TASK_FINISHED)) == (2, 1)
    assert kinds[-1] is EventType.TASK_FINISHED and head.decision == "accept"
    assert log.read_text().splitlines().count("worked") == 1
    assert log.read_text().splitlines().count(WHOLE_SUITE) == 1
    assert not any(is_whole(request) for request in asked)


async def test_control_c_ends_everything_and_the_run_can_be_resumed(tmp_path, database_url):
    repository, flags = make_repository(tmp_path / "repo"), tmp_path / "flags"
    flags.mkdir()
    (tmp_path / "spec.yaml").write_text(make_spec())
    script = f"test -e {flags}/go || sleep 300; sed -i 's/ + 1//' shop.py; echo done"
    worker = {"kind": "command", "command": ["sh", "-c", script], "folders": [str(flags)]}
    (tmp_path / "config.yaml").write_text(json.dumps({"workers": {"slow": worker}}))
    variables = os.environ | {"V3_DATA_DIR": str(tmp_path / "data"), "V3_STORAGE__DATABASE__URL": database_url}

    def run(*arguments: str) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
        given = councilor("--config", str(tmp_path / "config.yaml"), "run", *arguments)
        return started(*given, cwd=tmp_path, env=variables)

    def works() -> bool:
        return any("sleep 300" in line and "sh -c" in line for line in that_mention(str(flags)))

    async with run("spec.yaml", "-C", str(repository), "--worker", "slow") as process:
        await until(works, process)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            _, told = await process.communicate()
    assert process.returncode == 130, told.decode()
    assert "councilor run --resume" in told.decode() and "Traceback" not in told.decode()
    assert that_mention(str(tmp_path)) == []
    assert branches(repository) == ["main"] and git(repository, "status", "--porcelain") == ""

    (flags / "go").touch()
    async with run("--resume", "last", "--json") as resumed:
        output, told = await resumed.communicate()
    assert resumed.returncode == 0, told.decode()
    outcome = json.loads(output)
    assert outcome["decision"] == "accept" and git(repository, "rev-parse", outcome["branch"]) == outcome["commit"]
    assert FIXED in git(repository, "show", f"{outcome['commit']}:shop.py")


FIXED = "return sum(prices)\n"
