"""The metric catalogue: every measurement that councilor makes, declared once.

Rules:
- An id is `v3.<component>.<event>`; what is not declared here is never emitted, what is declared is emitted somewhere.
- A closed label takes its declared values, an open one at most `cap` different ones; anything else becomes `other`.
- Durations are in seconds; a histogram's buckets include the edge of its service level, so that a quantile near it is
  not clamped.
- All series together stay under `SERIES_BUDGET`; `Metric.max_sets` bounds one metric's combinations of labels.
- `host` and `commit` are constant per process: labels of `v3.build.info` and of the scrape target, never of a call.

It does not measure or export: that is a `MetricsBackend`. docs/reference/metrics.md is generated from it.

Source: https://prometheus.io/docs/practices/naming/ (base units as suffix, `_total` for counters).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from types import MappingProxyType

from councilor.domain.artifact import ArtifactKind
from councilor.domain.claim import ClaimStatus
from councilor.domain.event import EventType
from councilor.domain.evidence import RUN_KINDS, Breach, Outcome
from councilor.domain.gate import GateStatus
from councilor.domain.schedule import DueOutcome
from councilor.domain.task import END_STATES
from councilor.domain.verdict import Choice, Decision, Judge
from councilor.domain.worker import WorkerOutcome

__all__ = [
    "CATALOGUE",
    "OTHER",
    "SERIES_BUDGET",
    "Label",
    "Metric",
    "MetricKind",
    "Unit",
    "prometheus_name",
    "statsd_name",
]

SERIES_BUDGET = 1000
"""Most series of one process, in the worst case. Source: the roadmap, M2 research notes."""

OTHER = "other"
"""What an undeclared label value becomes."""


class MetricKind(StrEnum):
    """How values of a metric add up."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Unit(StrEnum):
    """What a value is measured in."""

    COUNT = "count"
    SECONDS = "seconds"
    BYTES = "bytes"
    RATIO = "ratio"


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """One label of a metric."""

    name: str
    values: tuple[str, ...] = ()
    """Everything it may be; empty for an open label."""
    cap: int = 0
    """Most different values of an open label; 0 for a closed one."""

    @property
    def size(self) -> int:
        """Most different values, `other` not counted."""
        return len(self.values) or self.cap

    def allows(self, value: str) -> bool:
        """Whether `value` is declared; an open label allows any."""
        return not self.values or value in self.values


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One declared metric."""

    id: str
    kind: MetricKind
    unit: Unit
    help: str
    """What a value says, one sentence."""
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    """A histogram's upper edges, ascending, without infinity."""
    alias: str | None = None
    """The name that the roadmap uses."""
    most_sets: int | None = None
    """Bound on combinations of labels where not every product of their values can happen."""

    @property
    def label_names(self) -> frozenset[str]:
        """The names of its labels; an emit gives exactly these."""
        return frozenset(label.name for label in self.labels)

    @property
    def max_sets(self) -> int:
        """Most combinations of label values that a backend keeps; further ones become `other`."""
        product = prod(label.size for label in self.labels)
        return product if self.most_sets is None else min(product, self.most_sets)

    @property
    def max_series(self) -> int:
        """Most series it takes: a histogram has one per bucket, and +Inf, sum and count."""
        return self.max_sets * (len(self.buckets) + 3 if self.kind is MetricKind.HISTOGRAM else 1)


def prometheus_name(metric: Metric) -> str:
    """Its name in Prometheus: underscores, the unit as suffix, then `_total` for a counter."""
    name = metric.id.replace(".", "_")
    if metric.unit is not Unit.COUNT and not name.endswith(f"_{metric.unit}"):
        name += f"_{metric.unit}"
    return f"{name}_total" if metric.kind is MetricKind.COUNTER else name


def statsd_name(metric: Metric) -> str:
    """Its name in StatsD: the id. StatsD timers are in milliseconds, so a last part `seconds` becomes `ms`."""
    stem, _, last = metric.id.rpartition(".")
    return f"{stem}.ms" if last == Unit.SECONDS else metric.id


def _closed(name: str, values: Iterable[str]) -> Label:
    return Label(name=name, values=tuple(str(value) for value in values))


def _open(name: str, cap: int) -> Label:
    return Label(name=name, cap=cap)


def _count(name: str, text: str, *labels: Label, unit: Unit = Unit.COUNT, most_sets: int | None = None) -> Metric:
    return Metric(id=name, kind=MetricKind.COUNTER, unit=unit, help=text, labels=labels, most_sets=most_sets)


