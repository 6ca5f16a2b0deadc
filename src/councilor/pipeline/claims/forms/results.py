"""How results are spoken of: it builds and imports, behaviour is what it was, criteria and issues are met."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.domain.claim import ClaimKind, Verifiability
from councilor.pipeline.claims.forms.form import Form, form
from councilor.pipeline.claims.names import Named, listed, token

__all__ = ["FIX", "RESULT_FORMS"]

FIX = r"(?<!to )(?:fix(?:e[sd]|ing)?|clos(?:e[sd]?|ing)|resolv(?:e[sd]?|ing)|address(?:es|ed)?|solv(?:e[sd]?)|correct(?:s|ed)?|repair(?:s|ed)?)"
MEET = r"(?:fix(?:e[sd])?|satisf(?:y|ies|ied)|implement(?:s|ed)?|meets?|met|fulfil(?:s|led|ls)?|complet(?:e[sd]?)|cover(?:s|ed)?)"
MET = r"(?:satisfied|met|done|fulfilled|complete[d]?|holds?|fixed|implemented|pass(?:es|ed)?|green|achieved)"


def _any_module(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    yield "", ""


def _module(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    for name in named.of(match["s"]):
        words = name.text.split()
        word = words[-1].removesuffix("()")
        if len(words) == 4 and words[0] == "from":
            word = f"{words[1]}.{words[3]}"
        spoken = (
            "import" in match[0].casefold() and not name.text.startswith("__")
            if name.kind == "S"
            else "import " in name.text
        )
        if spoken:
            yield word.strip("\"'"), ""


def _built(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    yield "", "" if re.search(r"compil", match[0], re.IGNORECASE) else "package"


def _issues(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    for name in named.of(match["s"]):
        yield name.text, ""


def _range(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Criteria from the first to the last."""
    first, last = (int(name.text[1:]) for name in named.of(match["s"]))
    for at in range(first, min(last, first + 30) + 1):
        yield f"A{at}", ""


