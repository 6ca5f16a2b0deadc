"""Where a collector takes spans, and whether it answers there.

Rules:
- An endpoint without a path is a collector's base: `/v1/traces` is put behind it.
- A look posts an export without spans, which every collector takes. It sends no key: an answer that asks for one is an
  answer. Redirects are not followed, answers not read, proxies do not exist.
- Without a collector nothing fails: spans are dropped.

Source: OTLP specification 1.7, "OTLP/HTTP Request"; an empty message of protobuf has no bytes.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from councilor.domain.health import Check, ComponentType, HealthStatus
from councilor.ports.clock import Clock

__all__ = ["CollectorProbe", "traces_url"]

PATH = "/v1/traces"
WANTS_KEY = frozenset({401, 403})
MEDIA_TYPE = "application/x-protobuf"


def traces_url(endpoint: str) -> str:
    """Where spans are posted."""
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(path=PATH)) if parts.path in {"", "/"} else endpoint


class CollectorProbe:
    """A `Probe` of the collector that spans are sent to.

    Args:
        endpoint: its http(s) URL.
        clock: measures how long an answer takes.
    """

    component = "otlp"
    kind = ComponentType.COMPONENT
    fallback: str | None = "spans are dropped"
    every_s: float | None = 60.0
    timeout_s: float | None = None

    def __init__(self, endpoint: str, *, clock: Clock) -> None:
        self._url = traces_url(endpoint)
        self._clock = clock

    async def check(self) -> Check:
        """Post an export without spans."""
        began_s = self._clock.monotonic()
        try:
            status = await self._post()
        except OSError as error:
            return self._check().failed("the collector cannot be reached", f"{self._place} cannot be reached ({error})")
        if status in WANTS_KEY:
            return self._check("it answers, and wants a key, which a look does not send")
        if not 200 <= status < 300:
            return self._check().failed(f"it answers {status}", f"{self._place}: it answers {status}")
        return self._check(latency_s=self._clock.monotonic() - began_s)

    async def _post(self) -> int:
        import aiohttp

        try:
            async with (
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(
                    self._url, data=b"", headers={"Content-Type": MEDIA_TYPE}, allow_redirects=False
                ) as response,
            ):
                return response.status
        except (aiohttp.ClientError, ValueError) as error:
            raise ConnectionError(type(error).__name__) from error

    @property
    def _place(self) -> str:
        return urlsplit(self._url).netloc

    def _check(self, output: str = "", *, latency_s: float | None = None) -> Check:
        return Check(
            component=self.component,
            kind=self.kind,
            status=HealthStatus.PASS,
            output=output,
            fallback=self.fallback,
            measurement="" if latency_s is None else "latency",
            observed=latency_s,
            unit="" if latency_s is None else "s",
        )
