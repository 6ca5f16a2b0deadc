"""Nothing is judged or published twice: runs whose process is killed or interrupted, with the durable engine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from journey import branches, git, make_repository, make_spec

from councilor.app import open_service
from councilor.domain.artifact import ArtifactKind
from councilor.domain.event import EventType
from councilor.domain.evidence import TestRun
from councilor.domain.task import TaskState
from councilor.domain.verdict import Decision
from councilor.pipeline.executor import Parts
from councilor.pipeline.ledger import verify_task
from councilor.ports.analyzer import TestRequest, TestRunner
from councilor.settings import load_settings

SUPPORT = Path(__file__).resolve().parents[1] / "support"
PATHS = os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])
PROCESS = """
import asyncio, pathlib, sys
from dataclasses import replace

from journey import Hand, make_spec, repair
from councilor.app import open_service
from councilor.domain.artifact import ArtifactKind
from councilor.domain.event import EventType
from councilor.domain.task import RunMode
from councilor.pipeline.submission import Order, draft_task
from councilor.settings import load_settings

data_dir, database_url, folder, log, hang = sys.argv[1:]


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


class Runner(Around):
    async def run(self, request, *, on_record=None):
        if not (request.expected or request.nodeids or request.paths):
            note("the whole suite on the base")
        if request.expected:  # the candidate's
            await stop_here("examine")
        return await self.inner.run(request, on_record=on_record)


class Storage(Around):
    async def put(self, artifact, body):
        result = await self.inner.put(artifact, body)
        if artifact.name in ("strength/1", "verdict/1", "verdict/1.2"):
            await stop_here(artifact.name)
        return result


class Events(Around):
    async def append(self, events):
        result = await self.inner.append(events)
        if events[-1].type is EventType.TASK_FINISHED:
            await stop_here("end")
        return result


class Repository(Around):
    async def publish(self, **arguments):
        commit = await self.inner.publish(**arguments)
        await stop_here("publish")
        return commit


class Repositories(Around):
    async def open(self, path, *, store=None):
        return Repository(await self.inner.open(path, store=store))


def work(folder, assignment):
    note("worked")
    repair(folder)


def adapt(parts):
    return replace(
        parts,
        runner=Runner(parts.runner),
        repositories=Repositories(parts.repositories),
        events=Events(parts.events),
        ledger=replace(parts.ledger, storage=Storage(parts.ledger.storage)),
        workers={"hand": Hand(acts=[work])},
    )


async def main():
    settings = load_settings(flags={"data_dir": data_dir, "storage.database.url": database_url})
    async with open_service(settings, adapt=adapt) as service:
        repository = await service.tools.repositories.open(pathlib.Path(folder))
        order = Order(
            spec_text=make_spec(), base=await repository.resolve("HEAD"), worker="hand", mode=RunMode.AUTO,
            max_iterations=1, deadline_s=120.0,
        )
        task = await draft_task(order, repository, clock=service.runtime.clock, ids=service.runtime.ids)
        note(f"task {task.id}")
        await service.executor.submit(task)
        await service.executor.run(task.id)


asyncio.run(main())
"""


class Asked:
    """A test runner that keeps what it is asked for."""

    def __init__(self, inner: TestRunner, asked: list[TestRequest]) -> None:
        self.inner, self.asked = inner, asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def run(self, request: TestRequest, **options: Any) -> TestRun:
        self.asked.append(request)
        return await self.inner.run(request, **options)


async def until(log: Path, line: str, process: asyncio.subprocess.Process) -> list[str]:
    """The lines of a log once it holds `line`."""
    async with asyncio.timeout(60):
        while True:
            lines = log.read_text().splitlines() if log.exists() else []
            if line in lines:
                return lines
            assert process.returncode is None, (await process.communicate())[0].decode()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("place", ["examine", "verdict/1", "strength/1", "verdict/1.2", "publish", "end"])
async def test_a_run_killed_in_the_middle_is_judged_and_published_once(tmp_path, database_url, place):
    repository, log, data_dir = make_repository(tmp_path / "repo"), tmp_path / "log", tmp_path / "data"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROCESS, str(data_dir), database_url, str(repository), str(log), place,
        env=os.environ | {"PYTHONPATH": PATHS}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        lines = await until(log, "reached", process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
    task_id = lines[0].removeprefix("task ")

    settings = load_settings(flags={"data_dir": str(data_dir), "storage.database.url": database_url})
    asked: list[TestRequest] = []

    def adapt(parts: Parts) -> Parts:
        return replace(parts, runner=Asked(parts.runner, asked))

    # Without the worker: work that is done is not done again.
    async with open_service(settings, adapt=adapt) as service:
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
    assert log.read_text().splitlines().count("the whole suite on the base") == 1
    assert not [request for request in asked if not (request.expected or request.nodeids or request.paths)]


def processes_that_mention(text: str) -> list[str]:
    """Command lines of living processes that hold a text."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if text in line:
                found.append(line)
    return found


async def test_control_c_ends_everything_and_the_run_can_be_resumed(tmp_path, database_url):
    repository, flags = make_repository(tmp_path / "repo"), tmp_path / "flags"
    flags.mkdir()
    (tmp_path / "spec.yaml").write_text(make_spec())
    script = f"test -e {flags}/go || sleep 300; sed -i 's/ + 1//' shop.py; echo done"
    worker = {"kind": "command", "command": ["sh", "-c", script], "folders": [str(flags)]}
    (tmp_path / "config.yaml").write_text(json.dumps({"workers": {"slow": worker}}))
    variables = os.environ | {"V3_DATA_DIR": str(tmp_path / "data"), "V3_STORAGE__DATABASE__URL": database_url}

    async def councilor(*arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "councilor", "--config", str(tmp_path / "config.yaml"), *arguments,
            cwd=tmp_path, env=variables, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    process = await councilor("run", "spec.yaml", "-C", str(repository), "--worker", "slow")
    try:
        async with asyncio.timeout(60):
            while not any("sleep 300" in line and "sh -c" in line for line in processes_that_mention(str(flags))):
                assert process.returncode is None, (await process.communicate())[1].decode()
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            _, told = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 130, told.decode()
    assert "councilor run --resume" in told.decode() and "Traceback" not in told.decode()
    assert processes_that_mention(str(tmp_path)) == []
    assert branches(repository) == ["main"] and git(repository, "status", "--porcelain") == ""

    (flags / "go").touch()
    resumed = await councilor("run", "--resume", "last", "--json")
    output, told = await resumed.communicate()
    assert resumed.returncode == 0, told.decode()
    outcome = json.loads(output)
    assert outcome["decision"] == "accept" and git(repository, "rev-parse", outcome["branch"]) == outcome["commit"]
    assert FIXED in git(repository, "show", f"{outcome['commit']}:shop.py")


FIXED = "return sum(prices)\n"
