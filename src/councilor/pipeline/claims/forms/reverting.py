"""How it is said that a test shows the fix: it fails without it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.domain.claim import ClaimKind
from councilor.pipeline.claims.forms.form import Form, each, form
from councilor.pipeline.claims.forms.passing import BASE, FAILS, PASSING, TOLD
from councilor.pipeline.claims.names import Named, token

__all__ = ["REVERT_FORMS"]


def _tested(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    names = named.of(match.groupdict().get("s") or "")
    yield (names[0].text if names else ""), ""


REVERT_FORMS: tuple[Form, ...] = (
    form(
        "fix_tested",
        rf"(?P<s>{token('T')}|{token('S')})(?: test)? (?:{FAILS}|used to fail|was failing) {BASE},? (?:and|but) (?:now )?{PASSING}",
        each(),
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        rf"(?P<s>{token('T')}|{token('S')})(?: test)? (?:also |indeed )?{FAILS} {BASE}(?!,? (?:and|but) (?:now )?(?:is |are )?(?:pass|green|succe))",
        each(),
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        rf"\b{FAILS} {BASE},? (?:and|but) (?:now )?{PASSING}",
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        rf"\bpass(?:es|ed)?\b[^;]{{0,40}} (?:and|but) (?:\w+ )?{FAILS} {BASE}",
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        rf"\b(?:revert|stash|undo|remov|tak|dropp|disabl|comment)ing\b[^;]{{0,60}}\b(?:makes|causes|lets|breaks) (?:the )?(?:test )?(?:(?P<s>{token('TS')})|(?:new |regression )*tests?)(?: to)?(?: test)? ?(?:fail)?",
        _tested,
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
    ),
    form(
        "fix_tested",
        rf"(?P<s>{token('S')}) (?:is|are) (?:now )?(?:tested|covered|guarded|protected|exercised) by (?:an? |the |new |two |\d+ )*(?:regression |unit )?(?:tests?\b|{token('TS')})",
        _tested,
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        rf"\b(?P<it>it|this|the (?:fix|change|bug|regression|new behaviou?r)) (?:is|has been) (?:now )?(?:tested|covered|guarded|protected|exercised) by (?:an? |the |new |two |\d+ )*(?:regression |unit )?(?:tests?\b|{token('TS')})",
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        rf"^(?:now |then |also |all )?{FAILS} {BASE}(?!,? (?:and|but) (?:now )?(?:is |are )?(?:pass|green|succe))",
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        rf"\b(?:if|when|once) (?:I|you|we|one) (?:revert|undo|stash|remove|take out|take back)s? (?:the |my |this )?(?:fix|change|patch|commit),? (?:the )?(?:test )?(?P<s>{token('TS')}|(?:new )?tests?) {FAILS}",
        _tested,
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        rf"\btests?\b[^;]{{0,80}}?\b(?:that |which )?(?:all )?{FAILS} {BASE}",
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        r"\bwithout (?:the |this |my )?(?:fix|change|patch)\b[^;]{0,30}\b(?:tests?|it|they|suite) (?:all )?fails?\b",
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        rf"\b(?:revert|stash|undo|remov|tak|dropp|disabl|comment|back)ing\b[^;⟦]{{0,60}}\b(?:turns|makes|sends|breaks|flips|renders) (?:the )?(?:test )?(?P<s>{token('TS')}|(?:\w+ )?tests?)(?: test)?(?: (?:red|fail|again|to fail))?",
        _tested,
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
    ),
    form(
        "fix_tested",
        rf"\bwithout (?:this|the|my) (?:patch|fix|change)[^;⟦]{{0,20}}(?P<s>{token('TS')})(?: test)? {FAILS}",
        each(),
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        r"\btests? (?:that |which )?(?:prov|demonstrat|show|confirm)(?:e|es|ing|s)? (?:that )?(?:my|the|this) (?:fix|change|patch|feature)[^;]{0,20}(?:effective|works|work|correct|right)\b",
        kind=ClaimKind.PROCEDURAL,
    ),
    form(
        "fix_tested",
        rf"\b(?:tests?|it|they|which) {FAILS} (?:on|with|against|under|at) (?:the )?(?:old|previous|original|unpatched|unfixed|unmodified|base|unchanged|parent|main|master|pre-fix)(?: \w+)?",
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        rf"(?P<s>{token('TS')})(?: test)? {FAILS} (?:on|with|against|under|at) (?:the )?(?:old|previous|original|unpatched|unfixed|unmodified|base|unchanged|parent|pre-fix)\b",
        each(),
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        rf"\b(?:if|when|once|as soon as) (?:the|this|my) (?:fix|change|patch|commit) (?:is|was|gets) (?:reverted|undone|removed|taken out|stashed|left out|missing),? (?:then )?(?:the )?(?:test )?(?P<s>{token('TS')}|(?:\w+ )?tests?|it) (?:\w+ )?{FAILS}",
        _tested,
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
    ),
    form(
        "fix_tested",
        rf"\b(?:on|with|against|under) (?:the )?(?:old|previous|original|unpatched|unfixed|base|main|master|parent)(?: \w+)?,? (?:the |this |these )?(?:\w+ )?(?P<s>{token('TS')}|tests?|it) (?:is |are |was |were |\w+ly )?{FAILS}",
        _tested,
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
    ),
    form(
        "fix_tested",
        rf"\b(?:before|without) (?:the|this|my) (?:fix|change|patch|commit),? (?:the |this |these )?(?:(?:new|regression|added) ){{0,2}}(?P<s>{token('TS')}|tests?) (?:is |are |was |were |\w+ly )?{FAILS}",
        _tested,
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        rf"\b(?:tests?|they|it|(?P<s>{token('TS')}))(?: test)? {FAILS}(?: again)? (?:if|when|once|as soon as) (?:I|you|we|one|it|this|the (?:fix|change|patch|commit)|my \w+)(?: is| was| gets)? (?:revert|undo|undone|stash|remov|tak|leav|left|back|drop|disabl)",
        _tested,
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
    form(
        "fix_tested",
        rf"\b(?:tests?|they|it|(?P<s>{token('TS')})) {FAILS} (?:if|when|unless|as long as) (?:the |my |this )(?:fix|change|patch|commit) is (?:not (?:applied|there|present|in place)|missing|absent|applied|left out)",
        _tested,
        kind=ClaimKind.PROCEDURAL,
        bears=TOLD,
        negative=True,
    ),
)
