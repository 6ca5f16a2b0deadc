"""Names in a sentence: files, symbols, tests, options, issues and criteria, each replaced by a short token.

Rules:
- In back-ticks anything may be a name; outside only what looks like one: a path with a suffix, a dot, an underscore or
  a capital inside, brackets, two dashes in front, `#7`, `A1`. What a tool printed, or its command, is read as words.
- Well-known proper names ("GitHub") and web addresses are no names.
- A token is a letter that tells the kind, in brackets that no report holds any more, so that patterns can ask for one
  kind: `F` file or folder, `T` test, `S` symbol or option, `I` number, `J` number of an issue that is called so, `A`
  criterion, `C` other code.
- At most `NAMES_LIMIT` names of a sentence are looked at.

It does not decide what is said of a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Name", "Named", "find_names", "listed", "token"]

NAMES_LIMIT = 40
"""Names that are looked at in one sentence; more are not meant to be read."""
OPEN, CLOSE = "\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}", "\N{MATHEMATICAL RIGHT WHITE SQUARE BRACKET}"
SUFFIXES = (
    r"(?:py|pyi|pyx|toml|cfg|ini|txt|md|rst|ya?ml|json|js|ts|tsx|css|html|lock|sh|c|h|cpp|rs|go|typed|csv|xml|svg)"
)
PLAIN = re.compile(
    r"(?P<tick>`[^`]{1,300}`)"
    r"|(?P<node>(?<![\w/])[\w./-]{1,200}\.py::[\w:]{1,200}(?:\[[^\]\s]{1,100}\])?)"
    r"|(?P<pull>\b(?:PR|pull request|MR|pull) ?#?\d{1,9}\b)"
    r"|(?P<issue>(?:\bissues? ?#?|\bgh-|(?<![\w/&])#)\d{1,9}\b)"
    rf"|(?P<path>(?<![\w./-])(?:[\w.-]{{1,80}}/){{0,12}}[\w.-]{{0,80}}\w\.{SUFFIXES}(?![\w/]))"
    r"|(?P<folder>(?<![\w./-])(?:[\w.-]{1,80}/){1,12}(?=[\s,.;:)]|\Z))"
    r"|(?P<option>(?<![\w-])--[a-z][\w-]{1,60})"
    r"|(?P<criterion>\bA\d{1,3}\b)"
    r"|(?P<symbol>(?<![\w.@/])\.?@?[A-Za-z_][\w]{0,100}(?:\.[A-Za-z_]\w{0,100}){0,6}(?:\(\))?)",
    re.IGNORECASE,
)
PROPER = frozenset(
    [
        "github",
        "gitlab",
        "pypi",
        "macos",
        "javascript",
        "typescript",
        "readme",
        "readthedocs",
        "openssl",
        "sqlite",
        "postgresql",
        "mysql",
        "cpython",
        "pypy",
        "numpy",
        "ios",
        "devops",
        "latex",
        "oauth",
        "ipv4",
        "ipv6",
        "youtube",
        "bitbucket",
        "stackoverflow",
        "circleci",
        "jetbrains",
        "vscode",
        "wasm",
        "webassembly",
        "mongodb",
        "graphql",
        "opentelemetry",
        "autoscaling",
        "kubernetes",
        "freebsd",
        "openbsd",
        "redos",
        "i.e",
        "e.g",
    ]
)
PROGRAM = re.compile(
    r"`(?:ruff|flake8|pylint|eslint|pycodestyle|pyflakes|mypy|pyright|pytype|tsc|bandit|semgrep|pip-audit|safety|snyk"
    r"|codeql|trivy|detect-secrets|gitleaks|pytest|tox|nox|unittest|black|isort|pre-commit"
    r"|(?:python3? -m|docker|hatch|poetry|uv|npm run) build|make (?:build|test|lint|check))(?: [^`]{0,200})?`",
    re.IGNORECASE,
)
"""A command of a tool in back-ticks: its words are read as if they were prose."""
BRANCH = re.compile(r"`(?:origin/)?(?:main|master|trunk|develop)`", re.IGNORECASE)
"""A branch in back-ticks, read as words too."""
OUTPUT = re.compile(
    r"`=* ?(?:\d+ (?:passed|failed|tests?|errors?|warnings?)|no issues found|success: no issues|all checks passed|ok\b"
    r"|found (?:no|0) |\d+ error)",
    re.IGNORECASE,
)
"""What a tool printed, in back-ticks: it is told, unless it stands alone."""
DOMAIN = re.compile(r"\.(?:com|org|io|net|dev|edu)\b", re.IGNORECASE)
CAPITAL_INSIDE = re.compile(r"[a-z0-9][A-Z]|[A-Z]{2}[a-z]")
FOLDER_OR_FILE = re.compile(
    rf"\.?/?(?:[\w.@-]+/)+[\w.@-]*|[\w.-]*\w\.{SUFFIXES}|\.[a-z][\w.-]+|py\.typed|Makefile|Dockerfile|LICENSE|NOTICE|Justfile|Procfile",
    re.IGNORECASE,
)
SYMBOL = re.compile(
    r"[@~.]?[A-Za-z_]\w{0,99}(?:\.[A-Za-z_]\w{0,99}){0,7}(?:\([^()]{0,80}\))?|--[a-z][\w-]{0,80}|-[a-zA-Z]"
)
NODE = re.compile(r"[\w./-]+\.py::\S{1,200}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Name:
    """One name of a sentence."""

    kind: str
    """`F`, `T`, `S`, `I`, `J`, `A` or `C`, as in the module's rules."""
    text: str
    """Without back-ticks, brackets and a leading `@`."""
    ticked: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """A sentence with tokens in place of its names."""

    text: str
    names: tuple[Name, ...]

    def of(self, group: str) -> tuple[Name, ...]:
        """The names whose tokens stand in a piece of the text, in order."""
        return tuple(self.names[int(number)] for number in re.findall(rf"{OPEN}[A-Z](\d{{1,4}}){CLOSE}", group))


