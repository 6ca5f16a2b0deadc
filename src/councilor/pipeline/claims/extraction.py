"""Atomic claims in sentences: selected, resolved, taken apart.

Rules:
- A sentence that `selection` drops holds none; nor does a part of one that hedges, plans, excepts or tells of before.
- "It" and "this" mean the one name that the sentence before speaks of; with several it is ambiguous, and dropped.
- A sentence may hold several claims; of equal ones the first counts.
- A heading says nothing but what is whole in itself, and numbers: "Tests added" is a title.

It does not look at the evidence. `Reading` says of every sentence what became of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from councilor.domain.claim import AtomicClaim
from councilor.pipeline.claims.forms import FORMS, Form, spoken_of
from councilor.pipeline.claims.forms.form import IT
from councilor.pipeline.claims.names import Name, Named, find_names, listed
from councilor.pipeline.claims.selection import doubted, negated, parts, refusal, why_not
from councilor.pipeline.claims.sentences import Mark, Part, Sentence

__all__ = ["Reading", "extract", "read"]

TITLES = frozenset({"tests_added", "faster", "added", "removed", "secure"})
"""Predicates that a heading names as a subject rather than says."""
PRONOUN = re.compile(
    r"^(?:\W*(?:and|also|so|thus) )?(?:it|its|this|that|they|their|these)\b(?! (?:change|fix|patch|pr|commit|branch))",
    re.IGNORECASE,
)
BARE = re.compile(r"^[\w -]{2,30}$")
"""A label beside a tick: a few words."""
CRITERIA = re.compile(rf"(?:criteri(?:on|a) )?{listed('A')}:?", re.IGNORECASE)
LABELS = {
    "tests_pass": re.compile(r"^(?:all |unit )?tests?(?: suite)?$", re.IGNORECASE),
    "lint_clean": re.compile(r"^(?:lint(?:er|ing)?|ruff|flake8)(?: checks?)?$", re.IGNORECASE),
    "types_clean": re.compile(r"^(?:type[- ]?check(?:ing|s)?|types|mypy|pyright)$", re.IGNORECASE),
    "builds": re.compile(r"^build$", re.IGNORECASE),
}
DEEDS = frozenset({"added", "removed", "renamed", "added_file", "removed_file", "tests_added", "fixes"})
"""Predicates of which what stands behind the object only describes it."""
RESOLVED = frozenset({"fix_tested", "faster", "complexity", "behaviour_unchanged", "untouched"})
"""Predicates whose subject a pronoun may be."""
CLAIMS_LIMIT = 4000
CONFIDENCE = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a sentence holds."""

    sentence: Sentence
    claims: tuple[AtomicClaim, ...]
    why: str
    """Why there is none; empty when there is one."""


def extract(sentences: Sequence[Sentence]) -> tuple[AtomicClaim, ...]:
    """The atomic claims of a report's sentences, in order, ids counted from C1."""
    return tuple(claim for reading in read(sentences) for claim in reading.claims)


def read(sentences: Sequence[Sentence]) -> tuple[Reading, ...]:
    """What each sentence holds; claims are numbered through the report."""
    found: list[Reading] = []
    before, count = Named(text="", names=()), 0
    for sentence in sentences:
        named = find_names(sentence.text)
        claims, why = _claims(sentence, named, before) if count < CLAIMS_LIMIT else ([], "too many claims before it")
        numbered = tuple(replace(claim, id=f"C{count + number}") for number, claim in enumerate(claims, start=1))
        count += len(numbered)
        found.append(Reading(sentence=sentence, claims=numbered, why="" if numbered else why))
        before = named
    return tuple(found)


def _claims(sentence: Sentence, named: Named, before: Named) -> tuple[list[AtomicClaim], str]:
    if why := why_not(sentence, named.text):
        return [], why
    found: dict[tuple[str, str, str], AtomicClaim] = {}
    whys: list[str] = []
    said = ""
    for part in parts(named.text):
        if whys:
            before = _said(named, said) or before
        said = part
        stop, worth = refusal(part), spoken_of(part)
        for form in FORMS:
            if form.predicate not in worth or (stop and stop not in form.bears and form.predicate not in DEEDS):
                continue
            for claim in _found(form, part, sentence, named, before, stop if stop not in form.bears else ""):
                _keep(claim, found)
        whys.append(stop)
    if not found and sentence.mark is Mark.DONE and BARE.match(named.text):
        for predicate, pattern in LABELS.items():
            if pattern.match(named.text):
                found[predicate, "", ""] = _label(sentence, predicate)
    if not found and sentence.mark is Mark.DONE and CRITERIA.fullmatch(named.text):
        for name in named.names:
            found["fixes", name.text, ""] = replace(_label(sentence, "fixes"), subject=name.text)
    why = next((why for why in whys if why), "it says nothing that can be checked")
    return list(found.values()), why


