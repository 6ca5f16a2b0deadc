"""Reading an answer of chat completions: from the body's bytes to one JSON object.

Rules:
- The body is one JSON object with `choices[0].message.content`; a `refusal`, a `finish_reason` of `length` or
  `content_filter`, and everything else are no answer.
- The content is a JSON object; where the server knows no structured output it may stand in text or in a code fence:
  the first object that can be read, and only one of at most `LONGEST` characters.

Nothing of an answer is repeated in an error but a few printable characters.
Source: OpenAI API reference, "Create chat completion" (`choices`, `finish_reason`, `refusal`, `usage`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from councilor.errors import UnusableAnswerError
from councilor.ports.chat import Answer, Spent

__all__ = ["LARGEST_BODY_BYTES", "read_answer", "shown"]

LARGEST_BODY_BYTES = 2**20
LONGEST = 200_000
SHOWN = 120


def read_answer(body: bytes, *, backend: str, tries: int) -> Answer:
    """The answer in a body.

    Raises:
        UnusableAnswerError: it is none.
    """
    try:
        data = json.loads(body)
        choice = data["choices"][0]
        message = choice["message"]
        content, refusal, ended = message.get("content"), message.get("refusal"), choice.get("finish_reason")
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise _unusable(backend, f"it is no chat completion: {shown(body)}") from error
    if refusal:
        raise _unusable(backend, f"the model refused: {shown(refusal)}")
    if ended in {"length", "content_filter"}:
        raise _unusable(backend, f"it was cut off ({ended})")
    if not isinstance(content, str):
        raise _unusable(backend, "it has no text")
    found = _object_in(content)
    if found is None:
        raise _unusable(backend, f"its text holds no JSON object: {shown(content)}")
    model = data.get("model")
    return Answer(
        data=found,
        model=model if isinstance(model, str) else "",
        spent=_spent(data.get("usage")),
        tries=tries,
        finish_reason=shown(ended) if isinstance(ended, str) else "",
    )


def shown(text: object) -> str:
    """The beginning of untrusted text as one printable line."""
    raw = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    return "".join(char if char.isprintable() else " " for char in raw[:SHOWN])


def _unusable(backend: str, problem: str) -> UnusableAnswerError:
    return UnusableAnswerError(f"The answer of {backend} cannot be used: {problem}.", backend=backend)


def _object_in(content: str) -> Mapping[str, Any] | None:
    """The first JSON object in text."""
    text, decoder = content[:LONGEST], json.JSONDecoder()
    place = text.find("{")
    for _ in range(20):
        if place < 0:
            return None
        try:
            found, _end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            place = text.find("{", place + 1)
            continue
        return found if isinstance(found, dict) else None
    return None


def _spent(usage: object) -> Spent:
    if not isinstance(usage, dict):
        return Spent()
    return Spent(
        prompt_tokens=_count(usage.get("prompt_tokens")), completion_tokens=_count(usage.get("completion_tokens"))
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40 else 0
