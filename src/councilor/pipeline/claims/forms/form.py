"""One way to say something checkable: a pattern, what it makes of it, and what it bears beside it.

Rules:
- A pattern is searched in one part of a sentence, at most 1,000 characters, names replaced by tokens; it has no nested
  repetition and every gap is bounded, so that its time is bounded too.
- A reader gives (subject, value) pairs, one for each claim: a list of names makes as many claims.
- A form drops what its part hedges, plans or excepts, unless it bears that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from councilor.domain.claim import ClaimKind, Verifiability
from councilor.pipeline.claims.names import Named

__all__ = ["IGNORE", "IT", "NUMBERS", "WORDS", "Form", "Reader", "each", "form", "gap", "nothing", "number"]

IGNORE = re.IGNORECASE
IT = "\0it"
"""The subject that a pronoun stands for: not a name of any report."""
NUMBERS = {
    word: str(value)
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
        ]
    )
} | {"a single": "1", "seventeen": "17", "eighteen": "18", "nineteen": "19", "a dozen": "12", "both": "2"}
WORDS = (
    r"(?:(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?"
    r"|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    r"|nineteen)"
)
"""Numbers as words, from two on."""
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}

Reader = Callable[[re.Match[str], Named], Iterator[tuple[str, str]]]
"""What was matched, in which sentence -> subjects with values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """One way to say something checkable."""

    predicate: str
    pattern: re.Pattern[str]
    read: Reader
    type: ClaimKind
    verifiability: Verifiability
    method: str
    """How a verifier is to take the value, where one predicate has several ways."""
    negative: bool
    """Whether the statement is negative by nature, so that a negation does not drop it."""
    bears: frozenset[str]
    """Reasons (of `selection.refusal`) that do not drop it."""


def form(
    predicate: str,
    pattern: str,
    read: Reader | None = None,
    *,
    kind: ClaimKind = ClaimKind.FACTUAL,
    verifiability: Verifiability = Verifiability.DIRECT,
    method: str = "",
    negative: bool = False,
    bears: tuple[str, ...] = (),
) -> Form:
    """A form; without a reader, neither subject nor value."""
    return Form(
        predicate=predicate,
        pattern=re.compile(pattern, IGNORE),
        read=read or nothing,
        type=kind,
        verifiability=verifiability,
        method=method or predicate,
        negative=negative,
        bears=frozenset(bears),
    )


def gap(most: int) -> str:
    """A pattern for at most so many characters of the same part."""
    return rf"[^;]{{0,{most}}}?"


def nothing(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """One claim without subject and value."""
    yield "", ""


def each(group: str = "s", *, value: str = "") -> Reader:
    """One claim for each name in a group."""

    def read(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
        for name in named.of(match[group] or ""):
            yield name.text, value

    return read


def number(word: str | None) -> str:
    """A number as digits; empty for none."""
    if not word:
        return ""
    word = word.strip().casefold()
    ten, _, one = word.replace(" ", "-").partition("-")
    if ten in TENS and (not one or len(NUMBERS.get(one, "12")) == 1):
        return str(TENS[ten] + int(NUMBERS.get(one, "0")))
    return NUMBERS.get(word, word if re.fullmatch(r"\d+(?:\.\d+)?", word) else "")
