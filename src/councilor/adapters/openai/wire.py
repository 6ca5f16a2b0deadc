"""The wire to one model's endpoint: headers with the key, refusals, and tries until there is an answer.

Rules:
- 408, 409, 425, 429, 5xx and broken connections are tried again, at most `most_tries` times in all, after `Retry-After`
  where the server names it, else after a pause that doubles, spread by chance where there is some. A pause that does
  not fit into the time is not begun. All tries together have one time.
- A part of the request that a refusal (400, 404, 415, 422, 501) names is left out from then on, if it may be.
- Redirects are not followed, proxies and cookies do not exist, answers are not compressed. A connection is not used
  twice: one that the server has closed meanwhile would cost a try.
- The key is read from its environment variable for each call, sent in one header, and never kept, logged or repeated.

Source: OpenAI API reference, "Create chat completion"; RFC 9110, section 10.2.3 (Retry-After).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp

from councilor.adapters.openai.answers import shown
from councilor.errors import CouncilorError, DeadlineError, UnavailableError
from councilor.ports.clock import Clock, Randomness

__all__ = ["Advice", "LeaveOutError", "TryAgainError", "Wire", "token_limit"]

AGAIN = frozenset({408, 409, 425, 429})
UNKNOWN = frozenset({400, 404, 415, 422, 501})
PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0
CONNECT_S = 30.0
SHORTEST_KEY = 8
"""What is shorter is a placeholder, such as `EMPTY` for a server of one's own; as a word it may stand anywhere."""
T = TypeVar("T")


class TryAgainError(Exception):
    """A try that failed in a way that may pass."""

    def __init__(self, problem: str, *, pause_s: float | None = None) -> None:
        super().__init__(problem)
        self.pause_s = pause_s


class LeaveOutError(Exception):
    """The server does not know a part of the request; its name is the message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    """What a person can do about a model that does not answer."""

    slow: str
    silent: str
    refused: str
    key: str
    """`{key}` becomes the variable's name."""


