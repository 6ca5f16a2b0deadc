"""Several candidates for one task, side by side: scripted workers on a small repository, everything else real."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from journey import BUG, FIX, Hand, branches, git, make_repository, make_spec, open_journey, repair

from councilor.adapters.memory.engine import MemoryEngine
from councilor.adapters.workers.command import CommandWorker
from councilor.domain.artifact import ArtifactKind
from councilor.domain.event import EventType, NewEvent
from councilor.domain.task import TaskState
from councilor.domain.verdict import Decision
from councilor.domain.worker import WorkerOutcome, WorkerProfile, WorkerReport
from councilor.errors import InputError, RunCancelledError, UnavailableError
from councilor.pipeline.council import inputs_of, recompute
from councilor.pipeline.ledger import verify_task
from councilor.ports.worker import Progress


def wrong(folder, assignment):
    """Passes no test."""
    file = folder / "shop.py"
    file.write_text(file.read_text().replace(BUG, "sum(prices) + 2"))


def stray(folder, assignment):
    """Right, and out of scope."""
    repair(folder)
    (folder / "notes.txt").write_text("out of scope\n")


def longer(folder, assignment):
    """Right, in more lines."""
    file = folder / "shop.py"
    file.write_text(file.read_text().replace(f"return {BUG}", "result = sum(prices)\n    return result"))


def careful(folder, assignment):
    """Passes the same tests, and does otherwise where there are no prices."""
    file = folder / "shop.py"
    file.write_text(file.read_text().replace(f"return {BUG}", f"return {FIX} if prices else None"))


def crew(**acts):
    return {name: Hand(acts=[act] if callable(act) else act, name=name) for name, act in acts.items()}


def scripted(journey, name, script):
    profile = WorkerProfile(name=name, kind="command", command=("sh", "-c", script))
    return CommandWorker(
        profile=profile, sandbox=journey.parts.sandbox, host_env=os.environ, home=Path("/nonexistent"),
        clock=journey.parts.clock,
    )  # fmt: skip


async def contest(journey, repository, workers, **changes):
    names = list(workers)
    journey.parts = replace(journey.parts, workers=workers, side_by_side=len(names))
    return await journey.task(repository, worker=names[0], crew=tuple(names[1:]), **changes)


@pytest.fixture
async def race(tmp_path, shared_environment):
    """Runs one contest in a journey of its own."""

    async def run(workers, *, options=None, parts=None, **changes):
        repository = make_repository(tmp_path / "repo")
        async with open_journey(tmp_path, shared=shared_environment, **(options or {})) as journey:
            task = await contest(journey, repository, workers, **changes)
            journey.parts = replace(journey.parts, **(parts or {}))
            trip = await journey.travel(task)
            verification = await verify_task(
                await journey.parts.events.head(task.id), trip.storage, journey.keys,
                await journey.parts.repositories.open(repository),
            )  # fmt: skip
        assert verification.sound
        return trip, repository

    return run


async def choice_of(trip, iteration=1):
    return json.loads(await trip.artifact(f"choice/{iteration}"))


def spans_of(trip):
    """Candidate -> when its worker was assigned, and when it had told its output."""
    begun = {event.data["candidate"]: event.seq for event in trip.of(EventType.WORKER_ASSIGNED)}
    return begun, {event.data["candidate"]: event.seq for event in trip.of(EventType.WORKER_OUTPUT)}


async def test_of_two_wrong_ones_and_a_right_one_the_right_one_is_published_and_all_are_kept(race):
    workers = crew(a=wrong, b=repair, c=stray)
    trip, repository = await race(workers)
    outcome, choice = trip.outcome, await choice_of(trip)
    assert (outcome.state, outcome.decision, outcome.iterations) == (TaskState.COMPLETED, Decision.ACCEPT, 1)
    assert FIX in git(repository, "show", f"{outcome.commit}:shop.py")
    assert git(repository, "log", "-1", "--format=%an", outcome.commit) == "b"
    assert choice["order"][0]["number"] == 2 and len(choice["reasons"]) == 2
    assert {each["number"]: each["decision"] for each in choice["order"]}[2] == "accept"
    # All began with the same tree before any had ended, and none saw another's work.
    begun, ended = spans_of(trip)
    assert max(begun.values()) < min(ended.values())
    phases = [event.data["phase"] for event in trip.of(EventType.PHASE_STARTED)]
    assert phases[:4] == ["preparing", "working", "working", "working"] and "checking" not in phases
    assert len({hand.assignments[0].base_tree for hand in workers.values()}) == 1
    # The losers' patches, evidence and verdicts are artifacts; what needed no test run has no evidence.
    for number, measured in ((1, True), (2, True), (3, False)):
        assert await trip.artifact(f"patch/1-{number}") and await trip.artifact(f"verdict/1-{number}")
        names = {item.name for item in await trip.storage.of_task(trip.task.id)}
        assert (f"evidence/1-{number}" in names) is measured
    assert await trip.artifact("patch/1") == await trip.artifact("patch/1-2")
    (chosen,) = trip.of(EventType.CANDIDATE_CHOSEN)
    assert (chosen.data["chosen"], chosen.data["candidates"], chosen.data["worker"]) == (2, 3, "b")
    kinds = [item.kind for item in await trip.storage.of_task(trip.task.id)]
    assert kinds.count(ArtifactKind.CHOICE) == 1 and kinds.count(ArtifactKind.VERDICT) == 4
    last = [item for item in await trip.storage.of_task(trip.task.id) if item.kind is ArtifactKind.VERDICT][-1]
    assert last.id == outcome.verdict_artifact and last.name == "verdict/1"


async def test_of_two_right_ones_the_smaller_wins_and_the_same_tree_is_judged_once(race):
    trip, _ = await race(crew(a=longer, b=repair, c=repair))
    choice = await choice_of(trip)
    assert [each["number"] for each in choice["order"]] == [2, 3, 1]
    assert choice["reasons"] == [
        "Candidate 3 lost to 2: it made the same tree, later in their order.",
        "Candidate 1 lost to 2: 3 changed lines to 2.",
    ]
    names = [item.name for item in await trip.storage.of_task(trip.task.id)]
    assert "evidence/1-3" not in names and "verdict/1-3" not in names
    assert trip.outcome.decision is Decision.ACCEPT


async def test_an_accepted_rival_that_does_otherwise_speaks_against_it_and_nothing_is_published(race):
    trip, repository = await race(crew(a=repair, b=careful), options={"differential_s": 1.5})
    assert trip.outcome.decision is Decision.NEEDS_EVIDENCE and trip.outcome.state is TaskState.UNDECIDED
    case = await trip.case_of("1.2") if "case/1.2" in await _names(trip) else await trip.case_of("1")
    (told,) = case.rivals
    assert told == "Candidate 2 was accepted as well and does otherwise: total([]) gives None there and 0 here."
    assert (
        f"choice: which of the accepted candidates is right, for they do not do the same ({told})"
        in (await trip.verdict()).missing_evidence
    )
    assert recompute(inputs_of(await trip.verdict(), case)) is Decision.NEEDS_EVIDENCE
    assert branches(repository) == ["main"]


async def test_right_ones_that_do_the_same_are_accepted(race):
    trip, _ = await race(crew(a=repair, b=longer), options={"differential_s": 1.5})
    assert trip.outcome.decision is Decision.ACCEPT
    assert "rivals/1" in await _names(trip)


async def _names(trip):
    return [item.name for item in await trip.storage.of_task(trip.task.id)]


async def test_when_all_are_refused_all_go_on_from_the_best(race):
    def undo(folder, assignment):
        assert FIX in (folder / "shop.py").read_text()  # it goes on from the best one's tree, whoever made it
        (folder / "notes.txt").unlink()

    def worse(folder, assignment):
        stray(folder, assignment)
        (folder / "shop.py").write_text("def total(:\n")

    workers = crew(a=[worse, undo], b=[stray, undo])
    trip, _ = await race(workers, max_iterations=2)
    assert [event.data["chosen"] for event in trip.of(EventType.CANDIDATE_CHOSEN)] == [2, 1]
    assert trip.outcome.decision is Decision.ACCEPT and trip.outcome.iterations == 2
    assert [len(hand.assignments) for hand in workers.values()] == [2, 2]
    assert all(hand.assignments[1].refinement is not None for hand in workers.values())
    assert len(trip.of(EventType.REFINEMENT_REQUESTED)) == 1


async def test_one_that_hangs_is_told_of_and_ended_and_the_other_wins(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        workers = {
            "stuck": scripted(journey, "stuck", "echo thinking; sleep 60"),
            "good": scripted(journey, "good", f"sed -i 's/{BUG}/{FIX}/' shop.py; echo done"),
        }
        task = await contest(journey, repository, workers)
        journey.parts = replace(journey.parts, stall_s=lambda name: 1.0)
        began = time.monotonic()
        trip = await journey.travel(task)
        assert time.monotonic() - began < 30
    assert trip.outcome.decision is Decision.ACCEPT
    (stalled,) = trip.of(EventType.WORKER_STALLED)
    assert stalled.data["worker"] == "stuck" and stalled.data["candidate"] == 1 and stalled.data["silent_s"] >= 1
    told = {event.data["candidate"]: event.data for event in trip.of(EventType.WORKER_OUTPUT)}
    assert told[1]["outcome"] == "timed_out" and "no sign of progress" in told[1]["ended"]
    assert told[2]["outcome"] == "finished"
    assert b"thinking" in await trip.artifact("transcript/1-1")


async def test_one_that_cannot_be_started_leaves_the_others_alone(race):
    class Missing:
        name = "missing"

        async def run(self, assignment, workspace, emit):
            raise InputError("The program `agent` is not installed.")

    trip, _ = await race({"missing": Missing(), **crew(b=repair)})
    assert trip.outcome.decision is Decision.ACCEPT
    ended = {event.data["candidate"]: event.data["ended"] for event in trip.of(EventType.WORKER_OUTPUT)}
    assert ended[1] == "it could not be started: The program `agent` is not installed."


async def test_a_crash_in_the_middle_buys_nothing_twice(tmp_path, shared_environment):
    """The process is stopped while the second works; the first one's work was remembered and is not done again."""
    repository, engine = make_repository(tmp_path / "repo"), MemoryEngine()
    reached = asyncio.Event()

    class Slow(Hand):
        async def run(self, assignment, workspace, emit):
            if not self.assignments:
                self.assignments.append(assignment)
                reached.set()
                await asyncio.Event().wait()
            return await super().run(assignment, workspace, emit)

    first, slow = Hand(acts=[wrong], name="a"), Slow(acts=[repair], name="b")
    async with open_journey(tmp_path, shared=shared_environment, engine=engine) as journey:
        task = await contest(journey, repository, {"a": first, "b": slow})
        executor = journey.executor
        await executor.start()
        await executor.submit(task)
        running = asyncio.ensure_future(executor.run(task.id))
        await reached.wait()
        while "work:1-1" not in [name for name, _ in engine._runs[task.id].steps.values()]:
            await asyncio.sleep(0.02)
        await executor.stop()
        with pytest.raises(UnavailableError):
            await running
        trip = await journey.travel(task)
    assert trip.outcome.decision is Decision.ACCEPT
    assert (len(first.assignments), len(slow.assignments)) == (1, 2)
    assert [event.data["candidate"] for event in trip.of(EventType.WORKER_OUTPUT)] == [1, 2]


