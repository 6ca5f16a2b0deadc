"""The ways of saying something checkable: one pattern, one predicate.

Rules:
- A pattern is searched in one sentence of at most 1,000 characters; it has no nested repetition and no unbounded gap.
- Named groups carry the value: `n` a number, `id` a criterion or an issue, `new` the word itself.
- A form whose verifiability is `unverifiable` is recognised so that the report says "not measured", nothing more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from councilor.domain.claim import ClaimKind, Verifiability

__all__ = ["CHANGED", "FORMS", "IGNORE", "RENAMED", "TEST_PASSES", "Form"]

IGNORE = re.IGNORECASE


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """One way to say something checkable."""

    predicate: str
    pattern: re.Pattern[str]
    type: ClaimKind
    verifiability: Verifiability
    negative: bool
    """Whether the statement is negative by nature, so that a negation does not drop it."""


def _form(
    predicate: str,
    *pieces: str,
    kind: ClaimKind = ClaimKind.FACTUAL,
    verifiability: Verifiability = Verifiability.DIRECT,
    negative: bool = False,
) -> Form:
    pattern = re.compile("".join(pieces), IGNORE)
    return Form(predicate=predicate, pattern=pattern, type=kind, verifiability=verifiability, negative=negative)


_PASSING = r"(?:now |all |still |is |are |has |have )?(?:pass(?:es|ed|ing)?|green|succeed(?:s|ed)?)\b"
_NUMBER = r"(?:the )?(?P<n>\d{1,4}|an?|one|two|three|four|five|six|seven|eight)? ?"
_NEW = r"(?:new |unit |regression |integration |additional |more |further |parametri[sz]ed ){0,3}"
_DEPENDENCIES = r"(?:third-party |external |runtime )?dependenc(?:y|ies)\b"
_CLEAN = r"(?: check)?s? (?:is |are |now |runs? )?(?:clean|pass(?:es|ed)?|green|reports? no)\b"
_FINDINGS = r"(?:errors?|findings?|warnings?|issues?|problems?)\b"
_DONE = r"(?:fix(?:e[sd])?|satisf(?:y|ies|ied)|implement(?:s|ed)?|me(?:e?ts?)|resolve[sd]?|close[sd]?)"
_UNMEASURED = Verifiability.UNVERIFIABLE

FORMS: tuple[Form, ...] = (
    _form("tests_pass", r"\ball (?:of )?(?:the )?(?P<n>\d{1,6} )?(?:existing |unit |other |new )?tests? ", _PASSING),
    _form("tests_pass", r"\b(?:the |full |entire |whole |complete )?test ?suite ", _PASSING),
    _form("tests_pass", r"(?:^|\band |\bthe )tests? ", _PASSING, r"(?! (?:in|with|for|on) )"),
    _form("tests_pass", r"\b(?P<n>\d{1,6}) (?:tests? )?(?:pass(?:ed|es|ing)?)\b"),
    _form("tests_added", r"\b(?:added|wrote|created|adds|includes?) ", _NUMBER, _NEW, r"test(?: case| function)?s?\b"),
    _form(
        "fix_tested",
        r"\btests?\b.{0,80}\bfail(?:s|ed)? (?:before|without|on the base|on base|prior to)\b",
        kind=ClaimKind.PROCEDURAL,
    ),
    _form(
        "fix_tested",
        r"\b(?:fix|change|bug) is (?:now )?(?:tested|covered by)\b|\b(?:with|added) a regression test\b",
        kind=ClaimKind.PROCEDURAL,
    ),
    _form("only_touched", r"\bonly (?:touch|chang|modif|edit|updat)(?:e|es|ed|y|ies|ied|s)?\b"),
    _form(
        "only_touched",
        r"\bonly (?:the )?(?:files? )?`[^`]{1,200}`.{0,200} (?:was|were|has been|have been) ",
        r"(?:touched|changed|modified|edited|updated)\b",
    ),
    _form("only_touched", r"\b(?:changes?|edits?|diff) (?:is|are) (?:limited|confined|restricted) to\b"),
    _form("only_touched", r"\bonly file (?:touched|changed|modified|edited)\b"),
    _form("no_new_dependencies", r"\bno (?:new |additional |extra |further )?", _DEPENDENCIES, negative=True),
    _form("no_new_dependencies", r"\bwithout (?:adding|introducing) (?:any )?(?:new )?", _DEPENDENCIES, negative=True),
    _form(
        "no_new_dependencies",
        r"\b(?:did not|didn't|does not|doesn't) (?:add|introduce) (?:any )?(?:new )?",
        _DEPENDENCIES,
        negative=True,
    ),
    _form("lint_clean", r"\b(?:lint(?:er|ing)?|ruff|flake8)", _CLEAN, kind=ClaimKind.TECHNICAL),
    _form(
        "lint_clean",
        r"\bno (?P<new>new )?(?:lint(?:er|ing)?|ruff|flake8) ",
        _FINDINGS,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    _form("fixes", rf"\b{_DONE} (?:acceptance )?(?:criteri(?:on|a) )?(?P<id>A\d{{1,4}}\b|#\d{{1,9}}\b)"),
    _form(
        "fixes", r"\b(?P<id>A\d{1,4}) (?:is |has been )?(?:now )?(?:satisfied|met|done|fulfilled|passes|holds|fixed)\b"
    ),
    _form("fixes", r"\bfix(?:ed|es) the (?:bug|issue|defect|problem)\b", verifiability=Verifiability.INDIRECT),
    _form(
        "fixes",
        r"\b(?:bug|issue|defect|problem) (?:is|has been) (?:now )?(?:fixed|resolved)\b",
        verifiability=Verifiability.INDIRECT,
    ),
    _form(
        "coverage",
        r"\bcoverage (?:is|of|at|was|reached|now)\b.{0,20}\d",
        kind=ClaimKind.TECHNICAL,
        verifiability=_UNMEASURED,
    ),
    _form(
        "types_clean",
        r"\b(?:mypy|pyright|type[- ]check(?:er|ing)?)",
        _CLEAN,
        kind=ClaimKind.TECHNICAL,
        verifiability=_UNMEASURED,
    ),
    _form(
        "api_unchanged",
        r"\bno (?:public )?(?:api|breaking) changes?\b|\bpublic api is unchanged\b",
        verifiability=_UNMEASURED,
        negative=True,
    ),
    _form(
        "faster",
        r"\b\d{1,6}(?:\.\d{1,3})? ?(?:x|%|times) faster\b",
        kind=ClaimKind.PERFORMANCE,
        verifiability=_UNMEASURED,
    ),
    _form(
        "secure",
        r"\bno (?:security|known) (?:issues?|vulnerabilit(?:y|ies)|findings?)\b",
        kind=ClaimKind.SECURITY,
        verifiability=_UNMEASURED,
        negative=True,
    ),
)
"""Tried in this order; of several that match, each predicate counts once."""

_NOUN = (
    r"(?:an? |the )?(?:new )?(?:public |private |helper |static |async )?"
    r"(?:function|method|class|helper|constant|file|module|property)? ?"
)
CHANGED = re.compile(
    rf"\b(?P<verb>added|introduced|created|removed|deleted|dropped) {_NOUN}`(?P<name>[^`\s]{{1,200}})`", IGNORE
)
"""A name in back-ticks that was added or removed."""
TEST_PASSES = re.compile(rf"`(?P<nodeid>[^`\s:]{{1,200}}::[^`]{{1,200}})` {_PASSING}", IGNORE)
"""A test's node id in back-ticks that is said to pass."""
RENAMED = re.compile(rf"\brenamed {_NOUN}`(?P<old>[^`\s]{{1,200}})` (?:in)?to `(?P<new>[^`\s]{{1,200}})`", IGNORE)
"""A name in back-ticks that became another."""
