"""Checkable statements in a sentence.

Rules:
- A question, a hedge, a plan, a condition and an exception ("except ...") make a sentence no claim: it is dropped.
- A negated sentence is dropped too, but for the statements that are negative by nature ("no new dependencies").
- One sentence may hold several statements, at most one for each predicate but `added`, `removed` and `fixes`.
- Names of files and symbols count only in back-ticks, or as a path with a suffix; what cannot be told is dropped.
- Every pattern works on at most 1,000 characters and has no nested repetition, so that its time is bounded.

It does not look at the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from councilor.domain.claim import AtomicClaim, ClaimKind, Verifiability
from councilor.pipeline.claims.forms import CHANGED, FORMS, IGNORE, RENAMED, TEST_PASSES, Form
from councilor.pipeline.claims.sentences import Sentence

__all__ = ["extract"]

DROPPED = re.compile(
    r"\?\s*$|^(?:if|unless|once|when|please|let's|let me|next|todo|note that you)\b"
    r"|\b(?:should|might|may|could|would|can|will|won't|shall|probably|likely|perhaps|maybe|hopefully|presumably"
    r"|seems?|appears?|believe|think|expect|guess|assume|hope|plan|want|need|needs|try|tried|trying|going to|to do|tbd"
    r"|todo|ideally|in theory|except|apart from|aside from|other than|unless|almost|nearly|mostly|most of|some)\b",
    IGNORE,
)
NEGATED = re.compile(
    r"\b(?:not|never|cannot|no longer|neither|nor|isn't|aren't|wasn't|weren't|don't|doesn't|didn't)\b", IGNORE
)
NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}
TICKED = re.compile(r"`([^`\s]{1,200})`")
REMOVALS = frozenset({"removed", "deleted", "dropped"})
FAILURES = re.compile(r"\b[1-9]\d{0,5} (?:tests? )?fail")
PATH = re.compile(r"(?<![\w/.-])((?:[\w.-]+/){0,12}[\w-]+\.(?:py|pyi|toml|cfg|ini|txt|md|rst|ya?ml|json))(?![\w/])")
SYMBOL = re.compile(r"^[A-Za-z_]\w{0,99}(?:\.[A-Za-z_]\w{0,99}){0,5}(?:\(\))?$")


def extract(sentences: Sequence[Sentence]) -> tuple[AtomicClaim, ...]:
    """The atomic claims of a report's sentences, in order, ids counted from C1."""
    found: list[AtomicClaim] = []
    for sentence in sentences:
        if not DROPPED.search(_outside_ticks(sentence.text)):
            found.extend(_claims(sentence))
    return tuple(replace(claim, id=f"C{number}") for number, claim in enumerate(found, start=1))


def _outside_ticks(text: str) -> str:
    return TICKED.sub("``", text)


def _claims(sentence: Sentence) -> Iterator[AtomicClaim]:
    negated = NEGATED.search(_outside_ticks(sentence.text)) is not None
    seen: set[tuple[str, str | None]] = set()
    for form in FORMS:
        match = form.pattern.search(sentence.text)
        if match is None or (negated and not form.negative):
            continue
        claim = _stated(sentence, form, match)
        once = (form.predicate, claim.value if claim and form.predicate == "fixes" else None)
        if claim is not None and once not in seen:
            seen.add(once)
            yield claim
    if not negated:
        yield from _symbol_claims(sentence)


def _claim(
    sentence: Sentence, predicate: str, subject: str, value: str | None, form: Form | None = None
) -> AtomicClaim:
    return AtomicClaim(
        id="C0",
        text=sentence.text,
        sentence_span=sentence.span,
        type=form.type if form else ClaimKind.FACTUAL,
        subject=subject,
        predicate=predicate,
        value=value,
        verifiability=form.verifiability if form else Verifiability.DIRECT,
        method=predicate if form is None or form.verifiability is not Verifiability.UNVERIFIABLE else "",
        confidence=0.9,
    )


def _stated(sentence: Sentence, form: Form, match: re.Match[str]) -> AtomicClaim | None:
    groups = {name: value.strip().lower() for name, value in match.groupdict().items() if value}
    if form.predicate == "only_touched":
        files = _files(sentence.text)
        return _claim(sentence, form.predicate, "files", "\n".join(files), form) if files else None
    if form.predicate == "fixes":
        name = groups.get("id", "").upper() or None
        return _claim(sentence, form.predicate, "task", name, form)
    if form.predicate == "lint_clean":
        return _claim(sentence, form.predicate, "lint", "new" if "new" in groups else None, form)
    number = groups.get("n")
    value = str(NUMBERS.get(number, number)) if number else None
    if (
        form.predicate == "tests_pass"
        and value is not None
        and re.search(r"\b[1-9]\d{0,5} (?:tests? )?fail", sentence.text)
    ):
        return None
    return _claim(sentence, form.predicate, "tests" if "test" in form.predicate else form.predicate, value, form)


def _files(text: str) -> tuple[str, ...]:
    """Files and folders that a sentence names, in order."""
    ticked = [name for name in TICKED.findall(text) if "/" in name or PATH.fullmatch(name)]
    plain = PATH.findall(TICKED.sub(" ", text))
    return tuple(dict.fromkeys(name.rstrip(".,;:") for name in [*ticked, *plain]))


def _symbol_claims(sentence: Sentence) -> Iterator[AtomicClaim]:
    for match in TEST_PASSES.finditer(sentence.text):
        yield _claim(sentence, "test_passes", match["nodeid"], None)
    for match in RENAMED.finditer(sentence.text):
        old, new = match["old"], match["new"]
        if SYMBOL.match(old) and SYMBOL.match(new):
            yield _claim(sentence, "renamed", old.removesuffix("()"), new.removesuffix("()"))
    for match in CHANGED.finditer(sentence.text):
        name = match["name"]
        predicate = "removed" if match["verb"].lower() in REMOVALS else "added"
        if PATH.fullmatch(name):
            yield _claim(sentence, f"{predicate}_file", name, None)
        elif SYMBOL.match(name):
            yield _claim(sentence, predicate, name.removesuffix("()"), None)
