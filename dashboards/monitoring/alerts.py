"""The alerts that are no budget burning: what is broken, nearly full, or hiding something.

Rules:
- A threshold stands beside its reason. What happens once and is over again is a ticket, never a page.
- An expression keeps the labels that say where to look, and no others.
"""

from __future__ import annotations

from councilor.domain.metric import SERIES_BUDGET
from councilor.domain.slo import Severity
from monitoring.alert import Alert, Case
from monitoring.naming import JOB, name, rose

__all__ = ["ALERTS"]

_ON = f'job="{JOB}",instance="a"'
_FROM = {"job": JOB, "instance": "a"}
_UP = f"up{{{_ON}}}"
_FREE = name("v3.storage.free")
_HEALTH = name("v3.health.status")
_STATE = name("v3.breaker.state")
_SAMPLES = "scrape_samples_post_metric_relabeling"
_LEAST_FREE_BYTES = 2 * 2**30
"""As `councilor doctor` warns of."""


def _of(metric: str, labels: str = "", part: str = "") -> str:
    """One series of our job."""
    return f"{name(metric, part)}{{{','.join(filter(None, (_ON, labels)))}}}"


_REACH = (
    Alert(
        name="CouncilorDown",
        severity=Severity.TICKET,
        expr=f'up{{job="{JOB}"}} == 0',
        for_="5m",
        summary="{{ $labels.instance }} cannot be scraped.",
        description="Nothing is known of it since: every other alert about it is silent.",
        fires=Case(series={_UP: "1x3 0x10"}, at="10m", labels=_FROM, says="a cannot be scraped."),
        quiet=(Case(series={_UP: "1x3 0x2 1x10"}, at="10m"),),
    ),
    Alert(
        name="CouncilorHealthFail",
        severity=Severity.PAGE,
        expr=f"{_HEALTH} == 0",
        for_="1m",
        summary="{{ $labels.component }} does not work on {{ $labels.instance }}, and nothing stands in for it.",
        description="/readyz answers 503; runs there fail or wait.",
        fires=Case(
            series={_of("v3.health.status", 'component="database"'): "1x2 0x10"},
            at="6m",
            labels=_FROM | {"component": "database"},
            says="database does not work on a, and nothing stands in for it.",
        ),
        quiet=(Case(series={_of("v3.health.status", 'component="cache"'): "1x2 0.5x10"}, at="6m"),),
    ),
    Alert(
        name="CouncilorHealthWarn",
        severity=Severity.TICKET,
        expr=f"{_HEALTH} > 0 and {_HEALTH} < 1",
        for_="30m",
        summary="{{ $labels.component }} has been degraded for half an hour on {{ $labels.instance }}.",
        description="Work goes on through a fallback, or something will run out soon.",
        fires=Case(
            series={_of("v3.health.status", 'component="cache"'): "0.5x60"},
            at="40m",
            labels=_FROM | {"component": "cache"},
            says="cache has been degraded for half an hour on a.",
        ),
        quiet=(Case(series={_of("v3.health.status", 'component="cache"'): "0.5x20 1x40"}, at="40m"),),
    ),
    Alert(
        name="CouncilorDiskLow",
        severity=Severity.PAGE,
        expr=f"{_FREE} < {_LEAST_FREE_BYTES}",
        for_="5m",
        summary="Less than 2 GiB are free for the data folder of {{ $labels.instance }}.",
        description="Runs stop with a shortage when nothing is left; nothing recorded is lost.",
        fires=Case(
            series={_of("v3.storage.free"): "1e9x20"},
            at="10m",
            labels=_FROM,
            says="Less than 2 GiB are free for the data folder of a.",
        ),
        quiet=(Case(series={_of("v3.storage.free"): "9e9x20"}, at="10m"),),
    ),
    Alert(
        name="CouncilorDiskFilling",
        severity=Severity.TICKET,
        expr=f"predict_linear({_FREE}[6h], 86400) < 0 and {_FREE} > 0",
        for_="30m",
        summary="The data folder's disk of {{ $labels.instance }} is full within a day if this goes on.",
        description="The trend of the last six hours, drawn on for 24.",
        fires=Case(
            series={_of("v3.storage.free"): "60e9-1e8x200"},  # 100 MB a minute: full after ten hours
            at="2h",
            labels=_FROM,
            says="The data folder's disk of a is full within a day if this goes on.",
        ),
        quiet=(Case(series={_of("v3.storage.free"): "60e9-1e6x200"}, at="2h"),),
    ),
)

