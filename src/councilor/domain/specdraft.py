"""A drafted working spec: every field with what it was guessed from, as YAML whose comments say what to check.

Rules:
- A comment stands before its field, in one paragraph: why the value was chosen, and what a person should check.
- Comments and values are one-line text; what is not printable becomes a space, so that no text leaves its place.
- The text is a valid working spec (`spec.load_spec`), or drafting is refused.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from councilor.domain.spec import load_spec

__all__ = ["Guess", "SpecDraft", "one_line"]

WIDTH = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """One field of the draft."""

    field: str
    """The top-level key."""
    value: Any
    why: str = ""
    """What the value was chosen for; empty where there was nothing to choose."""
    check: str = ""
    """What a person should look at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecDraft:
    """A whole draft."""

    source: str
    """What it was drafted from, for its first comment."""
    guesses: tuple[Guess, ...]
    """In the order of the file."""

    @property
    def id(self) -> str:
        """The drafted spec's id."""
        return str(next(guess.value for guess in self.guesses if guess.field == "id"))

    def text(self) -> str:
        """The draft as YAML with comments.

        Raises:
            InputError: the draft is no valid spec.
        """
        text = "\n".join(self.lines()) + "\n"
        load_spec(text, source="the draft")
        return text

    def lines(self) -> Iterator[str]:
        """The lines of the text, unchecked."""
        return _lines(self.source, self.guesses)


def one_line(text: str) -> str:
    """Text as one line of what can be printed."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _lines(source: str, guesses: Sequence[Guess]) -> Iterator[str]:
    yield from _comment(f"Drafted from {source}. Every comment is a guess to check; delete it when you have.")
    for guess in guesses:
        remark = " ".join(filter(None, (guess.why, guess.check and f"Check: {guess.check}")))
        if remark:
            yield from _comment(remark)
        yield yaml.safe_dump(
            {guess.field: guess.value}, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=False
        ).rstrip("\n")


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(one_line(text), WIDTH - 2, break_long_words=False, break_on_hyphens=False):
        yield f"# {line}"
