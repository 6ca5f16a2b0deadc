"""M2, observability: real tasks and real faults measure everything that is declared, a real Prometheus scrapes it while
they happen, and every rule, alert and panel has something to say about it."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from chatserver import Reply, serving
from commandline import CommandLine
from monitoring.grafana import BOARDS
from observation import Observation, Stage, observe
from psycopg.sql import SQL, Identifier
from servers import PrometheusServer, ServerMissing, free_port, redis_server, start_prometheus
from statsdserver import StatsdServer

from councilor.adapters.postgres.migrate import migrate
from councilor.domain.metric import CATALOGUE, SERIES_BUDGET, MetricKind, prometheus_name, statsd_name
from councilor.domain.task import TaskState

RULES = Path(__file__).resolve().parents[2] / "dashboards" / "prometheus"
SCRAPE_S = 0.5
RIGHTLY_EMPTY = {"work: Steps that did not finish": "every step finished: the broken task fails between steps"}
"""Panel -> why it shows nothing here."""
ALERTED = {
    "CouncilorEvidenceBreached": "a change rewrote the tree while it was tested",
    "CouncilorMetricsOverflow": "10,000 label values were thrown at one metric",
    "CouncilorMetricsLost": "nobody listened to StatsD any more",
    "CouncilorFallbackInUse": "Redis was killed; it fires once that has lasted for five minutes",
}


@dataclass(frozen=True)
class Watched:
    """What was seen, and who can be asked."""

    seen: Observation
    stage: Stage

    @property
    def prometheus(self) -> PrometheusServer:
        return self.stage.prometheus

    def query(self, expression: str) -> list[dict]:
        return self.prometheus.query(expression, at=self.seen.at)

    def number(self, expression: str) -> float:
        (found,) = self.query(expression)
        return float(found["value"][1])


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[str]:
    """A migrated database for all of these tests."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name)))
        url = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
        migrate(url)
        yield url
        admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


@pytest.fixture(scope="module")
def watched(database: str, service_missing: Callable[[str], None]) -> Iterator[Watched]:
    """Everything has happened; Prometheus still runs."""
    folder = Path(tempfile.mkdtemp(prefix="councilor-observed-"))
    port = free_port()
    opinion = Reply({"vote": "accept", "confidence": 0.9, "reasons": ["it is right"], "concerns": []})
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            rules = [RULES / "slo.rules.yaml", RULES / "alerts.rules.yaml"]
            prometheus = stack.enter_context(start_prometheus([f"127.0.0.1:{port}"], rules=rules, every_s=SCRAPE_S))
            redis = stack.enter_context(redis_server())
        except ServerMissing as error:
            service_missing(str(error))
        stage = Stage(
            folder=folder,
            database_url=database,
            prometheus_port=port,
            prometheus=prometheus,
            statsd=StatsdServer(),
            redis=redis,
            chat=stack.enter_context(serving(lambda _: opinion)),
        )
        yield Watched(asyncio.run(observe(stage)), stage)


def test_the_tasks_ended_as_they_should(watched: Watched):
    assert watched.seen.ends == {
        "accepted": TaskState.COMPLETED,
        "breached": TaskState.REJECTED,
        "broken": TaskState.FAILED,
    }


def test_every_metric_of_the_catalogue_was_scraped(watched: Watched):
    parts = {MetricKind.HISTOGRAM: "_count"}
    names = {metric.id: prometheus_name(metric) + parts.get(metric.kind, "") for metric in CATALOGUE.values()}
    assert [metric for metric, name in names.items() if not watched.query(name)] == []


def test_the_process_has_fewer_series_than_it_may(watched: Watched):
    series = watched.number('count({job="councilor"})')
    print(f"\n{series:.0f} series, the scrape's own among them")
    assert 300 < series < SERIES_BUDGET
    assert watched.number("max_over_time(scrape_samples_scraped[5m])") < SERIES_BUDGET


def test_ten_thousand_label_values_are_one_series_and_all_counted(watched: Watched):
    (gate,) = [label for label in CATALOGUE["v3.gate.results"].labels if label.name == "gate"]
    assert watched.number("count(count by (gate) (v3_gate_results_total))") <= gate.cap + 1
    flooded = watched.number('sum(v3_gate_results_total{gate=~"flood-.*|other"})')
    assert flooded == 10_000
    assert watched.number('v3_metrics_overflow_total{metric="v3.gate.results"}') > 9_900
    assert watched.query('v3_metrics_overflow_total{metric!="v3.gate.results"}') == [], "real tasks fit everywhere"


