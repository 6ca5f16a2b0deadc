"""Answers a question of the council as who holds the original would: by what the call gives there.

Rules:
- Only cases that stayed open are asked about, one question each: the first, which the product calls its best.
- The call is run as a test of the original in the sandbox. The answer is `candidate` or `alternative` where the outcome
  is that one, else the value or the exception, or else that it is neither.
- `ASK=all` asks about decided cases, too: for calibration, when it is not yet settled which cases stay open.
- The product records the answer and judges again; that decision counts.
"""

from __future__ import annotations

import json
import os
import textwrap

from planting.edit import rank
from planting.ground import Ground

from acceptance.cases import Arm
from acceptance.judged import Judged
from councilor.app import Service
from councilor.app.answering import answer
from councilor.domain.codec import decode
from councilor.domain.difference import Observed, ObservedKind
from councilor.domain.question import Answer, AnswerKind, Question
from councilor.domain.verdict import Verdict
from councilor.errors import CouncilorError
from councilor.pipeline.questions import stored_questions

__all__ = ["ask"]

ONE_IN = 3
"""Of the open cases, one in so many is asked about; with ASK=open each, with ASK=all decided ones, too."""
MARK = "observed:"
TEST = """{describer}


def test_what_it_gives():
    import json

    try:
{before}
    except Exception as error:
        told = ["setup", describe_error(error), type(error).__name__]
    else:
        try:
            value = {call}
        except Exception as error:
            told = ["raised", describe_error(error), type(error).__name__]
        else:
            told = ["value", describe(value), type(value).__name__]
    told = {mark!r} + json.dumps(told)  # a failure shows the line that raises: the mark must not be in it
    raise AssertionError(told)
"""


async def ask(service: Service, ground: Ground, judged: Judged) -> None:
    """Ask about a case that stayed open, and note what came of it."""
    asked = os.environ.get("ASK", "")
    judged.drawn = bool(asked) or int(rank(judged.base.seed, "asked", judged.case.id)[:8], 16) % ONE_IN == 0
    if not judged.drawn or not (judged.abstained or asked == "all") or judged.case.arm is not Arm.PLAIN or judged.error:
        return
    _, questions = await stored_questions(service.store.ledger(), judged.task_id)
    judged.questions = len(questions)
    said = await _answer(service, ground, judged, questions[0]) if questions else None
    if said is None:
        return
    judged.asked = True
    try:
        task_id = await answer(service, judged.task_id, questions[0].id, said)
    except CouncilorError as error:
        judged.answered = f"error: {error}"[:300]
        return
    stored = await service.store.artifacts.latest_for_task(task_id)
    verdicts = sorted((each.name, each.id) for each in stored if each.name.startswith("verdict/"))
    verdict = decode(Verdict, json.loads(await service.store.artifacts.read(verdicts[-1][1])))
    judged.answered = verdict.decision.value


async def _answer(service: Service, ground: Ground, judged: Judged, question: Question) -> Answer | None:
    """What is right, as far as it can be said."""
    seen = await _observed(service, ground, judged, question)
    if seen is None or seen.kind not in {ObservedKind.VALUE, ObservedKind.RAISED}:
        return None
    for kind, outcome in ((AnswerKind.CANDIDATE, question.candidate), (AnswerKind.ALTERNATIVE, question.alternative)):
        if (seen.kind, seen.text) == (outcome.kind, outcome.text):
            return Answer(kind=kind, by="oracle")
    if seen.kind is ObservedKind.RAISED:
        return Answer(kind=AnswerKind.RAISES, value=seen.type, by="oracle")
    return (
        Answer(kind=AnswerKind.VALUE, value=seen.text, by="oracle")
        if seen.is_literal
        else Answer(kind=AnswerKind.NEITHER, by="oracle")
    )


async def _observed(service: Service, ground: Ground, judged: Judged, question: Question) -> Observed | None:
    """What the call gives on the original."""
    folder = judged.base.acceptance.partition("::")[0].rpartition("/")[0]
    path = f"{folder}/test_oracle_asks.py".lstrip("/")
    before = "\n".join([*question.imports, *question.setup]) or "pass"
    text = TEST.format(
        describer=service.tools.tester.describer,
        before=textwrap.indent(before, " " * 8),
        call=question.call,
        mark=MARK,
    )
    nodeid = f"{path}::test_what_it_gives"
    run = await ground.run({path: text.encode()}, nodeids=(nodeid,))
    message = next((each.message for each in run.records if each.nodeid == nodeid), "")
    _, found, told = message.partition(MARK)
    try:
        kind, seen, name = json.JSONDecoder().raw_decode(told)[0]
    except (ValueError, TypeError):
        return None
    return Observed(kind=ObservedKind(kind), text=seen, type=name) if found else None
