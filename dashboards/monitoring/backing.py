"""The dashboard of what councilor stands on: database, ledger, caches, guards, health, and the metrics themselves."""

from __future__ import annotations

from councilor.domain.metric import SERIES_BUDGET
from councilor.domain.promql import indicator_ratio
from councilor.domain.slo import INDICATORS
from monitoring.naming import JOB
from monitoring.panel import Board, Form, Panel, Query, Row, quantile, rate, value

__all__ = ["BACKING"]

_HITS = next(item for item in INDICATORS if item.name == "cache-hits")

_DATABASE = Row(
    title="Database and ledger",
    panels=(
        Panel(
            title="Latency of backends",
            says="p95 of guarded calls, failed ones included; half a second is promised for the database.",
            unit="s",
            queries=(Query(expr=quantile("v3.port.seconds", 0.95, "port"), legend="{{port}}"),),
            limits=(0.5, 5.0),
        ),
        Panel(
            title="Slowest methods",
            says="p95, the ten slowest.",
            unit="s",
            queries=(
                Query(
                    expr=f"topk(10, {quantile('v3.port.seconds', 0.95, 'port', 'method')})",
                    legend="{{port}}.{{method}}",
                ),
            ),
        ),
        Panel(
            title="Errors of backends",
            says="`input` and `not_found` are the caller's; the others are the backend's.",
            unit="cps",
            queries=(Query(expr=rate("v3.port.errors", "port", "error"), legend="{{port}} {{error}}"),),
        ),
        Panel(
            title="Database connections",
            says="Callers that wait for long need a larger pool, or a quicker database.",
            form=Form.STACKED,
            queries=(Query(expr=value("v3.database.connections"), legend="{{state}} {{instance}}"),),
        ),
        Panel(
            title="Bytes of artifacts",
            says="Stored, read and erased in a second.",
            unit="Bps",
            queries=(Query(expr=rate("v3.artifact.bytes", "operation"), legend="{{operation}}"),),
        ),
        Panel(
            title="Statements",
            says="Signed in a second, by the kind of artifact.",
            unit="cps",
            form=Form.STACKED,
            queries=(Query(expr=rate("v3.ledger.statements", "kind"), legend="{{kind}}"),),
        ),
        Panel(
            title="Log",
            says="Leaves of the transparency log: they never become fewer.",
            queries=(Query(expr=value("v3.log.size"), legend="{{instance}}"),),
        ),
        Panel(
            title="Checkpoints",
            says="How long it takes to sign one (p95).",
            unit="s",
            queries=(Query(expr=quantile("v3.log.sequence", 0.95), legend="p95"),),
        ),
        Panel(
            title="Free space",
            says="Of the data folder's disk; below 2 GiB runs are in danger.",
            unit="bytes",
            queries=(Query(expr=value("v3.storage.free"), legend="{{instance}}"),),
            limits=(5 * 2.0**30, 2 * 2.0**30),
            low_is_bad=True,
        ),
    ),
)

_CACHES = Row(
    title="Caches",
    panels=(
        Panel(
            title="Cache hit ratio",
            says="An indicator without a promise: what a cache had, of what it was asked for.",
            unit="percentunit",
            queries=(
                Query(expr=indicator_ratio(_HITS, "$__rate_interval"), legend="all"),
                Query(
                    expr=f"""{rate("v3.cache.requests", "namespace", where='outcome!="miss"')}"""
                    f""" / {rate("v3.cache.requests", "namespace")}""",
                    legend="{{namespace}}",
                ),
            ),
        ),
        Panel(
            title="Where values came from",
            says="Local, shared (Redis), or neither.",
            unit="cps",
            form=Form.STACKED,
            queries=(
                Query(expr=rate("v3.cache.requests", "namespace", "outcome"), legend="{{namespace}} {{outcome}}"),
            ),
        ),
        Panel(
            title="Evictions",
            says="By size: the local tier is too small. By ttl: as it should be.",
            unit="cps",
            queries=(Query(expr=rate("v3.cache.evictions", "reason"), legend="{{reason}}"),),
        ),
        Panel(
            title="Local tier",
            says="Tombstones are changes that Redis has not been told: they go when it is back.",
            queries=(
                Query(expr=value("v3.cache.entries"), legend="values {{instance}}"),
                Query(expr=value("v3.cache.tombstones"), legend="tombstones {{instance}}"),
            ),
        ),
    ),
)

_GUARDS = Row(
    title="Breakers, fallbacks, retries",
    panels=(
        Panel(
            title="Breakers",
            says="0 closed, 1 half-open, 2 open, 3 forced open, 4 disabled.",
            queries=(Query(expr=value("v3.breaker.state"), legend="{{breaker}} {{instance}}"),),
            limits=(1, 2),
        ),
        Panel(
            title="Changes of breakers",
            says="One that opens and closes again and again has a backend that is half broken.",
            unit="cps",
            queries=(Query(expr=rate("v3.breaker.transitions", "breaker", "to"), legend="{{breaker}} to {{to}}"),),
        ),
        Panel(
            title="Rejected calls",
            says="What an open breaker spared its backend.",
            unit="cps",
            queries=(Query(expr=rate("v3.breaker.rejections", "breaker"), legend="{{breaker}}"),),
        ),
        Panel(
            title="Fallbacks",
            says="Answers that came from somewhere else, by why.",
            unit="cps",
            queries=(Query(expr=rate("v3.fallback.used", "port", "reason"), legend="{{port}} {{reason}}"),),
        ),
        Panel(
            title="Retries",
            says="Calls that were repeated after a failure.",
            unit="cps",
            queries=(Query(expr=rate("v3.retry.repeated", "port"), legend="{{port}}"),),
        ),
        Panel(
            title="Health",
            says="1 pass, 0.5 warn, 0 fail.",
            queries=(Query(expr=value("v3.health.status"), legend="{{component}} {{instance}}"),),
            limits=(1, 0.5),
            low_is_bad=True,
        ),
    ),
)

_METRICS = Row(
    title="Metrics themselves",
    panels=(
        Panel(
            title="Series of a scrape",
            says=f"At most {SERIES_BUDGET}: more are refused.",
            queries=(Query(expr=f'scrape_samples_post_metric_relabeling{{job="{JOB}"}}', legend="{{instance}}"),),
            limits=(SERIES_BUDGET * 0.9, SERIES_BUDGET),
        ),
        Panel(
            title="Overflow",
            says="Values whose labels were more than a metric takes: counted as `other`.",
            unit="cps",
            queries=(Query(expr=rate("v3.metrics.overflow", "metric"), legend="{{metric}}"),),
        ),
        Panel(
            title="Lost measurements",
            says="Values that a metrics backend did not take.",
            unit="cps",
            queries=(Query(expr=rate("v3.metrics.failures", "backend"), legend="{{backend}}"),),
        ),
        Panel(
            title="Time of a scrape",
            says="Milliseconds, unless the process is busy.",
            unit="s",
            queries=(Query(expr=f'scrape_duration_seconds{{job="{JOB}"}}', legend="{{instance}}"),),
        ),
    ),
)

BACKING = Board(name="backends", title="councilor: backends", rows=(_DATABASE, _CACHES, _GUARDS, _METRICS))
