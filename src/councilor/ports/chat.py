"""Asking a language model: messages in, one JSON object of a given form out.

A model never decides anything by itself; what it says is a vote or a proposal, and is treated as untrusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Answer", "Chat", "Question", "Spent"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a model is asked."""

    system: str
    """What it is and what it has to do."""
    user: str
    """The matter itself; quotes untrusted text."""
    form: str
    """Name of the form, `^[a-z_]+$`."""
    schema: Mapping[str, Any]
    """JSON Schema of the object that it must answer with."""
    max_tokens: int
    """Most tokens of the answer."""
    timeout_s: float
    """Seconds for everything, further tries included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What an answer took, as far as the server tells."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Those of the prompt's that the server had read before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a model said. Untrusted; its form is for who asked to check."""

    data: Mapping[str, Any]
    """The JSON object, not yet checked against the schema."""
    model: str
    """The model's name as the server tells it; empty when it does not."""
    spent: Spent
    tries: int
    """Counted from 1."""
    finish_reason: str = ""
    """Why it stopped, as the server tells it: `stop`; empty when it does not."""


class Chat(Protocol):
    """One model behind an endpoint."""

    @property
    def model(self) -> str:
        """The model's name as it is configured."""
        ...

    async def ask(self, question: Question) -> Answer:
        """Ask once; an answer, or an error, never later than the question's `timeout_s`.

        Raises:
            DeadlineError: there was no answer in time.
            UnusableAnswerError: what came back is no answer: no HTTP, no JSON object, too long, cut off, a refusal.
            UnavailableError: it cannot be reached, or refuses the call.
        """
        ...