RESULT_FORMS: tuple[Form, ...] = (
    # Building and importing
    form(
        "builds",
        r"\b(?:wheel|package|sdist|project|distribution|docker image|image|binary|application|app|documentation|docs|site|everything|code|it|branch)(?: and (?:the )?\w+)? (?:now |still |also |all )?(?:builds?|compiles?)(?: (?:fine|cleanly|successfully|without|again|and)\b|\s*(?:$|[.,;:)]))",
        _built,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "builds",
        r"\bbuild (?:is |now |still |was )*(?:pass(?:es|ed|ing)?|succeed(?:s|ed)?|green|clean|ok|successful|works)\b",
        _built,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "builds",
        r"\b(?:successfully )(?:built|builds|compiled|compiles)\b|\b(?:python -m build|docker build|hatch build) (?:succeeds|passes|works)\b",
        _built,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "imports",
        rf"(?P<s>{token('SC')}) (?:now |still |also )?(?:works|succeeds|runs|is importable|can be imported|imports)(?: (?:fine|cleanly|without errors?|again))?\b",
        _module,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "imports",
        rf"\bimport(?:s|ing)? (?:of )?(?P<s>{token('S')}) (?:now |still )?(?:works|succeeds|is fine|without errors?)",
        _module,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "imports",
        r"\b(?:it|module|package|everything|code) (?:now |still |also )?(?:imports (?:fine|cleanly|without errors?|again)|can be imported|is importable)\b",
        _any_module,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "builds",
        r"\b(?:wheel|package|sdist|image|docs|documentation) (?:can|could) be built\b",
        _built,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "builds",
        r"^(?:it |everything )?compiles (?:without|cleanly|fine)\b",
        _built,
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    # Criteria and issues
    form("fixes", rf"^(?P<s>{token('J')})(?:/[^:]{{1,30}})?: (?:also )?{FIX}\b", _issues),
    form(
        "fixes",
        rf"\b{FIX}:? (?:for |of )?(?:(?:github |the )?(?:issues?|bugs?|tickets?) )?(?P<s>{listed('IJA')})",
        _issues,
    ),
    form("fixes", rf"\b{MEET} (?:the )?(?:acceptance )?(?:criteri(?:on|a) )?(?P<s>{listed('A')})", _issues),
    form(
        "fixes",
        rf"(?P<s>{listed('A')}):? (?:is |are |has been |have been )?(?:now |all |both |fully )?{MET}\b",
        _issues,
    ),
    form(
        "fixes",
        rf"(?P<s>{listed('IJ')}) (?:is |are |has been |have been )(?:now |both )?(?:fixed|resolved|closed|solved|done)\b",
        _issues,
    ),
    form(
        "fixes",
        rf"(?:^|: |\band |, |; )(?:also |bug ?|this )?{FIX}\b[^;]{{1,300}}?(?P<s>{token('J')})",
        _issues,
        bears=("the bug described", "a condition", "how it was before", "a hedge", "a plan", "an exception"),
        negative=True,
        method="pointer",
    ),
    form(
        "fixes",
        r"\bfix(?:ed|es) the (?:bug|issue|defect|problem)\b(?! (?:in|with|where|that|when|of)\b)",
        verifiability=Verifiability.INDIRECT,
    ),
    form(
        "fixes",
        r"\b(?:the )(?:bug|issue|defect|problem) (?:is|has been) (?:now )?(?:fixed|resolved|solved)\b",
        verifiability=Verifiability.INDIRECT,
    ),
    # In other words
    form(
        "imports",
        r"\b(?:builds?|compiles?|installs?)(?: fine| cleanly)? and (?:still )?imports? (?:fine|cleanly|without errors?|again|ok)\b|^imports? (?:all )?(?:fine|cleanly|ok|work|without errors?)\b",
        _any_module,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "imports",
        rf"\bimporting (?:the )?(?:module |package )?(?P<s>{token('S')}) (?:now |still |again )?(?:works|succeeds|is fine|raises no|gives no|causes no|does not fail|doesn't fail|no longer fails|without)",
        _module,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "imports",
        rf"(?P<s>{token('S')}) (?:now |still |again )?(?:imports (?:fine|cleanly|without|again|ok)|is (?:now |still |again )?importable)\b",
        _module,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "builds",
        r"\b(?:builds?|compiles?) (?:and imports )?(?:fine|cleanly|successfully|without (?:any )?(?:errors?|warnings?|problems?)|again|correctly)\b|\b(?:wheel|package|sdist|image|distribution) (?:and (?:the )?\w+ )?(?:was|were|is|are|has been|gets?) built\b|\bbuilding (?:the |a )?(?:wheel|package|sdist|image|docs|documentation|project|distribution)(?: and (?:the )?\w+)? (?:works|succeeds|succeeded|is fine|worked|passes)\b|\b(?:package|wheel|sdist) build (?:works|succeeds|passes|is green|is clean)\b",
        _built,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "fixes",
        rf"\b(?:criteri(?:on|a)|requirements?) \(?(?P<s>{listed('A')})\)? (?:is |are |has been |have been |was |were )(?:now |all |both |fully )?{MET}\b",
        _issues,
    ),
    form(
        "fixes",
        rf"(?P<s>{token('A')}(?: to | through | thru |-|\N{{EN DASH}}){token('A')}):? ?(?:is |are |have been |were )?(?:now |all |both |fully )?{MET}\b",
        _range,
    ),
    form(
        "fixes",
        rf"(?P<s>{listed('IJ')}) (?:is |are |has been |have been |was |were |gets )(?:now |both |thereby |hereby )?(?:fixed|resolved|closed|solved|done|addressed|dealt with|repaired|corrected)\b",
        _issues,
    ),
    form(
        "builds",
        r"\bbuild(?:s| status)?: (?:pass(?:ed|es|ing)?|ok|green|clean|success(?:ful)?|fine)\b",
        _built,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "imports",
        rf"(?P<s>{token('SC')}) (?:no longer (?:fails|raises|crashes|breaks)|does not fail|doesn't fail|is possible again)\b",
        _module,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
)
