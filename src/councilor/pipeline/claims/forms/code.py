"""How code and files are spoken of: names and files added, removed, renamed, what was touched, dependencies, the API."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.pipeline.claims.forms.form import Form, Reader, each, form
from councilor.pipeline.claims.names import Name, Named, listed, token

__all__ = ["CODE_FORMS"]

KIND = (
    r"(?:function|method|class|classmethod|staticmethod|decorator|keyword[- ]only argument|keyword argument|kwarg"
    r"|parameter|param|argument|arg|option|flag|switch|attribute|property|field|constant|variable|module|submodule"
    r"|package|helper|exception|enum|mixin|protocol|type alias|alias|hook|implementation|context manager|iterator"
    r"|generator|subcommand|command|setting|config option|configuration option|endpoint|fixture|override|overload"
    r"|shortcut|wrapper|subclass|metaclass|dataclass|API|APIs|operator|backend|processor|validator|converter|plugin"
    r"|file|script|page|document)(?:e?s)?"
)
ADJECTIVE = (
    r"(?:new|public|private|optional|missing|deprecated|old|unused|obsolete|undocumented|internal|static|async|abstract"
    r"|small|simple|tiny|generic|convenience|experimental|keyword-only|positional|legacy|dead|redundant|unnecessary"
    r"|provisional|config|configuration|command-line|command line|cli|utility|corresponding|own|separate|dedicated"
    r"|top-level|module-level|default|required|extra|additional|further|outdated|stale|superfluous|duplicate[d]?|pure"
    r"|boolean|string|global|shared|common|following|two|three|four)"
)
THING = rf"(?:(?:an?|the|its|their|some|both|another|this) )?(?:{ADJECTIVE} ){{0,3}}(?:{KIND} )?(?:called |named )?"
AFTER = (
    rf"(?=(?: (?:{ADJECTIVE} )?{KIND}\b)|\s*(?:$|[.,;:)(!])| (?:to|for|from|in|into|on|of|with|which|that|so|as|and|or|by|because"
    r"|is|are|was|were|instead|when|via|at|under|using|accepting|taking|returning|plus|but|now|alongside|including|back)\b"
    r"|\s[-\u2013\u2014])"
)
ADD = r"(?<!to )(?:add(?:s|ed|ing)?|introduc(?:e|es|ed|ing)|creat(?:e|es|ed|ing)|implement(?:s|ed)?|defin(?:e|es|ed)|expos(?:e|es|ed)|extract(?:s|ed|ing)?)"
REMOVE = r"(?<!to )(?:remov(?:e|es|ed|ing)|delet(?:e|es|ed|ing)|drop(?:s|ped|ping)?|got rid of|get rid of)"
RENAME = r"(?<!to )(?:renam(?:e|es|ed|ing))"
BEEN = r"(?:is|are|was|were|has been|have been|being|is being|are being|got)"
TOUCH = r"(?:touch|chang|modif|edit|updat|alter)(?:es|ed|ing|e|y|ies|ied|s)?"
TOUCHED = r"(?:touched|changed|modified|edited|updated|altered)"
DEPENDENCY = r"(?:third-party |external |runtime |package |pip |python |dev |project |npm |library |extra |other |additional |new |further ){0,3}(?:dependenc(?:y|ies)|requirements?|packages|libraries)\b"
PARAMETERS = re.compile(r"\b(?:parameter|param|argument|arg|kwarg|keyword)s?\b", re.IGNORECASE)
ASIDE = re.compile(r"\b(?:for|using|with|of|in|by|from|on|to|via|than|as)\b[^,;:]{0,30}$", re.IGNORECASE)
"""What stands before a name that is not what a passive sentence is about."""
LISTED = re.compile(
    r"\s(?:to|in) (?:the |our )?(?:\w+ ){0,2}(?:docs?|documentation|ci|changelog|readme|matrix|list|index|toctree|table of"
    r" contents|menu|tutorial|guide|glossary)\b",
    re.IGNORECASE,
)
"""What stands behind a name that is only mentioned somewhere new."""
VAGUE = frozenset({"tests", "docs", "test", "doc", "true", "false", "none", "null", "main", "master"})


def _named(predicate: str, group: str = "s") -> Reader:
    """One claim for each name that fits the predicate: files to `*_file`, tests to `tests_added`, the rest as said."""

    def read(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
        aside = match.start(group) == match.start() and ASIDE.search(match.string[: match.start()])
        if aside or LISTED.match(match.string[match.end() :]):
            return
        for name in named.of(match[group]):
            if _fits(name, predicate):
                yield name.text, _kind(match)

    return read


def _fits(name: Name, predicate: str) -> bool:
    if predicate.endswith("_file"):
        return name.kind == "F" and not name.text.endswith("/")
    if predicate == "tests_added":
        return name.kind == "T" or (name.kind == "S" and name.text.rpartition(".")[2].startswith("test_"))
    own = name.kind == "S" and not (predicate == "added" and name.text.rpartition(".")[2].startswith("test_"))
    return own and name.text.lower() not in VAGUE


def _kind(match: re.Match[str]) -> str:
    """What sort of thing is said to be added or removed, where a verifier can tell sorts apart."""
    words = match[0].casefold()
    if PARAMETERS.search(words):
        return "parameter"
    for kind in ("class", "method", "function", "constant"):
        if re.search(rf"\b{kind}(?:e?s)?\b", words):
            return kind
    return ""


def _new(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Names that there are now, before or behind their kind."""
    for name in named.of(match["s"] or match["t"]):
        if _fits(name, "added"):
            yield name.text, _kind(match)


