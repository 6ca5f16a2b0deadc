"""Names that come, go and change, by classes of verbs and their nouns rather than by single phrases.

Rules:
- Active ("drops the `x` flag"), passive ("the `x` flag of `f` was dropped") and nominal ("removal of `x`"), of all
  verbs of `verbs` alike; "it" stands for the one name before.
- Two names before a kind ("`f` `x` parameter"): the second is meant. A name with a kind some words behind it is meant
  ("`x` cache constructor parameter"); one before another noun ("`x` support") is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.pipeline.claims.forms.code import ADJECTIVE, KIND, fits, kind_of, named_as
from councilor.pipeline.claims.forms.form import IT, Form, Reader, form
from councilor.pipeline.claims.forms.verbs import (
    ADDED,
    ADDING,
    ADDITION,
    BEEN,
    OBJECT,
    REMOVAL,
    REMOVED,
    REMOVING,
    RENAMED,
    WORD,
)
from councilor.pipeline.claims.names import Named, listed, token

__all__ = ["NAMING_FORMS"]

NAMES = listed("SF")
OF = r"(?: (?:of|for|on|in|from|to) [^;:,]{1,60}?)?(?: \([^()]{1,40}\))?"
"""What a name belongs to, between it and its verb."""
AFTER = (
    rf"(?=(?:,? (?:{WORD} ){{0,3}}{KIND}\b)|\s*(?:$|[.,;:)(!])| (?:to|for|from|in|into|on|of|with|which|that|so|as|and|or"
    r"|by|because|without|where|whose|since|after|before|instead|when|via|at|under|using|plus|but"
    r"|alongside|including|back|entirely|completely|altogether|again|\w+ing)\b|\s[-\N{EN DASH}\N{EM DASH}])"
)
PRONOUN = r"(?:it|this one)"


def _it(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    names = named.of(match.groupdict().get("new") or "")
    yield IT, names[0].text if names else ""


def _pair(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Old and new names, as tokens or bare words."""
    old, new = _all(match["old"], named), _all(match["new"], named)
    yield from zip(old, new, strict=False)


def _all(words: str, named: Named) -> list[str]:
    return [name.text for name in named.of(words)] or [words]


