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
ADDS = r"(?<!to )(?:ship(?:s|ped)?|add(?:s|ed|ing)?|wrote|writes?|creat(?:e|es|ed)|introduc(?:e|es|ed)|includ(?:e|es|ed)|contribut(?:e|es|ed)|provid(?:e|es|ed))"
TESTS = r"(?:test(?: ?case| function| method| scenario)?s?|unittests?)"
ADDED = re.compile(r"\b(?<!to )(?:add|introduc|creat|implement)(?:s|ed|es|e)?\b", re.IGNORECASE)
IN_FILE = (
    rf"(?: (?:\w+|⟦[SIJ]\d{{1,4}}⟧)){{0,6}}? (?:in|to|under|inside|into) (?:the )?(?:file |module )?(?P<s>{token('F')})"
)
COVERS = (
    r"(?P<part>(?: for| covering| of| around| that (?:cover|check|exercise)s?| to (?:cover|check|verify|ensure))\b)"
)


def _added(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    groups = match.groupdict()
    value = number(groups.get("n"))
    names = [name.text for name in named.of(groups.get("s") or "")]
    for name in names or [""]:
        yield name, value


def _tests_only(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Names that are tests."""
    for name in named.of(match["s"]):
        if name.kind == "T" or name.text.rpartition(".")[2].startswith("test_"):
            yield name.text, ""


def _added_too(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Tests without number or name."""
    yield "", ""


def _with(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Tests that come with something that is added or covered."""
    if match[0].casefold().startswith("cover") or ADDED.search(match.string[: match.start()]):
        yield "", ""


TEST_FORMS: tuple[Form, ...] = (
    form(
        "tests_added",
        rf"\b{ADDS} (?:an? |one |the |two |three )(?:[\w-]+ ){{0,2}}?{TESTS}[,:] (?:called |named )?(?P<s>{listed('TS')})",
        _added,
    ),
    form(
        "tests_added",
        rf"\b(?P<n>{COUNT} )?(?:[\w-]+ ){{0,2}}?{TESTS} (?:for|of|around|covering|that \w+) [^;,.⟦]{{1,60}}? (?:were|was|have been|has been|are|is) (?:now |also )?(?:added|written|created|introduced|included) (?:to|in|under) (?P<s>{token('F')})",
        _added,
    ),
    form(
        "tests_added",
        rf"\b(?P<n>{COUNT} )?(?:[\w-]+ ){{0,2}}?{TESTS} (?:were|was|have been|has been|are|is) (?:now |also )?(?:added|written|created|introduced|included) (?:to|in|under) (?P<s>{token('F')})",
        _added,
    ),
    form(
        "tests_added",
        rf"\b(?P<n>{COUNT}) (?:new|additional|further|extra|more) (?:[\w-]+ ){{0,2}}?{TESTS}{IN_FILE}",
        _added,
    ),
    form(
        "tests_added",
        rf"\b{ADDS} (?:the )?(?:new )?(?:(?:unit |regression |integration )?tests? )?(?P<s>{listed('T')})",
        _added,
    ),
    form(
        "tests_added",
        rf"\b(?:{ADDS}|with|plus|has|have|and|by adding) (?!its |their |the existing |the old )(?:the |also )?(?P<n>{COUNT} )?(?:new |more |extra |additional |further )?(?:(?!to\b|for\b|of\b|in\b)[\w-]+ ){{0,2}}?{TESTS}\b{IN_FILE}",
        _added,
    ),
    form(
        "tests_added",
        rf"\b{ADDS} (?:also )?(?P<n>{COUNT} )(?:new |more |extra |additional |further |missing )?(?:(?!to\b|for\b|of\b|in\b)[\w-]+ ){{0,3}}?{TESTS}\b(?!s? (?:files?|director(?:y|ies)|folders?|helper|util|fixture|code|runner|framework|suite|support|data|class|method|matrix|point|per|workflow|job|environment|dependenc|requirement|command|client|server|result|report|image|output|timeout|plan|package|setup|config|target|against))(?={COVERS})",
        _added,
        verifiability=Verifiability.NEEDS_CONTEXT,
    ),
    form(
        "tests_added",
        rf"\b{ADDS} (?:also )?(?P<n>{COUNT} )?(?:new |more |extra |additional |further |missing )?(?:(?!to\b|for\b|of\b|in\b)[\w-]+ ){{0,2}}?{TESTS}\b(?!s? (?:files?|director(?:y|ies)|folders?|helper|util|fixture|code|runner|framework|suite|support|data|class|method|matrix|point|per|coverage|workflow|job|environment|dependenc|requirement|command|client|server|result|report|image|output|timeout|plan|package|setup|config|target|against))",
        _added,
    ),
    form(
        "tests_added",
        rf"\b(?P<n>{COUNT} )?(?:new |more |extra |additional |unit |regression |integration ){{0,2}}{TESTS} (?:were |was |have been |has been |are |is )?(?:now )?(?:added|written|created|introduced|included)\b",
        _added,
    ),
    form(
        "tests_added",
        rf"(?:^|\bwith |\bplus |\band |: )(?P<n>\d{{1,4}}|one|two|three|four|five|six|seven|eight|nine|ten) (?:new|additional|more|extra|further) (?:(?!to\b|for\b|of\b|in\b)[\w-]+ ){{0,2}}?{TESTS}\b",
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
    # In other words
    form(
        "tests_added",
        rf"\b(?:an?|one|the|two|three|four|\d{{1,3}}) (?:new|additional|further|extra|dedicated) (?:(?!to\b|for\b|of\b|in\b)[\w-]+ ){{0,2}}?{TESTS},? (?:called |named |method )?\(?(?P<s>{listed('TS')})",
        _added,
    ),
    form(
        "tests_added",
        rf"(?:^|\bthe )new (?:(?!to\b|for\b|of\b|in\b)[\w-]+ ){{0,2}}?{TESTS},?:? (?:called |named )?\(?(?P<s>{listed('TS')})",
        _added,
    ),
    form(
        "tests_added",
        rf"(?P<s>{listed('F')}) (?:now )?(?:has|have|gets?|got|gain(?:s|ed)|contains?|received?) (?:now )?(?P<n>{COUNT} )?(?:new |more |additional |extra |further )(?:(?!to\b|for\b|of\b|in\b)[\w-]+ ){{0,2}}?{TESTS}\b",
        _added,
    ),
    form(
        "tests_added",
        rf"(?:^|\b)(?P<n>{COUNT} )(?:new |more |additional )?(?:(?!to\b|for\b|of\b|in\b)[\w-]+ ){{0,2}}?{TESTS} (?:\w+ )?(?:accompan(?:y|ies)|come(?:s)? with|ship(?:s)? with|back(?:s)? up|belongs? to) ",
        _added,
    ),
    form(
        "tests_added",
        rf"\b(?:extend(?:s|ed)?|grew|increas(?:es|ed)|expand(?:s|ed)?|enlarg(?:es|ed)|complet(?:es|ed)|enrich(?:es|ed)|accompanied|backed|complemented|covered)(?: \w+){{0,4}}? (?:by|with) (?P<n>{COUNT} )?(?:new |more |additional |extra |further |dedicated )?(?:[\w-]+ ){{0,2}}?tests\b",
        _added,
    ),
    form(
        "tests_added",
        rf"\btests?\b[^;]{{0,120}}?\b{ADDS} (?:\w+ )?(?P<n>{COUNT}) (?:new |more |further )(?:ones?)\b",
        _added,
    ),
    form(
        "tests_added",
        rf"\b{ADDS} [^;]{{1,160}}?,? (?:and|plus|with|along with|together with) (?:\w+ )?tests?(?: for (?:it|them|both|each|this)| cases?)?(?= ?$|[.,;:)])",
        _added_too,
    ),
    form(
        "tests_added",
        rf"\b(?:addition|introduction) of (?P<n>{COUNT} )?(?:new |more )?(?:(?!to\b|for\b|of\b|in\b)[\w-]+ ){{0,2}}?{TESTS}\b",
        _added,
    ),
    form(
        "tests_added",
        r"^(?:new|more|additional|extra) (?:unit |regression |integration )?tests? (?:for|to|that|cover|check|verify|around|of|in)",
        _added_too,
    ),
    form(
        "tests_added",
        r"\b(?:is|are) (?:now )?(?:new|more|additional) (?:unit |regression |integration )?tests?\b",
        _added_too,
    ),
    form(
        "tests_added",
        rf"\b(?:extend|grew|increas|expand|enlarg|complet|enrich|complement|updat)(?:e|es|ed|s)? (?:the )?(?P<s>{listed('F')}) (?:by|with) (?P<n>{COUNT} )?(?:new |more |additional |extra |further |dedicated )?(?:[\w-]+ ){{0,2}}?{TESTS}\b",
        _added,
    ),
    form(
        "tests_added",
        rf"\b(?:I|we|and|also)(?: have| also)? wrote (?:also )?(?:the |a )?(?:test )?(?P<s>{listed('TS')})",
        _tests_only,
    ),
    form(
        "tests_added",
        rf"\b(?P<n>{COUNT} )?(?:[\w-]+ ){{0,2}}?{TESTS}\b (?:for|of|around|covering|that \w+) [^;,.]{{1,60}}? (?:were|was|have been|has been|are|is) (?:now |also )?(?:added|written|created|introduced|included|contributed|provided)\b",
        _added,
    ),
    form(
        "tests_added",
        rf"\b(?:there (?:is|are)|it has|we have|I have) (?:now )?(?:also )?(?P<n>{COUNT} )?(?:new|additional|more|further) (?:[\w-]+ ){{0,2}}?{TESTS}\b",
        _added,
    ),
    form(
        "tests_added",
        rf"\b(?:comes?|came|ships?|shipped|arrives?|is delivered) with (?P<n>{COUNT} )?(?:new |its own |own )?(?:[\w-]+ ){{0,2}}?{TESTS}(?= ?$|[.,;:)]| for| that| in| to)",
        _added,
    ),
    form(
        "tests_added",
        rf"\b(?:covered|verified|checked|guarded|tested) by (?:an? |the |two |three )?(?:new|additional|dedicated) (?:[\w-]+ ){{0,2}}?{TESTS},? \(?(?P<s>{listed('TS')})",
        _added,
    ),
    form(
        "tests_added",
        rf"(?P<s>{listed('TS')})(?: test)? (?:is|are|was|were|has been|have been) (?:now |also )?(?:added|written|created|introduced|included|new)\b",
        _tests_only,
    ),
    form(
        "tests_added",
        rf"\b{ADDS} (?:also )?(?:a |the )?(?:new )?(?:test )?(?:file |module )?(?P<s>{token('F')}) (?:with|containing|holding) (?P<n>{COUNT} )?(?:new |more )?(?:[\w-]+ ){{0,2}}?{TESTS}\b",
        _added,
    ),
    form("tests_added", rf"^(?:also )?wrote (?:also )?(?:the |a )?(?:test )?(?P<s>{listed('TS')})", _tests_only),
    form("tests_added", rf"(?:^|\bhas |\band |: )(?P<n>{COUNT}) (?:[\w-]+ )?tests? more\b{IN_FILE}", _added),
)
