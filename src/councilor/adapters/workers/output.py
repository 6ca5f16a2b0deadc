"""What a command prints: plain lines, or the JSON lines of a coding agent, read as they come.

Rules:
- Everything printed is untrusted: control characters and terminal escapes are removed, secrets are replaced by their
  names, lines are cut, and a line that is not the JSON it seems to be is plain text.
- Secrets are looked for before anything is cut, as they are and as JSON spells them, in the raw text and once more in
  what becomes of it. Who encodes one otherwise gets it through: whoever holds a credential can tell it.
- JSON lines of the shapes in `agentevents.py` are understood; every other one is plain text.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from councilor.adapters.workers.agentevents import UNKNOWN, AgentEvents
from councilor.ports.worker import Progress

__all__ = ["OutputReader", "Secrets", "plain"]

LINE_BYTES = 1 << 20
LINES = 50
"""Of one piece, that are looked at for something to show."""
LINE_CHARACTERS = 200
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
SHORTEST_SECRET = 6
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
        yield from (line for line in value.splitlines() if len(line) >= SHORTEST_LINE)


@dataclass(kw_only=True, slots=True)
class OutputReader(AgentEvents):
    """Reads output piece by piece and keeps what it said."""

    secrets: Secrets
    last_line: str = ""
    _rest: bytes = b""

    def feed(self, piece: bytes) -> bool:
        """Read more output; whether a whole line was read."""
        *lines, rest = (self._rest + piece).split(b"\n")
        self._rest = rest[-LINE_BYTES:]
        self._read(lines)
        return bool(lines)

    def end(self) -> None:
        """Read what stands behind the last line end."""
        rest, self._rest = self._rest, b""
        self._read([rest])

    def progress(self) -> Progress:
        """The state as a heartbeat."""
        return Progress(
            phase="running", done=self.turns, line=self.last_line, tokens=self.tokens, cost_usd=self.cost_usd
        )

    def _read(self, lines: Iterable[bytes]) -> None:
        """Take every event, and of what is shown the newest: a piece may have thousands of lines."""
        said = deque[str | bytes](maxlen=LINES)
        for line in lines:
            bare = line.strip()
            if not (bare.startswith(b"{") and b'"type"' in bare):  # every event that is understood has one
                said += [line] if bare else []
            elif (told := self._event(self.secrets.hide(line).decode(errors="replace"))) is not None:
                said.append(told)
        for text in reversed(said):
            if words := self.secrets.line(text if isinstance(text, str) else text.decode(errors="replace")):
                self.last_line = words
                return

    def _event(self, text: str) -> str | None:
        """What a JSON line says to a person; the line itself when it is not one of the known events."""
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            return text
        if not isinstance(event, dict):
            return text
        said = self.read(event)
        return text if said is UNKNOWN else said
