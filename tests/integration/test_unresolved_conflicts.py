"""An accepted change whose conflict with its branch nobody resolves stays accepted, on the base it was judged on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from journey import BUG, Act, DurableMemory, Hand, Journey, Trip, branches, git, make_repository, open_journey, repair

from councilor.adapters.memory.engine import MemoryEngine
from councilor.adapters.memory.queue import MemoryTaskQueue
from councilor.domain.accounting import account
from councilor.domain.artifact import ArtifactKind, Body, ExecutionArtifact
from councilor.domain.event import EventType
from councilor.domain.publication import Publication, destinations
from councilor.domain.question import Answered
from councilor.domain.task import RunMode, TaskState
from councilor.domain.verdict import Decision
from councilor.errors import InputError
from councilor.pipeline.executor import Publishing
from councilor.pipeline.inquiry import recall
from councilor.pipeline.interventions import Interventions
from councilor.pipeline.ledger import verify_task
from councilor.pipeline.questions import draft_rejudgement
from councilor.pipeline.replays import replay_task
from councilor.ports.repository import Repository

TOTAL_LINE = f"    return {BUG}\n"
RIGHT = "    return sum(list(prices))\n"


def commit(repository: Path, files: dict[str, str]) -> str:
    """Somebody's commit on main."""
    for name, text in files.items():
        (repository / name).write_text(text)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Somebody else's")
    return git(repository, "rev-parse", "HEAD")


def collide(repository: Path, line: str) -> str:
    """Somebody changes the very line."""
    text = (repository / "shop.py").read_text().splitlines(keepends=True)
    text[1] = line
    return commit(repository, {"shop.py": "".join(text)})


def meanwhile(act: Callable[[Path], Any], *moves: Callable[[], Any]) -> Act:
    """A worker's round, while others commit."""

    def both(folder: Path, assignment: Any) -> str:
        act(folder)
        for move in moves:
            move()
        return "All tests pass."

    return both


def fail(folder: Path, assignment: Any = None) -> str:
    """A round that leaves the conflict where it is."""
    return "I could not."


def resolve(folder: Path, assignment: Any = None) -> str:
    text = (folder / "shop.py").read_text()
    start, end = text.index("<<<<<<<"), text.index(">>>>>>>")
    (folder / "shop.py").write_text(text[:start] + RIGHT + text[text.index("\n", end) + 1 :])
    return "Resolved."


class Place:
    """A program that is told of the commit."""

    target, repeatable = "command", False

    def __init__(self) -> None:
        self.got: list[Publication] = []

    async def deliver(self, publication: Publication, repository: Repository) -> str:
        self.got.append(publication)
        return "there"


async def on_main(journey: Journey, repository: Path, **changes: Any) -> Trip:
    """Let a task travel whose worker reads requests."""
    journey.parts = replace(journey.parts, asked=frozenset({"hand"}))
    return await journey.travel(await journey.task(repository, **({"base_ref": "refs/heads/main"} | changes)))


def rebased(trip: Trip) -> list[str]:
    return [event.data["outcome"] for event in trip.of(EventType.PUBLICATION_REBASED)]


