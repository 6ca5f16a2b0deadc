"""Counts from a Prometheus server: a real one, and servers that answer with nonsense."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from commandline import CommandLine
from servers import PrometheusServer as RealServer
from servers import ServerMissing, start_prometheus

from councilor.adapters.prometheus_server import LARGEST_BODY_BYTES, PrometheusServer
from councilor.domain.slo import SLOS
from councilor.errors import UnavailableError, UnusableAnswerError
from councilor.ports.tallies import Asked

TASKS = SLOS["task-completion"]
ASKED = [Asked(slo=TASKS, window_s=TASKS.window_s), Asked(slo=SLOS["consensus-latency"], window_s=300.0)]
PAGE = """
v3_task_finished_total{{state="completed",risk_tier="3"}} {completed}
v3_task_finished_total{{state="failed",risk_tier="3"}} {failed}
"""


class Page:
    """What a scraper is shown."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, b"", {"Content-Type": "text/plain; version=0.0.4"}
        self.asked: list[bytes] = []
        self.port = 0


@contextmanager
def serving_page() -> Iterator[Page]:
    page = Page()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page.asked.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(page.status)
            for name, value in page.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            self.wfile.write(page.body)

        do_POST = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, address: object) -> None:
            pass  # a client that has read enough hangs up

    server = Server(("127.0.0.1", 0), Handler)
    page.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield page
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with serving_page() as served:
        served.body = PAGE.format(completed=100, failed=0).encode()
        yield served


@pytest.fixture(scope="module")
def real(page: Page, service_missing: Callable[[str], None]) -> Iterator[RealServer]:
    try:
        with start_prometheus([f"127.0.0.1:{page.port}"], every_s=0.2) as server:
            yield server
    except ServerMissing as error:
        service_missing(str(error))


async def test_a_real_server_counts(page: Page, real: RealServer, councilor: CommandLine):
    real.wait_for('v3_task_finished_total{state="completed"} == 100')
    page.body = PAGE.format(completed=195, failed=5).encode()
    real.wait_for('v3_task_finished_total{state="failed"} == 5')
    tasks, consensus = await PrometheusServer(real.url).tally(ASKED)
    assert tasks is not None
    assert (tasks.total, tasks.bad) == (200, 5), "series that are new count from their beginning"
    assert consensus is None, "it has never been scraped"
    printed = await asyncio.to_thread(councilor, "slo", "--server", real.url, "--json")
    kept = {item["name"]: item for item in printed.expect(0).data["objectives"]}
    assert printed.data["source"] == real.url
    assert kept["task-completion"]["budget_left"] == pytest.approx(-1.5)
    assert kept["task-completion"]["burn_rates"]["1h"] == pytest.approx(2.5)
    assert kept["consensus-latency"]["events"] is None
    table = (await asyncio.to_thread(councilor, "slo", "--server", real.url)).expect(0).out
    assert "200, 5 bad" in table and "-150.00 %" in table and "no data yet" in table


async def answer_to(page: Page, status: int, body: bytes, **headers: str) -> list[object]:
    page.status, page.body, page.headers = status, body, headers
    return list(await PrometheusServer(f"http://127.0.0.1:{page.port}").tally(ASKED))


def vector(*items: tuple[str, str, str]) -> bytes:
    result = [{"metric": {"n": n, "part": part}, "value": [1.0, value]} for n, part, value in items]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


@pytest.fixture
def odd() -> Iterator[Page]:
    with serving_page() as served:
        yield served


async def test_what_is_no_number_is_no_count(odd: Page):
    body = vector(("0", "total", "NaN"), ("0", "bad", "1"), ("1", "total", "+Inf"), ("1", "bad", "0"))
    assert await answer_to(odd, 200, body) == [None, None]
    assert await answer_to(odd, 200, vector(("0", "total", "3"))) == [None, None]


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"data": {"resultType": "matrix", "result": []}}',
        b'{"data": {"resultType": "vector", "result": [{"metric": {}, "value": []}]}}',
        b'{"data": {"resultType": "vector", "result": [{"metric": {"n": "0", "part": "bad"}, "value": [1, "x"]}]}}',
        b"[" * 100_000,
        b" " * (LARGEST_BODY_BYTES + 1),
        b"\xff\x1b[2J",
    ],
)
async def test_nonsense_is_told_as_such(odd: Page, body: bytes):
    with pytest.raises(UnusableAnswerError, match="no answer that can be used") as caught:
        await answer_to(odd, 200, body)
    assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 400
    assert "--server" in caught.value.hint()


async def test_a_refusal_says_why(odd: Page):
    with pytest.raises(UnavailableError, match=r"422: query  \[2J timed out"):
        await answer_to(odd, 422, b'{"status": "error", "error": "query \\u001b[2J timed out"}')


async def test_redirects_are_not_followed(odd: Page, page: Page):
    before = len(page.asked)
    with pytest.raises(UnusableAnswerError, match="302"):
        await answer_to(odd, 302, b"", Location=f"http://127.0.0.1:{page.port}/")
    assert len(page.asked) == before or not any(page.asked[before:]), "what the other one got are scrapes"


async def test_a_server_that_is_away_is_told_with_a_hint():
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 does not answer") as caught:
        await PrometheusServer("http://127.0.0.1:1").tally(ASKED)
    assert "prometheus.server" in caught.value.hint()
