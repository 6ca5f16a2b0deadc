"""Where spans are posted, and what a look at a collector finds."""

from __future__ import annotations

import socket

import pytest
from collector import REDIRECT, collecting

from councilor.adapters.opentelemetry.endpoint import CollectorProbe, traces_url
from councilor.adapters.system import SystemClock
from councilor.domain.health import Check, HealthStatus


def test_a_base_gets_the_path_and_a_path_of_its_own_is_kept():
    assert traces_url("https://h:4318") == "https://h:4318/v1/traces"
    assert traces_url("https://h:4318/") == "https://h:4318/v1/traces"
    assert traces_url("https://h/otlp/v1/traces?x=1") == "https://h/otlp/v1/traces?x=1"


async def look(url: str) -> Check:
    return await CollectorProbe(url, clock=SystemClock()).check()


async def test_a_collector_that_answers_passes_and_got_no_span():
    with collecting() as collector:
        found = await look(collector.url)
    assert (found.component, found.status, found.measurement) == ("otlp", HealthStatus.PASS, "latency")
    assert (collector.paths, collector.bodies, collector.spans) == (["/v1/traces"], [b""], [])
    assert collector.headers[0]["content-type"] == "application/x-protobuf"


async def test_one_that_wants_a_key_answers():
    with collecting(401) as collector:
        found = await look(collector.url)
    assert (found.status, "key" in found.output) == (HealthStatus.PASS, True)


@pytest.mark.parametrize("answer", [404, 500, REDIRECT])
async def test_one_that_refuses_is_a_warning_because_only_spans_are_lost(answer):
    with collecting(answer) as collector:
        found = await look(collector.url)
    assert (found.status, found.standing) == (HealthStatus.FAIL, HealthStatus.WARN)
    assert found.output == f"it answers {answer}"
    assert "127.0.0.1" in found.detail
    assert "127.0.0.1" not in found.told
    assert collector.paths == ["/v1/traces"]


async def test_one_that_is_not_there_is_a_warning():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    found = await look(f"http://127.0.0.1:{port}")
    assert (found.standing, found.output) == (HealthStatus.WARN, "the collector cannot be reached")
    assert found.told == "the collector cannot be reached; spans are dropped"