_GUARDS = (
    Alert(
        name="CouncilorBreakerOpen",
        severity=Severity.TICKET,
        expr=f"{_STATE} > 0 and {_STATE} < 3",  # half-open between two failed probes is no recovery
        for_="2m",
        summary="The breaker of {{ $labels.breaker }} has not closed for two minutes on {{ $labels.instance }}.",
        description="Calls to it are rejected at once; a fallback answers where there is one.",
        fires=Case(
            series={_of("v3.breaker.state", 'breaker="redis"'): "0x2 2 1 2 1 2 2"},
            at="6m",
            labels=_FROM | {"breaker": "redis"},
            says="The breaker of redis has not closed for two minutes on a.",
        ),
        quiet=(
            Case(series={_of("v3.breaker.state", 'breaker="redis"'): "0x2 2 1 0x10"}, at="6m"),
            Case(series={_of("v3.breaker.state", 'breaker="redis"'): "3x10"}, at="6m"),
        ),
    ),
    Alert(
        name="CouncilorBreakerForced",
        severity=Severity.TICKET,
        expr=f"{_STATE} >= 3",
        for_="1h",
        summary="The breaker of {{ $labels.breaker }} has been forced for an hour on {{ $labels.instance }}.",
        description="Somebody forced it open or disabled it by hand, and that does not end by itself.",
        fires=Case(
            series={_of("v3.breaker.state", 'breaker="redis"'): "3x90"},
            at="70m",
            labels=_FROM | {"breaker": "redis"},
            says="The breaker of redis has been forced for an hour on a.",
        ),
        quiet=(Case(series={_of("v3.breaker.state", 'breaker="redis"'): "3x30 0x60"}, at="70m"),),
    ),
    Alert(
        name="CouncilorFallbackInUse",
        severity=Severity.TICKET,
        expr=rose(name("v3.fallback.used"), "10m", "port", "reason"),
        for_="5m",
        summary="A fallback answers for {{ $labels.port }} ({{ $labels.reason }}).",
        description="Results are right, but slower or not shared; the backend behind it wants attention.",
        fires=Case(
            series={_of("v3.fallback.used", 'port="cache",reason="breaker_open"'): "_x3 1x3 3x6"},
            at="9m",
            labels={"port": "cache", "reason": "breaker_open"},
            says="A fallback answers for cache (breaker_open).",
        ),
        quiet=(Case(series={_of("v3.fallback.used", 'port="cache",reason="deadline"'): "5x40"}, at="30m"),),
    ),
    Alert(
        name="CouncilorRetries",
        severity=Severity.TICKET,
        expr=f"sum by (port) (rate({name('v3.retry.repeated')}[15m])) > 0.1",  # six a minute are no hiccup
        for_="15m",
        summary="Calls to {{ $labels.port }} are repeated all the time.",
        description="They succeed in the end, or the errors' own alerts would fire; each costs time.",
        fires=Case(
            series={_of("v3.retry.repeated", 'port="cache"'): "0+30x60"},
            at="40m",
            labels={"port": "cache"},
            says="Calls to cache are repeated all the time.",
        ),
        quiet=(Case(series={_of("v3.retry.repeated", 'port="cache"'): "0+1x60"}, at="40m"),),
    ),
    Alert(
        name="CouncilorPoolExhausted",
        severity=Severity.TICKET,
        expr=f'{name("v3.database.connections")}{{state="waiting"}} > 0',
        for_="5m",
        summary="Callers wait for a database connection on {{ $labels.instance }}.",
        description="Every connection of the pool has been in use for minutes.",
        fires=Case(
            series={_of("v3.database.connections", 'state="waiting"'): "3x10"},
            at="8m",
            labels=_FROM | {"state": "waiting"},
            says="Callers wait for a database connection on a.",
        ),
        quiet=(Case(series={_of("v3.database.connections", 'state="waiting"'): "3 0 3 0 3 0 0 0 0 0"}, at="8m"),),
    ),
    Alert(
        name="CouncilorTombstonesKept",
        severity=Severity.TICKET,
        expr=f"{name('v3.cache.tombstones')} > 0",
        for_="30m",
        summary="{{ $labels.instance }} has changes that Redis has not been told for half an hour.",
        description="Other processes may read values that this one has deleted or replaced.",
        fires=Case(
            series={_of("v3.cache.tombstones"): "4x60"},
            at="40m",
            labels=_FROM,
            says="a has changes that Redis has not been told for half an hour.",
        ),
        quiet=(Case(series={_of("v3.cache.tombstones"): "4x10 0x50"}, at="40m"),),
    ),
)

