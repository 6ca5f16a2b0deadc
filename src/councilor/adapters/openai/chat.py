"""One model behind an endpoint that speaks OpenAI's chat completions.

Rules:
- It is asked for structured output (`response_format` of type `json_schema`). A server that answers 400, 404, 415, 422
  or 501 to that is asked once more without, and that is remembered; the form then stands in the prompt. In the same way
  `max_tokens` becomes `max_completion_tokens`, and `temperature` is left out, where the refusal names them.
- 408, 409, 425, 429, 5xx and broken connections are tried again, at most `MOST_TRIES` times in all, after
  `Retry-After` where the server names it, else after a pause that doubles. A pause that does not fit into the time is
  not begun. All tries together have the question's `timeout_s`.
- Redirects are not followed, proxies and cookies do not exist, a body has at most 1 MiB, answers are not compressed.
- The key is read from its environment variable for each call, sent in one header, and never kept, logged or repeated.

Source: OpenAI API reference, "Create chat completion"; RFC 9110, section 10.2.3 (Retry-After).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from councilor.adapters.openai.answers import LARGEST_BODY_BYTES, read_answer, shown
from councilor.errors import CouncilorError, DeadlineError, UnavailableError, UnusableAnswerError
from councilor.ports.chat import Answer, Question
from councilor.ports.clock import Clock

__all__ = ["OpenAIChat"]

AGAIN = frozenset({408, 409, 425, 429})
UNKNOWN = frozenset({400, 404, 415, 422, 501})
PARTS = ("max_tokens", "temperature", "response_format")
"""What a server may not know; one that its refusal names goes first, `response_format` also unnamed."""
MOST_TRIES = 4
PAUSE_S = 0.25


class _TryAgainError(Exception):
    """A try that failed in a way that may pass."""

    def __init__(self, problem: str, *, pause_s: float | None = None) -> None:
        super().__init__(problem)
        self.pause_s = pause_s


class _UnknownError(Exception):
    """The server does not know a part of the request; it is left out from now on."""


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
        self._url = endpoint.rstrip("/") + "/chat/completions"
        self._model = model
        self._key_variable = key_variable
        self._host_env = host_env
        self._clock = clock
        self._backend = f"{model} at {urlsplit(endpoint).netloc.rpartition('@')[2]}"
        self._unknown: set[str] = set()
        """Parts of a request that the server refused."""

    @property
    def model(self) -> str:
        """The model's name."""
        return self._model

    async def ask(self, question: Question) -> Answer:
        """Ask until there is an answer, a refusal, or time is up."""
        problem = ["nothing came back"]
        try:
            async with asyncio.timeout(question.timeout_s):
                return await self._ask(question, problem)
        except TimeoutError as error:
            raise DeadlineError(
                f"{self._backend} gave no answer within {question.timeout_s:g} s: {problem[-1]}.",
                backend=self._backend,
                deadline_s=question.timeout_s,
                hint="See whether its server answers, or raise the judge's timeout_s and council.sla_s.",
            ) from error

    async def _ask(self, question: Question, problem: list[str]) -> Answer:
        began, attempt = self._clock.monotonic(), 0
        # A connection is not used twice: one that the server has closed meanwhile would cost a try.
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            while attempt < MOST_TRIES:
                attempt += 1
                try:
                    return await self._try(session, question, attempt)
                except _UnknownError as error:
                    self._unknown.add(str(error))
                except _TryAgainError as error:
                    problem.append(str(error))
                    pause_s = PAUSE_S * 2 ** (attempt - 1) if error.pause_s is None else error.pause_s
                    if self._clock.monotonic() - began + pause_s >= question.timeout_s or attempt == MOST_TRIES:
                        break
                    await self._clock.sleep(pause_s)
        raise UnavailableError(
            f"{self._backend} gave no answer: {problem[-1]}, after {attempt} tries.",
            backend=self._backend,
            hint="See whether its server answers; the council goes on without it.",
        )

    async def _try(self, session: aiohttp.ClientSession, question: Question, attempt: int) -> Answer:
        left_out = frozenset(self._unknown)
        body = json.dumps(self._body(question, left_out)).encode()
        try:
            async with session.post(self._url, data=body, headers=self._headers(), allow_redirects=False) as response:
                status, pause_s = response.status, _retry_after_s(response.headers.get("Retry-After"), self._clock)
                content = self._without_key(await _read(response))
        except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            raise _TryAgainError(shown(error) or type(error).__name__) from error
        if status == 200:
            if content is None:
                raise self._unusable(f"it has more than {LARGEST_BODY_BYTES} bytes")
            return read_answer(content, backend=self._backend, tries=attempt)
        if status in AGAIN or (status >= 500 and status != 501):
            raise _TryAgainError(f"it answered {status}", pause_s=pause_s)
        if status in UNKNOWN and (part := _refused_part(content or b"", left_out)):
            raise _UnknownError(part)
        raise self._refused(status, content or b"")

    def _body(self, question: Question, left_out: frozenset[str]) -> dict[str, Any]:
        user, schema = question.user, dict(question.schema)
        body: dict[str, Any] = {"model": self._model}
        body["max_completion_tokens" if "max_tokens" in left_out else "max_tokens"] = question.max_tokens
        if "temperature" not in left_out:
            body["temperature"] = 0
        if "response_format" not in left_out:
            form = {"name": question.form, "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        else:
            user += f"\n\nAnswer with one JSON object of this schema, and with nothing else:\n{json.dumps(schema)}"
        body["messages"] = [{"role": "system", "content": question.system}, {"role": "user", "content": user}]
        return body

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
        if self._key_variable is not None:
            key = self._host_env.get(self._key_variable, "").strip()
            if not key or not key.isprintable() or not key.isascii():
                raise UnavailableError(
                    f"The environment variable {self._key_variable} holds no key for {self._backend}.",
                    backend=self._backend,
                    hint=f"Set {self._key_variable}, or correct the judge's api_key_env.",
                )
            headers["Authorization"] = f"Bearer {key}"
        return headers

    def _unusable(self, problem: str) -> UnusableAnswerError:
        return UnusableAnswerError(f"The answer of {self._backend} cannot be used: {problem}.", backend=self._backend)

    def _refused(self, status: int, body: bytes) -> CouncilorError:
        told = "redirects are not followed" if 300 <= status < 400 else shown(body)
        return UnavailableError(
            f"{self._backend} refused the call with {status}: {told}.",
            backend=self._backend,
            hint="Correct the judge under council.judges: its endpoint, model or api_key_env.",
        )

    def _without_key(self, body: bytes | None) -> bytes | None:
        """A body in which a server that repeats what it was sent does not repeat the key."""
        key = self._host_env.get(self._key_variable or "", "").strip().encode()
        return body.replace(key, b"[key]") if body and key else body


def _refused_part(body: bytes, left_out: frozenset[str]) -> str | None:
    """The part of a request to leave out, by what a refusal says; None when nothing is left to leave out."""
    left = [part for part in PARTS if part not in left_out]
    named = next((part for part in left if part.encode() in body), None)
    return named or ("response_format" if "response_format" in left else None)


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """A body; None when it is too long."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(2**16):
        content += chunk
        if len(content) > LARGEST_BODY_BYTES:
            return None
    return bytes(content)


def _retry_after_s(text: str | None, clock: Clock) -> float | None:
    """Seconds that a server asks to wait: given as such, or as a date."""
    if text is None:
        return None
    try:
        seconds = (
            float(text) if text.strip().isdecimal() else (parsedate_to_datetime(text) - clock.now()).total_seconds()
        )
    except (ValueError, TypeError, OverflowError):
        return None
    return max(seconds, 0.0)