def _gauge(name: str, text: str, *labels: Label, unit: Unit = Unit.COUNT) -> Metric:
    return Metric(id=name, kind=MetricKind.GAUGE, unit=unit, help=text, labels=labels)


def _seconds(
    name: str,
    text: str,
    *labels: Label,
    buckets: tuple[float, ...],
    alias: str | None = None,
    most_sets: int | None = None,
) -> Metric:
    return Metric(
        id=name,
        kind=MetricKind.HISTOGRAM,
        unit=Unit.SECONDS,
        help=text,
        labels=labels,
        buckets=buckets,
        alias=alias,
        most_sets=most_sets,
    )


_CALL_S = (0.05, 0.5, 5.0)
_QUICK_S = (0.1, 1.0)
_STEP_S = (1.0, 30.0, 600.0)
_LONG_S = (0.1, 1.0, 10.0, 60.0, 300.0, 1800.0)
_CONSENSUS_S = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_TIER = _closed("risk_tier", ("1", "2", "3"))
_PHASE = _closed("phase", ("preparing", "working", "checking", "refining", "deliberating", "publishing"))
_GATE = _open("gate", 24)
_BREAKER = _open("breaker", 10)
_SANDBOX = _open("sandbox", 2)  # a process chooses one
_OPERATION = _closed("operation", ("put", "get", "erase"))
_JOB_OUTCOME = _closed("outcome", ("exited", "timed_out", "cancelled", "failed"))
_STEP_OUTCOME = _closed("outcome", ("finished", "failed", "timed_out", "cancelled"))
_PORT_ERROR = _closed("error", ("deadline", "unavailable", "integrity", "input", "not_found", "unexpected"))

