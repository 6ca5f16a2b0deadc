"""What an agent said and did, as text: its transcript, its last message, its tool calls, its cost.

Rules:
- Everything is untrusted: control characters and escapes are removed, and nothing grows without a bound.
- Secrets are replaced by their names before a line is cut, and in the whole when it is asked for.
- The report is the agent's last message: the pieces behind its last tool call.
- Every permission, and every file that was written for the agent, is a line that begins with `councilor:`; no line of
  the agent's does.
- Cost is what the agent says it is, where it says it in US dollars; tokens are those of its answer to the prompt.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from councilor.domain.permission import Wish
from councilor.domain.secret import Secrets, plain
from councilor.ports.worker import Progress

__all__ = ["REPORT_CHARACTERS", "Transcript"]

OURS = "councilor:"
REPORT_CHARACTERS = 1 << 18
LINE_CHARACTERS = 200
SHOWN_OF = 4 * LINE_CHARACTERS
CALLS = 200
PATHS = 50
PATH_CHARACTERS = 4096


@dataclass(kw_only=True, slots=True)
class Transcript:
    """Of one iteration."""

    limit_bytes: int
    secrets: Secrets = field(default_factory=Secrets)
    turns: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    last_line: str = ""
    _kept: bytearray = field(default_factory=bytearray)
    _ours: set[int] = field(default_factory=set)
    """Where in it lines of our own begin."""
    _message: list[str] = field(default_factory=list)
    _message_characters: int = 0
    _speaking: str = ""
    """`message` or `thought` while one goes on."""
    _end: str = ""
    """The end of the message, to be shown as a whole: a piece may be half a word, or half a secret."""
    _heard: bytes = b""
    """The end of what was printed, for the same reason."""
    _calls: OrderedDict[str, Wish] = field(default_factory=OrderedDict)

    @property
    def kept(self) -> bytes:
        """The transcript."""
        lines, at = list[str](), 0
        for line in bytes(self._kept).splitlines(keepends=True):
            text = plain(line.decode(errors="replace"))
            lines.append(f" {text}" if text.startswith(OURS) and at not in self._ours else text)
            at += len(line)
        return self.secrets.hide("".join(lines).encode())[: self.limit_bytes]

    @property
    def message(self) -> str:
        """The agent's last message."""
        return self.secrets.hide_text(plain("".join(self._message)).strip())

    def progress(self) -> Progress:
        """The state as a heartbeat."""
        return Progress(
            phase="running", done=len(self._calls), line=self.last_line, tokens=self.tokens, cost_usd=self.cost_usd
        )

    def hear(self, piece: bytes) -> None:
        """Keep output that is no message."""
        self._pause()
        self._keep(piece)
        self._heard = self.secrets.hide(self._heard + piece)[-SHOWN_OF:]
        self._show(self._heard.decode(errors="replace"))

    def note(self, line: str) -> None:
        """Keep a line of our own about what happened."""
        self._pause()
        if not self._kept.endswith(b"\n"):
            self._keep(b"\n" if self._kept else b"")
        words = " ".join(plain(line).split())
        self._ours.add(len(self._kept))
        self._keep(f"{OURS} {words}\n".encode(errors="replace"))
        self._show(words)

    def told(self, wish: Wish) -> str:
        """A tool call as a line."""
        paths = ", ".join(dict.fromkeys((*wish.edits, *wish.paths)))
        title, where = (self.secrets.line(text, most=LINE_CHARACTERS) for text in (wish.title, paths))
        return " ".join(plain(f"{wish.kind} {title} [{where}]").split())

    def say(self, text: str) -> None:
        """A piece of the agent's message."""
        if self._speaking != "message":
            self._pause()
            self._message, self._message_characters, self._end = [], 0, ""
            self._speaking = "message"
        self._keep(plain(text).encode(errors="replace"))
        if (room := REPORT_CHARACTERS - self._message_characters) > 0:
            self._message.append(text[:room])
            self._message_characters += len(text[:room])
        self._end = self.secrets.hide_text(self._end + text)[-SHOWN_OF:]
        self._show(self._end)

    def think(self, text: str) -> None:
        """A piece of the agent's thoughts."""
        if self._speaking != "thought":
            self._pause()
            self._keep(b"thought: ")
            self._speaking = "thought"
        self._keep(plain(text).encode(errors="replace"))

    def call(self, identity: str, wish: Wish, status: str) -> Wish:
        """A tool call, or what is new about one; everything that is known about it."""
        known = self._calls.get(identity[:LINE_CHARACTERS])
        wish = wish if known is None else merged(known, wish)
        if known is None or status in {"completed", "failed"}:
            self._pause()
            line = self.told(wish)
            self._keep(f"tool: {line} {status}\n".encode(errors="replace"))
            self._show(line)
        self._calls[identity[:LINE_CHARACTERS]] = _short(wish)
        if len(self._calls) > CALLS:
            self._calls.popitem(last=False)
        return wish

    def _pause(self) -> None:
        if self._speaking:
            self._keep(b"\n")
        self._speaking = ""

    def _show(self, text: str) -> None:
        lines = reversed(plain(text[-SHOWN_OF:]).splitlines())
        self.last_line = next((self.secrets.line(line) for line in lines if line.strip()), self.last_line)

    def _keep(self, piece: bytes) -> None:
        self._kept += piece[: max(0, self.limit_bytes - len(self._kept))]


def merged(known: Wish, new: Wish) -> Wish:
    """A tool call with what is new about it; what is not said again stays."""
    return replace(
        known,
        kind=new.kind if new.kind != "other" else known.kind,
        title=new.title or known.title,
        paths=new.paths or known.paths,
        edits=new.edits or known.edits,
    )


def _short(wish: Wish) -> Wish:
    """As much of a tool call as is remembered; a permission is answered by all of it."""
    paths, edits = ([path[:PATH_CHARACTERS] for path in several[:PATHS]] for several in (wish.paths, wish.edits))
    return replace(wish, paths=tuple(paths), edits=tuple(edits))
