"""How complexity is spoken of: a function's cyclomatic one, or growth with the input."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.domain.claim import ClaimKind, Verifiability
from councilor.pipeline.claims.forms.coverage import ARROW, FIGURE
from councilor.pipeline.claims.forms.figures import SUBJECT, subject_of
from councilor.pipeline.claims.forms.form import Form, form
from councilor.pipeline.claims.names import Named

__all__ = ["COMPLEXITY_FORMS"]


def _shape(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    yield subject_of(match, named), match.groupdict().get("n") or ""


COMPLEXITY_FORMS: tuple[Form, ...] = (
    form(
        "complexity",
        rf"\bcyclomatic complexity(?: of (?:the )?{SUBJECT})? (?:\w+ ){{0,3}}?(?:from {FIGURE} )?(?:to|is(?: now)?|was|of|at) (?P<n>{FIGURE})\b",
        _shape,
        kind=ClaimKind.TECHNICAL,
        verifiability=Verifiability.INDIRECT,
        method="cyclomatic",
    ),
    form(
        "complexity",
        rf"{SUBJECT}[^;⟦]{{0,40}}\bcyclomatic complexity (?:\w+ ){{0,3}}?(?:from {FIGURE} )?(?:to|is(?: now)?|was|of|at) (?P<n>{FIGURE})\b",
        _shape,
        kind=ClaimKind.TECHNICAL,
        verifiability=Verifiability.INDIRECT,
        method="cyclomatic",
    ),
    form(
        "complexity",
        rf"\bcyclomatic complexity(?: of (?:the )?{SUBJECT})?:? (?:{FIGURE} {ARROW} )?(?P<n>{FIGURE})\b",
        _shape,
        kind=ClaimKind.TECHNICAL,
        verifiability=Verifiability.INDIRECT,
        method="cyclomatic",
    ),
    form(
        "complexity",
        rf"\b(?:reduc|lower|decreas|cut)(?:es|ed|s)? (?:the )?cyclomatic complexity(?: of (?:the )?{SUBJECT})?(?! (?:of [^;]{{0,40}} )?(?:from|to|by))",
        _shape,
        kind=ClaimKind.TECHNICAL,
        verifiability=Verifiability.INDIRECT,
        method="cyclomatic",
    ),
    form(
        "complexity",
        rf"(?:{SUBJECT}[^;⟦]{{0,40}} )?(?P<from>from )?O\([^()]{{1,30}}\) {ARROW} (?P<n>O\([^()]{{1,30}}\))",
        _shape,
        kind=ClaimKind.TECHNICAL,
        verifiability=Verifiability.UNVERIFIABLE,
        method="growth",
    ),
    form(
        "complexity",
        rf"(?:{SUBJECT}[^;⟦]{{0,40}}? )?(?:is|in|to|now|takes|needs|costs|runs in|(?<!instead )of|has|complexity|linear,|constant,|logarithmic,|quadratic,) (?P<n>O\([^()]{{1,30}}\))(?! {ARROW} O)",
        _shape,
        kind=ClaimKind.TECHNICAL,
        verifiability=Verifiability.UNVERIFIABLE,
        method="growth",
    ),
    form(
        "complexity",
        rf"\bcomplexity of (?:the )?{SUBJECT} (?:(?:is|was|has|been|now|down|fell|dropped|went|reduced|lowered|sank|decreased|cut|from {FIGURE}) ){{0,5}}?(?:to|is(?: now)?|of|at|now) (?P<n>{FIGURE})\b",
        _shape,
        kind=ClaimKind.TECHNICAL,
        verifiability=Verifiability.INDIRECT,
        method="cyclomatic",
    ),
)