_ENTRIES = (
    _count("v3.task.submitted", "Tasks submitted.", _TIER),
    _count("v3.task.finished", "Tasks that reached an end.", _closed("state", sorted(END_STATES)), _TIER),
    _seconds(
        "v3.task.seconds",
        "Time from a task's submission to its end.",
        _TIER,
        buckets=(10.0, 60.0, 300.0, 1800.0, 7200.0),
    ),
    _seconds("v3.phase.seconds", "Time a task spent in a phase.", _PHASE, buckets=_LONG_S),
    _seconds(
        "v3.worker.iteration",
        "Time of one worker iteration, by the name of the worker's profile.",
        _open("worker", 4),
        _closed("outcome", WorkerOutcome),
        buckets=(1.0, 10.0, 60.0, 300.0, 1800.0),
        most_sets=6,
    ),
    _seconds(
        "v3.evidence.seconds",
        "Time of one run on a tree: tests, or a criterion's command.",
        _closed("kind", RUN_KINDS),
        buckets=(0.1, 1.0, 10.0, 60.0, 300.0, 1800.0),
    ),
    _count("v3.evidence.tests", "Test records of believable and void runs.", _closed("outcome", Outcome)),
    _count("v3.evidence.baselines", "Baselines that runs began with.", _closed("origin", ("measured", "reused"))),
    _count("v3.evidence.breaches", "Reasons why a test run was not believed.", _closed("breach", Breach)),
    _count("v3.gate.results", "Gate results.", _GATE, _closed("status", GateStatus), most_sets=54),
    _count("v3.gate.seconds", "Time that gates took.", _GATE, unit=Unit.SECONDS),
    _count("v3.claims.checked", "Claims that evidence gave a status.", _closed("status", ClaimStatus)),
    _seconds(
        "v3.council.consensus",
        "Time from complete evidence to the verdict; within 5 s at the 95th percentile, 0.5 s without a model.",
        buckets=_CONSENSUS_S,
        alias="council.consensus.ms",
    ),
    _count("v3.council.votes", "Votes of the council.", _closed("judge", Judge), _closed("choice", Choice)),
    _count(
        "v3.model.tokens",
        "Tokens that models read and wrote.",
        _open("model", 4),
        _closed("direction", ("input", "output")),
    ),
    _count("v3.verdict.decisions", "Verdicts.", _closed("decision", Decision), _TIER),
    _count(
        "v3.notification.results",
        "Notifications that were taken or not.",
        _open("channel", 2),
        _closed("outcome", ("sent", "failed")),
    ),
    _count("v3.artifact.bytes", "Bytes of artifacts stored, read and erased.", _OPERATION, unit=Unit.BYTES),
    _gauge("v3.log.size", "Leaves of the transparency log."),
    _seconds(
        "v3.log.sequence",
        "Time to make leaves of what was waiting, sign the tree and publish its checkpoint.",
        buckets=_CALL_S,
    ),
    _count("v3.ledger.statements", "Statements signed, by the kind of artifact.", _closed("kind", ArtifactKind)),
    _count("v3.event.appended", "Events stored.", _closed("type", EventType)),
    _count("v3.sandbox.jobs", "Sandboxed jobs, by how they ended.", _SANDBOX, _JOB_OUTCOME),
    _seconds("v3.sandbox.seconds", "Time of a sandboxed job.", _SANDBOX, buckets=_LONG_S),
    _seconds(
        "v3.environment.prepare",
        "Time until a repository's dependencies were ready.",
        _open("source", 7),
        _closed("hit", ("true", "false")),
        buckets=(0.1, 1.0, 10.0, 60.0, 300.0),
        most_sets=6,
    ),
    _seconds("v3.repository.seconds", "Time of one git operation.", _open("operation", 12), buckets=_QUICK_S),
    _seconds(
        "v3.engine.step",
        "Time of one durable step, iteration numbers left out of its name.",
        _open("step", 13),
        _STEP_OUTCOME,
        buckets=_STEP_S,
        most_sets=14,
    ),
    _seconds(
        "v3.port.seconds",
        "Time of one guarded call to a backend, failed ones included.",
        _open("port", 12),
        _open("method", 48),
        buckets=_CALL_S,
        most_sets=36,
    ),
    _count(
        "v3.port.errors", "Guarded calls that raised, by class of error.", _open("port", 12), _PORT_ERROR, most_sets=36
    ),
    _count("v3.retry.repeated", "Guarded calls that were repeated after a failure.", _open("port", 6)),
    _count(
        "v3.fallback.used",
        "Calls that a fallback answered, by why.",
        _open("port", 4),
        _closed("reason", ("deadline", "unavailable", "breaker_open", "unexpected")),
        most_sets=8,
    ),
    _gauge("v3.breaker.state", "0 closed, 1 half-open, 2 open, 3 forced open, 4 disabled.", _BREAKER),
    _count(
        "v3.breaker.transitions",
        "Changes of a breaker's state.",
        _BREAKER,
        _closed("to", ("closed", "half_open", "open", "forced_open", "disabled")),
        most_sets=24,
    ),
    _count("v3.breaker.rejections", "Calls that a breaker did not let through.", _BREAKER),
    _count(
        "v3.cache.requests",
        "Values asked for, by the tier that had them.",
        _open("namespace", 4),
        _closed("outcome", ("local", "shared", "miss")),
    ),
    _count("v3.cache.evictions", "Values that the local tier gave up.", _closed("reason", ("size", "ttl"))),
    _gauge("v3.cache.entries", "Values in the local tier."),
    _gauge("v3.cache.tombstones", "Changes that the shared tier has not been told yet."),
    _gauge(
        "v3.database.connections",
        "Connections of this process's pool, and callers that wait for one.",
        _closed("state", ("idle", "used", "waiting")),
    ),
    _count("v3.schedule.due", "Due times of schedules, by what became of them.", _closed("outcome", DueOutcome)),
    _gauge("v3.engine.queued", "Runs that are waiting for an executor."),
    _gauge("v3.engine.running", "Runs that this process executes."),
    _gauge("v3.storage.free", "Free space of the data folder's disk.", unit=Unit.BYTES),
    _gauge("v3.health.status", "1 pass, 0.5 warn, 0 fail.", _open("component", 12)),
    _gauge(
        "v3.feature.enabled",
        "1 where a feature flag is on.",
        _closed(
            "feature",
            (
                "coreml",
                "observability.prometheus",
                "observability.statsd",
                "observability.redis",
                "storage.db_artifacts",
            ),
        ),
    ),
    _gauge(
        "v3.build.info",
        "Always 1; the labels say what runs where.",
        *(_open(name, 1) for name in ("version", "commit", "host")),
    ),
    _count("v3.metrics.overflow", "Values whose labels were more than a metric takes.", _open("metric", 8)),
    _count(
        "v3.metrics.failures",
        "Values that a metrics backend did not take.",
        _closed("backend", ("prometheus", "statsd")),
    ),
)

CATALOGUE: Mapping[str, Metric] = MappingProxyType({metric.id: metric for metric in _ENTRIES})
"""Every metric by its id, in the order of a task's way."""
