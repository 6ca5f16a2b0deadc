"""The best candidate is turned down by a model: the next best is tried in the same round. Models speak over HTTP."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace

import pytest
from chatserver import Reply, serving
from journey import BUG, Hand, branches, git, make_repository, open_journey, repair

from councilor.adapters.memory.engine import MemoryEngine
from councilor.adapters.openai import OpenAIChat
from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.domain.codec import decode
from councilor.domain.event import EventType
from councilor.domain.selection import Ranking
from councilor.domain.verdict import Decision, Judge
from councilor.errors import UnavailableError
from councilor.guards.interruption import Interrupted
from councilor.pipeline.council import ModelJudge, inputs_of, recompute
from councilor.pipeline.executor import choosing
from councilor.pipeline.ledger import verify_task
from councilor.pipeline.replays import replay_task

BASE_SAYS_1 = "from shop import total\n\n\ndef test_total_of_nothing():\n    assert total([]) in (0, 1)\n"


def inventive(sum_of_nothing):
    """Passes every test, and makes something up where there are no prices."""

    def act(folder, assignment):
        file = folder / "shop.py"
        file.write_text(file.read_text().replace(BUG, f"sum(prices or [{sum_of_nothing}])"))

    return act


def longer(folder, assignment):
    """Right, in more lines: never the best where a shorter one is accepted."""
    file = folder / "shop.py"
    file.write_text(file.read_text().replace(f"return {BUG}", "result = sum(prices)\n    return result"))


def sharp(request):
    """A model that sees what was made up, and proves it by a test."""
    if "counterexample" in request["response_format"]["json_schema"]["name"]:
        return Reply({"claim": "nothing costs something", "test": BASE_SAYS_1})
    if "sum(prices or [" in request["messages"][-1]["content"]:
        return Reply({"vote": "reject", "confidence": 0.9, "reasons": ["it makes a price up"], "concerns": []})
    return friendly(request)


def friendly(request):
    return Reply({"vote": "accept", "confidence": 0.9, "reasons": ["the total is right"], "concerns": []})


def wordy(request):
    """A model that sees the same, and has no test for it."""
    answer = sharp(request)
    return Reply({"claim": "", "test": ""}) if "test" in answer.content else answer


def judge(server, name):
    return ModelJudge(
        name=name, seat=Judge.INTEGRATION_VALIDATOR, timeout_s=4.0, max_tokens=500, randomness=SystemRandomness(),
        chat=OpenAIChat(endpoint=server.endpoint, model="house", key_variable=None, host_env={}, clock=SystemClock()),
    )  # fmt: skip


class Dying(MemoryEngine):
    """Its process ends once: when a step has done its work, and before that is remembered."""

    def __init__(self, dies_after):
        super().__init__()
        self.dies_after = dies_after

    async def step(self, name, fn, **options):
        if name != self.dies_after:
            return await super().step(name, fn, **options)
        self.dies_after, run = "", self._current.get()
        token = self._current.set(None)
        try:
            await fn()
        finally:
            self._current.reset(token)
        run.switch.stop()
        raise Interrupted(name)


@pytest.fixture
async def race(tmp_path, shared_environment):
    """Runs one contest of hands, judged by a sharp model and three friendly ones where nothing else is said."""

    async def run(*acts, dies_after=None, next_best=2, brains=(sharp, *[friendly] * 3), options=None, **changes):
        repository = make_repository(tmp_path / "repo")
        workers = {name: Hand(acts=[act], name=name) for name, act in zip("abcd", acts, strict=False)}
        with ExitStack() as stack:
            servers = [stack.enter_context(serving(brain)) for brain in brains]
            models = tuple(judge(server, f"judge-{number}") for number, server in enumerate(servers))
            engine = Dying(dies_after)
            async with open_journey(tmp_path, shared=shared_environment, engine=engine, **(options or {})) as journey:
                journey.parts = replace(
                    journey.parts, workers=workers, side_by_side=4, models=models, debate_rounds=2, next_best=next_best
                )
                first, *others = workers
                task = await journey.task(repository, worker=first, crew=tuple(others), **changes)
                if dies_after:
                    with pytest.raises(UnavailableError):
                        await journey.travel(task)
                trip = await journey.travel(task)
                verification = await verify_task(
                    await journey.parts.events.head(task.id), trip.storage, journey.keys,
                    await journey.parts.repositories.open(repository),
                )  # fmt: skip
        assert verification.sound
        return trip, repository, servers[0]

    return run


async def names_of(trip, prefix):
    return [item.name for item in await trip.storage.of_task(trip.task.id) if item.name.startswith(prefix)]


async def choice_of(trip, name):
    return decode(Ranking, json.loads(await trip.artifact(name)))


async def test_the_next_best_is_tried_in_the_same_round_and_published(race):
    trip, repository, server = await race(longer, inventive(5), inventive(5), max_iterations=2)
    outcome = trip.outcome
    assert (outcome.decision, outcome.iterations) == (Decision.ACCEPT, 1)
    assert git(repository, "log", "-1", "--format=%an", outcome.commit) == "a"
    assert "result = sum(prices)" in git(repository, "show", f"{outcome.commit}:shop.py")
    assert not trip.of(EventType.REFINEMENT_REQUESTED), "nothing went back to anybody in between"
    # What happened is in the order that replaced the first one, and in an event.
    assert [each.number for each in (await choice_of(trip, "choice/1")).order] == [2, 3, 1]
    choice = await choice_of(trip, "choice/1-1.next")
    assert [each.number for each in choice.order] == [1, 2, 3]
    (turned,) = choice.turned
    assert (turned.number, turned.decision) == (2, Decision.NEEDS_EVIDENCE)
    assert turned.verdict == await trip.artifact_id("verdict/1")
    assert choice.reasons[0].startswith(
        "Candidate 2 was turned down by the whole council: needs_evidence; counterexample"
    )
    assert choice.reasons[1] == "Candidate 3 made the same tree as 2, which the whole council did not accept."
    first, second = trip.of(EventType.CANDIDATE_CHOSEN)
    assert (first.data["chosen"], "instead_of" in first.data) == (2, False)
    assert (second.data["chosen"], second.data["instead_of"], second.data["worker"]) == (1, 2, "a")
    # Whatever looks for the newest finds the one that was published; every verdict follows from its case.
    verdict = await trip.verdict()
    assert verdict.tree == outcome.tree and (await names_of(trip, "verdict/"))[-1] == "verdict/1-1.next"
    patches = [item for item in await trip.storage.of_task(trip.task.id) if item.name == "patch/1"]
    assert patches[-1].tree == outcome.tree != patches[0].tree
    assert recompute(inputs_of(verdict, await trip.case_of("1-1.next"))) is Decision.ACCEPT
    report = await replay_task(trip.task.id, trip.storage)
    assert report.sound and report.complete and all(item.identical for item in report.verdicts)
    assert any("result = sum(prices)" in prompt for prompt in server.prompts()), "models saw the second one, too"


async def test_so_many_are_tried_as_are_allowed_and_the_last_one_tried_is_the_rounds(race):
    acts = inventive(5), inventive(6), inventive(7)
    trip, repository, server = await race(*acts, next_best=1, brains=[wordy] * 4)
    assert trip.outcome.decision is Decision.NEEDS_EVIDENCE and branches(repository) == ["main"]
    assert await names_of(trip, "choice/") == ["choice/1", "choice/1-2.next"]
    assert trip.outcome.tree == (await trip.verdict()).tree == (await choice_of(trip, "choice/1-2.next")).chosen.tree
    assert not any("[7]" in prompt for prompt in server.prompts()), "models are not asked about the third"
    (turned,) = (await choice_of(trip, "choice/1-2.next")).turned
    # Words of all models turn one down, too; once nobody can change that, the others are not waited for.
    assert any(name.startswith("integration_validator/judge-") for name in turned.against)


@pytest.mark.parametrize("why", [pytest.param("not wanted", marks=pytest.mark.slow), "too little time"])
async def test_the_first_stands_where_no_other_is_tried(race, monkeypatch, why):
    if why == "too little time":
        monkeypatch.setattr(choosing, "TIME_FACTOR", 1e9)
    trip, _, _ = await race(inventive(5), longer, next_best=0 if why == "not wanted" else 2, max_iterations=2)
    assert trip.outcome.decision is Decision.NEEDS_EVIDENCE and trip.outcome.iterations == 1
    assert await names_of(trip, "choice/") == ["choice/1"]
    assert trip.outcome.verdict_artifact == await trip.artifact_id("verdict/1")


@pytest.mark.parametrize("step", [pytest.param("choose:1-2.next", marks=pytest.mark.slow), "deliberate:1-2.next"])
async def test_a_crash_in_between_tries_the_same_again_and_asks_nobody_twice(race, step):
    trip, repository, server = await race(inventive(5), longer, dies_after=step)
    assert trip.outcome.decision is Decision.ACCEPT
    assert git(repository, "log", "-1", "--format=%an", trip.outcome.commit) == "b"
    assert [event.data["chosen"] for event in trip.of(EventType.CANDIDATE_CHOSEN)][:2] == [1, 2]
    assert len(set(await names_of(trip, "verdict/"))) == len(await names_of(trip, "verdict/")), "each once"
    choice = await choice_of(trip, "choice/1-2.next")
    assert [each.number for each in choice.order] == [2, 1] and len(choice.turned) == 1
    assert sum("result = sum(prices)" in prompt for prompt in server.prompts()) <= 2  # two prompts are one opinion


@pytest.mark.slow
async def test_right_at_once_no_other_is_tried(race):
    trip, _, server = await race(repair, longer)
    assert trip.outcome.decision is Decision.ACCEPT and await names_of(trip, "choice/") == ["choice/1"]
    assert not any("result = sum(prices)" in prompt for prompt in server.prompts())


@pytest.mark.slow
async def test_each_is_held_against_the_rivals_that_are_left_and_keeps_its_deeper_evidence(race):
    def written(lines):
        def act(folder, assignment):
            file = folder / "shop.py"
            file.write_text(file.read_text().replace(f"return {BUG}", lines))

        return act

    acts = (
        inventive(5),
        written("result = sum(prices or [5])\n    return result"),
        written("both = prices\n    result = sum(prices or [5])\n    return result"),
    )
    trip, repository, _ = await race(*acts, options={"differential_s": 1.5})
    assert trip.outcome.decision is Decision.NEEDS_EVIDENCE and branches(repository) == ["main"]
    first, second, third = [name.removeprefix("choice/") for name in await names_of(trip, "choice/")]
    assert await names_of(trip, "rivals/") == [f"rivals/{first}", f"rivals/{second}"], "none is left for the third"
    verdicts = await names_of(trip, "verdict/")
    assert verdicts[-3:] == [f"verdict/{label}.2" for label in (first, second, third)]
    turned = (await choice_of(trip, f"choice/{third}")).turned
    assert [each.verdict for each in turned] == [await trip.artifact_id(name) for name in verdicts[-3:-1]]
    report = await replay_task(trip.task.id, trip.storage)
    assert report.sound and all(item.identical for item in report.verdicts)
