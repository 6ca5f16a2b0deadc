"""A Prometheus server that is asked for counts, over its HTTP API.

Rules:
- All counts come from one question, so they are of one moment.
- A count that is not a finite number, or is not there, is no count.
- Redirects are not followed, proxies and cookies do not exist, a body has at most 1 MiB.
- Nothing of an answer is repeated in an error but a few printable characters.

It has no deadline and is not asked twice: guards see to that. It does not scrape and is not scraped.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/ (instant queries, format of answers).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from councilor.domain.promql import tally_query
from councilor.domain.slo import Tally
from councilor.errors import UnavailableError, UnusableAnswerError
from councilor.ports.tallies import Asked

__all__ = ["PrometheusServer"]

BACKEND = "prometheus_server"
LARGEST_BODY_BYTES = 2**20
SHOWN = 120


class PrometheusServer:
    """Asks one server.

    Args:
        url: its base URL, such as `http://127.0.0.1:9090`.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + "/api/v1/query"
        self._shown = f"The Prometheus server at {urlsplit(url).netloc.rpartition('@')[2]}"

    async def tally(self, asked: Sequence[Asked]) -> Sequence[Tally | None]:
        """Counts of what it has scraped, extrapolated to the edges of each window."""
        if not asked:
            return []
        found = await self._ask(tally_query([(item.slo, item.window_s) for item in asked]))
        return [_tally(found, n) for n in range(len(asked))]

    async def _ask(self, query: str) -> Mapping[tuple[str, str], float]:
        status, body = await self._post(query)
        try:
            answer = json.loads(body)
            if status == 200:
                return _values(answer["data"])
            problem = _printable(str(answer["error"]))
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            told = _printable(body.decode("utf-8", "replace"))
            raise UnusableAnswerError(
                f"{self._shown} gave no answer that can be used ({status}): {told}",
                backend=BACKEND,
                hint="See whether prometheus.server, or --server, is the URL of a Prometheus server.",
            ) from error
        raise UnavailableError(
            f"{self._shown} refused with {status}: {problem}.", backend=BACKEND, hint="Its log may say more."
        )

    async def _post(self, query: str) -> tuple[int, bytes]:
        try:
            async with (
                aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(
                    self._url,
                    data={"query": query},
                    headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                    allow_redirects=False,
                ) as response,
            ):
                body = await response.content.read(LARGEST_BODY_BYTES + 1)
                while not response.content.at_eof() and len(body) <= LARGEST_BODY_BYTES:
                    body += await response.content.read(LARGEST_BODY_BYTES + 1 - len(body))
                return response.status, body
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise UnavailableError(
                f"{self._shown} does not answer: {_printable(str(error)) or type(error).__name__}.",
                backend=BACKEND,
                hint="Start it, or correct prometheus.server; docs/howto/monitoring.md says how it is set up.",
            ) from error


def _values(data: Mapping[str, Any]) -> Mapping[tuple[str, str], float]:
    """(number, part) -> count."""
    if data["resultType"] != "vector":
        raise ValueError("no vector")
    found = {}
    for item in data["result"]:
        labels, value = item["metric"], float(item["value"][1])
        if math.isfinite(value):
            found[str(labels["n"]), str(labels["part"])] = value
    return found


def _tally(found: Mapping[tuple[str, str], float], n: int) -> Tally | None:
    total, bad = found.get((str(n), "total")), found.get((str(n), "bad"))
    return None if total is None or bad is None else Tally(total=max(total, 0.0), bad=max(bad, 0.0))


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text[:SHOWN]).strip()
