"""Sentences of a Markdown report, with their places in it.

Rules:
- Code fences, block quotes, tables, headings and HTML comments are cut out: they quote or label, they claim nothing.
- A list item begins a new block, a blank line ends one; a block's lines belong together.
- A sentence ends at `.`, `!` or `?` outside back-ticks when a space and a capital, digit, quote or back-tick follow.
- The text is untrusted: at most 256 KiB, 2,000 sentences and 1,000 characters each are looked at, in one pass.

It does not decide what a sentence means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Sentence", "split_sentences"]

REPORT_LIMIT = 256 * 1024
SENTENCES_LIMIT = 2000
SENTENCE_LIMIT = 1000
ABBREVIATIONS = ("e.g", "i.e", "etc", "vs", "approx", "cf", "resp", "incl", "no")
BULLETS = "-*+"
CODE = re.compile(r"(`[^`]*`)")
EMPHASIS = re.compile(
    r"((?<![^\W_])__[a-z][a-z0-9_]*?__(?=[./:(]|\Z)|(?<=[/.:])__[a-z][a-z0-9_]*?__|(?<=[^\W_])__(?=[^\W_]))|__|\*\*"
)
"""Stars and underscores of Markdown; the group is what is a name of Python instead, and stays."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """One sentence."""

    text: str
    """Its words, white space made single spaces, list marker and emphasis removed."""
    span: tuple[int, int]
    """Character offsets in the report, end exclusive."""


def split_sentences(report: str) -> tuple[Sentence, ...]:
    """The report's sentences, in order."""
    report = report[:REPORT_LIMIT]
    found: list[Sentence] = []
    for begin, end in _blocks(report):
        for start, stop in _cuts(report, begin, end):
            sentence = _sentence(report, start, stop)
            if sentence is not None:
                found.append(sentence)
                if len(found) == SENTENCES_LIMIT:
                    return tuple(found)
    return tuple(found)


def _lines(report: str) -> Iterator[tuple[int, str]]:
    at = 0
    for line in report.split("\n"):
        yield at, line
        at += len(line) + 1


def _blocks(report: str) -> Iterator[tuple[int, int]]:
    """Spans of running text."""
    begin: int | None = None
    end = 0
    fence = ""
    comment = False
    for at, line in _lines(report):
        bare = line.strip()
        prose = not fence and not comment and _is_prose(bare)
        if begin is not None and (not prose or _begins_item(bare)):
            yield begin, end
            begin = None
        if fence:
            fence = "" if bare.startswith(fence) and not bare.strip(fence[0]) else fence
        elif comment or bare.startswith("<!--"):
            comment = "-->" not in bare
        elif bare.startswith(("```", "~~~")):
            fence = bare[: len(bare) - len(bare.lstrip(bare[0]))]
        elif prose:
            begin = at if begin is None else begin
            end = at + len(line)
    if begin is not None:
        yield begin, end


def _is_prose(bare: str) -> bool:
    return bool(bare) and not bare.startswith((">", "|", "#", "```", "~~~", "<!--"))


def _begins_item(bare: str) -> bool:
    if bare[:1] in BULLETS and bare[1:2] == " ":
        return True
    number = bare.split(" ", 1)[0]
    return number[-1:] in (".", ")") and number[:-1].isascii() and number[:-1].isdigit() and len(number) <= 4


def _cuts(report: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans of sentences within one block."""
    start, ticked = begin, False
    for at in range(begin, end):
        char = report[at]
        if char == "`":
            ticked = not ticked
        elif char in ".!?" and _ends_here(report, at, end, ticked):
            yield start, at + 1
            start, ticked = at + 1, False
    yield start, end


def _ends_here(report: str, at: int, end: int, ticked: bool) -> bool:
    if at + 1 >= end:
        return True
    if not report[at + 1].isspace():
        return False
    if ticked and "`" in report[at : min(end, at + 200)]:
        return False
    after = report[at + 1 : at + 20].lstrip()[:1]
    word = report[max(0, at - 12) : at].split(" ")[-1].lstrip("(").casefold()
    return word not in ABBREVIATIONS and (not after or after.isupper() or after.isdigit() or after in "`\"'*_([-+")


def _sentence(report: str, start: int, stop: int) -> Sentence | None:
    while start < stop and report[start].isspace():
        start += 1
    if not 0 < stop - start <= SENTENCE_LIMIT:
        return None
    words = report[start:stop].split()
    if words and (words[0] in BULLETS or _begins_item(words[0] + " ")):
        words = words[1:]
    if words and words[0] in ("[x]", "[X]"):
        words = words[1:]
    text = _without_emphasis(" ".join(words))
    return Sentence(text=text, span=(start, stop)) if text else None


def _without_emphasis(text: str) -> str:
    """`text` without Markdown's stars and underscores, but with those of code and of names like `__init__.py`."""
    pieces = CODE.split(text)
    return "".join(piece if index % 2 else EMPHASIS.sub(r"\1", piece) for index, piece in enumerate(pieces))