async def test_it_is_published_where_it_was_accepted_and_everything_says_so(tmp_path, shared_environment):
    repository, place = make_repository(tmp_path / "repo"), Place()
    base, tips = git(repository, "rev-parse", "HEAD"), list[str]()
    first = meanwhile(repair, lambda: tips.append(collide(repository, "    return 2 + sum(prices)\n")))
    async with open_journey(tmp_path, first, fail, shared=shared_environment) as journey:
        journey.parts = replace(journey.parts, publishing=Publishing(outlets=[place]))
        trip = await on_main(journey, repository, max_iterations=2)
        parts, task_id = journey.parts, trip.task.id
        head = await parts.events.head(task_id)
        opened = await parts.repositories.open(repository)
        verification = await verify_task(head, trip.storage, journey.keys, opened)
        replayed = await replay_task(task_id, trip.storage)
        recalled = await recall(
            task_id,
            events=parts.events,
            artifacts=trip.storage,
            repositories=parts.repositories,
            runs_dir=parts.runs_dir,
            owns=parts.runner.owns,
            clock=parts.clock,
        )
        answered = cast(Answered, SimpleNamespace(question=SimpleNamespace(setup=(), call="total([])")))
        again = await draft_rejudgement(parts.ledger, head, trip.task, answered, clock=parts.clock, ids=parts.ids)
        artifacts = await trip.storage.of_task(task_id)
    outcome, verdict = trip.outcome, await trip.verdict()

    # the end
    assert (outcome.state, outcome.decision, outcome.iterations) == (TaskState.COMPLETED, Decision.ACCEPT, 2)
    assert git(repository, "rev-parse", f"{outcome.commit}^") == base
    assert git(repository, "diff", base, outcome.commit).count("\n+") == 2, "one line, and the file's name"
    assert (head.state, head.decision, head.commit) == (TaskState.COMPLETED, "accept", outcome.commit)
    assert (verdict.decision, verdict.iteration, verdict.tree) == (Decision.ACCEPT, 1, outcome.tree)

    # what is told
    assert rebased(trip) == ["conflict", "kept"]
    kept = trip.of(EventType.PUBLICATION_REBASED)[1].data
    assert (kept["base"], kept["onto"], kept["conflicts"], kept["iteration"]) == (base, tips[0], ["shop.py"], 2)
    assert "was not accepted" in kept["reason"]
    decisions = [event.data["decision"] for event in trip.of(EventType.VERDICT_REACHED)]
    assert decisions[0] == decisions[-1] == "accept" and len(decisions) == 3 and decisions[1] != "accept"
    assert {item.target: (item.outcome, item.hint) for item in destinations(trip.events)} == {
        "base": ("failed", "Both sides changed shop.py."),
        "command": ("finished", ""),
    }
    (got,) = place.got
    assert got.base == base and "not on top of its branch" in got.body and "Both sides changed shop.py." in got.body
    spent = account(trip.events)
    once = {event.data["verdict_id"]: event.data["consensus_s"] for event in trip.of(EventType.VERDICT_REACHED)}
    assert spent.council_s == pytest.approx(sum(once.values())), "the same verdict took its time once"
    assert spent.verdict_artifact == outcome.verdict_artifact

    # what is signed
    assert verification.sound, verification.findings
    message = git(repository, "log", "-1", "--format=%B", outcome.commit)
    assert f"CAWS-Verdict-Id: {verdict.id}" in message
    verdicts = [item for item in artifacts if item.kind is ArtifactKind.VERDICT]
    assert [item.name for item in verdicts] == ["verdict/1", "verdict/2", "verdict/3"]
    assert verdicts[2].id == outcome.verdict_artifact and verdicts[2].output_hash == verdicts[0].output_hash
    roles = {item.role: item.artifact_id for item in verdicts[2].inputs}
    assert (roles["restated"], roles["refused"]) == (verdicts[0].id, verdicts[1].id)
    assert roles["case"] == next(item.artifact_id for item in verdicts[0].inputs if item.role == "case")
    assert replayed.sound and [item.identical for item in replayed.verdicts] == [True, True, True]

    # whoever looks for the newest finds what counts
    newest = {item.name.partition("/")[0]: item for item in artifacts}
    assert newest["patch"].tree == newest["report"].tree == newest["evidence"].tree == outcome.tree
    assert newest["patch"].name == "patch/3" and await trip.artifact("claims/3") == await trip.artifact("claims/1")
    assert recalled.report == "All tests pass." and list(recalled.context.given.candidate.paths) == ["shop.py"]
    assert (again.base_commit, again.candidate_tree) == (base, outcome.tree)


