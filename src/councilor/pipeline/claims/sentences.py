"""Sentences of a Markdown report, with their places in it.

Rules:
- Code fences, block quotes and HTML comments are cut out: they quote, they claim nothing.
- A heading and a table's row are sentences of their own (`part`); a list item begins a new block, a blank line ends
  one; a block's lines belong together.
- An open box (`[ ]`) and a cross are kept as the sentence's `mark`, as are a ticked box and a tick.
- A sentence ends at `.`, `!` or `?` outside back-ticks when a space and a capital, digit, quote or back-tick follow.
- The text is untrusted: at most 256 KiB, 2,000 sentences and 1,000 characters each are looked at, in one pass.

It does not decide what a sentence means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from councilor.pipeline.claims.markup import plain

__all__ = ["Mark", "Part", "Sentence", "split_sentences"]

REPORT_LIMIT = 256 * 1024
SENTENCES_LIMIT = 2000
SENTENCE_LIMIT = 1000
ABBREVIATIONS = ("e.g", "i.e", "etc", "vs", "approx", "cf", "resp", "incl", "no")
BULLETS = "-*+"
DONE = frozenset({"[x]", "[X]", "\u2705", "\u2714", "\u2713", "\u2611"})
NOT_DONE = frozenset({"[", "\u274c", "\u2717", "\u2718"})
"""Marks before a sentence: ticks, and crosses or open boxes."""
VARIATION = "\ufe0f"
POINTER = re.compile(r"[(\[]?(?:(?:issue |PR )?#\d{1,9}[,;]? ?(?:and )?){1,9}[)\]]?\.?", re.IGNORECASE)
"""Nothing but numbers of issues: they belong to the sentence before."""


class Part(StrEnum):
    """What of a report a sentence is."""

    PROSE = "prose"
    HEADING = "heading"
    ROW = "row"


class Mark(StrEnum):
    """What stands before a sentence."""

    NONE = "none"
    DONE = "done"
    NOT_DONE = "not_done"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """One sentence."""

    text: str
    """Its words, white space made single spaces, list marker and markup removed."""
    span: tuple[int, int]
    """Character offsets in the report, end exclusive."""
    part: Part = Part.PROSE
    mark: Mark = Mark.NONE


def split_sentences(report: str) -> tuple[Sentence, ...]:
    """The report's sentences, in order."""
    report = report[:REPORT_LIMIT]
    found: list[Sentence] = []
    for begin, end in _blocks(report):
        part = _part(report[begin : begin + SENTENCE_LIMIT].lstrip())
        for start, stop in _cuts(report, begin, end) if part is Part.PROSE else ((begin, end),):
            sentence = _sentence(report, start, stop, part)
            if sentence is not None and found and start > begin and POINTER.fullmatch(sentence.text):
                found[-1] = _joined(found[-1], sentence)
            elif sentence is not None:
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
        alone = not fence and not comment and _part(bare) is not Part.PROSE
        prose = not fence and not comment and not alone and _is_prose(bare)
        if begin is not None and (not prose or _begins_item(bare)):
            yield begin, end
            begin = None
        if alone:
            yield at, at + len(line)
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


def _part(line: str) -> Part:
    """What a line that begins like this is."""
    if line.startswith("|"):
        return Part.ROW
    hashes = len(line[:8]) - len(line[:8].lstrip("#"))
    return Part.HEADING if 0 < hashes < 7 and line[hashes : hashes + 1] in ("", " ") else Part.PROSE


def _is_prose(bare: str) -> bool:
    return bool(bare) and not bare.startswith((">", "```", "~~~", "<!--"))


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


def _sentence(report: str, start: int, stop: int, part: Part) -> Sentence | None:
    while start < stop and report[start].isspace():
        start += 1
    if not 0 < stop - start <= SENTENCE_LIMIT:
        return None
    words = report[start:stop].replace(VARIATION, "").split()
    if words and (words[0] in BULLETS or words[0].strip("#") == "" or _begins_item(words[0] + " ")):
        words = words[1:]
    mark = Mark.NONE
    while words and (words[0] in DONE or words[0] in NOT_DONE):
        mark = Mark.DONE if words[0] in DONE else Mark.NOT_DONE
        words = words[2:] if words[:2] == ["[", "]"] else words[1:]
    if len(words) > 1 and words[-1] in DONE | NOT_DONE:
        mark = Mark.DONE if words[-1] in DONE else Mark.NOT_DONE
        words = words[:-1]
    text = " ".join(words)
    if part is Part.ROW:
        mark, text = _row(text)
    text = plain(text)
    return Sentence(text=text, span=(start, stop), part=part, mark=mark) if text else None


def _joined(sentence: Sentence, pointer: Sentence) -> Sentence:
    text = f"{sentence.text.rstrip('.')}, {pointer.text}"
    return replace(sentence, text=text, span=(sentence.span[0], pointer.span[1]))


def _row(text: str) -> tuple[Mark, str]:
    """A table's row as "first: second, third"; a tick or a cross in a cell is its mark."""
    cells = [cell.strip() for cell in text.strip("| ").split("|")]
    mark = Mark.NONE
    for cell in cells:
        if cell in DONE or cell in NOT_DONE:
            mark = Mark.DONE if cell in DONE else Mark.NOT_DONE
    cells = [cell for cell in cells if cell and cell not in DONE and cell not in NOT_DONE]
    if all(set(cell) <= set(":- ") for cell in cells):
        return mark, ""
    return mark, f"{cells[0]}: {', '.join(cells[1:])}" if len(cells) > 1 else cells[0]
