"""What is sent to a StatsD server: lines, and datagrams of lines.

Rules:
- Two dialects. `dogstatsd` sends labels as tags. `plain` has none, so that label values follow the name, in the order
  that the catalogue declares: `v3.gate.results.lint.passed`.
- A duration is in milliseconds: a histogram of seconds is a timer (`ms`), and a counter of seconds counts milliseconds.
  Another histogram is `h` for dogstatsd; plain servers know no other distribution than the timer.
- Characters that mean something on the wire become `_`. An empty value is `none` in a plain name, and no tag.
- `plain` reads a gauge with a sign as a change, so one below zero is set to zero first, on a line of the same unit.
- A datagram holds as many lines as fit; a line is never divided.

Source: https://github.com/statsd/statsd/blob/master/docs/metric_types.md;
https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from councilor.domain.metric import Metric, MetricKind, Unit, statsd_name
from councilor.guards.cardinality import OWN

__all__ = ["MOST_DATAGRAM_BYTES", "Dialect", "Line", "datagrams", "line_for"]

MOST_DATAGRAM_BYTES = 1432
"""Fits an Ethernet frame with room for headers. Source: StatsD's docs/metric_types.md, multi-metric packets."""

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_\-]")
_NOT_IN_A_TAG = re.compile(r"[^\w\-:/.]")  # what the datadog client replaces


class Dialect(StrEnum):
    """Which StatsD a server speaks."""

    PLAIN = "plain"
    DOGSTATSD = "dogstatsd"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)  # a series has one, which is looked up at every call
class Line:
    """How the values of one series are written."""

    name: str
    ending: str
    """The type, and tags."""
    factor: float = 1
    """From the catalogue's unit to the wire's."""
    signs: bool = True
    """Whether a sign is part of the value, rather than a change."""
    is_own: bool = False
    """Whether it is about metrics themselves."""

    def text(self, value: float) -> str:
        """One value; two lines where the server would read it as a change."""
        written = f"{self.name}:{_number(value * self.factor)}|{self.ending}"
        return written if self.signs or value >= 0 else f"{self.name}:0|{self.ending}\n{written}"


def line_for(metric: Metric, values: tuple[str, ...], dialect: Dialect) -> Line:
    """The line of one series.

    Args:
        values: of its labels, in declared order.
    """
    name, kind = statsd_name(metric), _type(metric, dialect)
    pairs = zip((label.name for label in metric.labels), values, strict=True)
    if dialect is Dialect.DOGSTATSD:
        tags = ",".join(_NOT_IN_A_TAG.sub("_", f"{label}:{value}") for label, value in pairs if value)
        ending = f"{kind}|#{tags}" if tags else kind
    else:
        name = ".".join([name, *(_NOT_IN_A_NAME.sub("_", value) or "none" for _, value in pairs)])
        ending = kind
    return Line(
        name=name,
        ending=ending,
        factor=1000 if metric.unit is Unit.SECONDS else 1,
        signs=dialect is Dialect.DOGSTATSD or metric.kind is not MetricKind.GAUGE,
        is_own=metric.id in OWN,
    )


def datagrams(
    values: Iterable[tuple[Line, float]], *, most_bytes: int = MOST_DATAGRAM_BYTES
) -> Iterator[tuple[bytes, int]]:
    """The lines in as few datagrams as their order allows: the bytes, and how many values of councilor's they hold."""
    held, size, count = list[bytes](), 0, 0
    for line, value in values:
        text = line.text(value).encode()
        if held and size + 1 + len(text) > most_bytes:
            yield b"\n".join(held), count
            held, size, count = [], 0, 0
        size += len(text) + bool(held)
        held.append(text)
        count += not line.is_own
    if held:
        yield b"\n".join(held), count


def _type(metric: Metric, dialect: Dialect) -> str:
    match metric.kind:
        case MetricKind.COUNTER:
            return "c"
        case MetricKind.GAUGE:
            return "g"
        case MetricKind.HISTOGRAM:
            return "ms" if metric.unit is Unit.SECONDS or dialect is Dialect.PLAIN else "h"


def _number(value: float) -> str:
    """Without the noise of a unit's conversion, and without a fraction where there is none."""
    finite = max(-sys.float_info.max, min(sys.float_info.max, value))  # a sum may have grown beyond
    return str(int(finite)) if finite == int(finite) and abs(finite) < 2**53 else f"{finite:.15g}"