async def test_cancelling_ends_all_workers(tmp_path, shared_environment):
    repository, begun, ended = make_repository(tmp_path / "repo"), [], []

    class Sleeper:
        def __init__(self, name):
            self.name = name

        async def run(self, assignment, workspace, emit):
            begun.append(self.name)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append(self.name)
                raise

    async with open_journey(tmp_path, shared=shared_environment) as journey:
        task = await contest(journey, repository, {"a": Sleeper("a"), "b": Sleeper("b")})
        executor = journey.executor
        await executor.start()
        await executor.submit(task)
        running = asyncio.ensure_future(executor.run(task.id))
        while len(begun) < 2:  # being assigned is told a little earlier
            await asyncio.sleep(0.02)
        began = time.monotonic()
        await executor.cancel(task.id)
        with pytest.raises(RunCancelledError):
            await running
        assert time.monotonic() - began < 5
        await executor.stop()
    assert sorted(ended) == ["a", "b"]


async def test_a_worker_that_passes_its_budget_is_stopped_and_judged_as_it_stands(tmp_path, shared_environment):
    spend = '{"type":"turn.completed","usage":{"input_tokens":900,"cached_input_tokens":0,"output_tokens":200}}'
    repository = make_repository(tmp_path / "repo")
    async with open_journey(tmp_path, shared=shared_environment) as journey:
        script = f"sed -i 's/{BUG}/sum(prices) + 3/' shop.py; echo left $COUNCILOR_TOKENS; echo '{spend}'; sleep 60"
        task = await contest(
            journey, repository, {"hand": scripted(journey, "hand", script)}, max_tokens=1000, max_iterations=3
        )
        began = time.monotonic()
        trip = await journey.travel(task)
        assert time.monotonic() - began < 30
    (told,) = trip.of(EventType.WORKER_OUTPUT)
    assert told.data["ended"] == "its budget of 1000 tokens was spent" and told.data["usage"]["tokens"] == 1100
    assert b"its budget of 1000 tokens was spent" in await trip.artifact("report/1")
    assert b"left 1000" in await trip.artifact("transcript/1")
    assert b"sum(prices) + 3" in await trip.artifact("patch/1")
    # What it had done was judged, and nobody was asked again.
    assert trip.outcome.decision is Decision.REJECT and trip.outcome.iterations == 1
    (exhausted,) = trip.of(EventType.BUDGET_EXHAUSTED)
    assert exhausted.data["reason"] == "1100 of 1000 tokens are spent" and exhausted.data["iteration"] == 1


