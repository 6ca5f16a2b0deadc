"""Publishing through the executor: a base that moves, places that take the commit or do not, and what is told of it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from journey import (
    BUG,
    FIX,
    Act,
    Hand,
    Journey,
    Trip,
    branches,
    git,
    make_repository,
    make_spec,
    open_journey,
    repair,
)

from councilor.adapters.git import PatchFolder, RemotePush
from councilor.adapters.memory.engine import MemoryEngine
from councilor.adapters.memory.queue import MemoryTaskQueue
from councilor.domain.event import Event, EventType
from councilor.domain.publication import Publication
from councilor.domain.question import Answered
from councilor.domain.task import RunMode, TaskState
from councilor.domain.verdict import Decision
from councilor.errors import FencedError, RunCancelledError, UnavailableError
from councilor.pipeline.executor import Publishing
from councilor.pipeline.inquiry import recall
from councilor.pipeline.interventions import Interventions
from councilor.pipeline.ledger import verify_task
from councilor.pipeline.questions import draft_rejudgement
from councilor.ports.outlet import Outlet
from councilor.ports.repository import Repository

REBASED = EventType.PUBLICATION_REBASED
PUBLICATIONS = (EventType.PUBLICATION_STARTED, EventType.PUBLICATION_FINISHED, EventType.PUBLICATION_FAILED)
TOTAL_LINE = f"    return {BUG}\n"


def commit(repository: Path, files: dict[str, str]) -> str:
    """Somebody's commit on main."""
    for name, text in files.items():
        (repository / name).write_text(text)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Somebody else's")
    return git(repository, "rev-parse", "HEAD")


def moving(repository: Path, *moves: Callable[[], Any]) -> Act:
    """An honest worker, while somebody commits; one move for each of its rounds."""
    left = list(moves)

    def act(folder: Path, assignment: Any) -> str:
        repair(folder)
        if left:
            left.pop(0)()
        return "All tests pass."

    return act


async def on_main(journey: Journey, repository: Path, **changes: Any) -> Any:
    return await journey.task(repository, base_ref="refs/heads/main", **changes)


def rebased(trip: Trip) -> list[dict[str, Any]]:
    return [dict(event.data) for event in trip.of(REBASED)]


# --- a moved base ----------------------------------------------------------------------------------------------------