def token(kinds: str) -> str:
    """A pattern for one name of these kinds."""
    return rf"{OPEN}[{kinds}]\d{{1,4}}{CLOSE}"


def listed(kinds: str) -> str:
    """A pattern for names of these kinds with commas, slashes, `and` or `or` between."""
    what = (
        "function|method|class|exception|property|attribute|option|flag|parameter|argument|constant|helper|module|file"
    )
    what = f"{what}|test file|tests?|docs|documentation" if "F" in kinds else what
    also = rf"(?:(?:the |an? |its |their )?(?:new |old |own )?(?:{what})s? (?:in )?)?"
    return (
        rf"{token(kinds)}(?:(?:, and |, or |, | / |/| and | or | & | as well as | plus ){also}{token(kinds)}){{0,30}}"
    )


def find_names(text: str) -> Named:
    """The sentence with its names found."""
    names: list[Name] = []

    def replaced(match: re.Match[str]) -> str:
        if match.lastgroup == "tick" and (
            PROGRAM.match(match[0]) or BRANCH.fullmatch(match[0]) or (OUTPUT.match(match[0]) and not alone)
        ):
            return match[0].strip("`")
        name = _name(match) if len(names) < NAMES_LIMIT else None
        if name is None:
            return match[0]
        names.append(name)
        return f"{OPEN}{name.kind}{len(names) - 1}{CLOSE}"

    alone = text.strip(" .`") == text.strip(" .")[1:-1]
    cleaned = text.replace(OPEN, "[").replace(CLOSE, "]")
    return Named(text=PLAIN.sub(replaced, cleaned), names=tuple(names))


def _name(match: re.Match[str]) -> Name | None:
    kind, word = match.lastgroup, match[0]
    if kind == "tick":
        return _ticked(word.strip("`").strip())
    if kind == "node":
        return Name(kind="T", text=word.rstrip(":."), ticked=False)
    if kind == "issue":
        return Name(kind="I" if word[0] == "#" else "J", text="#" + re.sub(r"\D", "", word), ticked=False)
    if kind == "criterion":
        return Name(kind="A", text=word.upper(), ticked=False) if word[0] == "A" else None
    if kind in ("path", "folder"):
        return None if DOMAIN.search(word) or word.lower() in PROPER else Name(kind="F", text=word, ticked=False)
    if kind == "option":
        return Name(kind="S", text=word, ticked=False)
    return _bare(word) if kind == "symbol" else None


def _ticked(word: str) -> Name | None:
    if not word:
        return None
    if NODE.fullmatch(word):
        return Name(kind="T", text=word, ticked=True)
    if re.fullmatch(r"#\d{1,9}", word):
        return Name(kind="I", text=word, ticked=True)
    if FOLDER_OR_FILE.fullmatch(word):
        return Name(kind="F", text=word.removeprefix("./"), ticked=True)
    if SYMBOL.fullmatch(word):
        return Name(kind="S", text=_clean(word), ticked=True)
    return Name(kind="C", text=word, ticked=True)


def _bare(word: str) -> Name | None:
    core = word.rstrip("()").lstrip("@.")
    if word[0] == "." and not word.endswith("()"):
        return None
    looks = word.endswith("()") or "_" in core.strip("_") or core.startswith("__") or "." in core or word[0] == "@"
    looks = looks or re.fullmatch(r"_[a-z]\w{2,}", core) is not None
    looks = looks or (CAPITAL_INSIDE.search(core) is not None and not core.isupper())
    if not looks or core.lower() in PROPER or DOMAIN.search(core):
        return None
    return Name(kind="S", text=_clean(word), ticked=False)


def _clean(word: str) -> str:
    return word.partition("(")[0].lstrip("@~.")
