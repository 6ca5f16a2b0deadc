"""How code and files are spoken of: names and files added, removed, renamed, what was touched, dependencies, the API."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.pipeline.claims.forms.form import Form, Reader, form
from councilor.pipeline.claims.names import Name, Named, listed, token

__all__ = ["ADJECTIVE", "BEEN", "CODE_FORMS", "KIND", "THING", "fits", "kind_of", "named_as"]

KIND = (
    r"(?:function|method|class|classmethod|staticmethod|decorator|keyword[- ]only argument|keyword argument|kwarg"
    r"|parameter|param|argument|arg|option|flag|switch|attribute|property|field|constant|variable|module|submodule"
    r"|package|helper|exception|enum|mixin|protocol|type alias|alias|hook|implementation|context manager|iterator"
    r"|generator|constructor|initiali[sz]er|subcommand|command|setting|config option|configuration option|endpoint|fixture|override|overload"
    r"|shortcut|wrapper|subclass|metaclass|dataclass|API|APIs|operator|backend|processor|validator|converter|plugin"
    r"|file|script|page|document|marker|marker file|callback|filter|context variable|dict(?:ionary)?|mapping|list|table|registr(?:y|i)|handler|manager|object|adapter|loader|factor(?:y|i)|client|cache|container|tag|macro|template|wrapper class|namedtuple|tuple|set|base class|routine|utility|util|api|descriptor|accessor|getter|setter|predicate|sentinel|directive|role|signal|event|middleware|tool|action|mode|level|variant|environment variable|type|key)(?:e?s)?"
)
ADJECTIVE = (
    r"(?:new|helper|public|private|optional|missing|deprecated|old|unused|obsolete|undocumented|internal|static|async|abstract"
    r"|small|simple|tiny|generic|convenience|experimental|keyword-only|positional|legacy|dead|redundant|unnecessary"
    r"|provisional|config|configuration|command-line|command line|cli|utility|corresponding|own|separate|dedicated"
    r"|top-level|module-level|default|required|extra|additional|further|outdated|stale|superfluous|duplicate[d]?|pure"
    r"|boolean|string|global|shared|common|following|two|three|four)"
)
THING = rf"(?:(?:an?|one|the|its|their|some|both|another|this) )?(?:{ADJECTIVE} ){{0,3}}(?:{KIND}[:,]? )?(?:called |named )?"
AFTER = (
    rf"(?=(?: (?:{ADJECTIVE} )?{KIND}\b)|\s*(?:$|[.,;:)(!])| (?:to|for|from|in|into|on|of|with|which|that|so|as|and|or|by|because"
    r"|without|where|whose|since|after|before|instead|when|via|at|under|using|accepting|taking|returning|plus|but|alongside|including|back)\b"
    r"|\s[-\u2013\u2014])"
)
ADD = r"(?<!to )(?:add(?:s|ed|ing)?|introduc(?:e|es|ed|ing)|creat(?:e|es|ed|ing)|implement(?:s|ed)?|defin(?:e|es|ed)|expos(?:e|es|ed)|extract(?:s|ed|ing)?|factor(?:s|ed)? out|split(?:s)? out|pull(?:s|ed)? out)"
REMOVE = r"(?<!to )(?:remov(?:e|es|ed|ing)|delet(?:e|es|ed|ing)|drop(?:s|ped|ping)?|got rid of|get rid of)"
BEEN = r"(?:is|are|was|were|has been|have been|being|is being|are being|got)"
PARAMETERS = re.compile(r"\b(?:parameter|param|argument|arg|kwarg|keyword)s?\b", re.IGNORECASE)
BESIDE = r"(?:parameter|argument|option|flag|keyword argument|method|function|attribute|class)"
COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an the and or of for to in on with from that which this new old more some any all another each other keyword "
        "positional optional required named helper utility command line cli config configuration default extra missing "
        "type types docstring support test tests unused private public internal static abstract custom generic special "
        "additional redundant deprecated second first third single main core base parent child same own its their using "
        "as called named by is are was were common useful convenience factory wrapper callback lambda magic dunder data "
        "context instance member constructor async sync iterator generator property decorator class function method",
    )
)
"""Words beside a kind that only describe it."""
ASIDE = re.compile(r"\b(?:for|using|with|of|in|by|from|on|to|via|than|as)\b[^,;:]{0,30}$", re.IGNORECASE)
"""What stands before a name that is not what a passive sentence is about."""
DOES = re.compile(
    r"⟧(?:\(\))?(?: (?:method|function|class|option|command|\w+s))?(?: (?:now|also|always|no longer|only|automatically))? $"
    r"|\b(?:avoid|prevent|stop|skip|allow|support|forbid|try)(?:s|ed|ped|ing)? $|\b(?:when|while|before|after|for|from) $",
    re.IGNORECASE,
)
"""What stands before a verb that tells what code does rather than what was done to it."""
GERUND = re.compile(r"\w+ing\b", re.IGNORECASE)
FINITE = re.compile(
    r"\b(?:now|is|are|was|were|raises?|fails?|works?|no longer|can|does|did|breaks?|causes?|makes?|means|helps?)\b",
    re.IGNORECASE,
)
"""What makes "adding `x` ..." a subject rather than a deed."""
LISTED = re.compile(
    r"\s(?:to|in) (?:the |our )?(?:\w+ ){0,2}(?:docs?|documentation|ci|changelog|readme|matrix|list|index|toctree|table of"
    r" contents|menu|tutorial|guide|glossary)\b|\sas (?:an? )?(?:new |optional |extra )?(?:dependency|requirement|author"
    r"|contributor|maintainer)\b",
    re.IGNORECASE,
)
"""What stands behind a name that is only mentioned somewhere new."""
VAGUE = frozenset(
    [
        "tests",
        "todo",
        "fixme",
        "changelog",
        "readme",
        "__future__",
        "docs",
        "test",
        "doc",
        "true",
        "false",
        "none",
        "null",
        "main",
        "master",
        "await",
        "async",
        "return",
        "yield",
        "raise",
        "pass",
        "try",
        "except",
        "finally",
        "import",
        "global",
        "lambda",
        "assert",
        "del",
        "self",
        "cls",
        "list",
        "dict",
        "set",
        "tuple",
        "str",
        "int",
        "float",
        "bool",
        "bytes",
        "object",
        "print",
        "isinstance",
        "if",
        "else",
        "for",
        "while",
        "with",
    ]
)
"""Words of the language and of every project: they are no names that come or go."""


def named_as(predicate: str, group: str = "s") -> Reader:
    """One claim for each name that fits the predicate: files to `*_file`, tests to `tests_added`, the rest as said."""

    def read(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
        if not match[0].startswith("\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}") and DOES.search(
            match.string[: match.start()]
        ):
            return
        if GERUND.match(match[0]) and not match.string[: match.start()].strip() and FINITE.search(match.string):
            return
        aside = match.start(group) == match.start() and ASIDE.search(match.string[: match.start()])
        if aside or LISTED.match(match.string[match.end() :]) or _exported(match, named):
            return
        for name in named.of(match[group]):
            if fits(name, predicate):
                yield name.text, "" if predicate == "tests_added" else kind_of(match)

    return read


def _exported(match: re.Match[str], named: Named) -> bool:
    """Whether a name is only put into `__all__`."""
    to = re.match(rf" (?:to|in) ({token('S')})", match.string[match.end() :])
    return bool(to) and any(name.text.endswith("__all__") for name in named.of(to[1] if to else ""))


def fits(name: Name, predicate: str) -> bool:
    """Whether a name may be what a predicate is about."""
    if predicate.endswith("_file"):
        return name.kind == "F" and not name.text.endswith("/")
    if predicate == "tests_added":
        return name.kind == "T" or (name.kind == "S" and name.text.rpartition(".")[2].startswith("test_"))
    own = name.kind == "S" and not (predicate == "added" and name.text.rpartition(".")[2].startswith("test_"))
    return own and name.text.lower() not in VAGUE


def kind_of(match: re.Match[str]) -> str:
    """What sort of thing is said to be added or removed, where a verifier can tell sorts apart."""
    words = match[0].casefold()
    if PARAMETERS.search(words):
        return "parameter"
    for kind in ("class", "method", "function", "constant"):
        if re.search(rf"\b{kind}(?:e?s)?\b", words):
            return kind
    return ""


def _word(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """A bare word that stands directly beside what it is."""
    if match["word"].casefold() not in COMMON:
        yield match["word"], kind_of(match)


def _new(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """Names that there are now, before or behind their kind."""
    for name in named.of(match["s"] or match["t"]):
        if fits(name, "added"):
            yield name.text, kind_of(match)


OLD = ("how it was before",)
"""What is said to go, or to come in its place, may be called what it was before."""


def _either(predicate: str, verb: str, *, passive: str) -> list[Form]:
    """Names and files added or removed, said in the active or the passive."""
    object_ = rf"\b{verb} {THING}(?P<s>{listed('SF')}){AFTER}(?: (?:{ADJECTIVE} )?{KIND}\b)?"
    also = rf"\b{verb} [^;]{{0,80}}?\b(?:with|and) (?:an?|the) (?:new )?(?:{KIND} )?(?P<s>{token('S')}(?: {KIND}\b)?(?:,? and (?:an?|the) (?:new )?(?:{KIND} )?{token('S')})?)"
    noun = rf"(?P<s>{listed('SF')})(?: {KIND})?(?: {BEEN})?(?: now)? {passive}\b(?: (?:as an? )?{KIND})?"
    return [
        form(predicate, object_, named_as(predicate), bears=OLD),
        form(f"{predicate}_file", object_, named_as(f"{predicate}_file"), bears=OLD),
        form(predicate, noun, named_as(predicate), bears=OLD),
        form(f"{predicate}_file", noun, named_as(f"{predicate}_file")),
        *([form(predicate, also, named_as(predicate))] if predicate == "added" else []),
    ]


CODE_FORMS: tuple[Form, ...] = (
    form("tests_added", rf"\b{ADD} {THING}(?:\w+ )?(?:tests? )?(?P<s>{listed('ST')}){AFTER}", named_as("tests_added")),
    *_either("added", ADD, passive=r"(?:added|introduced|created|implemented|extracted)"),
    form(
        "added",
        rf"(?:^|: |, |\band )(?:an? )?new (?:{ADJECTIVE} ){{0,2}}{KIND}:? (?:called |named )?(?P<s>{listed('S')}){AFTER}",
        named_as("added"),
    ),
    form("added", rf"(?:^|: |, |\band )(?:an? )?new (?P<s>{listed('S')}) {KIND}\b", named_as("added")),
    form(
        "added",
        rf"\b(?:has|have|gets|got|gained|grew|gains|there (?:is|are)|takes?|accepts?|offers?|provides?) (?:now )?(?:also )?(?:an? |the |two |three )?new (?:{ADJECTIVE} ){{0,2}}(?:{KIND} )?(?:called |named )?(?P<s>{listed('S')}){AFTER}(?: (?:{ADJECTIVE} )?{KIND}\b)?",
        named_as("added"),
    ),
    form(
        "added",
        rf"\b(?:gained|grew|gains|now (?:has|takes|accepts|offers|provides|supports)|now also (?:has|takes|accepts)|accepts now|there (?:is|are) now) (?:an? |the )?(?:{ADJECTIVE} ){{0,2}}(?:{KIND} (?:called |named )?(?P<s>{listed('S')})|(?P<t>{listed('S')}) (?:{ADJECTIVE} )?{KIND}\b)",
        _new,
    ),
    form(
        "added_file",
        rf"(?:^|: |, |\band )(?:an? )?new (?:file|module|page|document|script):? (?P<s>{listed('F')})",
        named_as("added_file"),
    ),
    form(
        "added",
        rf"\bapart from (?:the |a )?new (?:{KIND} )?(?P<s>{listed('S')})",
        named_as("added"),
        bears=("an exception",),
        negative=True,
    ),
    form(
        "removed",
        rf"\b(?:there is|there are|has|have) no(?:t any)? (?:longer|more) (?:an? |any )?(?:{KIND} )?(?P<s>{listed('S')})",
        named_as("removed"),
        negative=True,
    ),
    form(
        "removed",
        rf"(?P<s>{listed('S')})(?: {KIND})? (?:no longer exists?|(?:does not|doesn't|do not|don't) exist any ?more|(?:is|are) no more)\b",
        named_as("removed"),
        negative=True,
    ),
    form("added", rf"(?:^|\b)new: (?P<s>{listed('S')}){AFTER}", named_as("added")),
    form("added", rf"^(?:the )?(?:{KIND} )?(?P<s>{listed('S')}) (?:is|are) new\b", named_as("added")),
    form("added_file", rf"^(?:the )?(?:{KIND} )?(?P<s>{listed('F')}) (?:is|are) new\b", named_as("added_file")),
    form(
        "added_file",
        rf"\b(?:new files?|files? (?:added|created)|(?:added|created) files?): (?P<s>{listed('F')})",
        named_as("added_file"),
    ),
    form(
        "removed_file",
        rf"\b(?:files? (?:removed|deleted)|(?:removed|deleted) files?): (?P<s>{listed('F')})",
        named_as("removed_file"),
    ),
    form(
        "added",
        rf"\b(?:got|gets|has) (?:an? )(?:{ADJECTIVE} ){{0,2}}(?P<s>{listed('S')}) (?:parameter|argument|option|flag|keyword argument)\b",
        named_as("added"),
    ),
    form(
        "added", rf"\b{ADD} (?:an? |the )?(?:{ADJECTIVE} ){{0,2}}{BESIDE} (?P<word>[a-z_][\w-]{{1,60}}){AFTER}", _word
    ),
    form("added", rf"\b{ADD} (?:an? |the )?(?:{ADJECTIVE} ){{0,2}}(?P<word>[a-z_][\w-]{{1,60}}) {BESIDE}\b", _word),
    form(
        "removed",
        rf"\b{REMOVE} (?:an? |the )?(?:{ADJECTIVE} ){{0,2}}{BESIDE} (?P<word>[a-z_][\w-]{{1,60}}){AFTER}",
        _word,
    ),
    form(
        "removed", rf"\b{REMOVE} (?:an? |the )?(?:{ADJECTIVE} ){{0,2}}(?P<word>[a-z_][\w-]{{1,60}}) {BESIDE}\b", _word
    ),
    *_either("removed", REMOVE, passive=r"(?:removed|deleted|dropped|gone)"),
)
