"""One model behind an endpoint that speaks OpenAI's chat completions, working with tools, its answers streamed.

Rules:
- A try that is silent for longer than the request's `idle_timeout_s`, breaks off, or streams something else is given up
  and begun anew, at most `MOST_TRIES` times in all. No tool is called for a try that was given up.
- What a server may not know (`stream_options`, `temperature`, `max_tokens` by that name) is left out once it refuses
  it; one that does not stream is read whole.
- A refusal that says the context is too small is a `TooLongError`: the caller can send less.
- What a try took counts also where it was given up, as an estimate: somebody may have to pay for it.

Tries, key and refusals are the wire's (`wire.py`). Source: OpenAI API reference, "Create chat completion" (`tools`,
`stream`, `stream_options`).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import aiohttp

from councilor.adapters.openai.answers import LARGEST_BODY_BYTES, shown
from councilor.adapters.openai.stream import (
    CHARACTERS_PER_TOKEN,
    Assembly,
    BrokenStreamError,
    OversizeError,
    read_spent,
)
from councilor.adapters.openai.wire import Advice, TryAgainError, Wire, token_limit
from councilor.errors import CouncilorError, TooLongError, UnusableAnswerError
from councilor.ports.clock import Clock, Randomness
from councilor.ports.conversation import Heard, Message, Role, Turn, TurnRequest

__all__ = ["OpenAIConversation"]

PARTS = ("max_tokens", "temperature", "stream_options")
MOST_TRIES = 6
LINE_CHARACTERS = 200
TOO_LONG = re.compile(
    rb"context_length_exceeded|context length|context window|context size|maximum context|prompt is too long", re.I
)
"""What servers say when a conversation is too long; they do not agree on a code."""
ADVICE = Advice(
    slow="See whether its server answers, or raise the worker's call_timeout_s.",
    silent="See whether its server answers, then run the task again.",
    refused="Correct the worker's profile: its endpoint, model or api_key_env.",
    key="Set {key}, or correct the worker's api_key_env.",
)


class OpenAIConversation:
    """Talks to one model.

    Args:
        endpoint: base URL, such as `https://host/v1`; `/chat/completions` is put behind it.
        model: its name there.
        key_variable: environment variable with the key; None: no key is sent.
        host_env: the environment that it is read from.
        clock: waits between tries and tells the time.
        randomness: spreads the pauses between tries.
        temperature: sent if it is not None.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        model: str,
        key_variable: str | None,
        host_env: Mapping[str, str],
        clock: Clock,
        randomness: Randomness,
        temperature: float | None = None,
    ) -> None:
        self._temperature = temperature
        self._wire = Wire(
            endpoint=endpoint,
            model=model,
            key_variable=key_variable,
            host_env=host_env,
            clock=clock,
            advice=ADVICE,
            randomness=randomness,
        )

    @property
    def model(self) -> str:
        """The model's name."""
        return self._wire.model

    async def turn(self, request: TurnRequest, *, hear: Callable[[Heard], None]) -> Turn:
        """Ask until there is an answer, a refusal, or time is up; see the port."""
        calling = _Calling(self._wire, request, hear, self._temperature)
        return await self._wire.call(calling.attempt, timeout_s=request.timeout_s, most_tries=MOST_TRIES)