def _pairs(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    for old, new in zip(named.of(match["old"]), named.of(match["new"]), strict=False):
        yield old.text, new.text


def _words(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    yield match["old"], match["new"]


def _all(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Every file that is named, in one claim."""
    names = [name.text for name in named.of(match["s"]) if name.kind == "F"]
    if names:
        yield ", ".join(dict.fromkeys(names)), ""


def _either(predicate: str, verb: str, *, passive: str) -> list[Form]:
    """Names and files added or removed, said in the active or the passive."""
    object_ = rf"\b{verb} {THING}(?P<s>{listed('SF')}){AFTER}(?: (?:{ADJECTIVE} )?{KIND}\b)?"
    also = rf"\b{verb} [^;]{{0,80}}?\b(?:with|and) (?:an?|the) (?:new )?(?:{KIND} )?(?P<s>{token('S')}(?: {KIND}\b)?(?:,? and (?:an?|the) (?:new )?(?:{KIND} )?{token('S')})?)"
    noun = rf"(?P<s>{listed('SF')})(?: {KIND})?(?: {BEEN})?(?: now)? {passive}\b(?: (?:as an? )?{KIND})?"
    return [
        form(predicate, object_, _named(predicate)),
        form(f"{predicate}_file", object_, _named(f"{predicate}_file")),
        form(predicate, noun, _named(predicate)),
        form(f"{predicate}_file", noun, _named(f"{predicate}_file")),
        *([form(predicate, also, _named(predicate))] if predicate == "added" else []),
    ]


NO_API = (
    r"\b(?:public )?api(?: changes)?: (?:none|no changes?|0|unchanged|untouched)\b",
    r"\b(?:no|without(?: any)?|zero) (?:\w+ )?(?:changes? (?:to|in|of) (?:the |its |our )?(?:public )?(?:api|interface|signatures?)|(?:public |external )?(?:api|interface) (?:changes?|breakage)|signature changes)\b",
    r"\b(?:public |external |existing |exported )?(?:api|interface)s? (?:is |are |was |were |has |have |remains? |stays? |stayed |been |kept |left )*(?:completely |fully |entirely |exactly )?(?:unchanged|the same|untouched|intact|identical|not (?:been )?changed|not (?:been )?affected|unaffected|stable)\b",
    r"\b(?:did not|didn't|does not|doesn't|not) (?:change|alter|modify|touch|affect|break) (?:the |any |our )?(?:public |existing |external )?(?:api|interface|signatures?)s?\b",
    r"\b(?:keep|keeps|kept|leave|leaves|left|preserve[sd]?|retain(?:s|ed)?) (?:the )?(?:public |existing )?(?:api|interface|signatures?)s?(?: (?:\w+ )?(?:unchanged|intact|as (?:it|is)|the same|stable|untouched))?",
    r"\bneither\b[^;]{0,60}\bnor (?:new )?public (?:functions|names|classes|methods)\b",
)
COMPATIBLE = (
    r"\bbreaking changes: (?:none|no|0|zero|nothing)\b",
    r"\bno (?:breaking|backwards?[- ]incompatible|incompatible) (?:api )?changes?\b",
    r"\b(?:is|are|remains?|stays?|fully|completely|100 ?%) (?:fully |completely |100 ?% )?backwards?[- ]compatible\b",
    r"\b(?:does not|doesn't|did not|didn't) break (?:any )?(?:backwards?[- ]compatibility|existing (?:code|callers|users))\b",
)

CODE_FORMS: tuple[Form, ...] = (
    form("tests_added", rf"\b{ADD} {THING}(?:\w+ )?(?:tests? )?(?P<s>{listed('ST')}){AFTER}", _named("tests_added")),
    *_either("added", ADD, passive=r"(?:added|introduced|created|implemented|extracted)"),
    form(
        "added",
        rf"(?:^|: |, |\band )(?:an? )?new (?:{ADJECTIVE} ){{0,2}}{KIND}:? (?:called |named )?(?P<s>{listed('S')}){AFTER}",
        _named("added"),
    ),
    form("added", rf"(?:^|: |, |\band )(?:an? )?new (?P<s>{listed('S')}) {KIND}\b", _named("added")),
    form(
        "added",
        rf"\b(?:has|have|gets|got|gained|grew|gains|there (?:is|are)|takes?|accepts?|offers?|provides?) (?:now )?(?:also )?(?:an? |the |two |three )?new (?:{ADJECTIVE} ){{0,2}}(?:{KIND} )?(?:called |named )?(?P<s>{listed('S')}){AFTER}(?: (?:{ADJECTIVE} )?{KIND}\b)?",
        _named("added"),
    ),
    form(
        "added",
        rf"\b(?:gained|grew|gains|now (?:has|takes|accepts|offers|provides|supports)|now also (?:has|takes|accepts)|accepts now|there (?:is|are) now) (?:an? |the )?(?:{ADJECTIVE} ){{0,2}}(?:{KIND} (?:called |named )?(?P<s>{listed('S')})|(?P<t>{listed('S')}) (?:{ADJECTIVE} )?{KIND}\b)",
        _new,
    ),
    form(
        "added_file",
        rf"(?:^|: |, |\band )(?:an? )?new (?:file|module|page|document|script):? (?P<s>{listed('F')})",
        _named("added_file"),
    ),
    form(
        "added",
        rf"\bapart from (?:the |a )?new (?:{KIND} )?(?P<s>{listed('S')})",
        _named("added"),
        bears=("an exception",),
        negative=True,
    ),
    *_either("removed", REMOVE, passive=r"(?:removed|deleted|dropped|gone)"),
    form(
        "renamed",
        rf"\b{RENAME} {THING}(?P<old>{listed('SF')})(?: {KIND})? (?:in)?to (?:the )?(?P<new>{listed('SF')})",
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
        rf"(?P<old>{token('SF')})[^;⟦]{{0,30}}(?: (?:to|of|in|on|from) {token('SF')}[^;⟦]{{0,20}})? (?:{BEEN} )?(?:now )?renamed (?:to |into |as )?(?P<new>{token('SF')})",
        _pairs,
    ),
    form("renamed", rf"(?P<old>{token('SF')}) (?:is|was) now (?:called|named) (?P<new>{token('SF')})", _pairs),
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
        rf"\b{TOUCH} only (?:the )?(?:files? |director(?:y|ies) |folders? )?(?:under |in |inside |within )?(?P<s>{listed('F')})",
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
        "untouched",
        rf"(?P<s>{listed('F')})(?: itself| file| director(?:y|ies))? (?:is|are|was|were|remains?|stays?|has been|have been) (?:left |kept |completely |entirely )*(?:untouched|unchanged|unmodified|not (?:been )?{TOUCHED}|as (?:it was|is|they were))\b",
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
        rf"\bno (?:changes?|edits?|modifications?) (?:were made |was made |are made )?(?:to|in) (?:the )?(?P<s>{listed('F')})",
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
        rf"\bwithout (?:adding |introducing |requiring |needing |pulling in )?(?:any |an? )?{DEPENDENCY}",
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
        r"\b(?:new |added |additional )dependenc(?:y|ies): (?:none|no|0|zero|nothing)\b",
        negative=True,
    ),
    form(
        "no_new_dependencies",
        r"\bdependenc(?:y|ies)(?: list| set| footprint)? (?:is|are|was|were|remains?|stays?|stayed) (?:unchanged|the same|untouched)\b",
    ),
    form(
        "no_new_dependencies",
        r"\b(?:uses?|using|needs?|relies on|depends on|requires?|with) (?:only |nothing but )?(?:the )?(?:python )?(?:standard library|stdlib)(?: modules)? ?(?:only|alone|exclusively)?\b(?<=only|lone|vely)|\bonly (?:uses?|needs?|depends on|relies on) (?:the )?(?:python )?(?:standard library|stdlib)\b|\b(?:uses?|using) only (?:the )?(?:python )?(?:standard library|stdlib)\b|\bnothing (?:but|beyond|outside) the standard library\b",
        negative=True,
    ),
    *(form("no_api_change", pattern, negative=True) for pattern in NO_API),
    *(form("no_breaking_change", pattern, negative=True) for pattern in COMPATIBLE),
)
