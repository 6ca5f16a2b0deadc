"""The test that an answer makes: our own code, which calls the function and compares what comes of it.

Rules:
- Nothing of an answer but a literal and a name gets into it, and of a question only the call that was run before.
- A value that is a literal is compared with `==`; a value that is none, by the text that described it, with a copy of
  the describing code; an exception by its class, and by its text where both outcomes raise the same class.
- Where neither outcome is right, the test waits for any other.
- Lines before the call stand inside the test, so that nothing happens when the file is collected.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from councilor.domain.difference import Observed, ObservedKind
from councilor.domain.question import Answered, Question
from councilor.errors import InputError

__all__ = ["answer_path", "answer_test"]

NAN = ("nan", "inf")


def answer_path(number: int, nodeids: Iterable[str]) -> str:
    """A new file in the folder that most of the tests are in."""
    folders = Counter(str(PurePosixPath(nodeid.partition("::")[0]).parent) for nodeid in nodeids)
    folder = folders.most_common(1)[0][0] if folders else "."
    return str(PurePosixPath(folder) / f"test_councilor_answer_{number}.py")


def answer_test(answered: Answered, describer: str) -> str:
    """The source of a test module.

    Args:
        describer: the source text of a module with `describe` and `describe_error`.

    Raises:
        InputError: what is expected is no outcome that a test can wait for.
    """
    question, expected = answered.question, answered.expected
    if expected is None:
        return _module(question, describer, _unlike(question))
    if expected.kind not in (ObservedKind.VALUE, ObservedKind.RAISED):
        raise InputError(
            "No test can be made of an answer that the call never ends, or fails before it begins.",
            field="expect",
            hint="Say which value or exception is right.",
        )
    raised = expected.kind is ObservedKind.RAISED
    by_text = not raised and (not expected.is_literal or any(each in expected.text for each in NAN))
    by_text |= raised and _same_class(answered)
    body = _raising(question.call, expected, by_text=by_text) if raised else _giving(question.call, expected, by_text)
    return _module(question, describer if by_text else "", body)


def _module(question: Question, describer: str, body: list[str]) -> str:
    plain = f'"""{question.id} of a task, answered."""\n\nfrom __future__ import annotations'
    head = [f"# {question.id}, answered: a test that councilor made.", describer.strip() or plain, ""]
    lines = "\n".join([*question.imports, *question.setup, *body])
    return "\n".join([*head, "", "def test_answer():", textwrap.indent(lines, "    "), ""])


def _unlike(question: Question) -> list[str]:
    """What is neither of the two outcomes."""
    wrong = [each.text for each in (question.candidate, question.alternative)]
    return [
        "try:",
        f"    told = describe({question.call})",
        "except Exception as error:",
        "    told = describe_error(error)",
        f"assert told not in {wrong!r}",
    ]


def _same_class(answered: Answered) -> bool:
    question, expected = answered.question, answered.expected
    other = question.alternative if expected == question.candidate else question.candidate
    from_question = expected is not None and expected in (question.candidate, question.alternative)
    return expected is not None and from_question and other.kind is ObservedKind.RAISED and other.type == expected.type


def _giving(call: str, expected: Observed, by_text: bool) -> list[str]:
    if by_text:
        return [f"value = {call}", f"assert describe(value) == {expected.text!r}"]
    return [f"value = {call}", f"assert value == {expected.text}"]


def _raising(call: str, expected: Observed, *, by_text: bool) -> list[str]:
    wanted = (
        f"assert describe_error(error) == {expected.text!r}"
        if by_text
        else f"assert {expected.type!r} in [each.__name__ for each in type(error).__mro__]"
    )
    return [
        "try:",
        f"    value = {call}",
        "except Exception as error:",
        f"    {wanted}",
        "else:",
        f"    raise AssertionError(f'no {expected.type}: {{value!r}}')",
    ]
