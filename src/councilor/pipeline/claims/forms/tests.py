"""How it is said that there are more tests."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.domain.claim import Verifiability
from councilor.pipeline.claims.forms.form import Form, form, number
from councilor.pipeline.claims.names import Named, listed, token

__all__ = ["TEST_FORMS"]

COUNT = (
    r"(?:a couple of|a single|a dozen|a few|several|some|many|more|various|\d{1,5}|an?|one|two|three|four|five|six|seven"
    r"|eight|nine|ten|eleven|twelve)"
)
ADDS = r"(?<!to )(?:add(?:s|ed|ing)?|wrote|writes?|creat(?:e|es|ed)|introduc(?:e|es|ed)|includ(?:e|es|ed)|contribut(?:e|es|ed)|provid(?:e|es|ed))"
TESTS = r"(?:test(?: ?case| function| method| scenario)?s?|unittests?)"
ADDED = re.compile(r"\b(?<!to )(?:add|introduc|creat|implement)(?:s|ed|es|e)?\b", re.IGNORECASE)
IN_FILE = rf"(?: \w+){{0,6}}? (?:in|to|under|inside|into) (?:the )?(?:file |module )?(?P<s>{token('F')})"
COVERS = (
    r"(?P<part>(?: for| covering| of| around| that (?:cover|check|exercise)s?| to (?:cover|check|verify|ensure))\b)"
)


def _added(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    groups = match.groupdict()
    value = number(groups.get("n"))
    names = [name.text for name in named.of(groups.get("s") or "")]
    for name in names or [""]:
        yield name, value


def _with(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Tests that come with something that is added or covered."""
    if match[0].casefold().startswith("cover") or ADDED.search(match.string[: match.start()]):
        yield "", ""


TEST_FORMS: tuple[Form, ...] = (
    form(
        "tests_added",
        rf"\b{ADDS} (?:the )?(?:new )?(?:(?:unit |regression |integration )?tests? )?(?P<s>{listed('T')})",
        _added,
    ),
    form(
        "tests_added",
        rf"\b(?:{ADDS}|with|plus|has|have|and|by adding) (?:the |also )?(?P<n>{COUNT} )?(?:new |more |extra |additional |further )?(?:[\w-]+ ){{0,2}}?{TESTS}\b{IN_FILE}",
        _added,
    ),
    form(
        "tests_added",
        rf"\b{ADDS} (?:also )?(?P<n>{COUNT} )(?:new |more |extra |additional |further |missing )?(?:[\w-]+ ){{0,3}}?{TESTS}\b(?!s? (?:files?|director(?:y|ies)|folders?|helper|util|fixture|code|runner|framework|suite|support|data|class|method|matrix|point))(?={COVERS})",
        _added,
        verifiability=Verifiability.NEEDS_CONTEXT,
    ),
    form(
        "tests_added",
        rf"\b{ADDS} (?:also )?(?P<n>{COUNT} )?(?:new |more |extra |additional |further |missing )?(?:[\w-]+ ){{0,2}}?{TESTS}\b(?!s? (?:files?|director(?:y|ies)|folders?|helper|util|fixture|code|runner|framework|suite|support|data|class|method|matrix|point|coverage))",
        _added,
    ),
    form(
        "tests_added",
        rf"\b(?P<n>{COUNT} )?(?:new |more |extra |additional |unit |regression |integration ){{0,2}}{TESTS} (?:were |was |have been |has been |are |is )?(?:now )?(?:added|written|created|introduced|included)\b",
        _added,
    ),
    form(
        "tests_added",
        rf"(?:^|\bwith |\bplus |\band |: )(?P<n>\d{{1,4}}|one|two|three|four|five|six|seven|eight|nine|ten) (?:new|additional|more|extra|further) (?:[\w-]+ ){{0,2}}?{TESTS}\b",
        _added,
    ),
    form(
        "tests_added",
        r"\b(?:cover(?:s|ed)? (?:it|them|this|that)|with|(?:along|together) with|plus|and|including) (?:an? |the |its |their |two |some )"
        r"?(?:new |corresponding |matching |accompanying |own |unit |regression ){0,2}(?P<n>)tests?(?= ?$|[.,;:)])",
        _with,
    ),
    form("tests_added", r"\badd(?:s|ed)? (?:full |complete |extra )?test coverage for\b"),
    form("tests_added", rf"(?:^|\b)(?:new tests?|tests? added|added tests?): (?P<s>{listed('TS')})", _added),
)
