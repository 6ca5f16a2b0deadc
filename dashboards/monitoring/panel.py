"""What a panel shows, and short ways to write its expressions.

Rules:
- Every series of councilor is narrowed to the instances that the reader has chosen.
- A rate's window is Grafana's `$__rate_interval`, which is never shorter than four scrapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from monitoring.naming import name

__all__ = ["Board", "Form", "Panel", "Query", "Row", "grown", "mean", "quantile", "rate", "value"]

_CHOSEN = 'instance=~"$instance"'
_WINDOW = "$__rate_interval"


class Form(StrEnum):
    """How a panel draws."""

    LINES = "lines"
    STACKED = "stacked"
    FIGURE = "figure"


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """One expression, and what its series are called."""

    expr: str
    legend: str = ""
    """As Grafana writes it: `{{port}}`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One picture."""

    title: str
    says: str
    """What to look for in it, one sentence."""
    queries: tuple[Query, ...]
    unit: str = "short"
    """Grafana's name of the unit: s, bytes, percentunit, reqps."""
    form: Form = Form.LINES
    limits: tuple[float, ...] = ()
    """Values from which it is drawn in orange, and in red."""
    low_is_bad: bool = False
    """Whether `limits` are values below which it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Board:
    """One dashboard."""

    name: str
    """Of its file; with `councilor-` before it, its uid."""
    title: str
    rows: tuple[Row, ...]

    @property
    def panels(self) -> Sequence[Panel]:
        """All of its panels."""
        return [panel for row in self.rows for panel in row.panels]


def _select(series: str, where: str) -> str:
    return f"{series}{{{','.join(filter(None, (_CHOSEN, where)))}}}"


def _sum(by: Sequence[str], inner: str) -> str:
    return f"sum by ({', '.join(by)}) ({inner})" if by else f"sum({inner})"


def rate(metric: str, *by: str, where: str = "", part: str = "") -> str:
    """How often a second."""
    return _sum(by, f"rate({_select(name(metric, part), where)}[{_WINDOW}])")


def grown(metric: str, *by: str, where: str = "", part: str = "") -> str:
    """How often in the whole time that is shown."""
    return _sum(by, f"increase({_select(name(metric, part), where)}[$__range])")


def quantile(metric: str, share: float, *by: str, where: str = "") -> str:
    """What a share of a histogram's values does not exceed."""
    buckets = _sum((*by, "le"), f"rate({_select(name(metric, '_bucket'), where)}[{_WINDOW}])")
    return f"histogram_quantile({share}, {buckets})"


def mean(metric: str, *by: str) -> str:
    """A histogram's mean."""
    return f"{rate(metric, *by, part='_sum')} / {rate(metric, *by, part='_count')}"


def value(metric: str, where: str = "") -> str:
    """A gauge, instance by instance."""
    return _select(name(metric), where)
