"""Text that may be shown: no secrets, and nothing that drives a terminal.

Rules:
- A password in a URL, the value behind a name or an option such as `password` or `api_key`, the rest of a header with
  credentials, a bearer token, a private key and tokens of well-known form are replaced by `***`. Masking too much is
  right where one cannot know.
- Terminal escape sequences are removed; other control characters and those that reorder text are spelled out.
- Each pattern is linear in hostile text: repetitions are bounded, or stop where the pattern could begin again.
- `Redaction` does all that to nested data of every kind: what stands behind a secret's name is masked whatever it is.

It cannot recognise a secret without form: pass known ones to `mask_secrets`, and log names rather than contents.

Source: ECMA-48 (escape sequences); Boucher & Anderson 2021, "Trojan Source" (reordering characters).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from councilor.domain.codec import JsonValue

__all__ = ["MASK", "Redaction", "is_secret_name", "mask_secrets", "plain_text"]

MASK = "***"

_NAMES = (
    r"pass(?:word|wd|phrase)|pwd|secret(?:[_-]?key)?|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?"
    r"|authorization|cookie"
)
_SECRET_NAME = re.compile(rf"(?:{_NAMES})$", re.IGNORECASE)
_SHORTEST_SECRET = 4
_DEPTH_LIMIT = 8

_QUOTED = r"\\*\"[^\"]*\"|\\*'[^']*'"
"""A text in quotes, which may be escaped: JSON inside of JSON."""

_SIGNS = ("pass", "pwd", "secret", "token", "key", "credential", "authorization", "cookie")
"""One of them is in every name of `_NAMES`."""

_PATTERNS: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    (
        ("-----begin",),
        re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL),
        MASK,
    ),
    (
        ("://",),
        re.compile(r"(\b[a-z][a-z0-9+.-]{0,31}://[^\s/?#:@\"']{0,255}):[^\s\"'<>]{0,1023}@", re.IGNORECASE),
        rf"\1:{MASK}@",
    ),
    (
        ("://",),  # a user that is as long as a token is one
        re.compile(r"(\b[a-z][a-z0-9+.-]{0,31}://)[^\s/?#:@\"']{20,255}@", re.IGNORECASE),
        rf"\1{MASK}@",
    ),
    (
        # Headers, to the end of their line: what nobody knows as a scheme may be the key, or have it behind itself.
        ("authorization", "cookie"),
        re.compile(
            r"((?:authorization|cookie)\s*[=:]\s*(?:(?:Bearer|Basic|Digest|Negotiate|Token|ApiKey)\s+)?)"
            r"[^\s\"'\\][^\r\n'\\]*",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (("bearer", "basic"), re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=:-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    (
        _SIGNS,
        re.compile(
            rf"((?:{_NAMES})\\*[\"']?\s*[=:]\s*)(?!(?:\w+\s+)?\*\*\*)"
            rf"(?:{_QUOTED}|\[[^\[\]]{{0,1000}}\]|(?:(?:Bearer|Basic)\s+)?[^\s\"'&,;}}]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (
        ("--",),
        re.compile(
            rf"((?<![\w-])--(?:[a-z0-9]{{1,20}}[-_]){{0,3}}(?:{_NAMES})\s+)(?!-)(?:{_QUOTED}|[^\s\"']+)", re.IGNORECASE
        ),
        rf"\1{MASK}",
    ),
    (
        ("sk-", "gh", "github_pat_", "glpat-", "xox", "hf_", "akia"),
        re.compile(r"\b(?:sk-|gh[opsur]_|github_pat_|glpat-|xox[abprs]-|hf_)[\w-]{16,}|\bAKIA[0-9A-Z]{16}\b"),
        MASK,
    ),
    (("eyj",), re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+"), MASK),  # a JSON web token
)
"""What is in every text that it finds, in lower case, for looking is cheaper than searching; a pattern; its mask."""

# CSI, OSC, DCS/SOS/PM/APC strings, then two-character sequences; each in its 7-bit and 8-bit form.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\x9d]*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x90\x98\x9c\x9e\x9f]*(?:\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def is_secret_name(name: str) -> bool:
    """Whether something of this name is a secret: `api_key`, `V3_DATABASE_PASSWORD`; `tokens` is not."""
    return _SECRET_NAME.search(name) is not None


def mask_secrets(text: str, *, known: Iterable[str] = ()) -> str:
    """`text` with everything that looks like a secret masked, and every string of `known` with it."""
    for secret in known:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    low = text.lower()
    for signs, pattern, replacement in _PATTERNS:
        if any(sign in low for sign in signs):
            text = pattern.sub(replacement, text)
    return text


def plain_text(text: str, *, lines: bool = False) -> str:
    """`text` without terminal escapes, other controls as `\\x07`.

    Args:
        lines: keep newlines and tabs; without it they are spelled out too, so that nobody can forge a line.
    """
    keep = "\n\t" if lines else ""
    return _CONTROLS.sub(lambda found: found[0] if found[0] in keep else _spelled(found[0]), _ESCAPES.sub("", text))


def _is_secret_option(argument: object) -> bool:
    """Whether the next argument of a command is a secret: `--api-key`."""
    return isinstance(argument, str) and argument.startswith("--") and is_secret_name(argument)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class Redaction:
    """Makes values fit to be shown.

    Args:
        known: secrets that have no form of their own, masked wherever they occur.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        # The longest first, lest a part of one is masked and its rest left standing.
        self._known = tuple(sorted({secret for secret in known if secret}, key=len, reverse=True))

    def value(self, name: str, value: object, *, lines: bool = False, depth: int = 0) -> JsonValue:
        """What may be shown of a value of this name, as JSON data.

        Args:
            lines: keep newlines and tabs of a text.
            depth: how deep it lies in other data; what lies too deep becomes text.
        """
        if value is None or isinstance(value, bool):
            return value
        if is_secret_name(name):
            return MASK
        if isinstance(value, int | float):
            return value
        if isinstance(value, Mapping) and depth < _DEPTH_LIMIT:
            return {
                self.text(str(key)): self.value(str(key), item, lines=lines, depth=depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset) and depth < _DEPTH_LIMIT:
            items = list(value)
            return [
                MASK if _is_secret_option(before) else self.value(name, item, lines=lines, depth=depth + 1)
                for before, item in zip([None, *items], items, strict=False)
            ]
        return self.text(str(value), lines=lines)

    def text(self, text: str, *, lines: bool = False) -> str:
        """What may be shown of a text."""
        # Escapes first: one inside a secret would hide it from the patterns.
        return mask_secrets(plain_text(text, lines=lines), known=self._known)
