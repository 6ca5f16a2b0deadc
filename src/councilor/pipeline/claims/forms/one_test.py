"""How it is said that a test or a file of tests passes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.pipeline.claims.forms.form import IT, Form, each, form
from councilor.pipeline.claims.forms.passing import BASE, FAILS, PASSING, TOLD
from councilor.pipeline.claims.forms.verbs import PASSES
from councilor.pipeline.claims.names import Named, listed, token

__all__ = ["ONE_TEST_FORMS"]


def _it_passes(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """The one test spoken of before."""
    yield IT, ""


def _test_names(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Names that may be a test's."""
    for name in named.of(match["s"]):
        if "test" in name.text.casefold():
            yield name.text, ""


ONE_TEST_FORMS: tuple[Form, ...] = (
    form("test_passes", rf"(?P<s>{listed('TF')})(?: test| tests)? {PASSING}", each()),
    form(
        "test_passes",
        rf"(?P<s>{token('T')}|{token('S')})(?: test)? (?:{FAILS}|used to fail|was failing) {BASE},? (?:and|but) (?:now )?{PASSING}",
        each(),
        bears=TOLD,
    ),
    form("test_passes", rf"\bmak(?:es|ing) (?:the )?(?:failing )?(?:test )?(?P<s>{listed('TS')}) pass\b", each()),
    form("test_passes", rf"(?P<s>{listed('S')})(?: test| tests)? {PASSING}", _test_names, method="named test"),
    form("test_passes", rf"(?P<s>{token('T')}) (?:test )?no longer (?:fails|crashes)\b", each(), negative=True),
    form("test_passes", rf"(?P<s>{token('S')}) (?:test )?no longer fails\b", _test_names, negative=True),
    form(
        "test_passes",
        rf"\b(?:all|every|each)(?: of)?(?: the)?(?: \w+)? tests? (?:in|of|from|under) (?P<s>{listed('F')}) {PASSES}",
        each(),
    ),
    form("test_passes", rf"\btests? (?:in|of|from) (?P<s>{listed('F')}) (?:all )?{PASSES}", each()),
    form(
        "test_passes",
        rf"(?P<s>{token('TS')})(?: test)? (?:was|is|had been|used to be|used to) (?:red|failing|broken|fail|flaky)(?: before)?,? (?:and|but)(?: is)?(?: it)? (?:now )?{PASSES}",
        _test_names,
        bears=TOLD,
        negative=True,
    ),
    form("test_passes", rf"^(?:but |and )?it {PASSES}", _it_passes),
    form(
        "test_passes",
        rf"\bwithout (?:this|the|my) (?:patch|fix|change)[^;⟦]{{0,20}}(?P<s>{token('TS')}) {FAILS}[^;]{{0,40}}\bwith (?:it|the \w+)[^;]{{0,20}} {PASSES}",
        each(),
        bears=TOLD,
        negative=True,
    ),
    form(
        "test_passes",
        rf"(?P<s>{listed('TS')})(?: tests?)? (?:do(?:es)? not|doesn't|don't|no longer) (?:fail|crash|break)s?(?: any ?more)?\b",
        _test_names,
        negative=True,
    ),
    form(
        "test_passes",
        rf"\b(?:previously|formerly|once|before) (?:failing|broken|red|flaky) (?:test )?(?P<s>{listed('TS')})(?: test)? {PASSES}",
        each(),
        bears=TOLD,
    ),
    form("test_passes", rf"(?P<s>{token('F')}|{token('T')}) (?:now )?(?:runs|goes|went|ran) through\b", each()),
)