async def test_what_earlier_rounds_spent_is_missing_in_the_next_and_candidates_share_it(race):
    def costly(folder, assignment):
        stray(folder, assignment)
        return WorkerReport(
            outcome=WorkerOutcome.FINISHED, text="", exit_code=0, usage=replace(NO_USAGE, tokens=300, cost_usd=0.5)
        )

    workers = crew(a=costly, b=costly)
    trip, _ = await race(workers, max_tokens=1000, max_cost_usd=1.5, max_iterations=2, spec_text=make_spec())
    given = [each.share for each in workers["a"].assignments]
    assert [(each.tokens, each.cost_usd) for each in given] == [(500, 0.75), (200, 0.25)]
    assert trip.outcome.decision is Decision.REJECT


async def test_an_extension_counts_while_the_worker_works(tmp_path, shared_environment):
    repository = make_repository(tmp_path / "repo")

    class Costly(Hand):
        async def run(self, assignment, workspace, emit):
            emit(Progress(phase="asking", tokens=900))
            said = {"kind": "extend", "by": "me", "reason": "it is worth it", "tokens": 600}
            event = NewEvent(
                task_id=assignment.task_id, type=EventType.INTERVENTION, ts=journey.parts.clock.now(), data=said
            )
            await journey.parts.events.append([event])
            await asyncio.sleep(1.0)  # within which an intervention takes effect
            emit(Progress(phase="asking", tokens=1500))
            await asyncio.sleep(0.6)  # thrice as long as it takes to notice that too much was spent
            report = await super().run(assignment, workspace, lambda progress: None)
            return replace(report, usage=replace(NO_USAGE, tokens=1500))

    async with open_journey(tmp_path, shared=shared_environment) as journey:
        task = await contest(journey, repository, {"hand": Costly(acts=[repair])}, max_tokens=1000)
        trip = await journey.travel(task)
    (told,) = trip.of(EventType.WORKER_OUTPUT)
    assert told.data["outcome"] == "finished" and trip.outcome.decision is Decision.ACCEPT
    assert not trip.of(EventType.BUDGET_EXHAUSTED)


NO_USAGE = WorkerReport(outcome=WorkerOutcome.FINISHED, text="").usage
