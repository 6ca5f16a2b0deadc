"""StatsD over real UDP: nobody waits for it, it may be away, and it may come later."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterator
from threading import Event

import pytest
from statsdserver import StatsdServer

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.statsd import Dialect, StatsdMetrics
from councilor.adapters.statsd.buffer import MOST_SAMPLES
from councilor.adapters.statsd.emitter import CLOSE_S, RESOLVE_S
from councilor.adapters.statsd.wire import MOST_DATAGRAM_BYTES

LINT = {"gate": "lint"}


@pytest.fixture
def server() -> Iterator[StatsdServer]:
    found = StatsdServer()
    yield found
    found.close()


def statsd(
    port: int,
    *,
    host: str = "127.0.0.1",
    flush_s: float = 0.02,
    report: RecordingMetrics | None = None,
    open_outlet: Callable[[], socket.socket] | None = None,
    clock: FakeClock | None = None,
) -> StatsdMetrics:
    return StatsdMetrics(
        host=host,
        port=port,
        dialect=Dialect.DOGSTATSD,
        flush_s=flush_s,
        clock=clock or FakeClock(),
        report=report,
        open_outlet=open_outlet,
    )


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait(condition: Callable[[], object], limit_s: float = 10.0) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def lost(report: RecordingMetrics) -> float:
    return report.value("v3.metrics.failures", backend="statsd")


def test_values_arrive_while_it_is_open(server):
    with statsd(server.port) as metrics:
        metrics.counter("v3.gate.seconds", LINT, 0.5)
        server.wait(lambda: server.datagrams)
        assert server.lines() == ["v3.gate.ms:500|c|#gate:lint"]


def test_what_waits_is_sent_when_it_is_closed(server):
    with statsd(server.port, flush_s=60) as metrics:
        for _ in range(3):
            metrics.counter("v3.gate.seconds", LINT, 0.5)
            metrics.histogram("v3.council.consensus", {}, 0.25)
        metrics.gauge("v3.cache.entries", {}, 4)
        metrics.gauge("v3.cache.entries", {}, 5)
        assert server.datagrams == []
    assert server.lines() == [
        "v3.gate.ms:1500|c|#gate:lint",
        "v3.cache.entries:5|g",
        *["v3.council.consensus:250|ms"] * 3,
    ]
    assert len(server.datagrams) == 1, "together, as they fit"


def test_many_observations_do_not_wait_for_their_time(server):
    with statsd(server.port, flush_s=60) as metrics:
        for _ in range(2_500):
            metrics.histogram("v3.council.consensus", {}, 0.25)
        server.wait(lambda: len(server.datagrams) > 20)
    assert len(server.lines()) == 2_500
    assert max(map(len, server.datagrams)) <= MOST_DATAGRAM_BYTES


def test_a_counter_is_one_line_however_often_it_counts(server):
    with statsd(server.port, flush_s=60) as metrics:
        bound = metrics.bind(LINT)
        for _ in range(10_000):
            bound.counter("v3.gate.seconds", {}, 1)
    assert server.lines() == ["v3.gate.ms:10000000|c|#gate:lint"]


def test_a_server_that_is_not_there_costs_nothing_and_is_told_once(caplog):
    report = RecordingMetrics()
    began = time.monotonic()
    with statsd(free_port(), report=report) as metrics:
        for turn in range(6):
            metrics.counter("v3.gate.seconds", LINT, 1)
            wait(lambda turn=turn: lost(report) >= min(turn, 1))
            time.sleep(0.03)
        wait(lambda: lost(report) >= 3)
    assert time.monotonic() - began < 5
    assert [record.message for record in caplog.records] == ["StatsD cannot be reached"]


def test_a_server_that_comes_later_hears_what_is_sent_from_then_on(caplog):
    port, report = free_port(), RecordingMetrics()
    with statsd(port, report=report) as metrics:
        metrics.counter("v3.gate.seconds", LINT, 1)
        time.sleep(0.1)
        metrics.counter("v3.gate.seconds", LINT, 1)
        wait(lambda: lost(report))
        server = StatsdServer(port)
        try:
            server.wait(lambda: metrics.counter("v3.gate.seconds", LINT, 1) or server.datagrams)
            wait(lambda: metrics.counter("v3.gate.seconds", LINT, 1) or len(caplog.records) == 2)
        finally:
            server.close()
    assert [record.message for record in caplog.records[:2]] == [
        "StatsD cannot be reached",
        "StatsD can be reached again",
    ]


def test_an_outage_does_not_feed_itself(caplog):
    """Its own failures, counted in itself, are sent but never counted again."""
    metrics = statsd(free_port())
    with metrics:
        metrics.counter("v3.gate.seconds", LINT, 1)
        wait(lambda: caplog.records)
        time.sleep(0.2)
        quiet = [line for line in metrics._emitter.buffer.take().sums if not line.is_own]
    assert quiet == []
    assert len(caplog.records) == 1


def test_a_name_that_has_no_address_yet_keeps_sums_and_levels(server, caplog):
    report, known = RecordingMetrics(), Event()

    def open_outlet() -> socket.socket:
        if not known.is_set():
            raise socket.gaierror("Name or service not known")
        outlet = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        outlet.connect(("127.0.0.1", server.port))
        return outlet

    with statsd(0, report=report, open_outlet=open_outlet) as metrics:
        metrics.counter("v3.gate.seconds", LINT, 1)
        metrics.gauge("v3.cache.entries", {}, 4)
        metrics.histogram("v3.council.consensus", {}, 0.25)
        wait(lambda: lost(report) == 1)
        metrics.counter("v3.gate.seconds", LINT, 2)
        known.set()
        server.wait(lambda: server.datagrams)
    assert server.lines() == ["v3.gate.ms:3000|c|#gate:lint", "v3.cache.entries:4|g"]
    assert [record.message for record in caplog.records] == ["StatsD cannot be reached", "StatsD can be reached again"]


def test_a_host_that_does_not_exist_is_no_error(caplog):
    for host in ("no.such.host.invalid", "a" * 300 + ".invalid", "", "\0", "ä" * 70):
        with statsd(8125, host=host) as metrics:
            metrics.counter("v3.gate.seconds", LINT, 1)


def test_a_slow_name_server_keeps_nobody_waiting():
    release = Event()

    def open_outlet() -> socket.socket:
        release.wait(30)
        raise socket.gaierror("Temporary failure in name resolution")

    began = time.monotonic()
    with statsd(0, open_outlet=open_outlet) as metrics:
        opened_s = time.monotonic() - began
        for _ in range(2 * MOST_SAMPLES):
            metrics.histogram("v3.council.consensus", {}, 0.25)
        batch = metrics._emitter.buffer.take()
    closed_s = time.monotonic() - began
    release.set()
    assert opened_s < 5, "the name server takes thirty"
    assert closed_s < CLOSE_S + 3
    assert (len(batch.samples), batch.dropped) == (MOST_SAMPLES, MOST_SAMPLES), "what waits is bounded"


class Outlet:
    """A socket that does what it is told to."""

    def __init__(self, *problems: OSError | None) -> None:
        self.problems = list(problems)
        self.sent: list[bytes] = []
        self.closed = False
        self.pending = 0

    def send(self, body: bytes) -> int:
        problem = self.problems.pop(0) if self.problems else None
        if problem is not None:
            raise problem
        self.sent.append(body)
        return len(body)

    def getsockopt(self, _level: int, _option: int) -> int:
        pending, self.pending = self.pending, 0
        return pending

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    "problem",
    [BlockingIOError("full"), OSError(90, "Message too long"), OSError(101, "Network is unreachable")],
    ids=["full", "too long", "no network"],
)
def test_a_datagram_that_cannot_be_sent_is_counted_and_the_next_one_sent(problem):
    report, outlet = RecordingMetrics(), Outlet(problem)
    with statsd(0, flush_s=60, report=report, open_outlet=lambda: outlet) as metrics:
        for _ in range(100):
            metrics.histogram("v3.council.consensus", {}, 0.25)
    sent = sum(body.count(b"\n") + 1 for body in outlet.sent)
    assert 0 < sent < 100
    assert lost(report) == 100 - sent
    assert outlet.closed


def test_a_socket_that_takes_nothing_ends_the_flush():
    report, outlet = RecordingMetrics(), Outlet(*[TimeoutError()] * 1_000)
    with statsd(0, flush_s=60, report=report, open_outlet=lambda: outlet) as metrics:
        for _ in range(1_000):
            metrics.histogram("v3.council.consensus", {}, 0.25)
    assert outlet.sent == []
    assert len(outlet.problems) == 999, "one try, then the rest is given up"
    assert lost(report) == 1_000


def test_a_refusal_counts_what_was_sent_before_it():
    report, outlet = RecordingMetrics(), Outlet(None, ConnectionRefusedError())
    with statsd(0, report=report, open_outlet=lambda: outlet) as metrics:
        metrics.counter("v3.gate.seconds", LINT, 1)
        wait(lambda: len(outlet.sent) == 1)
        assert lost(report) == 0
        metrics.counter("v3.gate.seconds", LINT, 2)
        wait(lambda: len(outlet.sent) == 2)
    assert lost(report) == 1
    assert outlet.sent[-1] == b"v3.gate.ms:2000|c|#gate:lint", "sent again"


def test_a_refusal_is_heard_when_nothing_else_is_to_be_sent(caplog):
    report, outlet = RecordingMetrics(), Outlet()
    with statsd(0, report=report, open_outlet=lambda: outlet) as metrics:
        metrics.counter("v3.gate.seconds", LINT, 1)
        wait(lambda: outlet.sent)
        outlet.pending = errno.ECONNREFUSED
        wait(lambda: lost(report) == 1)
    assert [record.problem for record in caplog.records] == ["[Errno 111] Connection refused"]


def test_what_goes_wrong_in_an_unforeseen_way_does_not_end_the_sending(caplog):
    outlet = Outlet()
    outlet.problems.append(RuntimeError("unforeseen"))  # type: ignore[arg-type]
    with statsd(0, open_outlet=lambda: outlet) as metrics:
        metrics.counter("v3.gate.seconds", LINT, 1)
        wait(lambda: not outlet.problems)
        metrics.counter("v3.gate.seconds", LINT, 2)
        wait(lambda: outlet.sent)
    assert outlet.sent[0].startswith(b"v3.gate.ms:2000|c")


async def test_a_server_that_moves_is_found_again():
    clock, outlets = FakeClock(), [Outlet(), Outlet()]
    waiting = list(outlets)

    def open_outlet() -> Outlet:
        if not waiting:
            raise socket.gaierror("gone")
        return waiting.pop(0)

    with statsd(0, open_outlet=open_outlet, clock=clock) as metrics:
        for turn in range(4):
            metrics.counter("v3.gate.seconds", LINT, turn + 1)
            wait(lambda turn=turn: sum(len(outlet.sent) for outlet in outlets) == turn + 1)
            await clock.advance(RESOLVE_S / 2 + 1)
    assert [len(outlet.sent) for outlet in outlets] == [2, 2]
    assert [outlet.closed for outlet in outlets] == [True, True]


def test_closing_twice_and_emitting_afterwards_is_no_error(server):
    with statsd(server.port) as metrics:
        pass
    metrics.__exit__(None, None, None)
    metrics.counter("v3.gate.seconds", LINT, 1)


def test_one_that_was_never_opened_takes_values_and_closes():
    metrics = statsd(9)
    metrics.counter("v3.gate.seconds", LINT, 1)
    metrics.__exit__(None, None, None)
