"""The ASGI app of health and metrics, asked directly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from councilor import __version__
from councilor.domain.health import Check, ComponentType, Health, HealthStatus, Observation
from councilor.surfaces.http import make_app

FAIL, PASS, WARN = HealthStatus.FAIL, HealthStatus.PASS, HealthStatus.WARN
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@dataclass
class Answer:
    code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def data(self) -> Any:
        return json.loads(self.body)


class Metrics:
    """An exposition that shows what it was asked for."""

    def render(self, accept: str) -> tuple[str, bytes]:
        if accept == "broken":
            raise RuntimeError("a secret in /a/place")
        return "text/plain; version=0.0.4", f"# {accept}\n".encode()


def health(*found: Check) -> Health:
    return Health.of(Observation(check=check, time=NOW, age_s=1.0) for check in found)


GOOD = Check(
    component="database",
    status=PASS,
    output="PostgreSQL 18.1",
    kind=ComponentType.DATASTORE,
    measurement="latency",
    observed=0.0041234567,
    unit="s",
)
DEGRADED = Check(component="redis", status=FAIL, output="no answer", fallback="memory serves instead", detail="at /x")
BROKEN = Check(component="disk", status=FAIL, output="read-only", detail="/var/lib/secret is read-only")


async def ask(
    path: str,
    *found: Check,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    exposition: Metrics | None = None,
    local: bool = True,
) -> Answer:
    app = make_app(lambda: health(*found), release_id="a1b2", exposition=exposition, local=local)
    given = {"Host": "127.0.0.1:8750"} | dict(headers or {})
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "scheme": "http",
        "server": ("127.0.0.1", 8750),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items() if value],
    }
    answer = Answer()

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.code = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer


@pytest.mark.parametrize(
    ("found", "code", "status", "output"),
    [
        ([], 200, "pass", None),
        ([GOOD], 200, "pass", None),
        ([GOOD, DEGRADED], 200, "warn", None),
        ([GOOD, DEGRADED, BROKEN], 503, "fail", "disk"),
    ],
)
async def test_ready_unless_something_fails_that_nothing_replaces(found, code, status, output):
    answer = await ask("/readyz", *found)
    assert answer.code == code
    assert answer.data == {"status": status} | ({"output": output} if output else {})
    assert (await ask("/healthz", *found)).code == code


async def test_alive_whatever_fails():
    answer = await ask("/livez", BROKEN)
    assert (answer.code, answer.data) == (200, {"status": "pass"})


async def test_alive_when_health_itself_is_broken():
    def broken() -> Health:
        raise RuntimeError("nobody can ask")

    app = make_app(broken, release_id="", exposition=None, local=False)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/livez", "query_string": b"", "headers": []}
    await app(scope, None, send)  # type: ignore[arg-type]  # nothing is received
    assert sent[0]["status"] == 200


async def test_detail_has_the_shape_of_the_draft():
    answer = await ask("/healthz", GOOD, DEGRADED)
    assert answer.headers["content-type"] == "application/health+json"
    time = "2026-01-02T03:04:05.678Z"
    assert answer.data == {
        "status": "warn",
        "version": __version__,
        "releaseId": "a1b2",
        "description": "health of councilor",
        "checks": {
            "database:latency": [
                {
                    "componentType": "datastore",
                    "status": "pass",
                    "observedValue": 0.004123,
                    "observedUnit": "s",
                    "time": time,
                }
            ],
            "redis": [
                {
                    "componentType": "component",
                    "status": "warn",
                    "time": time,
                    "output": "no answer; memory serves instead",
                }
            ],
        },
    }


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/metrics", "/other"])
async def test_places_are_told_to_nobody_and_nothing_is_stored(path):
    answer = await ask(path, GOOD, DEGRADED, BROKEN)
    assert b"secret" not in answer.body and b"/x" not in answer.body
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


async def test_metrics_come_as_they_are_asked_for():
    answer = await ask("/metrics", exposition=Metrics(), headers={"Accept": "application/openmetrics-text"})
    assert (answer.code, answer.body) == (200, b"# application/openmetrics-text\n")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4"


async def test_metrics_that_are_off_say_how_to_have_them():
    answer = await ask("/metrics")
    assert (answer.code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "observability.prometheus" in answer.data["detail"]


async def test_metrics_that_cannot_be_rendered_are_our_fault_and_in_the_log(caplog):
    answer = await ask("/metrics", exposition=Metrics(), headers={"Accept": "broken"})
    assert answer.code == 500 and b"secret" not in answer.body
    assert "a secret in /a/place" in caplog.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "SHOUT"])
async def test_other_methods_are_refused(method):
    answer = await ask("/healthz", method=method)
    assert (answer.code, answer.data["status"]) == (405, 405)
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_head_is_answered():
    assert (await ask("/readyz", BROKEN, method="HEAD")).code == 503


@pytest.mark.parametrize("path", ["/", "/livez/", "/Livez", "/livez/../healthz", "//healthz", "/healthz%00"])
async def test_other_paths_are_not_there_and_lead_nowhere(path):
    answer = await ask(path)
    assert answer.code == 404 and "location" not in answer.headers
    assert "/healthz" in answer.data["detail"]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8750",
        "LOCALHOST.",
        "a.localhost:1",
        "127.0.0.1",
        "127.9.9.9:80",
        "[::1]:8750",
        "[::1]",
        "",
    ],
)
async def test_this_machine_is_named_in_many_ways(host):
    assert (await ask("/livez", headers={"Host": host})).code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8750", "localhost.evil.example", "10.0.0.1", "[2001:db8::1]:80", "[", "::1]", "@"],
)
async def test_another_name_that_points_here_is_refused(host):
    for path in ("/livez", "/healthz", "/metrics", "/other"):
        answer = await ask(path, headers={"Host": host}, exposition=Metrics())
        assert (answer.code, answer.headers["cache-control"]) == (421, "no-store")


async def test_any_name_will_do_where_other_machines_may_ask():
    assert (await ask("/livez", headers={"Host": "pod-7.example"}, local=False)).code == 200
