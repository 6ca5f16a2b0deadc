"""JSON lines of the well-known coding agents: what they say, what it cost, and whether they failed.

Rules:
- Understood are the shapes of `claude --output-format stream-json`, `codex exec --json`,
  `gemini --output-format stream-json`, `opencode run --format json` and `goose run --output-format stream-json`, told
  apart by their fields: an agent does not have to be named. A line of no such shape is `UNKNOWN`.
- The report is the agent's final message: its last whole one, or the pieces that came behind its last tool call.
- Tokens are all tokens of a turn, those read from a cache included; the agent's own total wins over our sum. Cost and
  turns are the agent's own; where it does not tell them they stay 0.
- Everything is untrusted: wrong types are nothing, and what grows is bounded.

None of these programs was run here: the shapes were taken from their public descriptions (docs/howto/agents.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["DEAREST", "MOST_TOKENS", "UNKNOWN", "AgentEvents"]

UNKNOWN: Final = "\0unknown"
"""What `read` answers to an event that is none of these; no text of an agent's is, for its control characters go."""
CLAUDE_TOKENS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
RESULT_CHARACTERS = 1 << 18
MESSAGES = 100_000
DEAREST = 1e9
"""US dollars; what claims to have cost more is nonsense."""
MOST_TOKENS = 1 << 53
"""The same of tokens. Larger numbers are not exact in JSON."""


