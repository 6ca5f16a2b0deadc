"""How checks are spoken of: lint, types, security."""

from __future__ import annotations

import re
from collections.abc import Iterator

from councilor.domain.claim import ClaimKind
from councilor.pipeline.claims.forms.form import Form, form
from councilor.pipeline.claims.forms.results import FIX
from councilor.pipeline.claims.names import Named

__all__ = ["CHECK_FORMS"]

LINTERS = r"(?:ruff|flake8|pylint|eslint|pycodestyle|pyflakes|clippy|golangci-lint|shellcheck)"
CHECKERS = r"(?:mypy|pyright|pyre|pytype|tsc|ty)"
SCANNERS = r"(?:bandit|semgrep|pip-audit|safety|snyk|codeql|trivy|detect-secrets|gitleaks)"
LINT = r"(?:lint(?:er|ers|ing)?(?: checks?)?|static analysis)"
TYPES = r"(?:type[- ]?check(?:ing|er|s)?|types|typing|static typing|type hints check)"
ARGUMENTS = r"(?: (?:check|run|--?[\w-]+|\.|src|tests|⟦[FSC]\d{1,4}⟧)){0,4}"
OTHERS = rf"(?:(?:,| and|, and|/| \+| &) (?:the )?(?:type[- ]check(?:er|s|ing)|linter|formatter|{LINTERS}|{CHECKERS}|{SCANNERS}|pytest|black|isort|tests|the tests|lint|types){ARGUMENTS}){{0,4}}"
"""More tools that are said to do the same."""
CLEAN = (
    r"(?:(?:has|have|reports?|gives?|found|finds?|shows?) (?:nothing|no complaints?|no objections?)(?: to \w+)?|(?:is|are)? ?all (?:good|fine|clear)|(?:looks?|good|fine)\b|(?:do(?:es)? not|doesn't|don't|did not|didn't) (?:complain|report|find|flag|raise|show)\w*(?: (?:about )?(?:anything|any \w+|a single \w+))?|(?:is|are) (?:now )?(?:fine|good|content|pleased)|(?:exits?|exited|returns?|ends?) (?:with )?(?:0|zero|code 0|status 0)|(?:is|are|was|were|now|still|also|comes? back|runs?|ran|stays?|remains?|both|all) ){0,4}"
    r"(?:all checks passed|success|(?:no|0) issues found|clean(?:ly)?|pass(?:es|ed|ing)?|green|happy|ok|succeeds?|satisfied|quiet|silent"
    r"|(?:report|find|found|show|give|raise|flag|produce|emit|complain|detect|has|have|had|print|say)(?:s|ed)? (?:about )?(?:no|nothing|zero|0|without)\b(?: new| remaining)?(?: \w+){0,2}"
    r"|without (?:any )?(?:new )?(?:errors?|warnings?|findings?|complaints?|issues?)|error-free|free of (?:errors|warnings)|shows? 0 \w+)"
)
FINDINGS = r"(?:errors?|findings?|warnings?|issues?|problems?|violations?|complaints?|offen[cs]es?|failures?)\b"
WEAKNESS = (
    r"(?:(?:sql|code|command|shell|header|log|html|template|argument) injections?|xss|cross-site scripting|(?:path|directory) traversal"
    r"|denial[- ]of[- ]service|(?:re)?dos\b|csrf|cross-site request forgery|ssrf|request forgery|remote code execution"
    r"|arbitrary code execution|rce\b|(?:buffer|integer|heap|stack) overflow|open redirect|unsafe deseriali[sz]ation"
    r"|zip slip|xxe|timing attack|request smuggling|vulnerabilit(?:y|ies)|security (?:hole|issue|bug|flaw|problem)s?)"
)
"""Sorts of vulnerabilities."""
WEAK_OBJECT = r"(?:(?:an?|the|this|one|two|several|possible|potential|known|critical|serious|reported|stored|reflected|catastrophic|\w+ed|\w+al) ){0,4}"
ZERO = r"(?:no|zero|0|without(?: any)?)"


