"""The gates `answers` and `differential`."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import yaml

from councilor.domain.difference import DifferentialRun, DistinguishingCall, InputSource, Observed, ObservedKind
from councilor.domain.evidence import Breach, EvidenceKind
from councilor.domain.gate import GateResult, GateStatus
from councilor.domain.question import Alternative, Answered, choose_questions, parse_answer
from councilor.domain.spec import draft_spec, load_spec
from councilor.pipeline.gates.questions import answers, differential

PATH = "tests/test_councilor_answer_1.py"
NODEID = f"{PATH}::test_answer"
CALL = DistinguishingCall(
    path="shop.py",
    function="f",
    imports=("from shop import f",),
    setup=(),
    call="f(3)",
    source=InputSource.RECORDED,
    candidate=Observed(kind=ObservedKind.VALUE, text="4", type="int"),
    base=Observed(kind=ObservedKind.VALUE, text="7", type="int"),
    alternatives={"rival1": Observed(kind=ObservedKind.VALUE, text="5", type="int")},
)
BASE = Alternative(id="base", kind="base", path="", line=0, description="is not there")
RIVAL = Alternative(id="rival1", kind="rival", path="shop.py", line=3, description="replaces `>` by `>=`")
QUESTIONS = choose_questions([CALL], {"base": BASE, "rival1": RIVAL})
ANSWERED = ((PATH, Answered(question=QUESTIONS[0], answer=parse_answer("5", by="Ann"))),)
CRASH = replace(CALL, candidate=Observed(kind=ObservedKind.RAISED, text="TypeError: no", type="TypeError"))


def rules(result: GateResult) -> list[str]:
    return [item.rule for item in result.violations]


def answer_gate(make: SimpleNamespace, run: Any) -> GateResult:
    items = (make.evidence(EvidenceKind.ANSWERS),)
    return answers(make.input(bundle=make.bundle(evidence=items, answers=run, answered=ANSWERED)))


def test_without_answers_the_gate_is_skipped(make: SimpleNamespace) -> None:
    assert answers(make.input()).status is GateStatus.SKIPPED
    assert answers(make.input(bundle=None)).status is GateStatus.SKIPPED


def test_an_answer_that_the_candidate_keeps_passes_and_names_who_gave_it(make: SimpleNamespace) -> None:
    result = answer_gate(make, make.run({NODEID: "passed"}))
    assert result.status is GateStatus.PASSED and result.evidence_ids
    assert "Ann (unverified)" in result.summary


def test_answer_1_a_contradicted_answer_forbids_acceptance(make: SimpleNamespace) -> None:
    result = answer_gate(make, make.run({NODEID: "failed"}))
    assert (result.blocks, rules(result)) == (True, ["ANSWER-1"])
    assert "must be `5`" in result.violations[0].message and "`4`" in result.violations[0].message


def test_answer_2_a_test_that_was_not_run_or_is_not_believed(make: SimpleNamespace) -> None:
    assert rules(answer_gate(make, make.run({}))) == ["ANSWER-2"]
    assert rules(answer_gate(make, make.run({NODEID: "error"}))) == ["ANSWER-2"]
    assert rules(answer_gate(make, make.run({NODEID: "passed"}, breaches=(Breach.CANARY_PASSED,)))) == ["ANSWER-2"]


def test_answer_3_a_test_that_does_not_always_end_the_same(make: SimpleNamespace) -> None:
    run = make.run({NODEID: "passed"})
    again = {NODEID: (make.run({NODEID: "failed"}).outcome(NODEID),)}
    assert rules(answer_gate(make, replace(run, again=again))) == ["ANSWER-3"]


def test_answer_4_an_answer_that_tells_it_from_the_base_alone_says_little(make: SimpleNamespace) -> None:
    (question,) = choose_questions([replace(CALL, alternatives={})], {"base": BASE})
    answered = ((PATH, Answered(question=question, answer=parse_answer("4", by="Ann"))),)
    found = make.bundle(answers=make.run({NODEID: "passed"}), answered=answered)
    result = answers(make.input(bundle=found))
    assert (result.status, rules(result)) == (GateStatus.WARNED, ["ANSWER-4"])


def test_nothing_looked_for_is_skipped_and_nothing_found_passes(make: SimpleNamespace) -> None:
    assert differential(make.input()).status is GateStatus.SKIPPED
    failed = make.bundle(differences=DifferentialRun(error="it ended before its last word"))
    assert differential(make.input(bundle=failed)).status is GateStatus.SKIPPED
    result = differential(make.input(bundle=make.bundle(differences=DifferentialRun(tried=40))))
    assert result.status is GateStatus.PASSED and "do not differ" in result.summary


def test_question_1_an_open_question_warns_with_both_outcomes(make: SimpleNamespace) -> None:
    found = make.bundle(differences=DifferentialRun(calls=(CALL,), tried=40), questions=QUESTIONS)
    result = differential(make.input(bundle=found))
    assert (result.status, rules(result)) == (GateStatus.WARNED, ["QUESTION-1"])
    assert "`f(3)` gives `4`; the nearest alternative gives `5`" in result.violations[0].message
    assert "candidate and base differ" in result.summary


def test_question_2_a_refactoring_differs_from_the_base_and_a_fix_may(make: SimpleNamespace) -> None:
    call = replace(CALL, alternatives={})
    found = make.bundle(
        differences=DifferentialRun(calls=(call,), tried=4), questions=choose_questions([call], {"base": BASE})
    )
    data = yaml.safe_load(draft_spec("Do it", number=1)) | {"mode": "refactor"}
    refactoring = load_spec(yaml.safe_dump(data), source="s")
    assert rules(differential(make.input(bundle=found, spec=refactoring))) == ["QUESTION-2"]
    assert differential(make.input(bundle=found)).status is GateStatus.PASSED


def test_diff_1_a_new_crash_warns(make: SimpleNamespace) -> None:
    found = make.bundle(differences=DifferentialRun(crashes=(CRASH,), tried=40))
    result = differential(make.input(bundle=found))
    assert (result.status, rules(result)) == (GateStatus.WARNED, ["DIFF-1"])
    assert "`f(3)` is `7` on the base" in result.violations[0].message
