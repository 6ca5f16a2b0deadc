"""Working with a language model: a conversation in which it may call tools, one turn after another.

The conversation belongs to who leads it: each turn sends all of it. What a model says, and which tools it calls with
what, is untrusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from councilor.ports.chat import Spent

__all__ = ["Conversation", "Heard", "Message", "Role", "ToolCall", "ToolForm", "Turn", "TurnRequest"]


class Role(StrEnum):
    """Who says a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolForm:
    """A tool as the model is told of it."""

    name: str
    description: str
    schema: Mapping[str, Any]
    """JSON Schema of its arguments, an object."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """A call that the model asks for."""

    id: str
    """What its result is told by; no two calls of one turn share it."""
    name: str
    arguments: str
    """JSON text as the model wrote it, not checked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    """Of the model's own messages."""
    call_id: str = ""
    """Which call a tool's message is the result of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnRequest:
    """What a model gets for one turn."""

    messages: tuple[Message, ...]
    tools: tuple[ToolForm, ...]
    max_tokens: int
    """Most tokens of the answer."""
    idle_timeout_s: float
    """Longest silence; a try that is silent for longer is given up."""
    timeout_s: float
    """Seconds for everything, further tries included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """How far a turn is."""

    line: str
    """The end of what the model is saying, as one line; untrusted."""
    tokens: int
    """An estimate of what the turn has taken so far, failed tries included."""
    tries: int
    """Counted from 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What a model said and wants done."""

    text: str
    calls: tuple[ToolCall, ...]
    cut: bool
    """Whether it was cut off at `max_tokens`, so that its last call may be half a call."""
    model: str
    """The model's name as the server tells it; empty when it does not."""
    spent: Spent
    """Of all tries; what a server does not tell is estimated."""
    tries: int
    """Counted from 1."""
    finish_reason: str = ""
    """Why it stopped, as the server tells it: `tool_calls`; empty when it does not."""


class Conversation(Protocol):
    """One model behind an endpoint that can call tools."""

    @property
    def model(self) -> str:
        """The model's name as it is configured."""
        ...

    async def turn(self, request: TurnRequest, *, hear: Callable[[Heard], None]) -> Turn:
        """Let the model have its turn; never later than the request's `timeout_s`.

        Args:
            hear: told how far it is, as the answer comes.

        Raises:
            TooLongError: the conversation does not fit into the model's context.
            DeadlineError: there was no answer in time.
            UnusableAnswerError: what came back is no answer: too long, filtered, a refusal.
            UnavailableError: it cannot be reached, refuses the call, or breaks off every time.
        """
        ...
