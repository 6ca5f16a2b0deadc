"""An answer that comes in pieces: server-sent events of chat completions, put together to one turn.

Rules:
- An event is the `data:` lines before an empty line; comments and other fields are skipped, `[DONE]` ends the answer.
- A tool call grows by its `index`. Servers that leave it out, or use one index for several calls, are understood by the
  calls' ids; arguments that come as an object become JSON text.
- What is no event, an event that is no chunk, and an error within the stream are a `BrokenStreamError`; so is an end
  before the model has said why it stopped.
- All of it is bounded: a line, the whole, the text, the calls.

It does not look at what tools are called with. Source: HTML Living Standard, section 9.2.6 (event streams); OpenAI API
reference, "Streaming chat completions" (`choices[].delta`, `finish_reason`, `usage`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from councilor.adapters.openai.answers import shown
from councilor.ports.chat import Spent
from councilor.ports.conversation import ToolCall

__all__ = ["Assembly", "BrokenStreamError", "OversizeError", "read_spent"]

LINE_BYTES = 2**20
WHOLE_BYTES = 16 * 2**20
ANSWER_CHARACTERS = 2**20
MOST_CALLS = 64
NAME_CHARACTERS = 128
CHARACTERS_PER_TOKEN = 4
"""An estimate, used where a server does not count. Source: OpenAI Help Center, "What are tokens"."""


class BrokenStreamError(Exception):
    """What came is no stream of chunks, or not all of one."""


class OversizeError(Exception):
    """More came than anybody asked for."""


@dataclass(kw_only=True, slots=True)
class _Growing:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


@dataclass(kw_only=True, slots=True)
class Assembly:
    """Takes pieces of the body and keeps what they say."""

    hide: Callable[[bytes], bytes] = bytes
    """Takes out of a line what must not be repeated."""
    model: str = ""
    refusal: str = ""
    finish_reason: str = ""
    usage: Mapping[str, Any] | None = None
    done: bool = False
    """Whether the server has said that this was all."""
    characters: int = 0
    """What has come so far of text, thought and arguments."""
    last: str = ""
    """The newest text."""
    _text: list[str] = field(default_factory=list)
    _calls: dict[object, _Growing] = field(default_factory=dict)
    _newest: object = None
    _rest: bytes = b""
    _data: list[bytes] = field(default_factory=list)
    _bytes: int = 0

    def feed(self, piece: bytes) -> None:
        """Take a piece of an event stream.

        Raises:
            BrokenStreamError, OversizeError: it is not one.
        """
        self._measure(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > LINE_BYTES:
            raise OversizeError(f"a line of it has more than {LINE_BYTES} bytes")
        for line in lines:
            self._line(self.hide(line.rstrip(b"\r")))

    def end(self) -> None:
        """Take the end of the stream.

        Raises:
            BrokenStreamError: it ended too early.
        """
        rest, self._rest = self._rest.rstrip(b"\r"), b""
        if rest and not b"data:".startswith(rest):
            self._line(self.hide(rest))
        if not _is_json(b"\n".join(self._data)):
            self._data = []  # half an event
        self._dispatch()
        if self.finish_reason == "error" or not (self.done or self.finish_reason):
            raise BrokenStreamError("it broke off in the middle of its answer")

    def take_whole(self, body: bytes) -> None:
        """Take an answer that came in one piece, from a server that does not stream.

        Raises:
            BrokenStreamError, OversizeError: it is none.
        """
        self._measure(body)
        chunk = _object(self.hide(body))
        choices = chunk.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            chunk = chunk | {"choices": [choices[0] | {"delta": choices[0].get("message")}, *choices[1:]]}
        self._chunk(chunk)
        self.done = True

    @property
    def text(self) -> str:
        """What the model said."""
        return self._clean("".join(self._text))

    def calls(self, turn: int | str) -> tuple[ToolCall, ...]:
        """The calls that the model asks for, each with an id of its own.

        Args:
            turn: makes ids that the server did not give.
        """
        found, seen = [], set()
        for number, call in enumerate(self._calls.values()):
            identity = self._clean(call.id) or f"call_{turn}_{number}"
            identity = identity if identity not in seen else f"{identity}_{number}"
            seen.add(identity)
            found.append(
                ToolCall(id=identity, name=self._clean(call.name), arguments=self._clean("".join(call.arguments)))
            )
        return tuple(found)

    def _clean(self, text: str) -> str:
        """Text that can be encoded, for JSON may hold halves of surrogate pairs, and kept."""
        return self.hide(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def _measure(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes > WHOLE_BYTES:
            raise OversizeError(f"it has more than {WHOLE_BYTES} bytes")

    def _line(self, line: bytes) -> None:
        if not line:
            self._dispatch()
        elif line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line.startswith((b":", b"event:", b"id:", b"retry:")):
            raise BrokenStreamError(f"it is no event stream: {shown(line)}")

    def _dispatch(self) -> None:
        data, self._data = b"\n".join(self._data), []
        if data.strip() == b"[DONE]":
            self.done = True
        elif data and not self.done:
            self._chunk(_object(data))

    def _chunk(self, chunk: Mapping[str, Any]) -> None:
        if chunk.get("error"):
            raise BrokenStreamError(f"it reported an error: {_told(chunk['error'])}")
        self.model = self.model or _text_of(chunk.get("model"))[:NAME_CHARACTERS]
        usage = chunk.get("usage")
        self.usage = usage if isinstance(usage, dict) else self.usage
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            raise BrokenStreamError(f"it is no chat completion: {shown(json.dumps(chunk))}")
        for choice in choices[:1]:
            self._choice(choice if isinstance(choice, dict) else {})

    def _choice(self, choice: Mapping[str, Any]) -> None:
        self.finish_reason = _text_of(choice.get("finish_reason")) or self.finish_reason
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return
        self.refusal += self._counted(_text_of(delta.get("refusal")))
        for thought in ("reasoning_content", "reasoning"):
            self._counted(_text_of(delta.get(thought)))
        if text := self._counted(_text_of(delta.get("content"))):
            self._text.append(text)
        calls = delta.get("tool_calls")
        for item in calls if isinstance(calls, list) else ():
            if isinstance(item, dict):
                self._grow(item)

    def _grow(self, item: Mapping[str, Any]) -> None:
        identity, function = _text_of(item.get("id")), item.get("function")
        call = self._call(item.get("index"), identity)
        call.id = call.id or identity[:NAME_CHARACTERS]
        if not isinstance(function, dict):
            return
        call.name = call.name or _text_of(function.get("name"))[:NAME_CHARACTERS]
        arguments = function.get("arguments")
        text = json.dumps(arguments) if isinstance(arguments, dict) else _text_of(arguments)
        call.arguments.append(self._counted(text))

    def _call(self, index: object, identity: str) -> _Growing:
        key: object = index if isinstance(index, int) else (identity or self._newest)
        known = self._calls.get(key)
        if known is not None and identity and known.id and known.id != identity:
            key = (index, identity)  # one index for several calls
        if key is None or key not in self._calls:
            if len(self._calls) >= MOST_CALLS:
                raise OversizeError(f"it has more than {MOST_CALLS} calls")
            key = key if key is not None else 0
            self._calls[key] = _Growing()
        self._newest = key
        return self._calls[key]

    def _counted(self, text: str) -> str:
        self.characters += len(text)
        if self.characters > ANSWER_CHARACTERS:
            raise OversizeError(f"it has more than {ANSWER_CHARACTERS} characters")
        self.last = (self.last + text)[-400:] if text else self.last
        return text


def read_spent(usage: Mapping[str, Any] | None, *, prompt: int, answer: int) -> Spent:
    """What an answer took: as the server tells it, else by these numbers of characters."""
    told = usage or {}
    details = told.get("prompt_tokens_details")
    prompt_tokens = _count(told.get("prompt_tokens")) or -(-prompt // CHARACTERS_PER_TOKEN)
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else 0
    return Spent(
        prompt_tokens=prompt_tokens,
        completion_tokens=_count(told.get("completion_tokens")) or -(-answer // CHARACTERS_PER_TOKEN),
        cached_tokens=min(cached, prompt_tokens),
    )


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return data.strip() == b"[DONE]"
    return True


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BrokenStreamError(f"it is no JSON: {shown(data)}") from error
    if not isinstance(found, dict):
        raise BrokenStreamError(f"it is no chat completion: {shown(data)}")
    return found


def _told(error: object) -> str:
    return shown(error.get("message") or error) if isinstance(error, dict) else shown(error)


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40 else 0