async def test_a_candidate_follows_its_branch_and_is_judged_there(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    base, tips = git(repository, "rev-parse", "HEAD"), list[str]()
    act = moving(repository, lambda: tips.append(commit(repository, {"other.py": "OTHER = 1\n"})))
    async with open_journey(tmp_path, act, shared=shared_environment) as journey:
        task = await on_main(journey, repository)
        trip = await journey.travel(task)
        head = await journey.parts.events.head(task.id)
        opened = await journey.parts.repositories.open(repository)
        verification = await verify_task(head, trip.storage, journey.keys, opened)
        answered = cast(Answered, SimpleNamespace(question=SimpleNamespace(setup=(), call="total([])")))
        parts = journey.parts
        again = await draft_rejudgement(parts.ledger, head, task, answered, clock=parts.clock, ids=parts.ids)
        assert await opened.patched(again.base_tree, await trip.storage.read(again.patch or "")) == again.candidate_tree
        assert again.base_commit == tips[0], "what is judged again is judged on the new base"
    outcome, verdict = trip.outcome, await trip.verdict()

    assert (outcome.state, outcome.decision, outcome.iterations) == (TaskState.COMPLETED, Decision.ACCEPT, 2)
    assert git(repository, "rev-parse", f"{outcome.commit}^") == tips[0]
    assert git(repository, "diff", "--name-only", tips[0], outcome.commit) == "shop.py"
    assert git(repository, "show", f"{outcome.commit}:other.py") == "OTHER = 1"
    assert verdict.tree == outcome.tree == git(repository, "rev-parse", f"{outcome.commit}^{{tree}}")
    assert verdict.base_tree == git(repository, "rev-parse", f"{tips[0]}^{{tree}}")
    (told,) = rebased(trip)
    assert (told["outcome"], told["base"], told["onto"], told["conflicts"]) == ("clean", base, tips[0], [])
    names = [item.name for item in await trip.storage.of_task(task.id)]
    assert names.count("tests/base") == 2, "the new base is measured too"
    assert {"evidence/1", "evidence/2", "verdict/1", "verdict/2", "patch/2", "report/2"} <= set(names)
    assert (await trip.artifact("report/2")) == b"All tests pass."
    assert verification.sound
    assert len(trip.of(EventType.WORKER_ASSIGNED)) == 1


async def test_a_person_approves_the_verdict_on_the_last_base_and_that_is_published(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    tips = list[str]()
    act = moving(repository, lambda: tips.append(commit(repository, {"other.py": "OTHER = 1\n"})))
    async with open_journey(tmp_path, act, shared=shared_environment) as journey:
        parts = journey.parts
        queue = MemoryTaskQueue(parts.events, clock=parts.clock)
        do = Interventions(
            events=parts.events, queue=queue, ledger=parts.ledger, clock=parts.clock, metrics=parts.metrics
        )
        task = await on_main(journey, repository, mode=RunMode.STRICT)
        travelling = asyncio.create_task(journey.travel(task))
        async with asyncio.timeout(60):
            while not any(event.type is EventType.APPROVAL_REQUESTED for event in await parts.events.read(task.id)):
                await asyncio.sleep(0.02)
        commit(repository, {"other.py": "OTHER = 2\n"})
        await do.approve(task.id, by="Ada", reason="right")
        trip = await travelling
    (asked,) = trip.of(EventType.APPROVAL_REQUESTED)
    assert asked.data["artifact_id"] == trip.outcome.verdict_artifact == await trip.artifact_id("verdict/2")
    assert git(repository, "rev-parse", f"{trip.outcome.commit}^") == tips[0]


async def test_what_does_not_move_or_has_no_branch_is_judged_once(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    base = git(repository, "rev-parse", "HEAD")
    act = moving(repository, lambda: None, lambda: commit(repository, {"other.py": "OTHER = 1\n"}))
    async with open_journey(tmp_path, act, shared=shared_environment) as journey:
        still = await journey.travel(await on_main(journey, repository))
        bare = await journey.travel(await journey.task(repository))
        commit(repository, {"other.py": "OTHER = 2\n"})
    for trip in (still, bare):
        assert rebased(trip) == [] and trip.outcome.iterations == 1
        assert git(repository, "rev-parse", f"{trip.outcome.commit}^") == base


async def test_a_change_that_is_wrong_on_the_new_base_is_not_published(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    broken = "from shop import total\n\n\ndef test_more():\n    assert total([1]) == 2\n"
    act = moving(repository, lambda: commit(repository, {"tests/test_more.py": broken}))
    async with open_journey(tmp_path, act, shared=shared_environment) as journey:
        trip = await journey.travel(await on_main(journey, repository))
    assert rebased(trip)[0]["outcome"] == "clean"
    assert trip.outcome.decision is not Decision.ACCEPT and trip.outcome.commit is None
    assert branches(repository) == ["main"]


def resolve(folder: Path, assignment: Any) -> str:
    """A worker that looks at the conflict."""
    text = (folder / "shop.py").read_text()
    assert "<<<<<<<" in text and "REBASE-1" in assignment.prompt and "base has moved" in assignment.prompt
    start, end = text.index("<<<<<<<"), text.index(">>>>>>>")
    (folder / "shop.py").write_text(text[:start] + "    return sum(list(prices))\n" + text[text.index("\n", end) + 1 :])
    return "Resolved."


async def test_a_conflict_goes_back_to_the_worker_with_markers(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    tips = list[str]()

    def collide() -> None:
        text = (repository / "shop.py").read_text().replace(TOTAL_LINE, "    return sum(list(prices)) + 1\n")
        tips.append(commit(repository, {"shop.py": text}))

    acts = [moving(repository, collide), resolve]
    async with open_journey(tmp_path, *acts, shared=shared_environment) as journey:
        journey.parts = replace(journey.parts, asked=frozenset({"hand"}))
        trip = await journey.travel(await on_main(journey, repository, max_iterations=2))
    assert (trip.outcome.decision, trip.outcome.iterations) == (Decision.ACCEPT, 2)
    (told,) = rebased(trip)
    assert (told["outcome"], told["conflicts"], told["onto"]) == ("conflict", ["shop.py"], tips[0])
    assert git(repository, "rev-parse", f"{trip.outcome.commit}^") == tips[0]
    request = json.loads(await trip.artifact("refinement/1"))
    assert request["checkpoint"] == "rebase" and request["violations"][0]["rule"] == "REBASE-1"


async def test_a_conflict_without_rounds_left_is_published_on_the_old_base_and_says_so(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    base = git(repository, "rev-parse", "HEAD")
    collide = (repository / "shop.py").read_text().replace(TOTAL_LINE, "    return 2 + sum(prices)\n")
    act = moving(repository, lambda: commit(repository, {"shop.py": collide}))
    async with open_journey(tmp_path, act, shared=shared_environment) as journey:
        trip = await journey.travel(await on_main(journey, repository))
    assert trip.outcome.state is TaskState.COMPLETED
    assert git(repository, "rev-parse", f"{trip.outcome.commit}^") == base
    (told,) = rebased(trip)
    assert (
        told["outcome"] == "kept"
        and "no worker has a round left" in told["reason"]
        and told["conflicts"] == ["shop.py"]
    )


@pytest.mark.slow
async def test_a_branch_that_never_rests_is_followed_twice(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    moves = iter(range(100))

    class Restless:
        """A repository whose main moves whenever the run looks at it."""

        def __init__(self, inner: Repository) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        async def resolve(self, revision: str) -> Any:
            if revision == "refs/heads/main":
                commit(repository, {"other.py": f"OTHER = {next(moves)}\n"})
            return await self.inner.resolve(revision)

    class Opened:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        async def open(self, path: Path, *, store: Path | None = None) -> Any:
            return Restless(await self.inner.open(path, store=store))

    async with open_journey(tmp_path, shared=shared_environment) as journey:
        task = await on_main(journey, repository)
        journey.parts = replace(journey.parts, repositories=Opened(journey.parts.repositories))
        trip = await journey.travel(task)
    assert [told["outcome"] for told in rebased(trip)] == ["clean", "clean", "kept"]
    assert "moved again" in rebased(trip)[2]["reason"]
    assert (trip.outcome.state, trip.outcome.iterations) == (TaskState.COMPLETED, 3)
    assert git(repository, "show", f"{trip.outcome.commit}:other.py") == "OTHER = 1"


async def test_a_branch_that_holds_the_change_already_or_is_gone_keeps_the_commit(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    base = git(repository, "rev-parse", "HEAD")

    def same() -> None:
        commit(repository, {"shop.py": (repository / "shop.py").read_text().replace(BUG, FIX)})

    async with open_journey(tmp_path, moving(repository, same), shared=shared_environment) as journey:
        held = await journey.travel(await on_main(journey, repository))
        git(repository, "reset", "-q", "--hard", base)
        gone = await journey.travel(await journey.task(repository, base_ref="refs/heads/gone"))
        off = replace(journey.parts, publishing=Publishing(rebase=False))
        quiet = await replace(journey, parts=off, engine=MemoryEngine()).travel(
            await journey.task(repository, base_ref="refs/heads/gone")
        )
    assert [rebased(held)[0][key] for key in ("outcome", "reason")] == [
        "kept",
        "The branch holds the whole change already.",
    ]
    assert rebased(gone)[0]["outcome"] == "kept" and "names no commit" in rebased(gone)[0]["reason"]
    assert rebased(quiet) == []
    for trip in (held, gone, quiet):
        assert git(repository, "rev-parse", f"{trip.outcome.commit}^") == base


# --- where it goes ---------------------------------------------------------------------------------------------------


class Place:
    """Somewhere that takes commits, or does not."""

    def __init__(self, target: str, *, repeatable: bool = True, error: Exception | None = None) -> None:
        self.target, self.repeatable, self.error = target, repeatable, error
        self.got: list[Publication] = []
        self.hang: asyncio.Event | None = None

    async def deliver(self, publication: Publication, repository: Repository) -> str:
        self.got.append(publication)
        if self.hang is not None:
            self.hang.set()
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return f"{self.target}/there"


def going_to(journey: Journey, *outlets: Outlet, **more: Any) -> Journey:
    journey.parts = replace(journey.parts, publishing=Publishing(outlets=outlets, **more))
    return journey


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [
        (event.type.value.partition(".")[2], event.data["target"]) for event in events if event.type in PUBLICATIONS
    ]


async def test_everything_together_with_a_real_remote(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    bare, patches = tmp_path / "remote.git", tmp_path / "patches"
    patches.mkdir()
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(repository, "remote", "add", "origin", str(bare))
    push = RemotePush(remote="origin", environment={"PATH": sys.exec_prefix}, hooks=False, timeout_s=20.0)
    command = Place("command", repeatable=False)
    authors = {"hand": ("Hand Inc <hand@example.org>", "councilor <councilor@localhost>")}
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        going_to(journey, PatchFolder(patches), push, command, co_authors=authors)
        trip = await journey.travel(
            await on_main(journey, repository, spec_text=make_spec(title="Repair *the* @total"))
        )
    outcome = trip.outcome
    assert told(trip.events) == [
        ("started", "patch"),
        ("finished", "patch"),
        ("started", "push"),
        ("finished", "push"),
        ("started", "command"),
        ("finished", "command"),
    ]
    assert git(bare, "rev-parse", outcome.branch) == outcome.commit
    assert (patches / f"{trip.task.id}.patch").read_bytes().startswith(b"From " + outcome.commit.encode())
    (got,) = command.got
    assert (got.commit, got.branch, got.remote, got.base_ref) == (
        outcome.commit,
        outcome.branch,
        "origin",
        "refs/heads/main",
    )
    verdict = await trip.verdict()
    assert verdict.tree in got.body and f"councilor verify {trip.task.id}" in got.body and verdict.id in got.body
    assert "accept, P(correct)" in got.body
    message = git(repository, "log", "-1", "--format=%B", outcome.commit)
    assert [line for line in message.splitlines() if line.startswith("Co-authored-by")] == [
        "Co-authored-by: Hand Inc <hand@example.org>",
        "Co-authored-by: councilor <councilor@localhost>",
    ]
    assert trip.events[-1].type is EventType.TASK_FINISHED


async def test_a_place_that_refuses_changes_no_outcome(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    refusing = Place("push", error=UnavailableError("no \x1b[31mway", backend="push", hint="Do it yourself."))
    command = Place("command", repeatable=False)
    patch = Place("patch", error=RuntimeError("a defect"))
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        trip = await going_to(journey, patch, refusing, command).travel(await on_main(journey, repository))
    assert trip.outcome.state is TaskState.COMPLETED and trip.outcome.branch in branches(repository)
    failed = {event.data["target"]: event.data for event in trip.of(EventType.PUBLICATION_FAILED)}
    assert set(failed) == {"patch", "push", "command"}
    assert failed["push"]["hint"] == "Do it yourself." and failed["push"]["error"].isprintable()
    assert "a defect" in failed["patch"]["error"]
    assert command.got == [] and "not run" in failed["command"]["error"]


@pytest.mark.parametrize("mode", ["dry_run", "rejected"])
async def test_nothing_leaves_without_an_accepted_commit(tmp_path, shared_environment, mode):
    repository = make_repository(tmp_path / "repo")
    place = Place("push")
    acts = [repair if mode == "dry_run" else lambda folder, assignment: None]
    async with open_journey(tmp_path, *acts, shared=shared_environment) as journey:
        changes = {"mode": RunMode.DRY_RUN} if mode == "dry_run" else {}
        trip = await going_to(journey, place).travel(await on_main(journey, repository, **changes))
    assert place.got == [] and trip.outcome.commit is None and branches(repository) == ["main"]


@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_delivery_that_was_interrupted(tmp_path, shared_environment, repeatable):
    repository = make_repository(tmp_path / "repo")
    place = Place("push" if repeatable else "command", repeatable=repeatable)
    first = Place("patch")
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        task = await on_main(going_to(journey, first, place), repository)
        place.hang = asyncio.Event()
        executor = journey.executor
        await executor.start()
        await executor.submit(task)
        running = asyncio.create_task(executor.run(task.id))
        await asyncio.wait_for(place.hang.wait(), 60)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        place.hang = None
        outcome = await executor.resume(task.id)
        await executor.stop()
        events = list(await journey.parts.events.read(task.id, limit=1000))
    assert outcome.state is TaskState.COMPLETED
    assert len(first.got) == 1, "what was finished is not done again"
    if repeatable:
        assert len(place.got) == 2 and place.got[0] == place.got[1]
        assert told(events)[2:] == [("started", "push"), ("started", "push"), ("finished", "push")]
    else:
        assert len(place.got) == 1, "nobody knows what it did"
        assert told(events)[2:] == [("started", "command"), ("failed", "command")]
    assert [event.type for event in events].count(EventType.TASK_FINISHED) == 1


async def test_a_cancelled_delivery_ends_within_a_second(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    place = Place("push")
    place.hang = asyncio.Event()
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        task = await on_main(going_to(journey, place), repository)
        executor = journey.executor
        await executor.start()
        await executor.submit(task)
        running = asyncio.create_task(executor.run(task.id))
        await asyncio.wait_for(place.hang.wait(), 60)
        began = time.monotonic()
        await executor.cancel(task.id)
        with pytest.raises(RunCancelledError):
            await asyncio.wait_for(running, 30)
        assert time.monotonic() - began < 3  # a second, and two for a loaded machine
        await executor.stop()
        head = await journey.parts.events.head(task.id)
    assert head is not None and head.state is TaskState.CANCELLED


async def test_a_place_that_hangs_costs_no_task_its_end(tmp_path, shared_environment, monkeypatch):
    monkeypatch.setattr("councilor.pipeline.executor.deliver.RESERVE_S", 119.0)  # of 120
    repository = make_repository(tmp_path / "repo")
    place, after = Place("push"), Place("command", repeatable=False)
    place.hang = asyncio.Event()
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        task = await on_main(going_to(journey, place, after), repository)
        trip = await journey.travel(task)
    assert trip.outcome.state is TaskState.COMPLETED and trip.outcome.branch in branches(repository)
    failed = {event.data["target"]: event.data["error"] for event in trip.of(EventType.PUBLICATION_FAILED)}
    assert "time was over" in failed["push"] and set(failed) == {"push", "command"} and after.got == []


async def test_an_execution_that_was_taken_over_sends_nothing_more(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    push = Place("push")
    async with open_journey(tmp_path, shared=shared_environment) as journey:

        class Overtaken(Place):
            async def deliver(self, publication: Publication, repository: Repository) -> str:
                await journey.parts.events.begin(publication.task_id)
                return await Place.deliver(self, publication, repository)

        task = await on_main(going_to(journey, Overtaken("patch"), push), repository)
        with pytest.raises(FencedError):
            await journey.travel(task)
    assert push.got == []


async def test_the_best_of_several_follows_with_its_own_author(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    workers = {
        "idle": Hand(acts=[lambda folder, assignment: None], name="idle"),
        "able": Hand(acts=[moving(repository, lambda: commit(repository, {"other.py": "OTHER = 1\n"}))], name="able"),
    }
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        journey.parts = replace(journey.parts, workers=workers, side_by_side=2)
        task = await on_main(journey, repository, worker="idle", crew=("able",))
        trip = await journey.travel(task)
        recalled = await recall(
            task.id,
            events=journey.parts.events,
            artifacts=trip.storage,
            repositories=journey.parts.repositories,
            runs_dir=journey.parts.runs_dir,
            owns=journey.parts.runner.owns,
            clock=journey.parts.clock,
        )
    outcome = trip.outcome
    assert [told["outcome"] for told in rebased(trip)] == ["clean"]
    assert git(repository, "log", "-1", "--format=%an", outcome.commit) == "able"
    assert git(repository, "rev-parse", f"{outcome.commit}^") == git(repository, "rev-parse", "main")
    assert recalled.report == "All tests pass."
    assert list(recalled.context.given.candidate.paths) == ["shop.py"], "what is asked later is asked on the new base"