@dataclass(kw_only=True, slots=True)
class AgentEvents:
    """What an agent's events said so far."""

    result: str | None = None
    """The agent's final text, once it came as JSON."""
    failed: bool = False
    """Whether the agent itself reported an error as its end."""
    turns: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    _messages: dict[str, int] = field(default_factory=dict)
    _told: int = 0
    """The sum of them: adding all up for each would take minutes once there are as many as may be."""
    _speaking: bool = False

    def read(self, event: dict[str, Any]) -> str | None:
        """Take an event; what it says to a person, None when that is nothing, `UNKNOWN` when it is none of these."""
        for read in (self._gemini, self._opencode, self._goose, self._claude, self._codex):
            if (said := read(event)) is not UNKNOWN:
                return said
        return UNKNOWN

    def _claude(self, event: dict[str, Any]) -> str | None:
        match event:
            case {"type": "assistant", "message": dict(message)}:
                return self._claude_message(message)
            case {"type": "result"}:
                return self._claude_result(event)
            case {"type": "system" | "user"}:
                return None
        return UNKNOWN

    def _claude_message(self, message: dict[str, Any]) -> str | None:
        identity = message.get("id")
        usage = message.get("usage")
        if isinstance(identity, str) and isinstance(usage, dict) and len(self._messages) < MESSAGES:
            # One message comes as several lines, each with the message's whole usage.
            before, now = self._messages.get(identity, 0), sum(_number(usage, key) for key in CLAUDE_TOKENS)
            self._messages[identity] = now
            self._told += now - before
            self.turns, self.tokens = len(self._messages), self._told
        return _last_block(message.get("content"))

    def _claude_result(self, result: dict[str, Any]) -> str | None:
        usage = result.get("usage")
        if isinstance(usage, dict):
            self.tokens = sum(_number(usage, key) for key in CLAUDE_TOKENS) or self.tokens
        self.turns = _number(result, "num_turns") or self.turns
        self.cost_usd = _cost(result, "total_cost_usd") or self.cost_usd
        self.failed = result.get("is_error") is True or str(result.get("subtype", "")).startswith("error")
        text = result.get("result")
        self.result = text if isinstance(text, str) else self.result
        return self.result

    def _codex(self, event: dict[str, Any]) -> str | None:
        match event:
            case {"type": "item.started" | "item.updated" | "item.completed" as kind, "item": dict(item)}:
                return self._codex_item(item, ended=kind == "item.completed")
            case {"type": "turn.completed", "usage": dict(usage)}:
                self.turns += 1
                self.tokens += _number(usage, "input_tokens") + _number(usage, "output_tokens")
                return None
            case {"type": "turn.failed", "error": {"message": str(message)}}:
                self.failed = True
                return message
            case {"type": "error", "message": str(message)}:
                return message
            case {"type": "thread.started" | "turn.started" | "turn.completed"}:
                return None
        return UNKNOWN

    def _codex_item(self, item: dict[str, Any], *, ended: bool) -> str | None:
        kind = item.get("type") or item.get("item_type")
        text = item.get("text")
        if kind in {"agent_message", "assistant_message"} and isinstance(text, str):
            self.result = text if ended else self.result
            return text
        command = item.get("command")
        return f"$ {command}" if isinstance(command, str) else text if isinstance(text, str) else None

    def _gemini(self, event: dict[str, Any]) -> str | None:
        match event:
            case {"type": "message", "role": "assistant", "content": str(text)}:
                return self._say(text, more=event.get("delta") is True)
            case {"type": "tool_use", "tool_name": str(name)}:
                return self._pause(f"uses {name}")
            case {"type": "tool_result", "tool_id": _}:
                return self._pause(None)
            case {"type": "error", "severity": str(severity), "message": str(message)}:
                return f"{severity}: {message}"
            case {"type": "result", "status": "success" | "error" as status}:
                stats, error = event.get("stats"), event.get("error")
                self.tokens = (_number(stats, "total_tokens") if isinstance(stats, dict) else 0) or self.tokens
                self.failed = status == "error"
                return str(error.get("message")) if isinstance(error, dict) else None
            case {"type": "init", "session_id": _} | {"type": "message", "role": "user", "content": str()}:
                return None
        return UNKNOWN

    def _opencode(self, event: dict[str, Any]) -> str | None:
        match event:
            case {"type": "text", "part": {"text": str(text)}}:
                return self._say(text, more=False)
            case {"type": "tool_use", "part": {"tool": str(name)}}:
                return self._pause(f"uses {name}")
            case {"type": "step_finish", "part": dict(part)}:
                self._opencode_step(part)
                return None
            case {"type": "error", "error": dict(error)}:
                self.failed = True
                data = error.get("data")
                message = data.get("message") if isinstance(data, dict) else None
                return message if isinstance(message, str) else str(error.get("name"))
            case {"type": "step_start" | "reasoning", "part": dict()}:
                return None
        return UNKNOWN

    def _opencode_step(self, part: dict[str, Any]) -> None:
        self.turns += 1
        self.cost_usd += _cost(part, "cost")
        tokens = part.get("tokens")
        if isinstance(tokens, dict):
            cache = tokens.get("cache")
            self.tokens += sum(_number(tokens, key) for key in ("input", "output", "reasoning"))
            self.tokens += sum(_number(cache, key) for key in ("read", "write")) if isinstance(cache, dict) else 0

    def _goose(self, event: dict[str, Any]) -> str | None:
        match event:
            case {"type": "message", "message": {"role": "assistant", "content": list(blocks)}}:
                return self._goose_message(blocks)
            case {"type": "error", "error": str(message)}:
                self.failed = True
                return message
            case {"type": "complete", "total_tokens": _}:
                both = _number(event, "input_tokens") + _number(event, "output_tokens")
                self.tokens = _number(event, "total_tokens") or both or self.tokens
                self.cost_usd = _cost(event, "cost_usd") or self.cost_usd
                return None
            case {"type": "message", "message": {"role": _}}:
                return self._pause(None)
            case {"type": "notification", "extension_id": _}:
                return None
        return UNKNOWN

    def _goose_message(self, blocks: list[Any]) -> str | None:
        """One message comes in pieces; one that asks for a tool ends it."""
        texts = [text for block in blocks if (text := _text(block))]
        said = self._say("".join(texts), more=True) if texts else None
        asks = any(isinstance(block, dict) and block.get("type") == "toolRequest" for block in blocks)
        return self._pause(said) if asks else said

    def _say(self, text: str, *, more: bool) -> str | None:
        """Take a message, or a piece that goes on with the one before it; what it says by now."""
        before = (self.result or "") if more and self._speaking else ""
        self.result, self._speaking = (before + text)[:RESULT_CHARACTERS], True
        return self.result[-1000:]

    def _pause(self, said: str | None) -> str | None:
        """What comes next is another message."""
        self._speaking = False
        return said


def _last_block(content: object) -> str | None:
    said = [_block(block) for block in content] if isinstance(content, list) else []
    return next((text for text in reversed(said) if text), None)


def _block(block: object) -> str | None:
    match block:
        case {"type": "tool_use", "name": str(name)}:
            return f"uses {name}"
    return _text(block)


def _text(block: object) -> str | None:
    match block:
        case {"type": "text", "text": str(text)}:
            return text
    return None


def _number(values: Mapping[str, Any], key: str) -> int:
    value = values.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS else 0


def _cost(values: Mapping[str, Any], key: str) -> float:
    value = values.get(key)
    sound = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < DEAREST
    return float(value) if sound and value is not None else 0.0