_WORK = (
    Alert(
        name="CouncilorQueueStuck",
        severity=Severity.PAGE,
        # One queue, seen by each process: whether anybody works matters, not who. Where no executor is scraped nobody
        # knows what runs.
        expr=f"max({name('v3.engine.queued')}) > 0 and sum({name('v3.engine.running')}) == 0",
        for_="10m",
        summary="Runs wait, and none is executed anywhere.",
        description="No executor takes anything from the queue.",
        fires=Case(
            series={_of("v3.engine.queued"): "2x20", _of("v3.engine.running"): "0x20"},
            at="15m",
        ),
        quiet=(
            Case(series={_of("v3.engine.queued"): "2x20"}, at="15m"),
            Case(series={_of("v3.engine.queued"): "2x20", _of("v3.engine.running"): "1x20"}, at="15m"),
            Case(
                series={
                    _of("v3.engine.queued"): "2x20",
                    _of("v3.engine.running"): "0x20",
                    _of("v3.engine.running").replace('"a"', '"b"'): "1x20",
                },
                at="15m",
            ),
            Case(series={_of("v3.engine.queued"): "0x20", _of("v3.engine.running"): "0x20"}, at="15m"),
        ),
    ),
    Alert(
        name="CouncilorScheduleFailed",
        severity=Severity.TICKET,
        expr=rose(f'{name("v3.schedule.due")}{{outcome=~"failed|missed"}}', "1h", "outcome"),
        for_="0m",
        summary="A schedule submitted nothing when it was due: {{ $labels.outcome }}.",
        description="`councilor schedule list` says which, and why.",
        fires=Case(
            series={_of("v3.schedule.due", 'outcome="failed"'): "_x3 1x3"},
            at="5m",
            labels={"outcome": "failed"},
            says="A schedule submitted nothing when it was due: failed.",
        ),
        quiet=(Case(series={_of("v3.schedule.due", 'outcome="submitted"'): "_x3 1x3"}, at="5m"),),
    ),
    Alert(
        name="CouncilorIntegrity",
        severity=Severity.PAGE,
        expr=rose(f'{name("v3.port.errors")}{{error="integrity"}}', "1h", "port"),
        for_="0m",
        summary="{{ $labels.port }} returned something that is not what was stored.",
        description="Trust no record until this is explained.",
        fires=Case(
            series={_of("v3.port.errors", 'port="artifacts",error="integrity"'): "_x3 1x3"},
            at="5m",
            labels={"port": "artifacts"},
            says="artifacts returned something that is not what was stored.",
        ),
        quiet=(Case(series={_of("v3.port.errors", 'port="artifacts",error="input"'): "0+1x10"}, at="5m"),),
    ),
    Alert(
        name="CouncilorEvidenceBreached",
        severity=Severity.TICKET,
        expr=rose(name("v3.evidence.breaches"), "1h", "breach"),
        for_="0m",
        summary="A test run was not believed: {{ $labels.breach }}.",
        description="A candidate touched what measures it, by accident or on purpose. It was not accepted.",
        fires=Case(
            series={_of("v3.evidence.breaches", 'breach="canary_missing"'): "0x3 1x3"},
            at="5m",
            labels={"breach": "canary_missing"},
            says="A test run was not believed: canary_missing.",
        ),
        quiet=(Case(series={_of("v3.evidence.breaches", 'breach="canary_missing"'): "1x100"}, at="90m"),),
    ),
    Alert(
        name="CouncilorCheckpointStale",
        severity=Severity.PAGE,
        expr=f"{rose(name('v3.ledger.statements'), '15m')} unless {rose(name('v3.log.sequence', '_count'), '15m')}",
        for_="10m",
        summary="Statements are signed, but for a quarter of an hour no checkpoint was.",
        description="What is not in a checkpoint could be removed without anybody noticing.",
        fires=Case(
            series={
                _of("v3.ledger.statements", 'kind="verdict"'): "0+2x40",
                _of("v3.log.sequence", part="_count"): "0+1x3 3x37",
            },
            at="35m",
        ),
        quiet=(
            Case(
                series={
                    _of("v3.ledger.statements", 'kind="verdict"'): "0+2x40",
                    _of("v3.log.sequence", part="_count"): "0+1x40",
                },
                at="35m",
            ),
            Case(series={_of("v3.log.sequence", part="_count"): "3x40"}, at="35m"),
        ),
    ),
    Alert(
        name="CouncilorNotificationsFail",
        severity=Severity.TICKET,
        expr=rose(f'{name("v3.notification.results")}{{outcome="failed"}}', "1h", "channel"),
        for_="0m",
        summary="A notification by {{ $labels.channel }} was not taken.",
        description="Somebody was not told of a run's end; it is not sent again.",
        fires=Case(
            series={_of("v3.notification.results", 'channel="webhook",outcome="failed"'): "_x3 1x3"},
            at="5m",
            labels={"channel": "webhook"},
            says="A notification by webhook was not taken.",
        ),
        quiet=(Case(series={_of("v3.notification.results", 'channel="webhook",outcome="sent"'): "0+1x10"}, at="5m"),),
    ),
    Alert(
        name="CouncilorSandboxFails",
        severity=Severity.TICKET,
        expr=rose(f'{name("v3.sandbox.jobs")}{{outcome="failed"}}', "30m", "sandbox") + " > 3",
        for_="0m",
        summary="Jobs could not be started in {{ $labels.sandbox }}.",
        description="Not a failing program: the sandbox itself failed. Runs there end as failed.",
        fires=Case(
            series={_of("v3.sandbox.jobs", 'sandbox="bubblewrap",outcome="failed"'): "0+1x10"},
            at="8m",
            labels={"sandbox": "bubblewrap"},
            says="Jobs could not be started in bubblewrap.",
        ),
        quiet=(
            Case(
                series={_of("v3.sandbox.jobs", 'sandbox="bubblewrap",outcome="failed"'): "0 1 1 1 1 1 1 1 1"}, at="8m"
            ),
            Case(series={_of("v3.sandbox.jobs", 'sandbox="bubblewrap",outcome="timed_out"'): "0+1x10"}, at="8m"),
        ),
    ),
)