@pytest.mark.slow
async def test_rounds_that_are_refined_on_the_way_change_nothing(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    base = git(repository, "rev-parse", "HEAD")

    def worse(folder: Path, assignment: Any) -> str:
        resolve(folder)
        (folder / "shop.py").write_text((folder / "shop.py").read_text().replace("sum(list(prices))", "0"))
        return "Resolved."

    first = meanwhile(repair, lambda: collide(repository, "    return 2 + sum(prices)\n"))
    async with open_journey(tmp_path, first, worse, fail, shared=shared_environment) as journey:
        trip = await on_main(journey, repository, max_iterations=3)
    assert len(trip.of(EventType.WORKER_ASSIGNED)) == 3, "its rounds are its own"
    assert (trip.outcome.state, rebased(trip)) == (TaskState.COMPLETED, ["conflict", "kept"])
    assert git(repository, "rev-parse", f"{trip.outcome.commit}^") == base


@pytest.mark.slow
async def test_what_counts_is_the_last_that_was_accepted(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    tips = list[str]()
    first = meanwhile(repair, lambda: tips.append(collide(repository, "    return 2 + sum(prices)\n")))
    second = meanwhile(resolve, lambda: tips.append(collide(repository, "    return 3 + sum(prices)\n")))
    async with open_journey(tmp_path, first, second, fail, shared=shared_environment) as journey:
        trip = await on_main(journey, repository, max_iterations=3)
    assert rebased(trip) == ["conflict", "conflict", "kept"]
    assert trip.outcome.state is TaskState.COMPLETED
    assert git(repository, "rev-parse", f"{trip.outcome.commit}^") == tips[0]
    assert RIGHT.strip() in git(repository, "show", f"{trip.outcome.commit}:shop.py")


@pytest.mark.slow
async def test_what_merges_and_is_wrong_there_is_refused_whatever_conflicted_before(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    broken = "from shop import total\n\n\ndef test_more():\n    assert total([1]) == 2\n"
    first = meanwhile(repair, lambda: collide(repository, "    return 2 + sum(prices)\n"))
    second = meanwhile(resolve, lambda: commit(repository, {"tests/test_more.py": broken}))
    async with open_journey(tmp_path, first, second, shared=shared_environment) as journey:
        trip = await on_main(journey, repository, max_iterations=2)
    assert rebased(trip) == ["conflict", "clean"]
    assert trip.outcome.decision is not Decision.ACCEPT and trip.outcome.commit is None
    assert branches(repository) == ["main"]


@pytest.mark.slow
async def test_a_worker_that_reads_no_request_and_fails_on_the_new_base(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    base = git(repository, "rev-parse", "HEAD")
    first = meanwhile(repair, lambda: collide(repository, "    return 2 + sum(prices)\n"))
    async with open_journey(tmp_path, first, fail, shared=shared_environment) as journey:
        task = await journey.task(repository, base_ref="refs/heads/main", max_iterations=2)
        trip = await journey.travel(task)
    assert rebased(trip) == ["conflict", "kept"]
    assert git(repository, "rev-parse", f"{trip.outcome.commit}^") == base


@pytest.mark.slow
async def test_no_worker_begins_what_would_cost_the_task_its_verdict(tmp_path, shared_environment, monkeypatch):
    monkeypatch.setattr("councilor.pipeline.executor.rebase.WORK_SHARE", 1.0)  # nothing is left after it
    repository = make_repository(tmp_path / "repo")
    first = meanwhile(repair, lambda: collide(repository, "    return 2 + sum(prices)\n"))
    async with open_journey(tmp_path, first, fail, shared=shared_environment) as journey:
        trip = await on_main(journey, repository, max_iterations=2)
    assert (trip.outcome.state, trip.outcome.iterations, rebased(trip)) == (TaskState.COMPLETED, 1, ["kept"])
    assert "too little time" in trip.of(EventType.PUBLICATION_REBASED)[0].data["reason"]


@pytest.mark.slow
async def test_a_worker_that_cannot_be_started_again(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")

    def gone(folder: Path, assignment: Any) -> str:
        raise InputError("Its program is gone.")

    first = meanwhile(repair, lambda: collide(repository, "    return 2 + sum(prices)\n"))
    async with open_journey(tmp_path, first, gone, shared=shared_environment) as journey:
        trip = await on_main(journey, repository, max_iterations=2)
    assert (trip.outcome.state, rebased(trip)) == (TaskState.COMPLETED, ["conflict", "kept"])
    assert "could not be started: Its program is gone." in trip.of(EventType.WORKER_OUTPUT)[1].data["ended"]


@pytest.mark.slow
async def test_the_best_of_several_is_kept_with_its_own_author(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    able = meanwhile(repair, lambda: collide(repository, "    return 2 + sum(prices)\n"))
    workers = {"idle": Hand(acts=[fail], name="idle"), "able": Hand(acts=[able, fail], name="able")}
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        journey.parts = replace(journey.parts, workers=workers, side_by_side=2)
        trip = await on_main(journey, repository, worker="idle", crew=("able",), max_iterations=2)
        head = await journey.parts.events.head(trip.task.id)
        opened = await journey.parts.repositories.open(repository)
        verification = await verify_task(head, trip.storage, journey.keys, opened)
    assert rebased(trip)[-1] == "kept" and trip.outcome.state is TaskState.COMPLETED
    assert git(repository, "log", "-1", "--format=%an", trip.outcome.commit) == "able"
    assert verification.sound


async def test_a_person_approves_the_verdict_that_counts_and_is_told_of_the_conflict(tmp_path, shared_environment):
    repository, heard = make_repository(tmp_path / "repo"), []

    class Box:
        channel = "command"

        async def send(self, notification: Any) -> None:
            heard.append(notification)

    first = meanwhile(repair, lambda: collide(repository, "    return 2 + sum(prices)\n"))
    async with open_journey(tmp_path, first, fail, shared=shared_environment) as journey:
        parts = journey.parts = replace(journey.parts, notifiers=[Box()], notify_on=("ended", "approval_needed"))
        queue = MemoryTaskQueue(parts.events, clock=parts.clock)
        do = Interventions(
            events=parts.events, queue=queue, ledger=parts.ledger, clock=parts.clock, metrics=parts.metrics
        )
        travelling = asyncio.create_task(on_main(journey, repository, max_iterations=2, mode=RunMode.STRICT))
        async with asyncio.timeout(60):
            while not heard:
                await asyncio.sleep(0.02)
        await do.approve(heard[0].task_id, by="Ada", reason="I merge it")
        trip = await travelling
    (asked,) = trip.of(EventType.APPROVAL_REQUESTED)
    assert asked.data["artifact_id"] == trip.outcome.verdict_artifact == await trip.artifact_id("verdict/3")
    assert [message.reason for message in heard] == ["approval_needed", "accepted"]
    assert all("Both sides changed shop.py." in message.summary for message in heard)
    assert trip.outcome.state is TaskState.COMPLETED


class Killed(BaseException):
    """The process dies here."""


class Dying(DurableMemory):
    """Dies once it has stored an artifact of that name."""

    dies_at = ""

    async def put(self, artifact: ExecutionArtifact, body: Body) -> Any:
        stored = await super().put(artifact, body)
        if artifact.name == self.dies_at:
            self.dies_at = ""
            raise Killed
        return stored


@pytest.mark.parametrize("place", [pytest.param("patch/3", marks=pytest.mark.slow), "verdict/3"])
async def test_a_process_that_dies_while_it_keeps_the_change(tmp_path, shared_environment, place):
    repository, storage = make_repository(tmp_path / "repo"), Dying()
    storage.dies_at = place
    first = meanwhile(repair, lambda: collide(repository, "    return 2 + sum(prices)\n"))
    engine = MemoryEngine()
    async with open_journey(
        tmp_path, first, fail, shared=shared_environment, storage=storage, engine=engine
    ) as journey:
        journey.parts = replace(journey.parts, asked=frozenset({"hand"}))
        task = await journey.task(repository, base_ref="refs/heads/main", max_iterations=2)
        with pytest.raises(Killed):
            await journey.travel(task)
        executor = journey.executor
        await executor.start()
        outcome = await executor.resume(task.id)
        await executor.stop()
        head = await journey.parts.events.head(task.id)
        opened = await journey.parts.repositories.open(repository)
        verification = await verify_task(head, storage, journey.keys, opened)
        events = await journey.parts.events.read(task.id, limit=1000)
        stored = json.loads(await storage.read(outcome.verdict_artifact))
    assert (outcome.state, stored["decision"]) == (TaskState.COMPLETED, "accept") and verification.sound
    assert [event.data["outcome"] for event in events if event.type is EventType.PUBLICATION_REBASED] == [
        "conflict",
        "kept",
    ]
    assert len(journey.parts.workers["hand"].assignments) == 2, "no round is done again"