def _tool(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """The tool, where one is named; whether only new findings are meant."""
    new = "new" if re.search(r"\b(?:new|additional|further)\b", match[0], re.IGNORECASE) else ""
    yield (match.groupdict().get("tool") or "").casefold(), new


def _named_tool(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    """The tool that was run, unless it is called by its kind only."""
    tool = match["tool"].casefold()
    yield ("" if re.match("lint|static|type|typing", tool) else tool), ""


def _secure(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    groups = match.groupdict()
    new = "new" if re.search(r"\b(?:new|introduc\w+)\b", match[0], re.IGNORECASE) else ""
    yield (groups.get("advisory") or (groups.get("what") or "").casefold()).strip(), new


def _secret(match: re.Match[str], named: Named) -> Iterator[tuple[str, str]]:
    yield "secrets", ""


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
        form(predicate, rf"\b{words}{OTHERS} {CLEAN}", _tool, kind=technical, negative=True),
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
        rf"\b(?P<what>{SCANNERS}){ARGUMENTS}{OTHERS}:? ?(?:{CLEAN}|{ZERO} (?:known |new )?(?:{FINDINGS}|vulnerabilit(?:y|ies))|ok\b)",
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
    # The last of several tools
    *(
        form(
            predicate,
            rf"\b(?:{LINTERS}|{CHECKERS}|{SCANNERS}|pytest|black|isort|tests|lint|types){OTHERS}(?:, | and |, and | & )(?P<tool>{tools}){ARGUMENTS} {CLEAN}",
            _tool,
            kind=ClaimKind.TECHNICAL,
            negative=True,
        )
        for predicate, tools in (("lint_clean", LINTERS), ("types_clean", CHECKERS))
    ),
    form(
        "secure",
        rf"\b(?:{LINTERS}|{CHECKERS}|{SCANNERS}|pytest|black|isort|tests|lint|types){OTHERS}(?:, | and |, and | & )(?P<what>{SCANNERS}){ARGUMENTS} {CLEAN}",
        _secure,
        kind=ClaimKind.SECURITY,
        negative=True,
    ),
    form(
        "secure",
        rf"\b(?:{FIX}|patch(?:es|ed)?|mitigat(?:es?|ed)|prevents?|prevented|eliminat(?:es?|ed)|remov(?:es?|ed)) {WEAK_OBJECT}{WEAKNESS}",
        _secure,
        method="fixed",
        kind=ClaimKind.SECURITY,
        bears=("a hedge",),
    ),
    form(
        "secure",
        rf"\b{WEAKNESS}(?: (?:vulnerability|attack|hole|issue|bug|problem|flaw|vector))?(?: (?:in|of|via|through|by|with) [^;,]{{1,60}}?)? (?:is|are|was|were|has been|have been) (?:now )?(?:closed|fixed|resolved|patched|mitigated|eliminated|gone|prevented|addressed|removed)\b",
        _secure,
        method="fixed",
        kind=ClaimKind.SECURITY,
    ),
    form(
        "secure",
        r"\b(?:no|without(?: any)?|zero) (?:new |known )?(?:vulnerabilit(?:y|ies)|security \w+) (?:is |are |was |were )?(?:introduced|added|found|detected|reported)\b",
        _secure,
        kind=ClaimKind.SECURITY,
        negative=True,
    ),
    *(
        form(
            predicate,
            rf"\b(?:ran|run|executed|tried) (?:the )?(?P<tool>{tools}|{words}){ARGUMENTS}[^;]{{0,30}}?(?:,| and| and it|:|,? which|, it) ?(?:it )?(?:reported|reports|found|finds|gave|showed|shows|printed|had|returned|came back with|raised)? ?(?:no|nothing|zero|0|clean)\b",
            _named_tool,
            kind=ClaimKind.TECHNICAL,
            negative=True,
        )
        for predicate, tools, words in (("lint_clean", LINTERS, LINT), ("types_clean", CHECKERS, TYPES))
    ),
    # Of the code
    form(
        "lint_clean",
        r"\b(?:no|zero|without(?: any)?) (?:new |additional |further )(?:compiler |static analysis |lint(?:er)? )?warnings\b",
        _tool,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "types_clean",
        r"\b(?:type[- ]check(?:er|ing|s)?|typing)(?: run)? {CLEAN}".replace("{CLEAN}", CLEAN),
        _tool,
        kind=ClaimKind.TECHNICAL,
        negative=True,
    ),
    form(
        "secure",
        rf"\b{ZERO} (?:known |new )?(?:vulnerabilit(?:y|ies)|security \w+)[^;,]{{0,30}}? (?:according to|by|in|per|reported by|says) (?P<what>{SCANNERS})",
        _secure,
        kind=ClaimKind.SECURITY,
        negative=True,
    ),
)