_OWN = (
    Alert(
        name="CouncilorMetricsOverflow",
        severity=Severity.TICKET,
        expr=rose(name("v3.metrics.overflow"), "15m", "metric"),
        for_="0m",
        summary="{{ $labels.metric }} has more label values than it takes.",
        description="The surplus is counted under `other`: totals are right, details are missing.",
        fires=Case(
            series={_of("v3.metrics.overflow", 'metric="v3.gate.results"'): "_x3 40x3"},
            at="5m",
            labels={"metric": "v3.gate.results"},
            says="v3.gate.results has more label values than it takes.",
        ),
        quiet=(Case(series={_of("v3.metrics.overflow", 'metric="v3.gate.results"'): "40x60"}, at="30m"),),
    ),
    Alert(
        name="CouncilorMetricsLost",
        severity=Severity.TICKET,
        expr=rose(name("v3.metrics.failures"), "15m", "backend"),
        for_="0m",
        summary="{{ $labels.backend }} did not take measurements.",
        description="Nothing but figures is lost; other backends have them.",
        fires=Case(
            series={_of("v3.metrics.failures", 'backend="statsd"'): "0x3 7x3"},
            at="5m",
            labels={"backend": "statsd"},
            says="statsd did not take measurements.",
        ),
        quiet=(Case(series={_of("v3.metrics.failures", 'backend="statsd"'): "0x10"}, at="5m"),),
    ),
    Alert(
        name="CouncilorSeriesNearLimit",
        severity=Severity.TICKET,
        expr=f'{_SAMPLES}{{job="{JOB}"}} > {SERIES_BUDGET * 9 // 10}',
        for_="15m",
        summary="{{ $labels.instance }} exposes nearly as many series as one scrape may have.",
        description=f"Above {SERIES_BUDGET} the whole scrape is refused (`sample_limit`).",
        fires=Case(
            series={f"{_SAMPLES}{{{_ON}}}": "950x30"},
            at="20m",
            labels=_FROM,
            says="a exposes nearly as many series as one scrape may have.",
        ),
        quiet=(Case(series={f"{_SAMPLES}{{{_ON}}}": "500x30"}, at="20m"),),
    ),
    Alert(
        name="CouncilorVersionsMixed",
        severity=Severity.TICKET,
        expr=f"count(count by (version, commit) ({name('v3.build.info')})) > 1",
        for_="1h",
        summary="Instances run different versions.",
        description="After an upgrade some were left behind: an unfinished run may not be taken up by them.",
        fires=Case(
            series={
                _of("v3.build.info", 'version="1.0.0",commit="a",host="x"'): "1x90",
                _of("v3.build.info", 'version="1.1.0",commit="b",host="y"'): "1x90",
            },
            at="70m",
        ),
        quiet=(Case(series={_of("v3.build.info", 'version="1.0.0",commit="a",host="x"'): "1x90"}, at="70m"),),
    ),
)

ALERTS = (*_REACH, *_GUARDS, *_WORK, *_OWN)
"""Every hand-written alert."""
