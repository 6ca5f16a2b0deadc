"""A process that executes one task of the shop with everything real, and stands still at a place, there to be killed.

    python onerun.py '{"data_dir": ..., "url": ..., "repository": ..., "log": ..., "place": ..., ...}'

Keys besides: `config`, a file of settings; `moves`, whether somebody else commits to the branch meanwhile; `collides`,
whether that excludes the worker's change, which then gets a second round and does nothing in it; `shallow`, whether how
strong the tests are is left out. Places: `examine` (before the base's tests run on the candidate), the name
of an artifact (just stored), `publish` (the branch is there), the target of an outlet (it has delivered), `end` (the
task's end is told). The lines of the log: `task <id>`, `worked`, `the whole suite on the base`, `reached`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from journey import Hand, git, make_spec, repair
from processes import started, until, with_support

from councilor.app import open_service
from councilor.domain.artifact import ExecutionArtifact
from councilor.domain.event import Event, EventType, NewEvent
from councilor.domain.evidence import TestRun
from councilor.domain.publication import Publication
from councilor.domain.task import RunMode
from councilor.domain.worker import Assignment
from councilor.pipeline.executor import Parts
from councilor.pipeline.submission import Order, draft_task
from councilor.ports.analyzer import TestRequest
from councilor.settings import Settings, load_settings

WHOLE_SUITE = "the whole suite on the base"


class Place:
    """The log, and where the process stands still."""

    def __init__(self, log: Path, wanted: str) -> None:
        self._log, self._wanted = log, wanted

    def note(self, line: str) -> None:
        with self._log.open("a") as file:
            file.write(line + "\n")

    async def at(self, place: str) -> None:
        if place == self._wanted:
            self.note("reached")
            await asyncio.Event().wait()


class Around:
    """A part, with a place after one of its calls."""

    def __init__(self, inner: Any, place: Place) -> None:
        self.inner, self.place = inner, place

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Runner(Around):
    async def run(self, request: TestRequest, **options: Any) -> TestRun:
        if is_whole(request):
            self.place.note(WHOLE_SUITE)
        if request.expected:  # the candidate's
            await self.place.at("examine")
        return await self.inner.run(request, **options)


class Storage(Around):
    async def put(self, artifact: ExecutionArtifact, body: bytes) -> Any:
        result = await self.inner.put(artifact, body)
        await self.place.at(artifact.name)
        return result


class Events(Around):
    async def append(self, events: Sequence[NewEvent]) -> Sequence[Event]:
        result = await self.inner.append(events)
        if events[-1].type is EventType.TASK_FINISHED:
            await self.place.at("end")
        return result


class Repositories(Around):
    async def open(self, path: Path, **options: Any) -> Repository:
        return Repository(await self.inner.open(path, **options), self.place)


class Repository(Around):
    async def publish(self, **arguments: Any) -> str:
        commit = await self.inner.publish(**arguments)
        await self.place.at("publish")
        return commit


class Outlet(Around):
    async def deliver(self, publication: Publication, repository: Any) -> Any:
        where = await self.inner.deliver(publication, repository)
        await self.place.at(self.inner.target)
        return where


def is_whole(request: TestRequest) -> bool:
    """Whether it asks for every test there is, which only the base's first run does."""
    return not (request.expected or request.nodeids or request.paths)


def settings_of(given: dict[str, Any]) -> Settings:
    """The settings with which such a process runs, for the one that takes over."""
    config = Path(given["config"]) if "config" in given else None
    return load_settings(config=config, flags={"data_dir": given["data_dir"], "storage.database.url": given["url"]})


async def killed_at(place: str, **given: Any) -> str:
    """A process that is killed once it has come to a place; gives the task's id."""
    log = Path(given["log"])
    words = json.dumps({key: value if isinstance(value, bool) else str(value) for key, value in given.items()})

    def reached() -> list[str] | None:
        lines = log.read_text().splitlines() if log.exists() else []
        return lines if "reached" in lines else None

    async with started(sys.executable, __file__, words, place, env=with_support()) as process:
        lines = await until(reached, process)
    return str(lines[0].removeprefix("task "))


def adapt(parts: Parts, given: dict[str, Any], place: Place) -> Parts:
    folder = Path(given["repository"])

    def work(workspace: Path, assignment: Assignment) -> None:
        place.note("worked")
        if assignment.iteration > 1:
            return
        repair(workspace)
        if given.get("moves"):
            (folder / ("shop.py" if given.get("collides") else "other.py")).write_text("OTHER = 1\n")
            git(folder, "add", "-A")
            git(folder, "commit", "-q", "-m", "Somebody else's")

    outlets = [Outlet(outlet, place) for outlet in parts.publishing.outlets]
    return replace(
        parts,
        runner=Runner(parts.runner, place),
        repositories=Repositories(parts.repositories, place),
        events=Events(parts.events, place),
        ledger=replace(parts.ledger, storage=Storage(parts.ledger.storage, place)),
        workers={"hand": Hand(acts=[work])},
        asked={"hand"},
        publishing=replace(parts.publishing, outlets=outlets),
        **({"servers": None, "tester": None} if given.get("shallow") else {}),
    )


async def main(given: dict[str, Any], wanted: str) -> None:
    place, folder = Place(Path(given["log"]), wanted), Path(given["repository"])
    async with open_service(settings_of(given), adapt=lambda parts: adapt(parts, given, place)) as service:
        repository = await service.tools.repositories.open(folder)
        order = Order(
            spec_text=make_spec(), base=await repository.resolve("HEAD"), worker="hand", mode=RunMode.AUTO,
            max_iterations=2 if given.get("collides") else 1, deadline_s=120.0,
            base_ref=await repository.branch("HEAD") if given.get("moves") else None,
        )  # fmt: skip
        task = await draft_task(order, repository, clock=service.runtime.clock, ids=service.runtime.ids)
        place.note(f"task {task.id}")
        await service.executor.submit(task)
        await service.executor.run(task.id)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1]), sys.argv[2]))