class Wire:
    """Calls one endpoint for one model.

    Args:
        endpoint: base URL, such as `https://host/v1`; `/chat/completions` is put behind it.
        model: its name there.
        key_variable: environment variable with the key; None: no key is sent.
        host_env: the environment that it is read from.
        clock: waits between tries and tells the time.
        randomness: spreads pauses; None: they are exact.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        model: str,
        key_variable: str | None,
        host_env: Mapping[str, str],
        clock: Clock,
        advice: Advice,
        randomness: Randomness | None = None,
    ) -> None:
        self.model = model
        self.backend = f"{model} at {urlsplit(endpoint).netloc.rpartition('@')[2]}"
        self.left_out: set[str] = set()
        """Parts of a request that the server refused."""
        self._url = endpoint.rstrip("/") + "/chat/completions"
        self._key_variable = key_variable
        self._host_env = host_env
        self._clock = clock
        self._advice = advice
        self._randomness = randomness

    async def call(
        self, attempt: Callable[[aiohttp.ClientSession, int], Awaitable[T]], *, timeout_s: float, most_tries: int
    ) -> T:
        """What `attempt` gives, which is called until it does, is refused, or time is up.

        Raises:
            DeadlineError, UnavailableError: there is no answer; says why.
        """
        problem = ["nothing came back"]
        try:
            async with asyncio.timeout(timeout_s):
                return await self._call(attempt, timeout_s, most_tries, problem)
        except TimeoutError as error:
            raise DeadlineError(
                f"{self.backend} gave no answer within {timeout_s:g} s: {problem[-1]}.",
                backend=self.backend,
                deadline_s=timeout_s,
                hint=self._advice.slow,
            ) from error

    async def _call(
        self,
        attempt: Callable[[aiohttp.ClientSession, int], Awaitable[T]],
        timeout_s: float,
        most_tries: int,
        problem: list[str],
    ) -> T:
        began, tried = self._clock.monotonic(), 0
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),  # the caller's own limits end a call
        ) as session:
            while tried < most_tries:
                tried += 1
                try:
                    return await attempt(session, tried)
                except LeaveOutError as error:
                    self.left_out.add(str(error))
                except TryAgainError as error:
                    problem.append(str(error))
                    pause_s = self._pause_s(tried, error.pause_s)
                    if self._clock.monotonic() - began + pause_s >= timeout_s or tried == most_tries:
                        break
                    await self._clock.sleep(pause_s)
        raise UnavailableError(
            f"{self.backend} gave no answer: {problem[-1]}, after {tried} tries.",
            backend=self.backend,
            hint=self._advice.silent,
        )

    def _pause_s(self, tried: int, asked_s: float | None) -> float:
        pause_s = min(PAUSE_S * 2 ** (tried - 1), LONGEST_PAUSE_S) if asked_s is None else asked_s
        if self._randomness is None:
            return pause_s
        # Half to one and a half of our own pause; a server's is kept, and up to a quarter added.
        share = self._randomness.below(1000) / 1000
        return pause_s * (0.5 + share) if asked_s is None else pause_s + min(pause_s, 1.0) * share / 4

    @asynccontextmanager
    async def post(
        self,
        session: aiohttp.ClientSession,
        body: bytes,
        *,
        accept: str = "application/json",
        silence_s: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to one request; whatever breaks while it is read is a reason to try again.

        Args:
            silence_s: longest wait for the first of it.
        """
        headers = self._headers(accept)
        try:
            try:
                async with asyncio.timeout(silence_s):
                    response = await session.post(self._url, data=body, headers=headers, allow_redirects=False)
            except TimeoutError as error:
                raise TryAgainError(f"nothing came for {silence_s:g} s") from error
            async with response:
                yield response
        except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            raise TryAgainError(shown(self.without_key(str(error).encode())) or type(error).__name__) from error

    def refuse(
        self,
        response: aiohttp.ClientResponse,
        body: bytes,
        *,
        left_out: frozenset[str],
        parts: Sequence[str],
        last: str,
    ) -> CouncilorError:
        """What an answer other than 200 comes to.

        Args:
            left_out: what the request was without.
            parts: what may be left out of a request if the refusal names it.
            last: the part that is left out also where it is not named.

        Raises:
            TryAgainError, LeaveOutError: it is no refusal yet.
        """
        status = response.status
        if status in AGAIN or (status >= 500 and status != 501):
            pause_s = _retry_after_s(response.headers.get("Retry-After"), self._clock)
            raise TryAgainError(f"it answered {status}", pause_s=pause_s)
        if status in UNKNOWN and (part := _refused_part(body, left_out, parts, last)):
            raise LeaveOutError(part)
        told = "redirects are not followed" if 300 <= status < 400 else shown(body)
        return UnavailableError(
            f"{self.backend} refused the call with {status}: {told}.", backend=self.backend, hint=self._advice.refused
        )

    def without_key(self, body: bytes) -> bytes:
        """A body in which a server that repeats what it was sent does not repeat the key."""
        key = self._host_env.get(self._key_variable or "", "").strip().encode()
        return body.replace(key, b"[key]") if len(key) >= SHORTEST_KEY else body

    def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": accept, "Accept-Encoding": "identity"}
        if self._key_variable is not None:
            key = self._host_env.get(self._key_variable, "").strip()
            if not key or not key.isprintable() or not key.isascii():
                raise UnavailableError(
                    f"The environment variable {self._key_variable} holds no key for {self.backend}.",
                    backend=self.backend,
                    hint=self._advice.key.format(key=self._key_variable),
                )
            headers["Authorization"] = f"Bearer {key}"
        return headers


def token_limit(left_out: frozenset[str], max_tokens: int) -> dict[str, Any]:
    """The limit of an answer, by the name that the server knows."""
    return {"max_completion_tokens" if "max_tokens" in left_out else "max_tokens": max_tokens}


def _refused_part(body: bytes, left_out: frozenset[str], parts: Sequence[str], last: str) -> str | None:
    """The part of a request to leave out, by what a refusal says; None when nothing is left to leave out."""
    left = [part for part in parts if part not in left_out]
    named = next((part for part in left if part.encode() in body), None)
    return named or (last if last in left else None)


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
