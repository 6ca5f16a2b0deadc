"""The gates `answers` and `differential`: what answered questions demand, and where the candidate differs from others.

Rules:
- ANSWER-1: the candidate does not do what the answer to a question says. ANSWER-2: the answer's test could not be run,
  or its run cannot be believed. ANSWER-3: it does not always end the same. They fail: an answer is a criterion.
- ANSWER-4: all that the answered questions tell the candidate from is the base, which says little; it warns.
- DIFF-1: on an input the base gives a value, and the candidate raises what nobody means to raise, or does not end.
- QUESTION-1: an input on which the candidate and another version that passes the same tests differ; nobody has said
  which is right. QUESTION-2: a refactoring differs from the base. DIFF-1 and these only ever warn.
- What was not measured is skipped. That no difference was found shows nothing but that none was found.
"""

from __future__ import annotations

from collections.abc import Iterator

from councilor.domain.difference import BASE, DistinguishingCall, Observed, ObservedKind
from councilor.domain.evidence import EvidenceKind, Outcome, TestRun
from councilor.domain.gate import GateResult, Severity, Violation
from councilor.domain.question import Answered, Question, quoted
from councilor.domain.spec import Mode
from councilor.pipeline.gates.input import GateInput, broken, ruled, unmeasured

__all__ = ["answers", "differential"]

ANSWERS, DIFFERENTIAL = "answers", "differential"
SHORT = 80


def answers(given: GateInput) -> GateResult:
    """Whether the candidate does what the answers say."""
    bundle = given.bundle
    if bundle is None or bundle.answers is None or not bundle.answered:
        return unmeasured(ANSWERS, "no question about this candidate was answered")
    failures = [found for path, each in bundle.answered for found in _broken_answer(bundle.answers, path, each)]
    who = sorted({f"{each.answer.by}{'' if each.answer.verified else ' (unverified)'}" for _, each in bundle.answered})
    summary = f"the candidate does what {len(bundle.answered)} answered questions say, answered by {', '.join(who)}"
    told = {version.kind for _, each in bundle.answered for version in each.question.tells}
    little = "the answered questions tell the candidate from nothing but the base"
    warnings = [] if told - {BASE} else [broken("ANSWER-4", Severity.LOW, little, "Add tests of the change.")]
    return ruled(
        ANSWERS, failures, passed=summary, warnings=warnings, evidence_ids=bundle.of(EvidenceKind.ANSWERS)
    )  # fmt: skip


def _broken_answer(run: TestRun, path: str, answered: Answered) -> Iterator[Violation]:
    question, nodeid = answered.question, f"{path}::test_answer"
    outcome = run.outcome(nodeid)
    call, expected = quoted(question.call, SHORT), answered.expected
    wanted = _said(expected) if expected else f"neither {_said(question.candidate)} nor {_said(question.alternative)}"
    if not run.believable or run.timed_out or outcome in {Outcome.MISSING, Outcome.ERROR, Outcome.SKIPPED}:
        message = f"the test of the answer to {call} could not be run, or not be believed"
        yield broken("ANSWER-2", Severity.HIGH, message, "See the log of the answers' run.", path=question.path)
    elif nodeid in run.unsteady:
        message = f"the test of the answer to {call} does not always end the same"
        yield broken(
            "ANSWER-3", Severity.HIGH, message, "Make the function give the same each time.", path=question.path
        )
    elif outcome is not Outcome.PASSED:
        ours = _said(question.candidate)
        message = f"{call} must be {wanted}, as {answered.answer.by} answered, and the candidate's is {ours}"
        remedy = f"Make {call} come to {wanted}."
        yield broken("ANSWER-1", Severity.CRITICAL, message, remedy, path=question.path)


def differential(given: GateInput) -> GateResult:
    """Where the candidate differs from the base and from others that pass the same tests."""
    bundle = given.bundle
    if bundle is None or bundle.differences is None:
        return unmeasured(DIFFERENTIAL, "no inputs were looked for on which the candidate and others differ")
    run = bundle.differences
    if run.error and not run.tried:
        return unmeasured(DIFFERENTIAL, f"no inputs could be run: {run.error}")
    crashes = [_crash(call) for call in run.crashes]
    asked = [found for question in bundle.questions[:1] for found in _asked(question, given.spec.mode)]
    apart = "differ" if run.differs_from_base else "do not differ"
    summary = f"candidate and base {apart} on the inputs that were tried"
    if asked:
        summary += f"; open: {bundle.questions[0].text}"
    ids = bundle.of(EvidenceKind.DIFFERENCE)
    return ruled(DIFFERENTIAL, [], passed=summary, warnings=[*crashes, *asked], evidence_ids=ids)


def _crash(call: DistinguishingCall) -> Violation:
    was = _said(call.base) if call.base is not None else "a value"
    ours = _said(call.candidate)
    message = f"{quoted(call.call, SHORT)} is {was} on the base, and on the candidate it is {ours}"
    return broken("DIFF-1", Severity.HIGH, message, "Handle this input, or say that it is meant.", path=call.path)


def _asked(question: Question, mode: Mode) -> Iterator[Violation]:
    only_base = all(each.kind == BASE for each in question.tells)
    if only_base and mode is not Mode.REFACTOR:
        return  # a fix or a feature is meant to differ
    rule = "QUESTION-2" if only_base else "QUESTION-1"
    remedy = (
        f"Add a test of {quoted(question.call, SHORT)} that says what is right, or let a person answer {question.id}:"
        " `councilor answer TASK --expect candidate|alternative|VALUE|raises:NAME`."
    )
    yield broken(rule, Severity.MEDIUM, question.text, remedy, path=question.path)


def _said(seen: Observed) -> str:
    if seen.kind is ObservedKind.VALUE:
        return quoted(seen.text, SHORT)
    if seen.kind is ObservedKind.RAISED:
        return f"an exception, {quoted(seen.text, SHORT)}"
    return "a failure before the call" if seen.kind is ObservedKind.SETUP else "no end"
