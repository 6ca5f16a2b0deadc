"""Secrets that are known by name and value, such as a worker's credentials: hidden in texts, and found in files.

Rules:
- Each is looked for as it is, as JSON spells it, and line by line where it has several. Who encodes one otherwise gets
  it through: whoever holds a credential can tell it.
- What stands for one in a text that is kept is its name in brackets; very short values are left.

`redaction.py` is for what nobody knows: it goes by form and by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Secrets", "plain"]

LINE_CHARACTERS = 200
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
SHORTEST_SECRET = 6
SHORTEST_FOUND = 8
"""From which length on a value that a file holds is taken for the secret, and not for a word."""
SHORTEST_LINE = 16
"""Of a secret of several lines, what counts as a secret by itself."""


def plain(text: str) -> str:
    """Text without terminal escapes and control characters; line ends and tabs stay."""
    text = ESCAPE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(char for char in text if char.isprintable() or char in "\n\t")


@dataclass(frozen=True, kw_only=True, slots=True)
class Secrets:
    """Values that must not be kept, by the name that stands for them."""

    values: Mapping[str, str] = field(default_factory=dict)

    def hide(self, data: bytes) -> bytes:
        """`data` with every secret replaced by its name in brackets; very short values are left."""
        for name, value in self._longest_first():
            for form in _forms(value):
                data = data.replace(form.encode(errors="surrogateescape"), f"[{name}]".encode())
        return data

    def hide_text(self, text: str) -> str:
        """The same of a text; what cannot be encoded is replaced, too."""
        return self.hide(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def line(self, text: str, *, most: int = LINE_CHARACTERS) -> str:
        """`text` as one plain line of so many characters; a secret that it ends in the middle of is hidden, too."""
        words = self.hide_text(" ".join(plain(text).split()))
        for name, value in self._longest_first():
            at = words.rfind(value[:SHORTEST_SECRET])
            if at >= 0 and value.startswith(words[at:]):
                words = f"{words[:at]}[{name}]"
        return words[:most]

    def found_in(self, data: bytes) -> frozenset[str]:
        """Names of the secrets that some bytes hold."""
        return frozenset(
            name
            for name, value in self._longest_first()
            if len(value) >= SHORTEST_FOUND
            and any(form.encode(errors="surrogateescape") in data for form in _forms(value))
        )

    def _longest_first(self) -> Iterator[tuple[str, str]]:
        for name, value in sorted(self.values.items(), key=lambda item: -len(item[1])):
            if len(value) >= SHORTEST_SECRET:
                yield name, value


def _forms(value: str) -> Iterator[str]:
    """How a secret may be printed: as it is, within JSON, and line by line, as keys in PEM are."""
    yield value
    for ascii_only in (True, False):
        if (spelled := json.dumps(value, ensure_ascii=ascii_only)[1:-1]) != value:
            yield spelled
    if "\n" in value:
        lines = (line for line in value.splitlines() if len(line) >= SHORTEST_LINE)
        yield from (line for line in lines if not line.startswith("-----"))  # the first and last of every PEM
