"""Debate in a real run: models over HTTP, their tests in the sandbox, on the candidate and on the base."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chatserver import ChatServer, Reply, serving
from journey import OneEnvironment, Trip, make_repository, open_journey, repair

from councilor.adapters.openai import OpenAIChat
from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.domain.artifact import ArtifactKind
from councilor.domain.challenge import Challenge, ChallengeOutcome
from councilor.domain.codec import decode
from councilor.domain.verdict import Choice, Decision, Judge
from councilor.pipeline.council import ModelJudge
from councilor.pipeline.executor.challenge import refusal_of
from councilor.pipeline.replays import replay_task

HARMFUL = "from shop import count\n\n\ndef test_count_of_nothing():\n    assert count([]) == 0\n"


def lose_the_empty_list(folder: Path, assignment: Any) -> None:
    """A repair that passes every test and breaks what no test looks at."""
    repair(folder)
    file = folder / "shop.py"
    file.write_text(file.read_text().replace("len(prices)", "len(prices) or 1"))


def rejecting(*tests: str) -> Callable[[Mapping[str, Any]], Reply]:
    """A model that rejects, and proposes one test after the other."""
    left = list(tests)

    def think(request: Mapping[str, Any]) -> Reply:
        if "counterexample" in json.dumps(request["response_format"]["json_schema"]["name"]):
            return Reply({"claim": "it counts wrongly", "test": left.pop(0) if left else ""})
        return Reply({"vote": "reject", "confidence": 0.9, "reasons": ["count changed"], "concerns": []})

    return think


def accept(request: Mapping[str, Any]) -> Reply:
    return Reply({"vote": "accept", "confidence": 0.9, "reasons": ["the total is right"], "concerns": []})


def judge(server: ChatServer, name: str) -> ModelJudge:
    return ModelJudge(
        name=name,
        seat=Judge.INTEGRATION_VALIDATOR,
        chat=OpenAIChat(endpoint=server.endpoint, model="house", key_variable=None, host_env={}, clock=SystemClock()),
        timeout_s=4.0,
        max_tokens=500,
        randomness=SystemRandomness(),
    )


async def travelled(
    tmp_path: Path,
    shared: OneEnvironment,
    act: Any,
    brains: Sequence[Callable[[Mapping[str, Any]], Reply]],
    strength_s: float = 0.0,
) -> tuple[Trip, list[ChatServer]]:
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(brain)) for brain in brains]
        friendly = stack.enter_context(serving(accept))  # as many as weigh up the others: words shall not decide here
        models = (
            *(judge(server, f"judge-{number}") for number, server in enumerate(servers)),
            *(judge(friendly, f"friend-{number}") for number in range(2 * len(servers) + 1)),
        )
        async with open_journey(tmp_path, act, shared=shared, strength_s=strength_s) as journey:
            journey.parts = replace(journey.parts, models=models, debate_rounds=2)
            trip = await journey.travel(await journey.task(make_repository(tmp_path / "repo")))
    return trip, servers


async def challenges_of(trip: Trip) -> list[Challenge]:
    artifacts = [item for item in await trip.storage.of_task(trip.task.id) if item.name.startswith("challenge/")]
    return [decode(Challenge, json.loads(await trip.storage.read(item.id))) for item in artifacts]


async def test_a_confirmed_test_takes_the_acceptance_away(tmp_path: Path, shared_environment: OneEnvironment) -> None:
    trip, (server,) = await travelled(tmp_path, shared_environment, lose_the_empty_list, [rejecting(HARMFUL)])
    verdict = await trip.verdict()
    assert (verdict.decision, verdict.deliberations) == (Decision.NEEDS_EVIDENCE, 2)
    assert verdict.missing_evidence[0].startswith("counterexample")
    assert "assert 1 == 0" in verdict.missing_evidence[0]
    (challenge,) = await challenges_of(trip)
    assert challenge.outcome is ChallengeOutcome.CONFIRMED
    assert [item.void for item in challenge.evidence] == [(), ()]
    assert challenge.evidence[0].run_tree != challenge.evidence[1].run_tree
    assert trip.outcome.commit is None
    names = [item.name for item in await trip.storage.of_task(trip.task.id) if item.kind is ArtifactKind.VERDICT]
    assert names == ["obsolete-verdict/1/1", "verdict/1"]
    report = await replay_task(trip.task.id, trip.storage)
    assert [(item.decision, item.identical) for item in report.verdicts] == [
        (Decision.ACCEPT, True),
        (Decision.NEEDS_EVIDENCE, True),
    ]
    assert verdict.total_s > verdict.consensus_s
    assert "-    return sum(prices) + 1" in server.prompts()[0], "models see the change"


async def test_a_challenge_stays_when_more_evidence_opens_a_second_deliberation(
    tmp_path: Path, shared_environment: OneEnvironment
) -> None:
    brains = [rejecting(HARMFUL)]  # it brings its test once; the second time it has none
    trip, _ = await travelled(tmp_path, shared_environment, lose_the_empty_list, brains, strength_s=20.0)
    verdict = await trip.verdict()
    assert (await trip.case_of("1.2")).confirmed_challenges
    assert verdict.decision is Decision.NEEDS_EVIDENCE
    assert any(item.startswith("counterexample") for item in verdict.missing_evidence)
    report = await replay_task(trip.task.id, trip.storage)
    assert [item.name for item in report.verdicts] == ["obsolete-verdict/1/1", "verdict/1", "verdict/1.2"]
    assert all(item.identical for item in report.verdicts)


async def test_nothing_else_that_a_model_proposes_changes_anything(
    tmp_path: Path, shared_environment: OneEnvironment
) -> None:
    passes = HARMFUL
    fails_on_both = "from shop import count\n\n\ndef test_it():\n    assert count([1]) == 2\n"
    flips = "import os\n\n\ndef test_it():\n    assert int(os.environ['PYTHONHASHSEED']) > 0\n"
    hostile = "import os\nos.system('touch /tmp/owned')\n\n\ndef test_it():\n    assert 0\n"
    brains = [rejecting(passes, fails_on_both), rejecting(flips, hostile)]
    trip, _ = await travelled(tmp_path, shared_environment, repair, brains)
    verdict = await trip.verdict()
    assert verdict.decision is Decision.ACCEPT
    assert [vote.choice for vote in verdict.votes if vote.voter.startswith("judge")] == [Choice.REJECT] * 2
    assert [item.outcome for item in await challenges_of(trip)] == [
        ChallengeOutcome.REFUTED,
        ChallengeOutcome.UNSTEADY,
        ChallengeOutcome.UNTELLING,
        ChallengeOutcome.UNUSABLE,
    ]
    assert len(verdict.challenges) == 4
    assert trip.outcome.commit is not None
    assert (await replay_task(trip.task.id, trip.storage)).sound


@pytest.mark.parametrize(
    ("test", "runs"),
    [
        (HARMFUL, True),
        ('"""Why."""\nimport pytest\n\n\n@pytest.mark.parametrize("n", [1])\ndef test_x(n):\n    assert n\n', True),
        ("def test_x(:\n", False),
        ("def check():\n    pass\n", False),
        ("def test_a():\n    pass\n\n\ndef test_b():\n    pass\n", False),
        ("print(1)\n\n\ndef test_x():\n    pass\n", False),
        ("x = 1\n\n\ndef test_x():\n    pass\n", False),
        ("", False),
        ("(" * 10_000, False),
        ("\0", False),
    ],
)
def test_which_tests_are_run(test: str, runs: bool) -> None:
    assert (refusal_of(test) is None) is runs
