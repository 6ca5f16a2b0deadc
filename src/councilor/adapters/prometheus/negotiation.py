"""Which text a scraper gets: the classic format, or OpenMetrics.

Rules:
- OpenMetrics 1.0 is for those who name it and want it at least as much as plain text; everyone else gets the classic
  format, browsers and those who accept neither among them.
- A `q` that is no number from 0 to 1 counts as 0. What comes after `MOST_CHARS` of the header is not read.

Source: RFC 9110, section 12.5.1 (Accept); https://prometheus.io/docs/instrumenting/content_negotiation/.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["CLASSIC", "OPENMETRICS", "prefers_openmetrics"]

CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
MOST_CHARS = 2000

_OPENMETRICS_VERSIONS = ("", "0.0.1", "1.0.0")
_PLAIN = ("text/plain", "text/*", "*/*")


def prefers_openmetrics(accept: str) -> bool:
    """Whether an `Accept` header prefers OpenMetrics to plain text, or sees no difference."""
    openmetrics, plain = 0.0, 0.0
    for kind, version, quality in _ranges(accept[:MOST_CHARS]):
        if kind == "application/openmetrics-text" and version in _OPENMETRICS_VERSIONS:
            openmetrics = max(openmetrics, quality)
        elif kind in _PLAIN:
            plain = max(plain, quality)
    return openmetrics > 0 and openmetrics >= plain


def _ranges(accept: str) -> Iterator[tuple[str, str, float]]:
    for item in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        given = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        yield kind, given.get("version", "").strip('"'), _quality(given.get("q", "1"))


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
