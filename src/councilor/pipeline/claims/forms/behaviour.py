"""How it is said that behaviour is what it was."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.domain.claim import ClaimKind
from councilor.pipeline.claims.forms.form import Form, form
from councilor.pipeline.claims.forms.verbs import SAME
from councilor.pipeline.claims.names import Named, listed

__all__ = ["BEHAVIOUR_FORMS"]

BEHAVIOUR = r"behaviou?rs?"


def _symbols(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    names = [name for name in named.of(match.groupdict().get("s") or "") if name.kind == "S"]
    for name in names:
        yield name.text, ""
    if not names:
        yield "", ""


def _same_whole(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Everything behaves as before; "nothing" does only when it is "differently"."""
    said = match[0].casefold()
    if said.startswith("nothing") == said.endswith("differently"):
        yield "", ""


BEHAVIOUR_FORMS: tuple[Form, ...] = (
    form(
        "behaviour_unchanged",
        rf"(?:(?P<s>{listed('S')})[^;⟦]{{0,30}} )?\b(?:no|without(?: any)?|zero) (?:functional|{BEHAVIOUR}|behaviou?ral|semantic|observable|user-visible|visible) (?:or \w+ )?(?:changes?|differences?)\b",
        _symbols,
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"\bno changes? (?:in|of|to) (?:the )?(?:\w+ )?{BEHAVIOUR}(?: of (?P<s>{listed('S')}))?",
        _symbols,
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"\b{BEHAVIOUR}(?: (?:of|in) (?:the )?(?P<s>{listed('S')}))? (?:is |are |was |were |has |have |remains? |stays? |stayed |been |kept )*(?:completely |fully |entirely |exactly |otherwise )?(?:unchanged|the same|identical|preserved|untouched|not changed|unaffected|as before|what it was)",
        _symbols,
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"(?P<s>{listed('S')}) (?:still )?(?:behaves?|works?|acts?|returns?) (?:exactly |just )?(?:as (?:before|it did|previously)|(?:the same|identically)(?: as before| way)?)",
        _symbols,
        negative=True,
        bears=("how it was before",),
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"(?:(?P<s>{listed('S')}) )?\b(?:did not|didn't|does not|doesn't|do not|don't|without|not) (?:chang(?:e|ing)|alter(?:ing)?|affect(?:ing)?) (?:the |any |existing |its |their )*{BEHAVIOUR}(?: of (?:the )?(?P<of>{listed('S')}))?",
        _symbols,
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        r"\b(?:pure(?:ly)?(?: an?)?|mere(?:ly)?(?: an?)?|only an?|just an?|strictly an?|simply an?) (?:internal )?refactor(?:ing)?\b|\brefactor(?:ing)? only\b",
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"\b(?:keep|keeps|kept|preserv(?:e[sd]?|ing)|retain(?:s|ed)?) (?:the )?(?:existing |same |current |old )?{BEHAVIOUR}(?: of (?:the )?(?P<s>{listed('S')}))?",
        _symbols,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"(?P<s>{listed('S')}) (?:is|are|remains?|stays?) (?:functionally|semantically|behaviou?rally) (?:unchanged|equivalent|identical|the same)",
        _symbols,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"\b{BEHAVIOUR}[- ]preserving\b|\bno (?:\w+ )?{BEHAVIOUR} changes?\b",
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"\b{BEHAVIOUR}(?: of (?:the )?(?P<s>{listed('S')}))? (?:did not|didn't|does not|doesn't|has not|hasn't) (?:change|changed)\b",
        _symbols,
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"\b(?:{BEHAVIOUR}|outputs?|results?|return values?|semantics|functionality)(?: (?:of|from|for) (?:the |all )?(?:(?P<s>{listed('S')})|[\w ]{{1,30}}?))? {SAME}",
        _symbols,
        negative=True,
        bears=("how it was before",),
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"(?P<s>{listed('S')}) (?:still |now )?(?:behaves?|works?|acts?|returns?|produces?|gives?|yields?|does|do|functions?|computes?) (?:\w+ )?(?:the same|as before|identical|as it did|exactly what it|just like before|like before|the very same|no differently)",
        _symbols,
        bears=("how it was before",),
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        r"\b(?:everything|it|code|all|nothing) (?:still )?(?:behaves|works|acts) (?:exactly |just )?(?:as before|like before|the same(?: as before)?|as it did|differently)\b",
        _same_whole,
        negative=True,
        bears=("how it was before",),
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        r"\b(?:nothing|no) (?:user-visible |observable |visible )?(?:changes?|changed) (?:for (?:the )?(?:users?|callers?)|in (?:the )?behaviou?rs?)\b|\b(?:purely|just|only|merely) (?:an? )?(?:internal |mechanical |cosmetic )?(?:refactor(?:ing)?|clean-?up|restructuring|code motion)\b|\bchanges? (?:is|are) (?:purely |only |just )(?:cosmetic|internal|mechanical)\b",
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"(?P<s>{listed('S')}) (?:keeps?|kept|retains?|retained|preserves?|preserved) (?:its|their|the|all) (?:\w+ )?{BEHAVIOUR}",
        _symbols,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"\bnothing (?:changes|changed|has changed) (?:in|about) (?:the )?(?:{BEHAVIOUR} of |way )(?P<s>{listed('S')})",
        _symbols,
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"\b(?:no|without(?: any)?) (?:\w+ )?changes? (?:in|of|to) (?:the )?(?:functionality|semantics|outputs?|results?)(?: of (?P<s>{listed('S')}))?",
        _symbols,
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
)
