"""The labelled sentences: reads the three parts, and cuts the referred ones out of source distributions.

Rules:
- A sentence of a report has its text in the file; one of a changelog is a reference only: lines, span and hash.
- A span counts characters of the lines joined with every run of white space as one space.
- An archive or a sentence with another hash than the committed one is refused, never used.
- Which half a sentence is in follows from its id and `SEED`, and is checked; the ids of the part `unseen` begin with
  `UNSEEN_IDS`.

Does not look at the extractor, and does not decide when two claims are one (`matching`).
"""

from __future__ import annotations

import enum
import hashlib
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from planting.library import fetch

__all__ = ["SEED", "Expected", "Half", "Label", "MislabelledError", "Sentence", "WhyNone", "half_of", "labels", "load"]

SEED = "councilor-claims-1"
"""Divides the sentences."""
UNSEEN_IDS = "unseen-"
"""How the ids of the part begin that was made after both halves had been opened."""
FOLDER = Path(__file__).resolve().parent


class MislabelledError(Exception):
    """A committed label, reference or archive is not what it should be."""


class Half(enum.StrEnum):
    """Which sentences: the two halves, and the part made after both had been opened."""

    DEV = "dev"
    HELD_OUT = "held_out"
    UNSEEN = "unseen"


class WhyNone(enum.StrEnum):
    """Why a sentence holds no claim; explained in labels.md."""

    HEDGE = "hedge"
    PLAN = "plan"
    OPINION = "opinion"
    QUESTION = "question"
    INSTRUCTION = "instruction"
    CONDITION = "condition"
    OLD_BEHAVIOUR = "old_behaviour"
    QUOTE = "quote"
    NEGATION = "negation"
    ADMISSION = "admission"
    AMBIGUOUS = "ambiguous"
    STRUCTURE = "structure"
    LANGUAGE = "language"
    OUTSIDE = "outside"


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """One atomic claim that the sentence makes."""

    predicate: str
    """One of the list in labels.md."""
    subject: str = ""
    """What it is about, without back-ticks and brackets; empty if the sentence names nothing."""
    value: str = ""
    """The figure or the other name, normalised; empty if there is none."""
    status: str = ""
    """What facts.yaml makes of it; empty for a changelog, of whose change nothing is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """Where in a changelog a sentence is."""

    lines: tuple[int, int]
    """First and last, from 1, both inclusive."""
    span: tuple[int, int]
    """Characters of the joined lines, from 0, the end exclusive."""
    sha256: str
    """Of the sentence, as UTF-8."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """One entry of a half, not resolved yet."""

    id: str
    origin: str
    """A distribution's name, or the format of a report."""
    text: str | Reference
    before: str | Reference
    """The sentence before, if pronouns need it; else empty."""
    claims: tuple[Expected, ...]
    why_none: WhyNone | None
    """Given exactly if there are no claims."""

    @property
    def is_reference(self) -> bool:
        """Whether the text has to be fetched."""
        return isinstance(self.text, Reference)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """One sentence with its text."""

    label: Label
    text: str
    before: str


def half_of(id_: str) -> Half:
    """The half, or the part `unseen`, that the sentence with this id belongs to."""
    if id_.startswith(UNSEEN_IDS):
        return Half.UNSEEN
    return Half.HELD_OUT if hashlib.sha256(f"{SEED}:{id_}".encode()).digest()[0] % 2 else Half.DEV


def labels(half: Half) -> tuple[Label, ...]:
    """The entries of one half; needs no network.

    Raises:
        MislabelledError: an entry is in the wrong half, or has both claims and a reason for having none, or neither.
    """
    found = tuple(_label(entry) for entry in yaml.safe_load((FOLDER / f"{half}.yaml").read_text("utf-8")))
    for label in found:
        if half_of(label.id) is not half or bool(label.claims) is (label.why_none is not None):
            raise MislabelledError(f"{half}: {label.id}: wrong half, or claims and why_none do not fit")
    return found


def load(half: Half) -> tuple[Sentence, ...]:
    """The sentences of one half; fetches the source distributions that are not cached.

    Raises:
        MislabelledError: an archive or a sentence is another than the committed hash says.
        IndexUnreachableError: a distribution is not cached and cannot be had.
    """
    entries = labels(half)
    texts = _changelogs({entry.origin for entry in entries if entry.is_reference})
    return tuple(
        Sentence(label=entry, text=_resolve(entry, entry.text, texts), before=_resolve(entry, entry.before, texts))
        for entry in entries
    )


def _label(entry: Mapping[str, Any]) -> Label:
    before = entry.get("before", "")
    return Label(
        id=entry["id"],
        origin=entry.get("from") or entry["format"],
        text=entry["text"] if "text" in entry else _reference(entry),
        before=before if isinstance(before, str) else _reference(before),
        claims=tuple(Expected(**claim) for claim in entry["claims"]),
        why_none=WhyNone(entry["why_none"]) if "why_none" in entry else None,
    )


def _reference(entry: Mapping[str, Any]) -> Reference:
    (first, last), (start, end) = entry["lines"], entry["span"]
    return Reference(lines=(first, last), span=(start, end), sha256=entry["sha256"])


def _changelogs(names: Iterable[str]) -> dict[str, list[str]]:
    sources = yaml.safe_load((FOLDER / "sources.yaml").read_text("utf-8"))
    return {name: _lines(name, **sources[name]) for name in sorted(names)}


def _lines(name: str, *, version: str, sha256: str, file: str) -> list[str]:
    library = fetch(f"{name}=={version}")
    if library.sha256 != sha256:
        raise MislabelledError(f"{name}=={version}: the archive's hash is {library.sha256}, not {sha256}")
    with tarfile.open(library.archive) as archive:
        top = archive.getnames()[0].split("/")[0]
        member = archive.extractfile(f"{top}/{file}")
        if member is None:
            raise MislabelledError(f"{name}=={version}: {file} is no file")
        return member.read().decode("utf-8").splitlines()


def _resolve(label: Label, text: str | Reference, changelogs: Mapping[str, list[str]]) -> str:
    if isinstance(text, str):
        return text
    first, last = text.lines
    joined = " ".join(" ".join(changelogs[label.origin][first - 1 : last]).split())
    sentence = joined[slice(*text.span)]
    if hashlib.sha256(sentence.encode()).hexdigest() != text.sha256:
        raise MislabelledError(f"{label.id}: the sentence there is another")
    return sentence
