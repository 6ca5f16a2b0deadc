"""How it is said that tests pass, all or so many."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.pipeline.claims.forms.form import WORDS, Form, form, number
from councilor.pipeline.claims.forms.verbs import PASSES, WORD
from councilor.pipeline.claims.names import Named

__all__ = ["BASE", "FAILS", "PASSING", "PASSING_FORMS", "TOLD"]

ADVERB = r"(?:now |all |still |is |are |has |have |again |also |successfully |cleanly |locally |run |runs |ran |finish(?:es|ed)? ){0,4}"
PASSING = rf"(?:{PASSES}|{ADVERB}(?:pass(?:es|ed|ing)?|continues? to pass|keeps? (?:on )?passing|green|succeed(?:s|ed)?|succeeding)\b)"
KINDS = r"(?:existing |unit |integration |regression |functional |other |project |automated |end-to-end |e2e |backend |python |pytest |fast |slow |remaining |relevant |affected |core |new )"
SORTS = frozenset(
    {
        "unit",
        "integration",
        "functional",
        "regression",
        "automated",
        "existing",
        "new",
        "old",
        "project's",
        "project",
        "other",
        "end-to-end",
        "of",
        "the",
        "our",
        "and",
    }
)
"""Words that do not tell tests from all others."""
BASE = r"(?:before(?: (?:the|this|my) (?:fix|change|patch|commit))?|without (?:the |this |my )?(?:fix|change|patch|it)|(?:when|once|if) (?:the (?:fix|change) is )?reverted|on (?:the )?(?:base|main|master|old code)(?: branch| commit)?|prior to (?:the|this) (?:fix|change)|against the (?:base|old code))"
FAILS = r"(?:(?:is |was |are |were |turns |turned |goes |went |becomes )?(?:fail(?:s|ed|ing)?|red|broke(?:n)?|crash(?:es|ed)?))"
TOLD = ("how it was before", "a condition")


def _total(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """All tests, with a number where one is given."""
    groups = match.groupdict()
    subject = {"new": "new", "existing": "existing"}.get((groups.get("which") or "").strip().casefold(), "")
    yield subject, number(groups.get("n"))


def _these(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Tests without the word "all": a number may be of some."""
    for subject, value in _total(match, named):
        yield ("some" if value and not subject else subject), value


