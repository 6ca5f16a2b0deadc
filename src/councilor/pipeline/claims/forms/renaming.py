"""How it is said that a name became another, phrase by phrase; `naming` has the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.pipeline.claims.forms.code import BEEN, KIND, THING
from councilor.pipeline.claims.forms.form import Form, form
from councilor.pipeline.claims.names import Named, listed, token

__all__ = ["RENAMING_FORMS"]

RENAME = r"(?<!to )(?:renam(?:e|es|ed|ing))"


def _pairs(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    for old, new in zip(named.of(match["old"]), named.of(match["new"]), strict=False):
        yield old.text, new.text


def _words(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    yield match["old"], match["new"]


RENAMING_FORMS: tuple[Form, ...] = (
    form(
        "renamed",
        rf"\b{RENAME} {THING}(?P<old>{listed('SF')})(?: {KIND})? (?:(?:in)?to|->|=>|\N{{RIGHTWARDS ARROW}}|as) (?:the )?(?P<new>{listed('SF')})",
        _pairs,
    ),
    form(
        "renamed", rf"\b{RENAME} [^;⟦]{{0,60}}?\bfrom (?P<old>{listed('SF')}) (?:in)?to (?P<new>{listed('SF')})", _pairs
    ),
    form(
        "renamed",
        rf"\b{RENAME} (?:the )?(?:function|method|class|module|package|parameter|argument|attribute|option) (?:from )?(?P<old>[a-z_]\w{{1,60}}) to (?P<new>[a-z_]\w{{1,60}})\b",
        _words,
    ),
    form(
        "renamed",
        rf"\b{RENAME} (?!it\b|them\b|this\b|the\b|to\b|from\b)(?P<old>[a-z_]\w{{1,60}}) to (?!the\b|an?\b|match\b|be\b)(?P<new>[a-z_]\w{{1,60}})\b",
        _words,
    ),
    form(
        "renamed",
        rf"(?P<old>{token('SF')})[^;⟦]{{0,30}}(?: (?:to|of|in|on|from) {token('SF')}[^;⟦]{{0,20}})? (?:{BEEN} (?:now |also )?renamed (?:to |into |as )?|(?:now )?renamed (?:to |into |as ))(?P<new>{token('SF')})",
        _pairs,
    ),
    form("renamed", rf"(?P<old>{token('SF')}) (?:is|was) now (?:called|named) (?P<new>{token('SF')})", _pairs),
)