class _Calling:
    """The tries of one turn."""

    def __init__(
        self, wire: Wire, request: TurnRequest, hear: Callable[[Heard], None], temperature: float | None
    ) -> None:
        self._wire = wire
        self._request = request
        self._hear = hear
        self._temperature = temperature
        self._prompt = json.dumps([_message(item) for item in request.messages])
        self._tools = json.dumps([_tool(form.name, form.description, form.schema) for form in request.tools])
        self._lost_prompt = self._lost_answer = 0
        """Characters of tries that were given up."""

    async def attempt(self, session: aiohttp.ClientSession, tried: int) -> Turn:
        """One try."""
        left_out, answer = frozenset(self._wire.left_out), Assembly(hide=self._wire.without_key)
        try:
            silence_s = self._request.idle_timeout_s
            body = self._body(left_out)
            async with self._wire.post(session, body, accept="text/event-stream", silence_s=silence_s) as response:
                if response.status != 200:
                    raise self._refusal(response, await self._rest(response), left_out)
                await self._listen(response, answer, tried)
        except (TryAgainError, BrokenStreamError) as error:
            self._lose(answer)
            raise error if isinstance(error, TryAgainError) else self._broken(error) from error
        except OversizeError as error:
            raise self._unusable(str(error)) from error
        return self._turn(answer, tried)

    def _body(self, left_out: frozenset[str]) -> bytes:
        rest: dict[str, Any] = {"stream": True, **token_limit(left_out, self._request.max_tokens)}
        if self._temperature is not None and "temperature" not in left_out:
            rest["temperature"] = self._temperature
        if "stream_options" not in left_out:
            rest["stream_options"] = {"include_usage": True}
        head = f'{{"model": {json.dumps(self._wire.model)}, "messages": {self._prompt}, "tools": {self._tools}, '
        return (head + json.dumps(rest)[1:]).encode()

    async def _listen(self, response: aiohttp.ClientResponse, answer: Assembly, tried: int) -> None:
        whole = bytearray() if "json" in response.headers.get("Content-Type", "") else None
        while not answer.done and (piece := await self._piece(response)):
            if whole is None:
                answer.feed(piece)
                self._hear(self._heard(answer, tried))
            elif len(whole := whole + piece) > LARGEST_BODY_BYTES:
                raise OversizeError(f"it has more than {LARGEST_BODY_BYTES} bytes")
        if whole is None:
            answer.end()
        else:
            answer.take_whole(bytes(whole))

    async def _piece(self, response: aiohttp.ClientResponse) -> bytes:
        """What comes next, or a try given up after too long a silence."""
        try:
            async with asyncio.timeout(self._request.idle_timeout_s):
                return await response.content.readany()
        except TimeoutError as error:
            raise TryAgainError(f"nothing came for {self._request.idle_timeout_s:g} s") from error

    async def _rest(self, response: aiohttp.ClientResponse) -> bytes:
        """The beginning of a refusal's body."""
        body = bytearray()
        while len(body) < LARGEST_BODY_BYTES and (piece := await self._piece(response)):
            body += piece
        return self._wire.without_key(bytes(body))

    def _refusal(self, response: aiohttp.ClientResponse, body: bytes, left_out: frozenset[str]) -> CouncilorError:
        if response.status in {400, 413, 422} and TOO_LONG.search(body):
            return self._too_long(shown(body))
        return self._wire.refuse(response, body, left_out=left_out, parts=PARTS, last="stream_options")

    def _broken(self, error: BrokenStreamError) -> Exception:
        if TOO_LONG.search(str(error).encode()):
            return self._too_long(str(error))
        return TryAgainError(str(error))

    def _too_long(self, told: str) -> TooLongError:
        return TooLongError(f"The conversation is too long for {self._wire.backend}: {told}.")

    def _unusable(self, problem: str) -> UnusableAnswerError:
        return UnusableAnswerError(
            f"The answer of {self._wire.backend} cannot be used: {problem}.", backend=self._wire.backend
        )

    def _turn(self, answer: Assembly, tried: int) -> Turn:
        if answer.refusal:
            raise self._unusable(f"the model refused: {shown(answer.refusal)}")
        if answer.finish_reason == "content_filter":
            raise self._unusable("it was cut off (content_filter)")
        spent = read_spent(answer.usage, prompt=len(self._prompt) + len(self._tools), answer=answer.characters)
        return Turn(
            text=answer.text,
            calls=answer.calls(len(self._request.messages)),
            cut=answer.finish_reason == "length",
            finish_reason=shown(answer.finish_reason),
            model=answer.model,
            spent=replace(
                spent,
                prompt_tokens=spent.prompt_tokens + self._lost_prompt // CHARACTERS_PER_TOKEN,
                completion_tokens=spent.completion_tokens + self._lost_answer // CHARACTERS_PER_TOKEN,
            ),
            tries=tried,
        )

    def _lose(self, answer: Assembly) -> None:
        if answer.characters:
            self._lost_prompt += len(self._prompt) + len(self._tools)
            self._lost_answer += answer.characters

    def _heard(self, answer: Assembly, tried: int) -> Heard:
        characters = self._lost_prompt + self._lost_answer + len(self._prompt) + len(self._tools) + answer.characters
        line = " ".join("".join(char if char.isprintable() else " " for char in answer.last).split())
        line = self._wire.without_key(line.encode()).decode()
        return Heard(line=line[-LINE_CHARACTERS:], tokens=characters // CHARACTERS_PER_TOKEN, tries=tried)


def _message(message: Message) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role.value, "content": message.text}
    if message.role is Role.TOOL:
        said["tool_call_id"] = message.call_id
    if message.calls:
        said["content"] = message.text or None
        said["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.calls
        ]
    return said


def _tool(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": description, "parameters": dict(schema)}}