def _fresh(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """The tests that the same words say were added."""
    yield "new", ""


def _some(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """A number that passes, of how many where that is said, or beside how many that fail."""
    groups = match.groupdict()
    passed, failed, of = groups["n"], groups.get("failed"), groups.get("of")
    if failed and int(failed):
        yield "some", f"{passed}/{int(passed) + int(failed)}"
    else:
        yield "some", f"{passed}/{of}" if of else passed


def _all_of(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """All tests; only some when they are called by what they are about."""
    for subject, value in _total(match, named):
        odd = "" if set(match["odd"].casefold().split()) <= SORTS else "some"
        yield subject or odd, value


def _suite(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """The whole suite, unless it is one of something else: "the tests of x pass"."""
    refused = re.search(r"\b(?:not|no|never|only|most|some|n't)\b|n't", match.string[: match.end()], re.IGNORECASE)
    if not refused or "without" in match[0]:
        yield "", number(match.groupdict().get("n"))


PASSING_FORMS: tuple[Form, ...] = (
    form(
        "tests_pass",
        rf"\b(?:all|every|each)(?: of)?(?: the| our| its)? (?P<n>\d{{1,6}} |{WORDS} )?(?:of the |of our )?(?:new and (?:the )?existing |existing and (?:the )?new |(?P<which>new |existing ))?(?:{KINDS}){{0,2}}(?:tests?|test ?cases?|specs|checks and tests)(?: (?:in|of) (?:the )?(?:suite|project|repo(?:sitory)?|test ?suite))? {PASSING}",
        _total,
    ),
    form(
        "tests_pass",
        r"\b(?:pass(?:es|ed|ing)?|with) all (?:of )?(?:the |our |its )?(?P<n>\d{1,6} )?(?:existing |unit )?tests\b",
        _total,
    ),
    form("tests_pass", r"\ball (?P<n>\d{1,6} )?(?:existing |unit )?tests (?:are )?(?:ok|fine|good)\b", _total),
    form(
        "tests_pass",
        r"\b(?P<failed>\d{1,6}) (?:tests? )?fail(?:ed|ures?|ing)?,? (?:and )?(?P<n>\d{1,6}) (?:tests? )?pass(?:ed|ing)?\b",
        _some,
    ),
    form(
        "tests_pass",
        rf"(?<!of the )(?<!of all )(?<!of )(?<!of our )(?<![\w/.])(?P<n>\d{{1,6}}) (?:{KINDS}|new |of the )?(?:tests? )?{PASSING}(?: tests?)?(?:,? (?:and )?(?P<failed>\d{{1,6}}) (?:tests? )?fail)?",
        _some,
    ),
    form(
        "tests_pass",
        rf"(?<![\w/.])(?P<n>\d{{1,6}})(?: ?/ ?| of (?:the |all )?| out of (?:the )?)(?P<of>\d{{1,6}}) (?:{KINDS})?(?:tests? )?{PASSING}",
        _some,
    ),
    form(
        "tests_pass", r"\btests?(?: results?| status| suite| run)?: (?:all )?(?P<n>\d{1,6}) ?/ ?(?P<of>\d{1,6})", _some
    ),
    form(
        "tests_pass",
        r"\btests?(?: results?| status| suite| run)?: (?:all )?(?P<n>\d{1,6}) (?:pass(?:ed|ing)?|ok|green)",
        _some,
    ),
    form(
        "tests_pass",
        rf"\b(?:test ?-?suite|tests? run|pytest(?: suite)?|unittest|tox|nox|suite)(?: (?:also|now|still|itself))? {PASSING}",
    ),
    form(
        "tests_pass",
        rf"\b(?:pytest|(?:the |all )?tests?)(?: [^\s;,]{{1,20}})?(?:(?:,| and|, and|/| \+| &) (?:the )?(?:ruff|flake8|mypy|pyright|black|isort|bandit|lint|linter|linting|types|type checks?|build|type checker)(?: check)?){{1,4}} {PASSING}",
    ),
    form(
        "tests_pass",
        rf"\b(?:ruff|flake8|mypy|pyright|black|isort|lint|linter|types)(?:(?:,| and|, and|/| \+| &) (?:the )?(?:ruff|flake8|mypy|pyright|black|isort|lint|types|pytest|tests)){{0,3}}(?:,| and|, and) (?:the )?(?:pytest|tests) {PASSING}",
    ),
    form(
        "tests_pass",
        r"\b(?:the |full |entire |whole |complete )(?:\w+ )?(?:test )?suite (?:\w+ )?(?:succeeds|is clean|finished clean|completes? without (?:errors|failures))",
    ),
    form(
        "tests_pass",
        r"\bsuite (?:finish(?:es|ed)|end(?:s|ed)|complete[sd]?|ran|run(?:s)?) with (?P<n>\d{1,6}) (?:tests )?(?:pass(?:ed|ing|es)|successes)",
        _some,
    ),
    form(
        "tests_pass",
        r"\b(?:tests?|suite|pytest)\b[^;]{0,60}?\b(?:everything|all|it all) (?:is |was |came back |turned |went )?(?:green|pass(?:es|ed)|ok)\b",
    ),
    form("tests_pass", r"\beverything (?:is |was )?(?:green|pass(?:es|ed))\b(?=[^;]{0,40}\b(?:test|suite|pytest))"),
    form(
        "tests_pass",
        r"\b(?:no|zero|0|none of the|not a single) (?:of the )?(?:unit |existing |other )?tests? (?:is |are |was |were )?fail(?:s|ed|ing|ures?)?\b",
        negative=True,
    ),
    form("tests_pass", r"\b(?:no|zero|0|without(?: any)?) (?:test )?failures\b", negative=True),
    form("tests_pass", r"\b(?:test )?failures: (?:none|no|0|zero)\b", negative=True),
    form(
        "tests_pass",
        rf"(?:^|\band |(?<!of )\bthe |: |, |\bmy |\bour )(?P<n>\d{{1,5}} |{WORDS} )?(?P<which>new |existing |updated )?(?:{KINDS}){{0,2}}tests {PASSING}(?! (?:in|with|for|on|under|when) )",
        _these,
    ),
    form("tests_pass", r"(?:^|\b)tests?: (?:all )?(?:pass(?:ed|ing)?|green|ok)\b"),
    form(
        "tests_pass",
        rf"\bsuite \((?:all |of )?(?P<n>\d{{1,6}}|{WORDS}) tests?\) {PASSING}",
        _total,
    ),
    form("tests_pass", r"(?<![\w/.])(?P<n>\d{1,6}) ?/ ?(?P<of>\d{1,6}) tests?\b", _some),
    form("tests_pass", r"\b(?:pytest|suite|test run|tests)[^;]{0,40}?[ :](?P<n>\d{1,6}) passed\b", _some),
    form(
        "tests_pass",
        rf"(?<![\w/.])(?P<n>\d{{1,6}}|{WORDS}) (?:\w+ )?tests?,? (?:and )?all (?:of them )?{PASSING}",
        _total,
    ),
    form("tests_pass", rf"\bsuite {PASSING} \(?(?:with )?(?:all )?(?P<n>\d{{1,6}}|{WORDS}) tests\b", _total),
    form("tests_pass", r"(?<![\w/.])(?P<n>\d{1,6}) passing tests\b", _some),
    form(
        "tests_pass",
        r"(?<=\btest)s?\b[^;]{0,40}[,;] ?none (?:of (?:them|the tests) )?(?:of which )?fail(?:s|ed)?\b",
        negative=True,
    ),
    form(
        "tests_pass",
        r"\btests?\b[^;]{0,80}\b(?:they|these|those|all of (?:them|which)) (?:all |both )?(?:now )?pass(?:es|ed)?\b(?P<which>)",
        _fresh,
    ),
    form("tests_pass", r"(?<![\w/.])(?P<n>\d{1,6}) in total,? (?:and )?all (?:of them )?pass(?:ing|ed)?\b", _total),
    # Said of the whole in other words
    form(
        "tests_pass",
        rf"\b(?:all|every one|each one|both)(?: of)? (?:the |our |its |these |my )?(?P<n>\d{{1,6}} |{WORDS} )?(?P<which>new |existing |old |previous )?(?P<odd>(?:{WORD} ){{0,3}}?)(?:tests?|test ?cases|specs) {PASSES}",
        _all_of,
    ),
    form(
        "tests_pass",
        rf"\b(?:ran|ran all|executed|running) (?P<n>\d{{1,6}}|{WORDS}) (?:{WORD} )?tests[^;]{{0,40}}?,? (?:and )?(?:all|every one|each)(?: of (?:them|which))?(?: of them)?(?: {PASSES}| ok\b| green\b)",
        _total,
    ),
    form(
        "tests_pass",
        rf"\b(?:none|not one) of (?:the |our )?(?P<n>\d{{1,6}} |{WORDS} )?(?:{WORD} ){{0,2}}?tests (?:now |still )?(?:is |are |was |were )?(?:fail(?:s|ed|ing)?|broken?|red)\b",
        _total,
        negative=True,
    ),
    form(
        "tests_pass",
        r"\b(?:no|zero|without(?: any| a single)?|not a single) (?:more )?(?:fail(?:ing|ed)|broken|red) (?:unit )?(?:tests?|test cases?)\b|\b(?:no|zero|not a single|without(?: any| a single)?) (?:unit )?tests? failures?\b|\bnothing (?:fails|failed|is failing) in (?:the )?(?:test ?)?suite\b|\b(?:no|not a single) (?:unit )?tests? (?:is |are )?(?:broken|red|breaks|failing)\b",
        negative=True,
    ),
    form(
        "tests_pass",
        rf"(?:\b(?:test ?-?suite|test run|pytest)|^(?:the )?tests|^suite|\b(?:the|full|whole|entire|complete) suite)(?: of (?P<n>\d{{1,6}}|{WORDS}) tests)?(?: (?:now|also|still|run|itself|again|\w+ly)){{0,2}}? {PASSES}",
        _suite,
        negative=True,
    ),
    form(
        "tests_pass",
        r"\b(?:pytest|suite|tests)\b[^;]{0,30}? (?:reports?|shows?|gives?|says?|printed|ended with|result(?:ed|s) in|with)[: ]+(?:all )?(?P<n>\d{1,6}) (?:tests? )?(?:pass(?:ed|es|ing)?|ok|successes)",
        _some,
    ),
    form(
        "tests_pass",
        r"\b(?:every|each) (?P<which>new |existing )?(?:unit |integration |single )?test (?:in the (?:suite|project|repo(?:sitory)?) )?(?:now |still )?(?:passes|succeeds|is green|goes through|comes out green)\b",
        _total,
    ),
    form(
        "tests_pass",
        r"(?<![\w/.])(?P<n>\d{1,6}) tests,? (?:with |and )?(?:no|0|zero|without) (?:failures?|failed|errors?|failing)\b",
        _total,
        negative=True,
    ),
    form(
        "tests_pass",
        r"(?:^|: )(?:the )?tests?(?: results?| status| suite| run)?(?::|: all| are| status is)(?: now| all)? (?:green|ok|passing|clean|success(?:ful)?|passed)\b(?! (?:in|on|for|with|test))",
        _suite,
    ),
    form(
        "tests_pass",
        r"\b(?:have|has|got|with|get|gives|yields) (?:now )?(?:an? |the )?(?:fully |all-)?(?:green|passing|clean) (?:test ?suite|test run|suite)\b",
    ),
    form(
        "tests_pass",
        r"\bwith (?:all |every )(?P<n>\d{1,6} )?(?:existing )?tests? (?:passing|green|succeeding)\b",
        _total,
    ),
    form(
        "tests_pass",
        r"\b(?:no|not one|not a single|none of the|never a) (?:unit |existing )?tests? (?:is |are |was |were |has |have )?(?:fail(?:s|ed|ing)?|broken?|breaks|broke|red)\b",
        negative=True,
    ),
    form(
        "tests_pass",
        rf"\b(?:all|the|ran|executed|run) (?:all )?(?:the )?(?P<n>\d{{1,6}}|{WORDS}) (?:{WORD} )?tests[^;]{{0,40}}?,? (?:and )?(?:all|every one|each(?: one)?|they all)(?: of (?:them|which|those))? {PASSES}",
        _total,
    ),
    form(
        "tests_pass",
        rf"\btests (?:\w+ ){{0,2}}?{PASSES}[^;]{{0,10}}\((?P<n>\d{{1,6}})(?: in total| of them| tests?| passed)?\)",
        _total,
    ),
    form(
        "tests_pass",
        r"^(?:the )?(?:whole |full |entire |complete )(?:test ?)?suite: (?:green|ok|passing|passed|passes|clean)\b",
    ),
    form(
        "tests_pass",
        r"\b(?:no|not one|not a single|none of the) (?:unit |existing |other )?tests? (?:in|of) (?:the )?(?:whole |entire )?(?:suite|project|repo(?:sitory)?|package) (?:is |are |was |were )?(?:now )?(?:fail(?:s|ed|ing)?|broken?|breaks|red)\b",
        negative=True,
    ),
    form("tests_pass", rf"\bsuite \([^()]{{0,20}}?(?P<n>\d{{1,6}}) tests?\) {PASSES}", _total),
    form("tests_pass", r"\bpassing tests: (?:all )?(?P<n>\d{1,6}) ?/ ?(?P<of>\d{1,6})\b", _some),
    form(
        "tests_pass",
        r"\b(?:ran|run|executed) (?:all |the |all the )(?:\w+ )?tests\b[^;]{0,20}? (?:they|these) (?:all )?(?:now )?(?:pass|are green|succeed)(?:ed)?\b",
    ),
    form(
        "tests_pass",
        rf"\b(?:\d{{1,5}} )?(?:existing|old) tests and (?:the |all |my )?(?:\w+ )?(?:new )?(?:ones|tests) {PASSES}",
        _total,
    ),
)
