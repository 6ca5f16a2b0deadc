"""compose.yaml fits the compose schema and exposes nothing; nobody has run it here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from councilor.domain.slo import SLOS

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose.yaml"


def check(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def services() -> dict:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_it_fits_the_compose_schema():
    result = check(COMPOSE)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_schema_check_would_notice_a_mistake(tmp_path):
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(COMPOSE.read_text().replace("healthcheck:", "healthchek:", 1))
    assert check(wrong).returncode == 1


def test_the_services_of_the_roadmap_are_there_each_with_a_health_check(services):
    assert set(services) == {"postgres", "redis", "prometheus", "grafana"}
    assert "pgvector" in services["postgres"]["image"]
    for name, service in services.items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["image"].rpartition(":")[2] not in {"", "latest"}, name


def test_every_port_is_bound_to_this_machine_only(services):
    ports = [port for service in services.values() for port in service["ports"]]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_mounted_from_the_checkout_is_there_and_cannot_be_written(services):
    mounted = [volume for service in services.values() for volume in service.get("volumes", []) if volume[0] == "."]
    assert len(mounted) == 3
    for volume in mounted:
        source, _, mode = volume.split(":")
        assert (ROOT / source).is_dir() and mode == "ro", volume


def test_prometheus_keeps_a_whole_window_of_every_objective(services):
    (kept,) = [part for part in services["prometheus"]["command"] if "retention.time" in part]
    days = int(kept.partition("=")[2].removesuffix("d"))
    assert days > max(slo.window_days for slo in SLOS.values())


def test_grafana_lets_nobody_in_without_a_password(services):
    environment = services["grafana"]["environment"]
    assert environment["GF_SECURITY_ADMIN_PASSWORD"].startswith("${GRAFANA_PASSWORD:?")
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == "false"


def test_grafana_is_provisioned_with_prometheus_and_the_dashboards(services):
    folder = ROOT / "dashboards/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    (provider,) = yaml.safe_load((folder / "dashboards/councilor.yaml").read_text())["providers"]
    places = {volume.split(":")[1]: ROOT / volume.split(":")[0] for volume in services["grafana"]["volumes"]}
    assert len(list(places[provider["options"]["path"]].glob("*.json"))) >= 5
    home = Path(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (places[str(home.parent)] / home.name).is_file()


def test_it_holds_no_password_and_says_that_it_was_not_run(services):
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert "has NOT been run" in COMPOSE.read_text()
