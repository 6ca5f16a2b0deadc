"""Service level objectives as data: what is promised, what counts against it, and how fast a budget burns.

Rules:
- An objective is a share of events that are good, over a window; its error budget is the share that may be bad.
- Events are values of catalogue metrics: `total`, and of them either `good` or `bad` ones. What a caller did wrong (bad
  input, an unknown id) never counts against a backend.
- A budget burns at rate 1 when it lasts exactly one window. An alert needs two windows: the long one says that it
  matters, the short one that it still happens.
- Rates of a handful of events say nothing: below `least` events in the long window no alert is raised.
- An indicator has no objective: it explains, and nobody is woken for it.

It does not measure and does not speak any query language: see `promql.py`.

Source: Google, The Site Reliability Workbook, chapter 5 (multiwindow, multi-burn-rate alerts); 5 s at the 95th
percentile is the roadmap's A1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from councilor.domain.metric import CATALOGUE, MetricKind

__all__ = [
    "BURNS",
    "DAY_S",
    "HOUR_S",
    "INDICATORS",
    "SERVICE",
    "SLOS",
    "WINDOWS_S",
    "Burn",
    "Indicator",
    "Selector",
    "Severity",
    "Slo",
    "Tally",
]

SERVICE = "councilor"
HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class Severity(StrEnum):
    """Who hears of an alert."""

    PAGE = "page"
    """Somebody is called now."""
    TICKET = "ticket"
    """Somebody looks at it on a working day."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """Values of one metric: all of them, or those with certain labels, or a histogram's up to an edge."""

    metric: str
    """Its id in the catalogue."""
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Label -> the values that count."""
    within: float | None = None
    """Only observations of at most this; an edge of the histogram's buckets."""

    def __post_init__(self) -> None:
        metric = CATALOGUE.get(self.metric)
        if metric is None or metric.kind is MetricKind.GAUGE:
            raise ValueError(f"{self.metric} is no counter or histogram of the catalogue")
        labels = {label.name: label for label in metric.labels}
        for name, values in self.where.items():
            if name not in labels or not values or not all(labels[name].allows(value) for value in values):
                raise ValueError(f"{self.metric} has no label {name} with {', '.join(values)}")
        if self.within is not None and self.within not in metric.buckets:
            raise ValueError(f"{self.metric} has no bucket up to {self.within:g}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Burn:
    """One pair of windows, and the rate above which the budget burns too fast in both."""

    severity: Severity
    long_s: float
    short_s: float
    factor: float


BURNS = (
    Burn(severity=Severity.PAGE, long_s=HOUR_S, short_s=300.0, factor=14.4),
    Burn(severity=Severity.PAGE, long_s=6 * HOUR_S, short_s=1800.0, factor=6.0),
    Burn(severity=Severity.TICKET, long_s=DAY_S, short_s=2 * HOUR_S, factor=3.0),
    Burn(severity=Severity.TICKET, long_s=3 * DAY_S, short_s=6 * HOUR_S, factor=1.0),
)
"""2 % of a 30 days' budget in an hour, 5 % in 6 hours, 10 % in a day, 10 % in 3 days."""

WINDOWS_S = tuple(sorted({window for burn in BURNS for window in (burn.long_s, burn.short_s)}))
"""Every window that an alert looks at, the shortest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How many events a window had. Counts of a metrics server are extrapolated, so they need not be whole."""

    total: float
    bad: float

    @property
    def ratio(self) -> float | None:
        """The share of bad ones; None without an event."""
        return min(1.0, max(0.0, self.bad / self.total)) if self.total > 0 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Slo:
    """One objective."""

    name: str
    """Lower case and dashes."""
    title: str
    """What is promised, one sentence."""
    objective: float
    """The share of events that are good, between 0 and 1."""
    total: Selector
    good: Selector | None = None
    bad: Selector | None = None
    least: int
    """Fewest events in an alert's long window."""
    window_days: int = 30

    def __post_init__(self) -> None:
        if (self.good is None) == (self.bad is None):
            raise ValueError(f"{self.name}: give either good or bad events")
        if not 0 < self.objective < 1:
            raise ValueError(f"{self.name}: an objective of {self.objective} leaves no budget, or no promise")
        if max(burn.factor for burn in BURNS) * self.budget >= 1:
            raise ValueError(f"{self.name}: with a budget of {self.budget:.3f} the fastest burn could never be seen")

    @property
    def budget(self) -> float:
        """The share of events that may be bad."""
        return round(1 - self.objective, 9)

    @property
    def window_s(self) -> float:
        """Seconds of its window."""
        return self.window_days * DAY_S

    def burn_rate(self, tally: Tally) -> float | None:
        """How many times faster than allowed the budget burns; None without an event."""
        return None if tally.ratio is None else tally.ratio / self.budget

    def budget_left(self, tally: Tally) -> float | None:
        """The share of its budget that is left, of a whole window's events; negative when it is overdrawn."""
        rate = self.burn_rate(tally)
        return None if rate is None else 1 - rate


@dataclass(frozen=True, kw_only=True, slots=True)
class Indicator:
    """A share worth watching, without a promise."""

    name: str
    title: str
    total: Selector
    part: Selector


_DATABASE = {"port": ("artifacts", "events", "log", "queue", "schedules")}
_FAULTS = ("deadline", "unavailable", "integrity", "unexpected")

_SLOS = (
    Slo(
        name="consensus-latency",
        title="The council decides within 5 s of complete evidence (A1).",
        objective=0.95,
        total=Selector(metric="v3.council.consensus"),
        good=Selector(metric="v3.council.consensus", within=5.0),
        least=10,
    ),
    Slo(
        name="task-completion",
        title="A task reaches an end that is not a failure of ours.",
        objective=0.99,
        total=Selector(metric="v3.task.finished"),
        bad=Selector(metric="v3.task.finished", where={"state": ("failed",)}),
        least=10,
    ),
    Slo(
        name="step-success",
        title="A durable step neither fails nor runs out of time.",
        objective=0.99,
        total=Selector(metric="v3.engine.step"),
        bad=Selector(metric="v3.engine.step", where={"outcome": ("failed", "timed_out")}),
        least=50,
    ),
    Slo(
        name="database-errors",
        title="The database answers a call without a fault.",
        objective=0.999,
        total=Selector(metric="v3.port.seconds", where=_DATABASE),
        bad=Selector(metric="v3.port.errors", where=_DATABASE | {"error": _FAULTS}),
        least=100,
    ),
    Slo(
        name="database-latency",
        title="The database answers a call within 0.5 s.",
        objective=0.99,
        total=Selector(metric="v3.port.seconds", where=_DATABASE),
        good=Selector(metric="v3.port.seconds", where=_DATABASE, within=0.5),
        least=100,
    ),
)

SLOS: Mapping[str, Slo] = MappingProxyType({slo.name: slo for slo in _SLOS})
"""Every objective by its name."""

INDICATORS = (
    Indicator(
        name="cache-hits",
        title="Values that a cache had.",
        total=Selector(metric="v3.cache.requests"),
        part=Selector(metric="v3.cache.requests", where={"outcome": ("local", "shared")}),
    ),
    Indicator(
        name="consensus-half-second",
        title="Verdicts within 0.5 s of complete evidence: the aim without a model; the metric does not say who voted.",
        total=Selector(metric="v3.council.consensus"),
        part=Selector(metric="v3.council.consensus", within=0.5),
    ),
)
