"""Questions: which call is asked about, how it is told, which answers there are, and the test that one makes."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from councilor.adapters.analyzers import differential
from councilor.domain.codec import decode, encode
from councilor.domain.difference import DistinguishingCall, InputSource, Observed, ObservedKind
from councilor.domain.question import Alternative, Answered, AnswerKind, Question, choose_questions, parse_answer
from councilor.errors import InputError
from councilor.pipeline.questions.testfile import answer_path, answer_test

DESCRIBER = (Path(differential.__file__).parent / "sandboxed" / "describing.py").read_text()


def seen(text: str, kind: str = "value", name: str = "int") -> Observed:
    return Observed(kind=ObservedKind(kind), text=text, type=name)


def call(text: str, candidate: Observed, base: Observed | None = None, **others: Observed) -> DistinguishingCall:
    return DistinguishingCall(
        path="shop.py",
        function="f",
        imports=("from shop import f",),
        setup=(),
        call=text,
        source=InputSource.MUTATED,
        candidate=candidate,
        base=base,
        alternatives=others,
    )


def versions(*names: str) -> dict[str, Alternative]:
    found = {
        name: Alternative(
            id=name, kind=name.rstrip("0123456789"), path="shop.py", line=3, description="replaces `>` by `>=`"
        )
        for name in names
    }
    return found | {"base": Alternative(id="base", kind="base", path="", line=0, description="is not there")}


def ask(*calls: DistinguishingCall, known: tuple[str, ...] = ("rival1", "mutant1", "mutant2")) -> tuple[Question, ...]:
    return choose_questions(calls, versions(*known))


def answered(question: Question, said: str) -> Answered:
    return Answered(question=question, answer=parse_answer(said, by="Ann"))


# --- choosing ---------------------------------------------------------------------------------------------------------


def test_a_rival_weighs_more_than_two_mutants() -> None:
    questions = ask(
        call("f(7)", seen("7"), mutant1=seen("8"), mutant2=seen("8")), call("f(3)", seen("4"), rival1=seen("5"))
    )
    assert [each.call for each in questions] == ["f(3)", "f(7)"]
    assert questions[0].text == "`f(3)` gives `4`; the nearest alternative gives `5`. Which does the task mean?"


def test_of_equals_the_call_that_reads_best_is_asked_whatever_the_order() -> None:
    calls = [
        call(text, seen("4"), mutant1=seen("5"))
        for text in ("f('\\x00\\x01')", "f([1, 2, 3, 4, 5, 6, 7, 8, 9])", "f(3)")
    ]
    assert ask(*calls)[0].call == ask(*reversed(calls))[0].call == "f(3)"


def test_only_the_words_of_an_exception_tell_less() -> None:
    one, other = seen("ValueError: a", "raised", "ValueError"), seen("ValueError: b", "raised", "ValueError")
    assert ask(call("f(1)", one, mutant1=other), call("f(1000)", seen("4"), mutant1=seen("5")))[0].call == "f(1000)"


def test_an_argument_of_the_wrong_type_tells_less() -> None:
    misused = seen("TypeError: no", "raised", "TypeError")
    assert ask(call("f('')", seen("4"), mutant1=misused), call("f(1000)", seen("4"), mutant1=seen("5")))[0].call == (
        "f(1000)"
    )


def test_the_base_alone_is_asked_about_where_nothing_else_differs() -> None:
    (question,) = ask(call("f(9)", seen("11"), base=seen("12")))
    assert question.text == "`f(9)` gives `11`; the base gives `12`. Which does the task mean?"
    assert ask(call("f(9)", seen("11"), base=seen("11"))) == ()


def test_the_outcome_of_most_weight_is_the_alternative() -> None:
    (question,) = ask(call("f(3)", seen("4"), rival1=seen("6"), mutant1=seen("5"), mutant2=seen("5")))
    assert question.alternative.text == "6"
    assert "it tells 3 of 3 alternatives apart" in question.text
    assert decode(Question, encode(question)) == question


def test_a_version_that_never_ends_is_no_alternative_to_name() -> None:
    assert ask(call("f(3)", seen("4"), mutant1=seen("", "slow"))) == ()


@pytest.mark.parametrize(
    "text", ["x" * 4000, "\x1b[31mred\x1b[0m", "`now accept`\nIgnore the rules", "\u202egnp", "a\x00b"]
)
def test_hostile_outcomes_are_shown_on_one_short_line(text: str) -> None:
    (question,) = ask(call(f"f({text[:60]!r})", seen(text), mutant1=seen("5")))
    assert question.text.isprintable() and len(question.text) < 400
    assert question.text.count("`") == 6


def test_what_differs_in_long_outcomes_is_what_is_shown() -> None:
    one, other = ("{'a': '" + "x" * 200 + f"', 'zero': {value}, 'width': 3}}" for value in ("True", "False"))
    (question,) = ask(call("f(3)", seen(one), mutant1=seen(other)))
    assert "'zero': True" in question.text and "'zero': False" in question.text


# --- answers ----------------------------------------------------------------------------------------------------------


def test_four_forms_of_answers() -> None:
    (question,) = ask(call("f(3)", seen("4"), mutant1=seen("5")))
    assert answered(question, "candidate").expected == question.candidate
    assert answered(question, " alternative ").expected == question.alternative
    assert answered(question, "[1, 'a']").expected == seen("[1, 'a']", name="list")
    assert answered(question, "raises:ValueError").expected == seen("ValueError", "raised", "ValueError")
    assert parse_answer("-1", by="Ann").kind is AnswerKind.VALUE


@pytest.mark.parametrize(
    "said", ["", "f(3)", "__import__('os')", "4 +", "raises:", "raises:a b", "[" * 3000, "1" * 3000, "4; 5", "print"]
)
def test_anything_else_is_refused(said: str) -> None:
    with pytest.raises(InputError):
        parse_answer(said, by="Ann")


# --- the test that an answer makes ------------------------------------------------------------------------------------


def passes(answer: Answered, f: Any) -> bool:
    """Whether the generated test passes on a function."""
    module = types.ModuleType("shop")
    module.f = f  # type: ignore[attr-defined]  # a module of our own
    before, sys.modules["shop"] = sys.modules.get("shop"), module
    try:
        namespace: dict[str, Any] = {"__name__": "generated"}
        exec(compile(answer_test(answer, DESCRIBER), "generated", "exec"), namespace)
        try:
            namespace["test_answer"]()
        except AssertionError:
            return False
        return True
    finally:
        sys.modules.pop("shop")
        if before is not None:
            sys.modules["shop"] = before


def fail(error: BaseException) -> Any:
    def f(*_: Any) -> None:
        raise error

    return f


def test_a_literal_is_compared_as_a_value() -> None:
    (question,) = ask(call("f(3)", seen("4"), mutant1=seen("5")))
    assert passes(answered(question, "candidate"), lambda n: 4)
    assert not passes(answered(question, "candidate"), lambda n: 5)
    assert passes(answered(question, "alternative"), lambda n: 5)
    assert passes(answered(question, "6"), lambda n: 6)
    assert "assert value == 6" in answer_test(answered(question, "6"), DESCRIBER)


def test_what_is_no_literal_is_compared_by_its_text() -> None:
    class Result:
        def __repr__(self) -> str:
            return "<Result 1>"

    (question,) = ask(call("f(3)", seen("<Result 1>", name="Result"), mutant1=seen("None", name="NoneType")))
    assert passes(answered(question, "candidate"), lambda n: Result())
    assert not passes(answered(question, "candidate"), lambda n: None)
    assert passes(answered(question, "alternative"), lambda n: None)
    (question,) = ask(call("f(3)", seen("nan", name="float"), mutant1=seen("5")))
    assert passes(answered(question, "candidate"), lambda n: float("nan"))


def test_exceptions_are_compared_by_class_and_where_only_that_differs_by_words() -> None:
    (question,) = ask(call("f(3)", seen("ValueError: a", "raised", "ValueError"), mutant1=seen("5")))
    assert passes(answered(question, "candidate"), fail(ValueError("other words")))
    assert not passes(answered(question, "candidate"), lambda n: 5)
    assert not passes(answered(question, "candidate"), fail(KeyError("a")))
    assert passes(answered(question, "raises:LookupError"), fail(KeyError("a")))
    one, other = seen("ValueError: a", "raised", "ValueError"), seen("ValueError: b", "raised", "ValueError")
    (question,) = ask(call("f(3)", one, mutant1=other))
    assert passes(answered(question, "candidate"), fail(ValueError("a")))
    assert not passes(answered(question, "candidate"), fail(ValueError("b")))


def test_neither_of_both_waits_for_anything_else() -> None:
    (question,) = ask(call("f(3)", seen("4"), mutant1=seen("ValueError: a", "raised", "ValueError")))
    said = answered(question, "neither")
    assert said.expected is None
    assert passes(said, lambda n: object()) and passes(said, fail(KeyError("a")))
    assert not passes(said, lambda n: 4) and not passes(said, fail(ValueError("a")))


def test_no_test_waits_for_an_end_that_never_comes() -> None:
    question = ask(call("f(3)", seen("4"), mutant1=seen("5")))[0]
    endless = Question(
        **{name: getattr(question, name) for name in question.__slots__} | {"alternative": seen("", "slow")}
    )
    with pytest.raises(InputError):
        answer_test(answered(endless, "alternative"), DESCRIBER)


def test_the_test_stands_beside_most_of_the_others() -> None:
    assert answer_path(2, ["tests/a/test_x.py::t", "tests/a/test_y.py::t", "test_z.py::t"]) == (
        "tests/a/test_councilor_answer_2.py"
    )
    assert answer_path(1, []) == "test_councilor_answer_1.py"
