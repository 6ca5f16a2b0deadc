"""What a command prints: plain lines, or the JSON lines of a coding agent, read as they come.

Rules:
- Everything printed is untrusted: control characters and terminal escapes are removed, secrets are replaced by their
  names, lines are cut, and a line that is not the JSON it seems to be is plain text.
- Two publicly documented shapes are understood; every other JSON line is plain text:
  `claude --output-format stream-json` (`assistant`, `result`) and `codex exec --json` (`item.*`, `turn.*`, `error`).
- Tokens are all tokens of a turn, those read from a cache included; the agent's own total wins over our sum.

Neither program was run here: the shapes were taken from their documentation (docs/howto/workers.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from councilor.ports.worker import Progress

__all__ = ["OutputReader", "Secrets", "plain"]

LINE_BYTES = 1 << 20
LINE_CHARACTERS = 200
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
TOKEN_KEYS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
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
class OutputReader:
    """Reads output piece by piece and keeps what it said."""

    secrets: Secrets
    result: str | None = None
    """The agent's final text, once it came as JSON."""
    failed: bool = False
    """Whether the agent itself reported an error as its end."""
    turns: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    last_line: str = ""
    _rest: bytes = b""
    _messages: dict[str, int] = field(default_factory=dict)

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
        match event:
            case {"type": "assistant", "message": dict(message)}:
                return self._claude_message(message)
            case {"type": "result", **rest}:
                return self._claude_result(rest)
            case {"type": "item.started" | "item.updated" | "item.completed" as kind, "item": dict(item)}:
                return self._codex_item(item, ended=kind == "item.completed")
            case {"type": "turn.completed", "usage": dict(usage)}:
                self.turns += 1
                self.tokens += _number(usage, "input_tokens") + _number(usage, "output_tokens")
                return None
            case {"type": "turn.failed", "error": {"message": str(message)}} | {
                "type": "error",
                "message": str(message),
            }:
                self.failed = self.failed or event["type"] == "turn.failed"
                return message
            case {"type": "system" | "user" | "thread.started" | "turn.started" | "turn.completed"}:
                return None
        return text

    def _claude_message(self, message: dict[str, Any]) -> str | None:
        identity = message.get("id")
        usage = message.get("usage")
        if isinstance(identity, str) and isinstance(usage, dict):
            # One message comes as several lines, each with the message's whole usage.
            self._messages[identity] = sum(_number(usage, key) for key in TOKEN_KEYS)
            self.turns, self.tokens = len(self._messages), sum(self._messages.values())
        content = message.get("content")
        said = (
            [_claude_block(block) for block in content if isinstance(block, dict)] if isinstance(content, list) else []
        )
        return next((text for text in reversed(said) if text), None)

    def _claude_result(self, result: dict[str, Any]) -> str | None:
        usage = result.get("usage")
        if isinstance(usage, dict):
            self.tokens = sum(_number(usage, key) for key in TOKEN_KEYS) or self.tokens
        self.turns = _number(result, "num_turns") or self.turns
        cost = result.get("total_cost_usd")
        if isinstance(cost, int | float) and not isinstance(cost, bool) and 0 <= cost < float("inf"):
            self.cost_usd = float(cost)
        self.failed = result.get("is_error") is True or str(result.get("subtype", "")).startswith("error")
        text = result.get("result")
        self.result = text if isinstance(text, str) else self.result
        return self.result

    def _codex_item(self, item: dict[str, Any], *, ended: bool) -> str | None:
        kind = item.get("type") or item.get("item_type")
        text = item.get("text")
        if kind in {"agent_message", "assistant_message"} and isinstance(text, str):
            self.result = text if ended else self.result
            return text
        command = item.get("command")
        return f"$ {command}" if isinstance(command, str) else text if isinstance(text, str) else None


def _claude_block(block: dict[str, Any]) -> str | None:
    match block:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "tool_use", "name": str(name)}:
            return f"uses {name}"
    return None


def _number(values: Mapping[str, Any], key: str) -> int:
    value = values.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53 else 0
