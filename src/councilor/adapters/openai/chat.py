"""One model behind an endpoint that speaks OpenAI's chat completions, asked for one JSON object.

Rules:
- It is asked for structured output (`response_format` of type `json_schema`). A server that answers 400, 404, 415, 422
  or 501 to that is asked once more without, and that is remembered; the form then stands in the prompt. In the same way
  `max_tokens` becomes `max_completion_tokens`, and `temperature` is left out, where the refusal names them.
- Tries, key and refusals are the wire's (`wire.py`); at most `MOST_TRIES` tries have the question's `timeout_s`.
- A body has at most 1 MiB.

Source: OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from councilor.adapters.openai.answers import LARGEST_BODY_BYTES, read_answer
from councilor.adapters.openai.wire import Advice, Wire, token_limit
from councilor.errors import UnusableAnswerError
from councilor.ports.chat import Answer, Question
from councilor.ports.clock import Clock

__all__ = ["OpenAIChat"]

PARTS = ("max_tokens", "temperature", "response_format")
"""What a server may not know; one that its refusal names goes first, `response_format` also unnamed."""
MOST_TRIES = 4
ADVICE = Advice(
    slow="See whether its server answers, or raise the judge's timeout_s and council.sla_s.",
    silent="See whether its server answers; the council goes on without it.",
    refused="Correct the judge under council.judges: its endpoint, model or api_key_env.",
    key="Set {key}, or correct the judge's api_key_env.",
)


class OpenAIChat:
    """Asks one model.

    Args:
        endpoint: base URL, such as `https://host/v1`; `/chat/completions` is put behind it.
        model: its name there.
        key_variable: environment variable with the key; None: no key is sent.
        host_env: the environment that it is read from.
        clock: waits between tries and tells the time.
    """

    def __init__(
        self, *, endpoint: str, model: str, key_variable: str | None, host_env: Mapping[str, str], clock: Clock
    ) -> None:
        self._wire = Wire(
            endpoint=endpoint, model=model, key_variable=key_variable, host_env=host_env, clock=clock, advice=ADVICE
        )

    @property
    def model(self) -> str:
        """The model's name."""
        return self._wire.model

    async def ask(self, question: Question) -> Answer:
        """Ask until there is an answer, a refusal, or time is up."""

        async def attempt(session: aiohttp.ClientSession, tried: int) -> Answer:
            return await self._try(session, question, tried)

        return await self._wire.call(attempt, timeout_s=question.timeout_s, most_tries=MOST_TRIES)

    async def _try(self, session: aiohttp.ClientSession, question: Question, tried: int) -> Answer:
        left_out, wire = frozenset(self._wire.left_out), self._wire
        body = json.dumps(self._body(question, left_out)).encode()
        async with wire.post(session, body) as response:
            content = await _read(response)
        if response.status != 200:
            told = wire.without_key(content or b"")
            raise wire.refuse(response, told, left_out=left_out, parts=PARTS, last="response_format")
        if content is None:
            problem = f"it has more than {LARGEST_BODY_BYTES} bytes"
            raise UnusableAnswerError(f"The answer of {wire.backend} cannot be used: {problem}.", backend=wire.backend)
        return read_answer(wire.without_key(content), backend=wire.backend, tries=tried)

    def _body(self, question: Question, left_out: frozenset[str]) -> dict[str, Any]:
        user, schema = question.user, dict(question.schema)
        body: dict[str, Any] = {"model": self.model, **token_limit(left_out, question.max_tokens)}
        if "temperature" not in left_out:
            body["temperature"] = 0
        if "response_format" not in left_out:
            form = {"name": question.form, "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        else:
            user += f"\n\nAnswer with one JSON object of this schema, and with nothing else:\n{json.dumps(schema)}"
        body["messages"] = [{"role": "system", "content": question.system}, {"role": "user", "content": user}]
        return body


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """A body; None when it is too long."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(2**16):
        content += chunk
        if len(content) > LARGEST_BODY_BYTES:
            return None
    return bytes(content)