def test_no_scrape_failed_and_all_of_them_together_took_little_time(watched: Watched):
    began = watched.number("min(min_over_time(timestamp(up == 1)[5m:100ms]))")
    failed = watched.number(f"count_over_time((up == 0 and timestamp(up) > {began})[5m:100ms]) or vector(0)")
    duration = 'scrape_duration_seconds{job="councilor"}'
    scrapes = watched.number(f"count_over_time({duration}[5m])")
    mean_s, longest_s = (watched.number(f"{kind}_over_time({duration}[5m])") for kind in ("avg", "max"))
    print(f"\n{scrapes:.0f} scrapes, {mean_s * 1000:.1f} ms each, at most {longest_s * 1000:.1f} ms")
    assert failed == 0
    assert scrapes * SCRAPE_S > sum(watched.seen.seconds.values()), "it was scraped all along"
    assert mean_s < SCRAPE_S / 10


def expressions() -> Iterator[tuple[str, str]]:
    """Panel, and each of its expressions as Grafana would send it."""
    variables = {"$__rate_interval": "30s", "$__range": "5m", "$instance": ".*"}
    for board in BOARDS:
        for panel in board.panels:
            for query in panel.queries:
                expression = query.expr
                for variable, value in variables.items():
                    expression = expression.replace(variable, value)
                assert "$" not in expression, expression
                yield f"{board.name}: {panel.title}", expression


def test_every_panel_shows_something(watched: Watched):
    empty = [(panel, text) for panel, text in expressions() if not watched.query(text)]
    print("\nempty:", *empty, sep="\n  ")
    assert {panel for panel, _ in empty} - set(RIGHTLY_EMPTY) == set()


def test_every_rule_is_evaluated_and_every_recording_has_series(watched: Watched):
    groups = watched.prometheus.ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 80
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []
    recorded = {(rule["name"], rule["labels"].get("sloth_slo", "")) for rule in rules if rule["type"] == "recording"}
    assert [item for item in recorded if not watched.query(_of_slo(*item))] == []


def _of_slo(name: str, slo: str) -> str:
    return f'{name}{{sloth_slo="{slo}"}}' if slo else name


def test_what_went_wrong_is_alerted_and_nobody_is_paged(watched: Watched):
    states = {item["metric"]["alertname"]: item["metric"]["alertstate"] for item in watched.query("ALERTS")}
    assert set(ALERTED) <= set(states)
    assert {name for name in ALERTED if states[name] == "pending"} == {"CouncilorFallbackInUse"}
    assert watched.query('ALERTS{alertstate="firing",severity="page"}') == []


def test_promtool_accepts_the_exposition(watched: Watched):
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=watched.seen.page,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_statsd_was_told_the_same(watched: Watched):
    lines = [line for datagram in watched.stage.statsd.datagrams for line in datagram.decode().split("\n")]
    told = "\n".join(lines)
    own = {"v3.metrics.overflow", "v3.metrics.failures"}
    missing = [name for name, metric in CATALOGUE.items() if name not in own and statsd_name(metric) not in told]
    assert missing == []
    assert all(re.fullmatch(r"[\w.\-]+:[\d.e+-]+\|(c|g|ms)(\|#.*)?", line) for line in lines if line)


def test_slo_tells_what_prometheus_has_and_the_record_the_same(watched: Watched, database: str):
    councilor = CommandLine(watched.stage.folder / "other", {"V3_STORAGE__DATABASE__URL": database})
    asked = councilor("slo", "--server", watched.prometheus.url, "--json").expect(0).data["objectives"]
    counted = councilor("slo", "--json").expect(0).data["objectives"]
    scraped, recorded = ({item["name"]: item for item in found} for found in (asked, counted))
    for name in ("task-completion", "consensus-latency"):
        assert (scraped[name]["events"], scraped[name]["bad"]) == (recorded[name]["events"], recorded[name]["bad"])
    assert (recorded["task-completion"]["events"], recorded["task-completion"]["bad"]) == (3, 1)
    assert scraped["database-latency"]["ratio"] > 0.9
