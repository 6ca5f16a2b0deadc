"""Questions on whole tasks: what is asked, and what becomes of an answer, in a real sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from journey import OneEnvironment, Trip, make_repository, make_spec, open_journey
from rating import RATE, SHOP, WEAK

from councilor.domain.codec import decode
from councilor.domain.evidence import EvidenceBundle, EvidenceKind
from councilor.domain.gate import GateResult, GateStatus
from councilor.domain.question import Answered, Question, parse_answer
from councilor.domain.verdict import Decision, Verdict
from councilor.domain.worker import Assignment
from councilor.pipeline.questions import draft_rejudgement, stored_questions


def fix(folder: Path, assignment: Assignment) -> str:
    file = folder / "shop.py"
    file.write_text(file.read_text().replace("LIMIT + 5", "LIMIT"))
    return "The limit is right now."


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneEnvironment]:
    yield OneEnvironment(tmp_path_factory.mktemp("environments"))


def gate(verdict: Verdict, name: str) -> GateResult:
    return next(result for result in verdict.gates if result.gate == name)


async def questions_of(trip: Trip) -> tuple[Question, ...]:
    names = [item.name for item in await trip.storage.of_task(trip.task.id)]
    assert "questions/1" in names
    return decode(tuple[Question, ...], json.loads(await trip.artifact("questions/1")))


async def test_a_question_is_asked_and_an_answer_decides(tmp_path, shared):
    repository = make_repository(
        tmp_path / "repo", {"shop.py": SHOP, "tests/test_rate.py": WEAK, "tests/test_shop.py": ""}
    )
    criterion = {"id": "A1", "given": "a count", "when": "rated", "then": "many get 5", "test_nodeids": [RATE]}
    async with open_journey(tmp_path, fix, shared=shared, strength_s=20.0, differential_s=3.0) as journey:
        parts = journey.parts
        trip = await journey.travel(await journey.task(repository, spec_text=make_spec(acceptance=[criterion])))
        question = (await questions_of(trip))[0]
        assert question.call.startswith("rate(") and question.imports == ("from shop import rate",)
        assert question.candidate.text != question.alternative.text
        assert any(each.kind == "rival" for each in question.tells)
        verdict = await trip.verdict()
        asked = gate(verdict, "differential")
        assert asked.status is GateStatus.WARNED and {item.rule for item in asked.violations} == {"QUESTION-1"}
        case = await trip.case_of("1.2")
        assert case.measured(EvidenceKind.DIFFERENCE) and case.strength is not None

        async def again(said: str) -> Trip:
            head = await parts.events.head(trip.task.id)
            assert head is not None
            _, found = await stored_questions(parts.ledger, trip.task.id)
            answered = Answered(question=found[0], answer=parse_answer(said, by="Ann"))
            task = await draft_rejudgement(parts.ledger, head, trip.task, answered, clock=parts.clock, ids=parts.ids)
            return await journey.travel(task)

        wrong = await again("alternative")
        verdict = await wrong.verdict()
        assert wrong.task.follows == trip.task.id and wrong.outcome.decision is Decision.REJECT
        assert {item.rule for item in gate(verdict, "answers").violations} == {"ANSWER-1"}
        assert "answers" in verdict.vetoes

        right = await again(question.candidate.text)
        verdict = await right.verdict()
        assert gate(verdict, "answers").status is GateStatus.PASSED, gate(verdict, "answers")
        assert "Ann (unverified)" in gate(verdict, "answers").summary
        assert right.outcome.tree == trip.outcome.tree
        settled = await right.case_of("1.2")
        assert settled.strength is not None and "answers" in settled.kinds
        assert len(settled.strength.rivals) < len(case.strength.rivals)
        names = [item.name for item in await trip.storage.of_task(right.task.id)]
        assert "tests/base/repeated" in names or "tests/base" in names
        bundle = decode(EvidenceBundle, json.loads(await right.artifact("evidence/1")))
        assert bundle.answers is not None and len(bundle.answered) == 1
