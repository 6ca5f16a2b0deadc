"""Questions: one call on which the candidate and others that pass the same tests do not do the same, and its answer.

Rules:
- The best question tells the candidate from the most weight of alternatives: rivals (other edits of the base) count
  more than the candidate without a piece, that more than mutants of it, and the base itself least. Of equals the one
  that reads best; never by chance.
- A call with an argument of the wrong type counts for less, and one on which only the words of an exception differ
  for least.
- An answer is `candidate`, `alternative`, `neither`, a Python literal, or `raises:NAME`. A literal is parsed, never
  evaluated.
- Outcomes and calls come from code that may be hostile: they are shown on one line, cut, with what cannot be printed
  escaped.

It runs nothing, and does not say who is right.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from councilor.domain.difference import BASE, DistinguishingCall, InputSource, Observed, ObservedKind
from councilor.errors import InputError

__all__ = ["Alternative", "Answer", "AnswerKind", "Answered", "Question", "choose_questions", "parse_answer", "quoted"]

WEIGHT = {"rival": 3.0, "piece": 2.0, "mutant": 1.0, BASE: 0.5}
MISUSE = frozenset({"TypeError", "AttributeError"})
"""What most code raises for an argument that it is not made for."""
MOST = 3
LONGEST_ANSWER = 2000
LONGEST_SHOWN, BEFORE = 80, 20
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Alternative:
    """Another version of the code that passes the same tests."""

    id: str
    """`base`, or its place among the others, such as `rival3`."""
    kind: str
    """`rival`, `piece`, `mutant` or `base`."""
    path: str
    line: int
    """1-based, in the text that was edited; 0 for the base."""
    description: str
    """What the edit does, as the end of the sentence "The change ..."."""

    @property
    def weight(self) -> float:
        """How much it matters that it is told apart."""
        return WEIGHT[self.kind]


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """Which of two outcomes of one call is meant?"""

    id: str
    """`Q1` is the best one."""
    path: str
    """The source file of the function."""
    function: str
    imports: tuple[str, ...]
    setup: tuple[str, ...]
    """Lines that run before the call."""
    call: str
    """One expression."""
    source: InputSource
    candidate: Observed
    alternative: Observed
    """What most of the others do."""
    base: Observed | None
    """What the base does; None where it does not always do the same."""
    tells: tuple[Alternative, ...]
    """The versions that do not do what the candidate does."""
    of: int
    """How many versions there are."""

    @property
    def text(self) -> str:
        """The question in plain words, on one line."""
        before = f"after {quoted('; '.join(self.setup))}, " if self.setup else ""
        others = sum(each.kind != BASE for each in self.tells)
        nearest = "the base" if not others else "the nearest alternative"
        seen = [self.candidate, self.alternative] + ([self.base] if self.base is not None and others else [])
        start = _first_difference(self.candidate.text, self.alternative.text)
        ours, theirs, *rest = [_told(each, start) for each in seen]
        was = f", and the base {rest[0]}" if rest else ""
        more = f" (it tells {others} of {self.of} alternatives apart)" if others > 1 else ""
        return f"{before}{quoted(self.call)} {ours}; {nearest} {theirs}{was}. Which does the task mean?{more}"


class AnswerKind(StrEnum):
    """What an answer says."""

    CANDIDATE = "candidate"
    ALTERNATIVE = "alternative"
    NEITHER = "neither"
    """Both are wrong, whatever is right."""
    VALUE = "value"
    RAISES = "raises"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What somebody says is right."""

    kind: AnswerKind
    value: str = ""
    """The literal, or the exception's name."""
    by: str = "unknown"
    """Who says so."""
    verified: bool = False
    """Whether a credential shows who said it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """A question with its answer."""

    question: Question
    answer: Answer

    @property
    def expected(self) -> Observed | None:
        """What the call has to come to; None where all that was said is what it must not."""
        answer, question = self.answer, self.question
        if answer.kind is AnswerKind.NEITHER:
            return None
        if answer.kind is AnswerKind.CANDIDATE:
            return question.candidate
        if answer.kind is AnswerKind.ALTERNATIVE:
            return question.alternative
        if answer.kind is AnswerKind.RAISES:
            return Observed(kind=ObservedKind.RAISED, text=answer.value, type=answer.value)
        kind = type(ast.literal_eval(answer.value)).__name__
        return Observed(kind=ObservedKind.VALUE, text=answer.value, type=kind)


def parse_answer(text: str, *, by: str, verified: bool = False) -> Answer:
    """What `--expect` says.

    Raises:
        InputError: it is none of the four forms.
    """
    said = text.strip()
    if said in (AnswerKind.CANDIDATE.value, AnswerKind.ALTERNATIVE.value, AnswerKind.NEITHER.value):
        return Answer(kind=AnswerKind(said), by=by, verified=verified)
    if said.startswith("raises:"):
        name = said.removeprefix("raises:").strip()
        if not NAME.fullmatch(name):
            raise InputError(
                f"{quoted(name)} is no name of an exception.", field="expect", hint="As in raises:ValueError"
            )
        return Answer(kind=AnswerKind.RAISES, value=name, by=by, verified=verified)
    try:
        if len(said) > LONGEST_ANSWER:
            raise ValueError
        ast.literal_eval(said)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise InputError(
            f"{quoted(said)} is no answer.",
            field="expect",
            hint="Say candidate, alternative, neither, a Python literal such as 5 or 'text', or raises:ValueError.",
        ) from error
    return Answer(kind=AnswerKind.VALUE, value=said, by=by, verified=verified)


def choose_questions(
    calls: Sequence[DistinguishingCall], alternatives: Mapping[str, Alternative]
) -> tuple[Question, ...]:
    """The best questions, the best first, each telling apart something that those before it do not."""
    rated = [(call, _told_apart(call, alternatives)) for call in calls if call.candidate.kind in _TELLING]
    chosen: list[Question] = []
    open_ids = {each.id for _, told in rated for each in told}
    while rated and open_ids and len(chosen) < MOST:
        best = max(rated, key=lambda item: _worth(item[0], item[1], open_ids))
        call, told = best
        if not any(each.id in open_ids for each in told):
            break
        rated.remove(best)
        open_ids -= {each.id for each in told}
        chosen.append(_question(f"Q{len(chosen) + 1}", call, told, len(set(alternatives) - {BASE})))
    return tuple(chosen)


_TELLING = frozenset({ObservedKind.VALUE, ObservedKind.RAISED})


def _others(call: DistinguishingCall) -> dict[str, Observed]:
    """What each version that differs does, the base among them."""
    others = dict(call.alternatives)
    if call.base is not None and call.base != call.candidate:
        others[BASE] = call.base
    return {name: seen for name, seen in others.items() if seen.kind in _TELLING}


def _told_apart(call: DistinguishingCall, alternatives: Mapping[str, Alternative]) -> tuple[Alternative, ...]:
    return tuple(alternatives[name] for name in sorted(_others(call)) if name in alternatives)


def _worth(
    call: DistinguishingCall, told: Sequence[Alternative], open_ids: set[str]
) -> tuple[float, int, int, int, str]:
    others = _others(call)
    weight = sum(each.weight * _clearness(call.candidate, others[each.id]) for each in told if each.id in open_ids)
    text = "\n".join((*call.setup, call.call))
    odd = sum(not char.isprintable() or not char.isascii() for char in text) + 2 * text.count("None")
    readable = len(call.setup) * 40 + len(text) + 10 * odd + (0 if call.candidate.is_literal else 30)
    return (weight - readable / 500, -readable, -len(call.candidate.text), -odd, text)


def _clearness(one: Observed, other: Observed) -> float:
    """How plainly two outcomes differ."""
    if one.kind is other.kind is ObservedKind.RAISED and one.type == other.type:
        return 0.3
    return 0.5 if {one.type, other.type} & MISUSE else 1.0


def _question(name: str, call: DistinguishingCall, told: tuple[Alternative, ...], of: int) -> Question:
    others = _others(call)
    weights: dict[tuple[str, str], float] = {}
    for each in told:
        seen = others[each.id]
        weights[seen.kind.value, seen.text] = weights.get((seen.kind.value, seen.text), 0.0) + each.weight
    kind, text = max(weights, key=lambda item: (weights[item], item))
    alternative = next(seen for seen in others.values() if (seen.kind.value, seen.text) == (kind, text))
    return Question(
        id=name,
        path=call.path,
        function=call.function,
        imports=call.imports,
        setup=call.setup,
        call=call.call,
        source=call.source,
        candidate=call.candidate,
        alternative=alternative,
        base=call.base,
        tells=told,
        of=of,
    )


def _first_difference(one: str, other: str) -> int:
    """Where to begin to show two long texts, so that what differs is seen; 0 for the beginning."""
    same = next((index for index, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
    return max(0, same - BEFORE) if same > LONGEST_SHOWN // 2 else 0


def _told(seen: Observed, start: int) -> str:
    text = f"...{seen.text[start:]}" if start and len(seen.text) > start else seen.text
    if seen.kind is ObservedKind.VALUE:
        return f"gives {quoted(text)}"
    if seen.kind is ObservedKind.RAISED:
        return f"raises {quoted(text)}"
    return "raises before the call" if seen.kind is ObservedKind.SETUP else "does not end"


def quoted(text: str, longest: int = LONGEST_SHOWN) -> str:
    """Untrusted text between back-ticks: one line, cut, what cannot be printed escaped."""
    cut = text[: longest + 1]
    shown = "".join(_escaped(char) for char in cut)
    return f"`{shown[:longest]}{'...' if len(shown) > longest or len(text) > longest else ''}`"


def _escaped(char: str) -> str:
    if char == "`":
        return "'"
    return char if char.isprintable() else char.encode("unicode_escape").decode()
