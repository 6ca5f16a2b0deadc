"""What a command prints: plain lines, or the JSON lines of a coding agent, read as they come.

Rules:
- Everything printed is untrusted: control characters and terminal escapes are removed, secrets are replaced by their
  names, lines are cut, and a line that is not the JSON it seems to be is plain text.
- Secrets are looked for before anything is cut, in the raw text and once more in what becomes of it.
- JSON lines of the shapes in `agentevents.py` are understood; every other one is plain text.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from councilor.adapters.workers.agentevents import UNKNOWN, AgentEvents
from councilor.domain.secret import Secrets
from councilor.ports.worker import Progress

__all__ = ["OutputReader"]

LINE_BYTES = 1 << 20
LINES = 50
"""Of one piece, that are looked at for something to show."""


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
