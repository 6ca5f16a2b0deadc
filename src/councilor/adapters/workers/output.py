"""What a command prints: plain lines, or the JSON lines of a coding agent, read as they come.

Rules:
- Everything printed is untrusted: control characters and terminal escapes are removed, secrets are replaced by their
  names, lines are cut, and a line that is not the JSON it seems to be is plain text.
- JSON lines of the shapes in `agentevents.py` are understood; every other one is plain text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from councilor.adapters.workers.agentevents import UNKNOWN, AgentEvents
from councilor.ports.worker import Progress

__all__ = ["OutputReader", "Secrets", "plain"]

LINE_BYTES = 1 << 20
LINE_CHARACTERS = 200
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
SHORTEST_SECRET = 6


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
        for name, value in sorted(self.values.items(), key=lambda item: -len(item[1])):
            if len(value) >= SHORTEST_SECRET:
                data = data.replace(value.encode(errors="surrogateescape"), f"[{name}]".encode())
        return data


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
        for line in lines:
            self._line(line)
        return bool(lines)

    def end(self) -> None:
        """Read what stands behind the last line end."""
        rest, self._rest = self._rest, b""
        self._line(rest)

    def progress(self) -> Progress:
        """The state as a heartbeat."""
        return Progress(
            phase="running", done=self.turns, line=self.last_line, tokens=self.tokens, cost_usd=self.cost_usd
        )

    def _line(self, line: bytes) -> None:
        text = self.secrets.hide(line).decode(errors="replace")
        said = self._event(text) if text.lstrip().startswith("{") else text
        if said is not None and (words := " ".join(plain(said).split())):
            self.last_line = words[:LINE_CHARACTERS]

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