def _last(predicate: str) -> Reader:
    """The second of two names that stand together."""

    def read(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
        for name in named.of(match["s"]):
            if name.kind == "S":
                yield name.text, kind_of(match)

    return read


def _gained(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """What something has now; "has" alone, without "new" or "now", tells of no change."""
    told = re.search(
        r"\b(?:now|new|additional|extra|further|also|gain\w*|grew|got|gets?|receive[sd]?)\b", match[0], re.IGNORECASE
    )
    for name in named.of(match["s"] or match["t"]) if told else ():
        if name.kind == "S":
            yield name.text, kind_of(match)


OWNER = ("/", " from ", " on ", " of ", " in ", " for ")
"""What stands before a name that is not the one renamed."""


def _in_a_row(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """A further pair behind a verb of renaming."""
    at = match.start()
    if re.search(r"\brenam", match.string[:at], re.IGNORECASE) and not match.string[:at].endswith(OWNER):
        yield from _pair(match, named)


ITEM = re.compile(
    rf"(?: {KIND})?(?:(?:,|,? and|,? plus|,? as well as) (?:an? |the |one |two )?(?:{ADJECTIVE} ){{0,3}}(?:{KIND} )?(?:called |named )?({token('S')})){AFTER}",
    re.IGNORECASE,
)
"""A further item of a list, whatever kind it is."""


def _continued(predicate: str) -> Reader:
    """The further items of a list behind the verb."""

    def read(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
        at = match.start("rest")
        while item := ITEM.match(match.string, at):
            for name in named.of(item[1]):
                if fits(name, predicate):
                    yield name.text, kind_of(item)
            at = item.end()

    return read


OLD = ("how it was before",)


def _come_or_go(predicate: str, verb: str, noun: str, done: str) -> list[Form]:
    """All voices of verbs of coming, or of going."""
    said = (
        (
            rf"(?:{verb}|{noun}):? {OBJECT}(?:{KIND}[:,]? )?(?:called |named )?(?P<s>{NAMES}){AFTER}(?: (?:{WORD} ){{0,3}}?{KIND}\b)?"
        ),
        rf"(?:^|: |\bthe |, |\band |\ban? )(?P<s>{NAMES})(?: (?:{WORD} ){{0,2}}?{KIND})?{OF}(?: {BEEN}| (?:all|both|now|also|finally))(?: (?:\w+ly|now|also|all|both|finally))? {done}",
        rf"^(?:the )?(?P<s>{NAMES})(?: {KIND})? {done}(?= ?(?:$|[.,;:)(]| (?:as|to|in|for|from|because|since)\b))",
    )
    forms = [
        form(f"{predicate}{file}", words, named_as(f"{predicate}{file}"), bears=OLD)
        for words in said
        for file in ("", "_file")
    ]
    two = (
        rf"{verb} {OBJECT}{token('SF')}(?:'s)? (?P<s>{token('S')})(?: (?:{WORD} ){{0,2}}?{KIND}\b|(?= ?(?:$|[.,;:)])))"
    )
    it = rf"(?:^|\bI |\bwe |\band |, ){verb} {PRONOUN}\b(?! (?:to|into|from|as|with|in)\b)"
    return [*forms, form(predicate, two, _last(predicate)), form(predicate, it, _it)]


ONE = token("SF")
RENAMING = r"(?<!to )\bre-?nam(?:e|es|ed|ing):?"
ARROW = r"(?:(?:in)?to|->|=>|\N{RIGHTWARDS ARROW}|as)"
THINGS = r"(?:function|method|class|module|package|parameter|argument|attribute|option|flag|keyword|field|property|variable|constant|exception|helper|kwarg|setting|decorator|command)s?"

NAMING_FORMS: tuple[Form, ...] = (
    *_come_or_go("added", ADDING, ADDITION, ADDED),
    *_come_or_go("removed", REMOVING, REMOVAL, REMOVED),
    form(
        "added",
        rf"\b(?:an?|the|two|three|some) new,? (?:{WORD} ){{0,3}}?{KIND}[,:]? (?:called |named )?(?P<s>{listed('S')})",
        named_as("added"),
    ),
    form(
        "added",
        rf"\b(?:an?|the|two|three|some) new (?:{WORD} ){{0,2}}?(?P<s>{listed('S')}) (?:{WORD} )?{KIND}\b",
        named_as("added"),
    ),
    form("added", rf"^new:? (?:{WORD} ){{0,3}}?(?:{KIND}:? )?(?P<s>{listed('S')}){AFTER}", named_as("added")),
    form(
        "added",
        rf"\bthere (?:is|are) now (?:also )?(?:an? |the )?(?:new )?(?:{WORD} ){{0,2}}?(?:{KIND} )?(?:called |named )?(?P<s>{listed('S')}){AFTER}",
        named_as("added"),
    ),
    form(
        "added",
        rf"⟧(?:\(\))?(?: {KIND})? (?:now (?:also )?|also )?(?:ha(?:s|ve)|takes?|accepts?|supports?(?= (?:an? |the )?new | an? )|gets?|got|gain(?:s|ed)|grew|offers?|provides?|exposes?|receive[sd]?) (?:now )?(?:also )?(?:an? |the |two |three )?(?P<how>(?:new|additional|extra|further|another|second) )?(?:{WORD} ){{0,2}}?(?:(?:{KIND}) (?:called |named )?(?P<s>{listed('S')})|(?P<t>{listed('S')}) (?:{WORD} )?{KIND}\b)",
        _gained,
    ),
    form(
        "added_file",
        rf"\b(?:an?|the) new (?:{WORD} ){{0,2}}?(?:file|module|page|document|script|{KIND})?[:,]? ?(?:called |named )?(?P<s>{listed('F')})",
        named_as("added_file"),
    ),
    form(
        "renamed",
        rf"{RENAMING} {OBJECT}(?:{KIND} )?(?:from )?(?P<old>{listed('SF')})(?:'s)?(?: {KIND})?{OF} {ARROW} (?:the )?(?:{KIND} )?(?P<new>{listed('SF')})",
        _pair,
    ),
    form(
        "renamed",
        rf"(?P<old>{listed('SF')})(?: {KIND})?{OF}(?: {BEEN}| now)(?: (?:now|also|both|therefore|\w+ly))* {RENAMED}(?: {ARROW})? (?:the )?(?:{KIND} )?(?P<new>{listed('SF')})",
        _pair,
    ),
    form(
        "renamed",
        rf"\b(?:the |an? )?(?P<old>[A-Za-z_]\w{{1,60}}) {THINGS}{OF}(?: {BEEN})?(?: now)? {RENAMED} {ARROW} (?P<new>{ONE}|[A-Za-z_]\w{{1,60}})\b",
        _pair,
    ),
    form(
        "renamed",
        rf"{RENAMING} (?:the )?(?P<old>[a-z_]\w{{1,60}}|{ONE}) {THINGS}{OF} {ARROW} (?P<new>{ONE}|[a-z_]\w{{1,60}})\b",
        _pair,
    ),
    form("renamed", rf"(?P<old>{ONE})(?: {BEEN})? {RENAMED} {ARROW} (?P<new>[A-Z]\w{{1,60}})\b", _pair),
    form(
        "renamed",
        rf"(?P<new>{ONE})[^;⟦]{{0,30}}? \(?(?:was |were |has been |is )?(?:{RENAMED}|formerly|previously(?: named| called| known as)?) from (?P<old>{ONE})",
        _pair,
        bears=OLD,
    ),
    form(
        "renamed",
        rf"(?P<new>{ONE}) \((?:formerly|previously|was|previously named|formerly known as|renamed from|ex) (?P<old>{ONE})\)",
        _pair,
        bears=OLD,
    ),
    form(
        "renamed",
        rf"\b(?:name|spelling) of {OBJECT}(?P<old>{ONE})[^;⟦]{{0,20}} (?:{BEEN} changed )?to (?P<new>{ONE})",
        _pair,
    ),
    form(
        "renamed",
        rf"\bchang(?:ed?|es|ing) (?:the )?{OBJECT}name (?:of {OBJECT})?(?:{KIND} )?(?:from )?(?P<old>{ONE})[^;⟦]{{0,20}} to (?P<new>{ONE})",
        _pair,
    ),
    form(
        "renamed",
        rf"(?P<old>{ONE})(?: {KIND})?{OF} (?:is|are|was|has been)(?: now)? (?:now )?(?:called|named|known as|spelled|spelt) (?P<new>{ONE})",
        _pair,
    ),
    form("renamed", rf"\brenaming of (?P<old>{ONE}) (?:in)?to (?P<new>{ONE})", _pair),
    form("renamed", rf"(?:^|\bI |\bwe |\band |, ){RENAMING} {PRONOUN} {ARROW} (?P<new>{ONE})", _it),
    form(
        "added",
        rf"\b(?:extract|mov|factor|split|pull|refactor)(?:e?s|e?d|ted)? [^;⟦]{{1,50}}? (?:in)?to (?:an? |the )(?:new |separate |own |helper |private |dedicated ){{1,3}}(?:{KIND} )?(?:called |named )?(?P<s>{listed('S')})",
        named_as("added"),
    ),
    form(
        "added",
        rf"\b(?:extract|factor)(?:s|ed) (?:out )?[^;⟦]{{1,50}}? (?:in)?to (?:an? |the )?(?:{KIND} )?(?P<s>{listed('S')}){AFTER}",
        named_as("added"),
    ),
    form(
        "added",
        rf"^new (?:in|with|since) [^:]{{1,40}}: (?:{WORD} ){{0,3}}?(?P<s>{listed('S')}){AFTER}",
        named_as("added"),
    ),
    form(
        "removed_file",
        rf"(?P<s>{listed('F')})(?: {KIND})? (?:no longer exists?|(?:does not|doesn't|do not|don't) exist any ?more|(?:is|are) no more|(?:is|are) gone)\b",
        named_as("removed_file"),
        negative=True,
    ),
    form("renamed", rf"(?P<old>{ONE})(?: {KIND})? (?:to|->|=>|\N{{RIGHTWARDS ARROW}}|into) (?P<new>{ONE})", _in_a_row),
    form("renamed", rf"^it (?:is|was) (?:now )?(?:called|named|known as|renamed to) (?P<new>{ONE})", _it),
    form(
        "removed",
        rf"(?P<s>{listed('S')})(?: {KIND})?{OF} (?:has|have|is|are)? ?(?:now )?(?:gone(?: away)?|went away|vanish(?:es|ed)|disappear(?:s|ed)|no longer (?:available|there|present|part of [^;,]{{1,30}}))(?= ?(?:$|[.,;:)(]| (?:from|in|as|because|since|and|now)\b))",
        named_as("removed"),
        negative=True,
    ),
    form(
        "removed_file",
        rf"(?P<s>{listed('F')})(?: {KIND})? (?:has|have|is|are)? ?(?:now )?(?:gone(?: away)?|went away|vanish(?:es|ed)|disappear(?:s|ed))(?= ?(?:$|[.,;:)(]| (?:from|in|as|because|since|and|now)\b))",
        named_as("removed_file"),
        negative=True,
    ),
    *(
        form(
            predicate,
            rf"{verb} {OBJECT}(?:{KIND}[:,]? )?(?:called |named )?(?>{listed('SF')})(?P<rest>[^;]{{2,300}})",
            _continued(predicate),
        )
        for predicate, verb in (("added", ADDING), ("removed", REMOVING))
    ),
    form(
        "added",
        rf"⟧(?:\(\))? (?:now )?(?:learn(?:s|ed|t)|acquires?|acquired) (?:an? |the |about )?(?:new )?(?:{WORD} ){{0,2}}?(?:{KIND} (?:called |named )?)?(?P<s>{listed('S')})",
        named_as("added"),
    ),
    form(
        "added",
        rf"\bnew:? (?:{WORD} ){{0,2}}?(?:{KIND}:? )?(?>{listed('S')})(?P<rest>[^;]{{2,300}})",
        _continued("added"),
    ),
    *(
        form(
            predicate,
            rf"\b(?:an?|the|one|two|new) (?:{WORD} ){{0,3}}?{KIND}, (?P<s>{listed('S')}),? {BEEN} (?:now |also )?{done}",
            named_as(predicate),
        )
        for predicate, done in (("added", ADDED), ("removed", REMOVED))
    ),
    form(
        "removed",
        rf"^(?:the )?(?:{WORD} ){{0,2}}?(?:{KIND} )?(?P<s>{listed('S')})(?: {KIND})?[^;,⟦]{{1,40}} and (?:is|was|were|are|has been|have been) (?:now |therefore |thus )?{REMOVED}",
        named_as("removed"),
        negative=True,
        bears=OLD,
    ),
    form("added", rf"(?P<s>{listed('S')})(?: {KIND})? now exists?\b", named_as("added")),
    form("renamed", rf"(?P<new>{ONE}) (?:is|was) (?:now )?the new name (?:of|for) {OBJECT}(?P<old>{ONE})", _pair),
    form(
        "renamed",
        rf"\b(?:the )?new name (?:of|for) {OBJECT}(?P<old>{ONE})(?: {KIND})? is (?:now )?(?P<new>{ONE})",
        _pair,
    ),
)
