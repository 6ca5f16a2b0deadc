"""Dashboards, rules and alerts: the files are what the code generates, promtool accepts them, nothing is left out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import chain
from pathlib import Path

import pytest
import yaml
from generate import generated
from monitoring.alerts import ALERTS
from monitoring.budgets import BUDGET_ALERTS
from monitoring.grafana import BOARDS

from councilor.domain.metric import CATALOGUE, prometheus_name
from councilor.domain.slo import SLOS, Severity

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "dashboards"
RULES = FOLDER / "prometheus"
EVERY_ALERT = (*chain(*BUDGET_ALERTS.values()), *ALERTS)


@pytest.fixture(scope="module")
def promtool(service_missing):
    """promtool in the folder of the rules."""
    if shutil.which("promtool") is None:
        service_missing("promtool is not installed: apt-get install prometheus")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["promtool", *arguments]
        return subprocess.run(command, cwd=RULES, capture_output=True, text=True, check=False, timeout=120)

    return run


@pytest.fixture(scope="module")
def rules() -> list[dict]:
    files = [yaml.safe_load(file.read_text()) for file in sorted(RULES.glob("*.rules.yaml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


@pytest.mark.parametrize(("path", "text"), generated().items(), ids=lambda item: getattr(item, "name", ""))
def test_a_generated_file_is_what_the_code_generates(path: Path, text: str):
    assert path.read_text(encoding="utf-8") == text, "run `python dashboards/generate.py`"


def test_nothing_else_is_kept_among_the_generated_files():
    kept = {path for pattern in ("grafana/dashboards/*", "prometheus/*") for path in FOLDER.glob(pattern)}
    assert kept - set(generated()) == {RULES / "prometheus.yml"}


def test_every_catalogue_metric_is_on_a_panel_and_every_series_of_a_panel_is_in_the_catalogue():
    expressions = [query.expr for board in BOARDS for panel in board.panels for query in panel.queries]
    shown = {found for expr in expressions for found in re.findall(r"\bv3_\w+?(?=_bucket|_count|_sum|\b)", expr)}
    assert shown == {prometheus_name(metric) for metric in CATALOGUE.values()}, "give a new metric a panel"


def test_a_dashboard_can_be_told_from_others_and_says_what_to_look_for():
    boards = [json.loads(text) for path, text in generated().items() if path.suffix == ".json"]
    assert len({board["uid"] for board in boards}) == len(boards) == len(BOARDS)
    for board in boards:
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(set(numbers)) == len(numbers), board["title"]
        for panel in (panel for panel in board["panels"] if panel["type"] != "row"):
            assert panel["description"].endswith("."), panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]


def test_promtool_accepts_the_rules_and_the_configuration(promtool):
    for arguments in (("check", "rules", "slo.rules.yaml", "alerts.rules.yaml"), ("check", "config", "prometheus.yml")):
        done = promtool(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_hand_written_alert_fires_when_it_should_and_only_then(promtool):
    done = promtool("test", "rules", "alerts.test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_budgets_alert_fires_when_it_should_and_only_then(promtool):
    done = promtool("test", "rules", "slo.test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_of_each_kind():
    tests = [test for file in RULES.glob("*.test.yaml") for test in yaml.safe_load(file.read_text())["tests"]]
    cases = [(case["alertname"], bool(case["exp_alerts"])) for test in tests for case in test["alert_rule_test"]]
    assert set(cases) == {(alert.name, fires) for alert in EVERY_ALERT for fires in (True, False)}


def test_an_alert_that_never_fires_would_be_noticed(promtool, tmp_path):
    rules = (RULES / "alerts.rules.yaml").read_text().replace("v3_health_status == 0", "v3_health_status == 7")
    (tmp_path / "alerts.rules.yaml").write_text(rules)
    tests = yaml.safe_load((RULES / "alerts.test.yaml").read_text())
    tests["tests"] = [test for test in tests["tests"] if test["name"].startswith("CouncilorHealthFail")]
    (tmp_path / "alerts.test.yaml").write_text(yaml.safe_dump(tests))
    done = promtool("test", "rules", str(tmp_path / "alerts.test.yaml"))
    assert done.returncode != 0
    assert "CouncilorHealthFail fires" in done.stdout + done.stderr


def test_an_alert_says_what_it_means_and_where_to_read_on(rules):
    alerts = [rule for rule in rules if "alert" in rule]
    assert {rule["alert"] for rule in alerts} == {alert.name for alert in EVERY_ALERT}
    for rule in alerts:
        told = rule["annotations"]
        assert told["summary"].endswith(".") and told["description"].endswith("."), rule["alert"]
        assert rule["labels"]["severity"] in set(Severity)
        page, _, anchor = told["runbook_url"].partition("#")
        assert f"\n### {rule['alert']}\n" in (ROOT / page).read_text(), "it has no section in the runbook"
        assert anchor == rule["alert"].lower()


def test_every_objective_has_a_page_a_ticket_and_slothss_series(rules):
    for slo in SLOS.values():
        own = [rule for rule in rules if rule["labels"].get("sloth_slo") == slo.name]
        assert {rule["labels"]["sloth_severity"] for rule in own if "alert" in rule} == {"page", "ticket"}
        recorded = {rule["record"] for rule in own if "record" in rule}
        windows = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")
        assert {f"slo:sli_error:ratio_rate{window}" for window in windows} <= recorded
        assert {"slo:error_budget:ratio", "slo:period_error_budget_remaining:ratio", "sloth_slo_info"} <= recorded