def _keep(claim: AtomicClaim, found: dict[tuple[str, str, str], AtomicClaim]) -> None:
    """Keep a claim unless there is one that says as much or more; drop those that say less."""
    key = claim.predicate, claim.subject, claim.value or ""
    same = [other for other in found.values() if other.predicate == claim.predicate]
    twins = [other for other in found.values() if _stem(other) == _stem(claim) and other.subject == claim.subject]
    if (_stem(claim) in ("added", "removed") and twins) or key in found or any(_less(claim, other) for other in same):
        return
    for other in [item for item in same if _less(item, claim)]:
        del found[other.predicate, other.subject, other.value or ""]
    found[key] = claim


def _stem(claim: AtomicClaim) -> str:
    """The predicate, whatever sort of name is said to come or go."""
    return claim.predicate.removesuffix("_parameter").removesuffix("_file")


def _less(claim: AtomicClaim, other: AtomicClaim) -> bool:
    """Whether `claim` says no more than `other`, of the same predicate: what is not said agrees with anything."""
    if claim.predicate == "tests_pass":
        return _breadth(claim) <= _breadth(other)
    vague = VAGUE.get(claim.predicate, frozenset())
    subject = claim.subject == other.subject or (claim.subject in vague and other.subject != "branch")
    value = not claim.value or claim.value == other.value or (claim.predicate in LOOSE and bool(other.value))
    return subject and value


def _breadth(claim: AtomicClaim) -> tuple[bool, int]:
    """How much a claim says of tests that pass: with a number more than without, of all more than of some."""
    return claim.value is not None, {"": 2, "some": 0}.get(claim.subject, 1)


VAGUE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "coverage": frozenset({"line"}),
        **dict.fromkeys(
            ("faster", "complexity", "tests_added", "fix_tested", "lint_clean", "types_clean", "secure", "builds"),
            frozenset({""}),
        ),
        **dict.fromkeys(("behaviour_unchanged", "fixes", "imports"), frozenset({""})),
    }
)
"""Predicate -> subjects that name nothing in particular."""
LOOSE = frozenset({"tests_added", "complexity", "added", "removed", "faster"})
"""Predicates of which one subject has one value: the form that came first has read it best."""


def _found(form: Form, part: str, sentence: Sentence, named: Named, before: Named, stop: str) -> Iterator[AtomicClaim]:
    for match in form.pattern.finditer(part):
        if stop and doubted(part, match.end()):
            continue
        if not form.negative and negated(part, match.start(), match.end()):
            continue
        if sentence.part is Part.HEADING and form.predicate in TITLES and not re.search(r"\d", match[0]):
            continue
        for subject, value in form.read(match, named):
            resolved = _resolve(form, subject, part, before)
            if resolved is None:
                continue
            predicate, method = form.predicate, form.method
            if predicate in ("added", "removed") and value == "parameter":
                predicate, method, value = (
                    f"{predicate}_parameter",
                    f"{predicate}_parameter",
                    _function(match, part, named),
                )
            yield AtomicClaim(
                id="C0",
                text=sentence.text,
                sentence_span=sentence.span,
                type=form.type,
                subject=resolved,
                predicate=predicate,
                value=value or None,
                verifiability=form.verifiability,
                method=method,
                confidence=CONFIDENCE,
            )


def _resolve(form: Form, subject: str, part: str, before: Named) -> str | None:
    """The subject, a pronoun's by the sentence before; None when that is ambiguous."""
    if subject == IT:
        names = _antecedents(before)
        return names[0] if len(names) == 1 else None
    if subject or form.predicate not in RESOLVED or not PRONOUN.match(part):
        return subject
    names = _antecedents(before)
    return names[0] if len(names) == 1 else None if names else ""


def _antecedents(before: Named) -> list[str]:
    """What the sentence before speaks of: its symbols, or its files when it names no symbol."""
    symbols = [name.text for name in before.names if name.kind in "ST"]
    files = [name.text for name in before.names if name.kind == "F"]
    return list(dict.fromkeys(symbols or files))


def _said(named: Named, part: str) -> Named | None:
    """The part before of the same sentence, if it names anything: that is what "it" means."""
    names = named.of(part)
    return Named(text=part, names=names) if names else None


def _function(match: re.Match[str], part: str, named: Named) -> str:
    """The function that a parameter is said to belong to; empty when the sentence names none or several."""
    after = re.match(
        r"(?: \w+){0,3}? (?:to|on|of|in|for|from) (?:the )?(?:\w+ )?(⟦S\d+⟧)(?!(?:,| and) ⟦)", part[match.end() :]
    )
    names: tuple[Name, ...] = named.of(after[1]) if after else ()
    return names[0].text if names else ""


def _label(sentence: Sentence, predicate: str) -> AtomicClaim:
    form = next(item for item in FORMS if item.predicate == predicate)
    return AtomicClaim(
        id="C0",
        text=sentence.text,
        sentence_span=sentence.span,
        type=form.type,
        subject="",
        predicate=predicate,
        value="package" if predicate == "builds" else None,
        verifiability=form.verifiability,
        method=form.method,
        confidence=CONFIDENCE,
    )
