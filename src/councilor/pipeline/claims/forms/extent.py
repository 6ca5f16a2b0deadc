"""How the extent of a change is spoken of: which files it touches, which it leaves alone, what it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.pipeline.claims.forms.form import Form, each, form
from councilor.pipeline.claims.forms.verbs import SAME
from councilor.pipeline.claims.names import Named, listed, token

__all__ = ["EXTENT_FORMS"]

TOUCH = r"(?:affect|touch|chang|modif|edit|updat|alter)(?:es|ed|ing|e|y|ies|ied|s)?"
TOUCHED = r"(?:affected|touched|changed|modified|edited|updated|altered)"
DEPENDENCY = r"(?:third-party |external |runtime |package |pip |python |dev |project |npm |library |extra |other |additional |new |further ){0,3}(?:dependenc(?:y|ies)|requirements?|packages?|library|libraries)\b"


def _written(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Files that were written."""
    for name in named.of(match["s"] or match["t"]):
        yield name.text, ""


REQUIREMENTS = re.compile(r"requirements|pyproject|setup\.(?:cfg|py)|Pipfile|poetry|lock", re.IGNORECASE)
"""Files that list what is needed."""


def _requirements(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Of a file that lists what is needed: that nothing came."""
    if any(REQUIREMENTS.search(name.text) for name in named.of(match["s"])):
        yield "", ""


def _all(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Every file that is named, in one claim."""
    names = [name.text for name in named.of(match["s"]) if name.kind == "F"]
    if names:
        yield ", ".join(dict.fromkeys(names)), ""


EXTENT_FORMS: tuple[Form, ...] = (
    form(
        "only_touched",
        rf"\bonly (?:the )?(?:files? )?(?P<s>{listed('F')})(?: files?| director(?:y|ies)| folders?)? (?:was |were |is |are |has been |have been |had to be )?{TOUCHED}\b",
        _all,
    ),
    form(
        "only_touched",
        rf"\bonly {TOUCH} (?:the )?(?:files? |director(?:y|ies) |folders? )?(?:under |in |inside |within )?(?P<s>{listed('F')})",
        _all,
    ),
    form(
        "only_touched",
        rf"\b{TOUCH} only (?:the )?(?:(?:\w+ )?files?[,:]? |director(?:y|ies) |folders? )?(?:under |in |inside |within )?(?P<s>{listed('F')})",
        _all,
    ),
    form(
        "only_touched",
        rf"\b(?:changes?|edits?|diff|modifications?|patch|work) (?:is|are|was|were|stays?|remains?) (?:strictly |entirely )?(?:limited|confined|restricted|isolated|local|contained) (?:to|in|within) (?:the )?(?:files? )?(?P<s>{listed('F')})",
        _all,
    ),
    form(
        "only_touched",
        rf"\bonly (?:the )?files? (?:that (?:was|were|I) )?(?:{TOUCHED})(?: (?:is|are|was|were))?:? (?P<s>{listed('F')})",
        _all,
    ),
    form("only_touched", rf"\bonly {token('F')}? ?files? (?:changed|touched|modified)[:,]? (?P<s>{listed('F')})", _all),
    form(
        "only_touched",
        rf"(?P<s>{listed('F')}) (?:is|are|was|were) the only (?:files?|modules?|director(?:y|ies)) (?:that )?(?:I |was |were |has been |have been )?{TOUCHED}\b",
        _all,
    ),
    form(
        "only_touched",
        rf"\b(?:nothing|no (?:other )?files?|no code)(?: else)? (?:outside(?: of)?|beyond|but|besides|except) (?:the )?(?P<s>{listed('F')})(?: director(?:y|ies)| folder| file)?(?: (?:was|were|is|has been|have been))? ?(?:{TOUCHED})?",
        _all,
        negative=True,
        bears=("an exception",),
    ),
    form(
        "only_touched", rf"\b{TOUCH} (?:the )?(?:files? )?(?P<s>{listed('F')}) (?:only|and nothing else|alone)\b", _all
    ),
    form(
        "only_touched",
        rf"\b(?:besides|apart from|other than|except(?: for)?) (?P<s>{listed('F')}),? (?:nothing|no (?:other )?files?)(?: else)? (?:was |were |has been |is )?{TOUCHED}",
        _all,
        negative=True,
        bears=("an exception",),
    ),
    form(
        "only_touched",
        rf"\b(?:everything|all files?|files|code|nothing) outside(?: of)? (?:the )?(?P<s>{listed('F')})(?: director(?:y|ies)| folder)? (?:is|are|was|were|has been|stays?|remains?) (?:left )?(?:untouched|unchanged|unmodified|not {TOUCHED}|{TOUCHED})",
        _all,
        negative=True,
    ),
    form(
        "only_touched",
        rf"(?:not|n't|never) {TOUCH} (?:anything|any (?:other )?files?|any code) (?:outside(?: of)?|beyond|but|except) (?:the )?(?P<s>{listed('F')})",
        _all,
        negative=True,
        bears=("an exception",),
    ),
    form("only_touched", rf"\bjust (?P<s>{listed('F')}) (?:was|were) {TOUCHED}\b", _all),
    form("only_touched", rf"\b(?:changed|affected|touched|modified) files?: (?P<s>{listed('F')}) only\b", _all),
    form(
        "untouched",
        rf"\bneither (?P<s>{listed('F')})(?: nor [^;]{{1,60}}?)? (?:was|were|is|are|has been|have been) {TOUCHED}\b",
        each(),
        negative=True,
    ),
    form(
        "untouched",
        rf"\bnor (?P<s>{listed('F')}) (?:was|were|is|are|has been|have been) {TOUCHED}\b",
        each(),
        negative=True,
    ),
    form(
        "untouched",
        rf"\b(?:without|neither|not|didn't|never)\b[^;]{{1,80}}? (?:or|nor|and) (?:to )?{TOUCH} (?:the )?(?P<s>{listed('F')})",
        each(),
        negative=True,
    ),
    form(
        "untouched",
        rf"(?<!outside )(?<!outside of )(?<!outside the )(?P<s>{listed('F')})(?: itself| file| director(?:y|ies))? (?:is|are|was|were|isn't|wasn't|weren't|hasn't been|haven't been|remains?|stays?|has been|have been) (?:left |kept |completely |entirely )*(?:untouched|unchanged|unmodified|not (?:been )?{TOUCHED}|the same|as (?:it was|is|they were)|(?<=n't ){TOUCHED}|(?<=n't been ){TOUCHED})\b",
        each(),
        negative=True,
    ),
    form(
        "untouched",
        rf"\b(?:left|leaves?|leaving|kept|keeps?) (?P<s>{listed('F')}) (?:completely |entirely )?(?:untouched|unchanged|alone|as (?:it|is|they)|unmodified|intact)",
        each(),
    ),
    form(
        "untouched",
        rf"\b(?:did not|didn't|does not|doesn't|have not|haven't|has not|not|never|without) (?:need to )?{TOUCH} (?:the )?(?:file )?(?P<s>{listed('F')})",
        each(),
        negative=True,
    ),
    form(
        "untouched",
        rf"\bno (?:changes?|edits?|modifications?) (?:(?:were|was|are|is|have been|has been) (?:made|needed|necessary|required|done) )?(?:to|in) (?:the )?(?P<s>{listed('F')})",
        each(),
        negative=True,
    ),
    form(
        "no_new_dependencies",
        rf"\b(?:no|zero|0) {DEPENDENCY}(?! (?:on|between|injection|conflict|changes))",
        negative=True,
    ),
    form(
        "no_new_dependencies",
        r"\bno (?:changes to (?:the )?dependencies|dependency changes|dependencies (?:were |are |was |have been )?(?:added|introduced|changed))\b",
        negative=True,
    ),
    form(
        "no_new_dependencies",
        rf"\bwithout (?:(?:adding|introducing|pulling in|bringing in) (?:any |an? )?|(?:requiring |needing )?(?:any |an? )?(?=new|extra|additional|further|other)){DEPENDENCY}",
        negative=True,
    ),
    form(
        "no_new_dependencies",
        rf"\b(?:did not|didn't|does not|doesn't|do not|not|neither|nor) (?:add|adds|introduce|introduces|require|need|pull in|bring(?: in)?|change)? ?(?:any |an? )?{DEPENDENCY}",
        negative=True,
    ),
    form(
        "no_new_dependencies",
        rf"\b(?:adds?|added|introduces?|needs?|requires?) (?:no|neither|zero) {DEPENDENCY}",
        negative=True,
    ),
    form(
        "no_new_dependencies",
        r"\b(?:new |added |additional )dependenc(?:y|ies): (?:none|no|0|zero|nothing)\b|\bdependencies: (?:none (?:added|new)|unchanged|no changes?|no new)\b",
        negative=True,
    ),
    form(
        "no_new_dependencies",
        r"\bdependenc(?:y|ies)(?: list| set| footprint)? (?:is|are|was|were|remains?|stays?|stayed) (?:unchanged|the same|untouched|as (?:it|they) (?:is|was|are|were))\b",
    ),
    # In other words
    form(
        "only_touched",
        rf"\b(?:all|every)(?: of)?(?: the| my| these)? (?:changes?|edits?|modifications?|work)(?: I made)? (?:is|are|was|were|live[s]?|happens?|took place|sits?|stays?|land(?:s|ed)?)(?: (?:made|done|confined|limited|contained|located|all))?(?: only)? (?:in|to|within|inside|under) (?:the )?(?:files? )?(?P<s>{listed('F')})",
        _all,
    ),
    form(
        "only_touched",
        rf"\bno (?:other )?(?:files?|modules?|source files?|code)(?: other than| outside(?: of)?| apart from| besides| except(?: for)?| but) (?:the )?(?P<s>{listed('F')})(?: (?:was|were|is|has been|have been|had to be)(?: been)?| got)? {TOUCHED}",
        _all,
        negative=True,
        bears=("an exception",),
    ),
    form(
        "only_touched",
        rf"\bthe only (?:\w+ )?(?:files?|modules?|director(?:y|ies)|places?)(?: (?:that|which))?(?: (?:I|we))?(?: (?:was|were|has been|have been|had to be|this|the) ?(?:\w+ )?)? ?{TOUCH}(?: by \w+ \w+)? (?:is|are|was|were):? (?P<s>{listed('F')})",
        _all,
    ),
    form(
        "only_touched",
        rf"\bexcept for (?P<s>{token('F')},? only (?:the )?{listed('F')}) (?:was |were |has |have |is |are )?(?:been )?{TOUCHED}",
        _all,
        bears=("an exception",),
    ),
    form(
        "only_touched",
        rf"\b(?:I|we|it|this|patch|change|commit|diff|fix|PR) (?:only|just|exclusively|solely) (?:\w+ )?{TOUCH} (?:the )?(?:files? )?(?P<s>{listed('F')})",
        _all,
    ),
    form(
        "only_touched",
        rf"(?P<s>{listed('F')}) (?:is|are|was|were) (?:all|everything)(?: that)? (?:I|we|was|were|had to be|this \w+) ?{TOUCHED}?",
        _all,
    ),
    form(
        "only_touched",
        rf"\b(?:diff|patch|change|commit|PR) (?:only )?(?:touches|affects|concerns|covers|consists of|involves|spans) (?:only |just |exclusively |nothing but )(?P<s>{listed('F')})",
        _all,
    ),
    form("untouched", rf"(?<!outside )(?P<s>{listed('F')})(?: itself| file)? {SAME}", each(), negative=True),
    form(
        "untouched",
        rf"\b(?:left|leaves?|leaving|kept|keeps?|keeping) (?:the )?(?:file )?(?P<s>{listed('F')}) (?:completely |entirely |exactly )?(?:untouched|unchanged|alone|unmodified|intact|as (?:it|they|is))",
        each(),
    ),
    form(
        "no_new_dependencies",
        rf"(?P<s>{token('F')}): (?:nothing (?:was )?(?:new|added)|no (?:new )?(?:entries|requirements|packages|additions))\b",
        _requirements,
        negative=True,
    ),
    form(
        "no_new_dependencies",
        r"\bonly dependency (?:is|remains) (?:still )?the standard library|\bnothing (?:new|else|extra|additional) (?:has to be|needs to be|must be|to be|to) (?:installed|install)\b",
        negative=True,
    ),
    form(
        "no_new_dependencies",
        rf"\b(?:nothing|no package|no library) (?:new )?(?:was |is |has been )?(?:added|introduced|pulled in) (?:to|in) (?:the )?(?:dependencies|requirements|{token('F')})",
        negative=True,
    ),
    form("no_new_dependencies", rf"\b(?:the )?(?:set|list|number) of {DEPENDENCY} {SAME}", negative=True),
    form("no_new_dependencies", rf"\b{DEPENDENCY} {SAME}", negative=True),
    form(
        "only_touched",
        rf"\b(?:restrict|limit|confin|contain)(?:e?d|s)? (?:the |my |all )?(?:changes?|edits?|fix|patch|diff|work) to (?:the )?(?:files? )?(?P<s>{listed('F')})",
        _all,
    ),
    form(
        "only_touched",
        rf"\b(?:just|only) (?:\w+ )?files? (?:was |were |have |has |is |are )?(?:been )?{TOUCHED}: (?P<s>{listed('F')})",
        _all,
    ),
    form(
        "untouched",
        rf"(?P<s>{listed('F')}) (?:did not|didn't|does not|doesn't) (?:need|require|see|get|receive|have)(?: any)? (?:changes?|edits?|modifications?|change)\b",
        each(),
        negative=True,
    ),
    form(
        "untouched",
        rf"(?P<s>{listed('F')}) (?:did not|didn't|has not|hasn't|have not|haven't) (?:been )?chang(?:e|ed)\b",
        each(),
        negative=True,
    ),
    form(
        "only_touched",
        rf"\b(?:changes?|edits?|modifications?)(?: (?:is|are|was|were))?(?: made| done)? (?:only )?(?:in|to|inside|within) (?P<s>{listed('F')}) (?:only|alone|exclusively|and nowhere else)\b",
        _all,
    ),
    form(
        "only_touched",
        rf"\b(?:changes?|edits?|modifications?) (?:(?:is|are|was|were) )?(?:made |done )?(?:only|exclusively|solely)(?: made| done)? (?:in|to|inside|within) (?P<s>{listed('F')})",
        _all,
    ),
    form(
        "only_touched",
        rf"\b(?:made|did|needed) (?:only )?(?:changes?|edits?) only (?:in|to) (?P<s>{listed('F')})",
        _all,
    ),
    form(
        "added_file",
        rf"\b(?:I|we|and|also)(?: have| also)? (?:wrote|written) (?:the |a )?(?:new )?(?:file )?(?P<s>{listed('F')})|^wrote (?P<t>{listed('F')})",
        _written,
    ),
    form(
        "only_touched", rf"\bonly (?:had to|needed to|have to) {TOUCH} (?:the )?(?:files? )?(?P<s>{listed('F')})", _all
    ),
    form(
        "only_touched",
        rf"\b(?:changed|touched|modified|affected|edited) files?: (?:only|just) (?P<s>{listed('F')})",
        _all,
    ),
)
