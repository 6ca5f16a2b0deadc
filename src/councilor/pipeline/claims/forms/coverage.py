"""How coverage is spoken of."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.domain.claim import ClaimKind
from councilor.pipeline.claims.forms.form import Form, form
from councilor.pipeline.claims.names import Named, token

__all__ = ["ARROW", "COVERAGE_FORMS", "FIGURE", "MORE", "PERCENT", "ROUGHLY"]

FIGURE = r"\d{1,4}(?:\.\d{1,4})?"
PERCENT = r" ?(?:%|percent\b|per cent\b)"
MORE = r"(?:over|above|more than|at least|greater than|no less than|exceeds|exceeding|>=?|\N{GREATER-THAN OR EQUAL TO})"
ROUGHLY = r"(?:(?:about|around|roughly|approximately|nearly|almost|some|ca\.|~|\N{ALMOST EQUAL TO}|by|a|an|now|exactly|at) ?){0,3}"
ARROW = "(?:to|->|=>|\N{RIGHTWARDS ARROW})"
WHAT = r"(?P<what>(?:branch|line|statement|test|code|unit test|overall|total|patch|diff|project)[- ]?)"
LINES = r"(?: (?:of|for|on|over) (?:the |all )?(?P<what>(?:changed|new|modified|touched|added) (?:lines|code)|lines|branches|statements))"
IS = r"(?:to|sits|hit|hits|amounts|lies|came|comes|out|dropped|fell|sank|is|was|are|at|of|reached|reaches|now|stands|went|goes|gone|up|down|rose|rises|increased|increases|improved|grew|jumped|moved|climbed|raised|from|stays|stayed|remains|remained|has|been|:|=)"


def _covered(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    groups = match.groupdict()
    what = f"{groups.get('what') or ''} {groups.get('lines') or ''}".casefold()
    files = [name.text for name in named.of(groups.get("file") or "") if name.kind == "F"]
    subject = (
        "branch"
        if "branch" in what
        else "changed_lines"
        if re.search(r"chang|new|diff|patch|touched", what)
        else "line"
    )
    value = f"{float(groups['n']):g}" if groups.get("n") else "100"
    yield files[0] if files else subject, f">={value}" if groups.get("more") else value


def _two(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    yield "line", f"{float(match['n']):g}"
    yield "branch", f"{float(match['m']):g}"


def _cover(pattern: str) -> Form:
    return form("coverage", pattern, _covered, kind=ClaimKind.TECHNICAL)


COVERAGE_FORMS: tuple[Form, ...] = (
    _cover(
        rf"\b(?P<what>(?:changed|new|modified|touched|added) (?:lines|code)) (?:has|have|reach(?:es)?|got|get|show)s? (?P<more>{MORE} )?{ROUGHLY}(?P<n>{FIGURE}){PERCENT}(?: \w+)? coverage(?P<file>)"
    ),
    form(
        "coverage",
        rf"\bline and branch coverage (?:is|are|reached|of) (?P<n>{FIGURE}){PERCENT} and (?P<m>{FIGURE}){PERCENT}",
        _two,
        kind=ClaimKind.TECHNICAL,
    ),
    _cover(
        rf"(?P<file>{token('F')})(?:['\N{{RIGHT SINGLE QUOTATION MARK}}]s)? (?:is|has|reached|now|at|are|\w+ )*? ?(?P<more>{MORE} )?(?P<n>{FIGURE}){PERCENT} (?:\w+ )?cover(?:ed|age)"
    ),
    _cover(rf"(?P<file>{token('F')}) (?:is|are) (?:now )?(?:fully|completely|entirely) covered"),
    _cover(
        rf"\b{WHAT}?coverage (?:of|for|in) (?P<file>{token('F')}) (?:{IS} )*(?:{FIGURE}(?:{PERCENT})? {ARROW} )?(?P<more>{MORE} )?{ROUGHLY}(?P<n>{FIGURE}){PERCENT}"
    ),
    _cover(
        rf"\b(?<!line and ){WHAT}?coverage(?P<file>)(?:{LINES})?(?: (?:of|for) (?:the )?(?:project|suite|code ?base|package|library|repo(?:sitory)?|whole project))?:?,? (?:{IS},? )*(?:{FIGURE}(?:{PERCENT})? {ARROW} )?(?P<more>{MORE} )?{ROUGHLY}(?P<n>{FIGURE}){PERCENT}".replace(
            "(?P<what>(?:changed", "(?P<lines>(?:changed"
        )
    ),
    _cover(
        rf"\b(?P<more>{MORE} )?(?P<n>{FIGURE}){PERCENT} (?P<what>(?:branch|line|statement|test|code|unit test|patch|diff)[- ])?(?:and \w+ )?(?:test |code )?coverage\b(?! (?:of|for|on) (?:the )?(?:changed|new|{token('F')}))"
    ),
    _cover(rf"\b(?P<n>{FIGURE}){PERCENT} (?:\w+ )?coverage (?:of|for|on) (?P<file>{token('F')})"),
    _cover(
        rf"\b(?P<more>{MORE} )?(?P<n>{FIGURE}){PERCENT} (?:\w+ )?(?:coverage )?(?:of|on|for) (?:the |all )?(?P<what>(?:changed|new|modified|touched|added) (?:lines|code))(?: (?:is|are))?(?: covered)?"
    ),
    _cover(
        rf"\b(?:the |all )?(?P<what>(?:changed|new|modified|touched|added) (?:lines|code)) (?:is|are) (?P<more>{MORE} )?(?P<n>{FIGURE}){PERCENT} covered"
    ),
    _cover(
        r"\b(?:all|every) (?:the |of the )?(?P<what>(?:changed|new|modified|touched|added) lines?) (?:is|are) covered"
    ),
    _cover(
        r"\b(?:full|complete) (?P<what>branch |line |test |code |statement )?coverage\b(?P<lines> of (?:the |all )?(?:changed|new|modified|touched|added) (?:lines|code))?"
    ),
    _cover(
        rf"\b(?P<more>{MORE} )?(?P<n>{FIGURE}){PERCENT} of (?:the (?:lines|statements) (?:of|in) )?(?P<file>{token('F')}) (?:is|are) (?:now )?covered"
    ),
    _cover(rf"\bcoverage \((?P<what>line|branch|statement)s?\):? (?P<n>{FIGURE}){PERCENT}"),
    _cover(rf"\bcoverage\b[^;]{{0,60}}?[ ,](?P<n>{FIGURE}){PERCENT} (?P<what>branch(?:es)?)\b"),
    _cover(rf"(?P<file>{token('F')}): (?P<n>{FIGURE}){PERCENT} (?:covered|coverage)\b"),
    _cover(
        rf"\b(?P<file>{token('F')}) (?:has|have|reach(?:es)?|got|now has) (?P<more>{MORE} )?{ROUGHLY}(?P<n>{FIGURE}){PERCENT}(?: \w+)? coverage"
    ),
    _cover(
        rf"\b(?:tests|suite) (?:now )?covers? (?P<more>{MORE} )?{ROUGHLY}(?P<n>{FIGURE}){PERCENT} of (?:the )?(?P<what>(?:changed|new|modified|touched|added)? ?(?:lines|code|statements|branches))(?P<file>)"
    ),
    _cover(
        rf"\b(?P<more>{MORE} )?(?P<n>{FIGURE}){PERCENT} of (?:the |all )?(?P<what>branches|lines|statements|code) (?:is|are) (?:now )?covered(?P<file>)"
    ),
    _cover(
        rf"\b{WHAT}?coverage(?P<file>) (?:\w+ ){{0,4}}?(?:from {FIGURE}(?:{PERCENT})? )?{ARROW} (?P<more>{MORE} )?{ROUGHLY}(?P<n>{FIGURE}){PERCENT}"
    ),
    _cover(
        rf"\b(?P<more>{MORE} )?(?P<n>{FIGURE}){PERCENT} of (?:the |all )?(?P<what>(?:changed|new|modified|touched|added) (?:lines|code|statements))(?P<file>)\b"
    ),
)
