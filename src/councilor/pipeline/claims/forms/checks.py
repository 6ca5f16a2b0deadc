"""How checks are spoken of: lint, types, security, building, importing, behaviour, criteria and issues."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.domain.claim import ClaimKind, Verifiability
from councilor.pipeline.claims.forms.form import Form, form
from councilor.pipeline.claims.names import Named, listed, token

__all__ = ["CHECK_FORMS"]

LINTERS = r"(?:ruff|flake8|pylint|eslint|pycodestyle|pyflakes|clippy|golangci-lint|shellcheck)"
CHECKERS = r"(?:mypy|pyright|pyre|pytype|tsc|ty)"
SCANNERS = r"(?:bandit|semgrep|pip-audit|safety|snyk|codeql|trivy|detect-secrets|gitleaks)"
LINT = r"(?:lint(?:er|ers|ing)?(?: checks?)?|static analysis)"
TYPES = r"(?:type[- ]?check(?:ing|er|s)?|types|typing|static typing|type hints check)"
ARGUMENTS = r"(?: (?:check|run|--?[\w-]+|\.|src|tests|⟦[FSC]\d{1,4}⟧)){0,4}"
OTHERS = rf"(?:(?:,| and|, and|/| \+| &) (?:{LINTERS}|{CHECKERS}|{SCANNERS}|pytest|black|isort|tests|the tests|lint|types){ARGUMENTS}){{0,4}}"
"""More tools that are said to do the same."""
CLEAN = (
    r"(?:(?:is|are|was|were|now|still|also|comes? back|runs?|ran|stays?|remains?|both|all) ){0,4}"
    r"(?:all checks passed|success|(?:no|0) issues found|clean(?:ly)?|pass(?:es|ed|ing)?|green|happy|ok|succeeds?|satisfied|quiet|silent"
    r"|(?:report|find|found|show|give|raise|flag|produce|emit|complain|detect|has|have|had|print|say)(?:s|ed)? (?:about )?(?:no|nothing|zero|0|without)\b(?: new| remaining)?(?: \w+){0,2}"
    r"|without (?:any )?(?:new )?(?:errors?|warnings?|findings?|complaints?|issues?)|error-free|free of (?:errors|warnings)|shows? 0 \w+)"
)
FINDINGS = r"(?:errors?|findings?|warnings?|issues?|problems?|violations?|complaints?|offen[cs]es?|failures?)\b"
ZERO = r"(?:no|zero|0|without(?: any)?)"
FIX = r"(?<!to )(?:fix(?:e[sd]|ing)?|clos(?:e[sd]?|ing)|resolv(?:e[sd]?|ing)|address(?:es|ed)?|solv(?:e[sd]?)|correct(?:s|ed)?|repair(?:s|ed)?)"
MEET = r"(?:fix(?:e[sd])?|satisf(?:y|ies|ied)|implement(?:s|ed)?|meets?|met|fulfil(?:s|led|ls)?|complet(?:e[sd]?)|cover(?:s|ed)?)"
MET = r"(?:satisfied|met|done|fulfilled|complete[d]?|holds?|fixed|implemented|pass(?:es|ed)?|green|achieved)"
BEHAVIOUR = r"behaviou?rs?"


def _tool(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """The tool, where one is named; whether only new findings are meant."""
    new = "new" if re.search(r"\b(?:new|additional|further)\b", match[0], re.IGNORECASE) else ""
    yield (match.groupdict().get("tool") or "").casefold(), new


def _secure(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    groups = match.groupdict()
    new = "new" if re.search(r"\b(?:new|introduc\w+)\b", match[0], re.IGNORECASE) else ""
    yield (groups.get("advisory") or (groups.get("what") or "").casefold()).strip(), new


def _secret(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    yield "secrets", ""


def _any_module(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    yield "", ""


def _module(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    for name in named.of(match["s"]):
        words = name.text.split()
        word = words[-1].removesuffix("()")
        if len(words) == 4 and words[0] == "from":
            word = f"{words[1]}.{words[3]}"
        spoken = "import" in match[0].casefold() if name.kind == "S" else "import " in name.text
        if spoken:
            yield word.strip("\"'"), ""


def _built(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    yield "", "" if re.search(r"compil", match[0], re.IGNORECASE) else "package"


def _issues(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    for name in named.of(match["s"]):
        yield name.text, ""


def _symbols(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    names = [name for name in named.of(match.groupdict().get("s") or "") if name.kind == "S"]
    for name in names:
        yield name.text, ""
    if not names:
        yield "", ""


def _lint(predicate: str, tools: str, words: str, noun: str) -> list[Form]:
    technical = ClaimKind.TECHNICAL
    return [
        form(predicate, rf"\b(?P<tool>{tools}){ARGUMENTS}{OTHERS}:? ?\b{CLEAN}", _tool, kind=technical, negative=True),
        form(
            predicate,
            rf"\b(?P<tool>{tools})(?:['\N{{RIGHT SINGLE QUOTATION MARK}}]s)?(?: results?| status)?: (?:{ZERO} {FINDINGS}|clean|pass(?:es|ed)?|ok|green|0\b)",
            _tool,
            kind=technical,
            negative=True,
        ),
        form(predicate, rf"\b{words} {CLEAN}", _tool, kind=technical, negative=True),
        form(
            predicate,
            rf"\b{words}: (?:{ZERO} {FINDINGS}|clean|pass(?:es|ed)?|ok|green|0\b)",
            _tool,
            kind=technical,
            negative=True,
        ),
        form(
            predicate,
            rf"\b{ZERO} (?:new |additional |further |remaining )?(?P<tool>{tools}) {FINDINGS}",
            _tool,
            kind=technical,
            negative=True,
        ),
        form(
            predicate,
            rf"\b{ZERO} (?:new |additional |further |remaining )?{noun} {FINDINGS}",
            _tool,
            kind=technical,
            negative=True,
        ),
        form(
            predicate,
            rf"\b{ZERO} (?:new |additional |further |remaining )?{FINDINGS} (?:from|by|in|with|under|reported by) (?P<tool>{tools})",
            _tool,
            kind=technical,
            negative=True,
        ),
    ]


CHECK_FORMS: tuple[Form, ...] = (
    *_lint("lint_clean", LINTERS, LINT, r"(?:lint(?:er|ing)?|style|static analysis)"),
    *_lint("types_clean", CHECKERS, TYPES, r"(?:type|typing|type[- ]check(?:er|ing)?)"),
    form("types_clean", r"\b(?:all |the )?types (?:now |still )?check\b", _tool, kind=ClaimKind.TECHNICAL),
    form("types_clean", rf"\bcomplian(?:ce|t) with (?P<tool>{CHECKERS})\b", _tool, kind=ClaimKind.TECHNICAL),
    form(
        "lint_clean",
        rf"\b(?:pass(?:es|ed|ing)?|satisf(?:y|ies|ied)) (?:all )?(?:the )?{LINT}",
        _tool,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "lint_clean",
        rf"\b(?:pass(?:es|ed|ing)?|satisf(?:y|ies|ied)) (?:(?:pytest|tests|{CHECKERS}|{SCANNERS}|black|isort){ARGUMENTS}(?:,| and|, and) ){{0,3}}(?P<tool>{LINTERS})\b",
        _tool,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "types_clean",
        rf"\b(?:pass(?:es|ed|ing)?|satisf(?:y|ies|ied)) (?:(?:pytest|tests|{LINTERS}|{SCANNERS}|black|isort){ARGUMENTS}(?:,| and|, and) ){{0,3}}(?P<tool>{CHECKERS})\b",
        _tool,
        kind=ClaimKind.TECHNICAL,
    ),
    form("types_clean", r"\bpass(?:es|ed)? (?:the )?type[- ]?check(?:s|ing|er)?\b", _tool, kind=ClaimKind.TECHNICAL),
    form("lint_clean", rf"\b(?:lint|(?P<tool>{LINTERS}))-(?:free|clean)\b", _tool, kind=ClaimKind.TECHNICAL),
    form(
        "types_clean",
        r"\b(?:code|it|module|package|project|everything|change|all) (?:now |still |also )?type-?checks\b",
        _tool,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "types_clean",
        rf"\btype-?checks (?:cleanly )?(?:under|with|in) (?P<tool>{CHECKERS})\b",
        _tool,
        kind=ClaimKind.TECHNICAL,
    ),
    form("lint_clean", rf"\bmakes? (?P<tool>{LINTERS}) (?:happy|pass)\b", _tool, kind=ClaimKind.TECHNICAL),
    form("types_clean", rf"\bmakes? (?P<tool>{CHECKERS}) (?:happy|pass)\b", _tool, kind=ClaimKind.TECHNICAL),
    # Security
    form(
        "secure",
        rf"\b(?P<what>{SCANNERS}){ARGUMENTS}{OTHERS}:? ?(?:{CLEAN}|{ZERO} {FINDINGS}|ok\b)",
        _secure,
        kind=ClaimKind.SECURITY,
        negative=True,
    ),
    form(
        "secure", rf"\b{ZERO} (?:new )?(?P<what>{SCANNERS}) {FINDINGS}", _secure, kind=ClaimKind.SECURITY, negative=True
    ),
    form(
        "secure",
        rf"\b{ZERO} {FINDINGS} (?:from|by|in) (?P<what>{SCANNERS})",
        _secure,
        kind=ClaimKind.SECURITY,
        negative=True,
    ),
    form(
        "secure",
        r"\b(?:no|zero|without(?: any)?|not (?:contain|include|leak|add|expose|introduce)(?: any)?|doesn't (?:contain|include|leak|add|expose|introduce)(?: any)?) (?:new |hard-?coded |leaked |committed )*(?:secrets|credentials|api keys|passwords|tokens)\b(?: or \w+)?(?: (?:were|are|was|have been|has been|in|leaked|added|committed|found)\b)?",
        _secret,
        kind=ClaimKind.SECURITY,
        negative=True,
    ),
    form(
        "secure",
        r"\b(?:introduc(?:es|ed|ing) |there are |has |have )?(?:no|zero|without(?: any)?|does not introduce (?:any )?|doesn't introduce (?:any )?|did not introduce (?:any )?|not introduce (?:any )?) ?(?:new |known |additional )*(?:security )(?:issues?|vulnerabilit(?:y|ies)|findings?|problems?|holes?|flaws?|risks?|regressions?)\b(?: (?:were|was|are|have been|has been) (?:introduced|added))?(?: (?:were |was |are )?(?:found|reported|detected) by (?P<what>bandit|semgrep|pip-audit|safety|snyk|codeql|trivy))?",
        _secure,
        kind=ClaimKind.SECURITY,
        negative=True,
    ),
    form(
        "secure",
        r"\b(?:introduc(?:es|ed|ing) )?(?:no|zero|without(?: any)?) (?:new |known |additional )*vulnerabilit(?:y|ies)\b(?: (?:were|was|are|have been|has been) (?:introduced|added))?",
        _secure,
        kind=ClaimKind.SECURITY,
        negative=True,
    ),
    form(
        "secure",
        rf"\b{FIX} [^;]{{0,60}}?(?P<advisory>\b(?:CVE-\d{{4}}-\d{{3,7}}|GHSA(?:-\w{{4}}){{3}}|PYSEC-\d{{4}}-\d+)\b)",
        _secure,
        method="fixed",
        kind=ClaimKind.SECURITY,
    ),
    form(
        "secure",
        r"(?P<advisory>\b(?:CVE-\d{4}-\d{3,7}|GHSA(?:-\w{4}){3}|PYSEC-\d{4}-\d+)\b)(?: (?:is|has been|was))? (?:now )?(?:fixed|resolved|closed|patched|mitigated)",
        _secure,
        method="fixed",
        kind=ClaimKind.SECURITY,
    ),
    form(
        "secure",
        rf"\b(?:{FIX}|patch(?:es|ed)?|clos(?:es|ed)|mitigat(?:es|ed)|eliminat(?:es|ed)) (?:[\w⟦⟧-]+ ){{0,4}}?(?:vulnerabilit(?:y|ies)|security (?:hole|issue|bug|flaw|problem)s?)\b",
        _secure,
        method="fixed",
        kind=ClaimKind.SECURITY,
    ),
    form(
        "secure",
        r"\bsecrets?(?: scan| check|s)?: (?:clean|none|no|0|ok|pass(?:ed|es)?)\b",
        _secret,
        kind=ClaimKind.SECURITY,
        negative=True,
    ),
    # Building and importing
    form(
        "builds",
        r"\b(?:wheel|package|sdist|project|distribution|docker image|image|binary|application|app|documentation|docs|site|everything|code|it|branch)(?: and (?:the )?\w+)? (?:now |still |also |all )?(?:builds?|compiles?)(?: (?:fine|cleanly|successfully|without|again|and)\b|\s*(?:$|[.,;:)]))",
        _built,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "builds",
        r"\bbuild (?:is |now |still |was )*(?:pass(?:es|ed|ing)?|succeed(?:s|ed)?|green|clean|ok|successful|works)\b",
        _built,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "builds",
        r"\b(?:successfully )(?:built|builds|compiled|compiles)\b|\b(?:python -m build|docker build|hatch build) (?:succeeds|passes|works)\b",
        _built,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "imports",
        rf"(?P<s>{token('SC')}) (?:now |still |also )?(?:works|succeeds|runs|is importable|can be imported|imports)(?: (?:fine|cleanly|without errors?|again))?\b",
        _module,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "imports",
        rf"\bimport(?:s|ing)? (?:of )?(?P<s>{token('S')}) (?:now |still )?(?:works|succeeds|is fine|without errors?)",
        _module,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "imports",
        r"\b(?:it|module|package|everything|code) (?:now |still |also )?(?:imports (?:fine|cleanly|without errors?|again)|can be imported|is importable)\b",
        _any_module,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "builds",
        r"\b(?:wheel|package|sdist|image|docs|documentation) (?:can|could) be built\b",
        _built,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    # Behaviour
    form(
        "behaviour_unchanged",
        rf"(?:(?P<s>{listed('S')})[^;⟦]{{0,30}} )?\b(?:no|without(?: any)?|zero) (?:functional|{BEHAVIOUR}|behaviou?ral|semantic|observable|user-visible|visible) (?:or \w+ )?(?:changes?|differences?)\b",
        _symbols,
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"\bno changes? (?:in|of|to) (?:the )?(?:\w+ )?{BEHAVIOUR}(?: of (?P<s>{listed('S')}))?",
        _symbols,
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"\b{BEHAVIOUR}(?: (?:of|in) (?:the )?(?P<s>{listed('S')}))? (?:is |are |was |were |has |have |remains? |stays? |stayed |been |kept )*(?:completely |fully |entirely |exactly |otherwise )?(?:unchanged|the same|identical|preserved|untouched|not changed|unaffected|as before|what it was)",
        _symbols,
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"(?P<s>{listed('S')}) (?:still )?(?:behaves?|works?|acts?|returns?) (?:exactly |just )?(?:as (?:before|it did|previously)|(?:the same|identically)(?: as before| way)?)",
        _symbols,
        negative=True,
        bears=("how it was before",),
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"(?:(?P<s>{listed('S')}) )?\b(?:did not|didn't|does not|doesn't|do not|don't|without|not) (?:chang(?:e|ing)|alter(?:ing)?|affect(?:ing)?) (?:the |any |existing |its |their )*{BEHAVIOUR}(?: of (?:the )?(?P<of>{listed('S')}))?",
        _symbols,
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        r"\b(?:pure(?:ly)?(?: an?)?|mere(?:ly)?(?: an?)?|only an?|just an?|strictly an?|simply an?) (?:internal )?refactor(?:ing)?\b|\brefactor(?:ing)? only\b",
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"\b(?:keep|keeps|kept|preserv(?:e[sd]?|ing)|retain(?:s|ed)?) (?:the )?(?:existing |same |current |old )?{BEHAVIOUR}(?: of (?:the )?(?P<s>{listed('S')}))?",
        _symbols,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"(?P<s>{listed('S')}) (?:is|are|remains?|stays?) (?:functionally|semantically|behaviou?rally) (?:unchanged|equivalent|identical|the same)",
        _symbols,
        kind=ClaimKind.TECHNICAL,
    ),
    form(
        "behaviour_unchanged",
        rf"\b{BEHAVIOUR}[- ]preserving\b|\bno (?:\w+ )?{BEHAVIOUR} changes?\b",
        negative=True,
        kind=ClaimKind.TECHNICAL,
    ),
    # Criteria and issues
    form("fixes", rf"^(?P<s>{token('J')})(?:/[^:]{{1,30}})?: (?:also )?{FIX}\b", _issues),
    form(
        "fixes",
        rf"\b{FIX}:? (?:for |of )?(?:(?:github |the )?(?:issues?|bugs?|tickets?) )?(?P<s>{listed('IJA')})",
        _issues,
    ),
    form("fixes", rf"\b{MEET} (?:the )?(?:acceptance )?(?:criteri(?:on|a) )?(?P<s>{listed('A')})", _issues),
    form(
        "fixes",
        rf"(?P<s>{listed('A')}):? (?:is |are |has been |have been )?(?:now |all |both |fully )?{MET}\b",
        _issues,
    ),
    form(
        "fixes",
        rf"(?P<s>{listed('IJ')}) (?:is |are |has been |have been )(?:now |both )?(?:fixed|resolved|closed|solved|done)\b",
        _issues,
    ),
    form(
        "fixes",
        rf"(?:^|: |\band |, |; )(?:also |bug ?|this )?{FIX}\b[^;]{{1,300}}?(?P<s>{token('J')})",
        _issues,
        bears=("a condition", "how it was before", "a hedge", "a plan", "an exception"),
        negative=True,
        method="pointer",
    ),
    form(
        "fixes",
        r"\bfix(?:ed|es) the (?:bug|issue|defect|problem)\b(?! (?:in|with|where|that|when|of)\b)",
        verifiability=Verifiability.INDIRECT,
    ),
    form(
        "fixes",
        r"\b(?:the )(?:bug|issue|defect|problem) (?:is|has been) (?:now )?(?:fixed|resolved|solved)\b",
        verifiability=Verifiability.INDIRECT,
    ),
)
