"""A real server on a real port, and clients that mean no good."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from asking import ask, send_raw, wait_until

from councilor.domain.health import Health
from councilor.errors import InputError, UnavailableError
from councilor.surfaces.http import Address, is_local, listen, make_app, serving
from councilor.surfaces.http.server import MOST_CONNECTIONS

PATIENCE_S = 0.5


class Large:
    """More metrics than a socket's buffers hold."""

    def render(self, accept: str) -> tuple[str, bytes]:
        return "text/plain", b"x" * (64 * 2**20)


@pytest.fixture
async def url() -> Iterator[str]:
    listener = listen("127.0.0.1", 0)
    app = make_app(lambda: Health.of([]), release_id="1", exposition=Large(), local=True)
    async with serving(app, listener, patience_s=PATIENCE_S):
        yield Address.of(listener).url


async def test_it_answers_while_the_loop_that_opened_it_does_nothing_else(url: str):
    for path in ("/livez", "/readyz", "/healthz"):
        answer = ask(url + path)  # this call blocks the test's own loop
        assert (answer.code, answer.data["status"]) == (200, "pass")
        assert "server" not in answer.headers and "uvicorn" not in str(answer.headers).lower()


async def test_head_has_no_body_and_the_connection_goes_on(url: str):
    request = b"HEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answers = send_raw(url, request * 3 + last).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"200"] * 4
    assert [b"pass" in answer for answer in answers] == [False, False, False, True]


@pytest.mark.parametrize(
    "data",
    [
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 2**20 + b"\r\n\r\n",
        b"GET /" + b"a" * 2**20 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
        b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET\x00/livez HTTP/1.1\r\n\r\n",
    ],
    ids=["header", "path", "headers", "tls", "two hosts", "no http"],
)
async def test_what_is_too_large_or_no_request_is_refused_and_harms_nobody(url: str, data: bytes):
    assert b" 200 " not in send_raw(url, data)
    assert ask(url + "/livez").code == 200


@pytest.mark.parametrize("start", [b"", b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"], ids=["nothing", "half"])
async def test_who_sends_slowly_is_cut_off(url: str, start: bytes):
    parts = url.removeprefix("http://").split(":")
    with socket.create_connection((parts[0], int(parts[1])), timeout=10) as line:
        line.sendall(start)
        began_s = time.monotonic()
        with pytest.raises(OSError, match=r"reset|pipe|closed"):
            while time.monotonic() - began_s < 10:
                if start:
                    line.sendall(b"X: y\r\n")
                    time.sleep(0.05)
                elif not line.recv(1):
                    raise ConnectionError("closed")
        assert time.monotonic() - began_s < 4 * PATIENCE_S + 3


async def test_who_does_not_read_is_cut_off(url: str):
    parts = url.removeprefix("http://").split(":")
    with socket.create_connection((parts[0], int(parts[1])), timeout=10) as line:
        line.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(3 * PATIENCE_S)
        read = 0
        with pytest.raises(ConnectionError):
            while piece := line.recv(2**20):
                read += len(piece)
            raise ConnectionError("closed")
        assert read < 64 * 2**20
    assert ask(url + "/livez").code == 200


async def test_a_body_that_nobody_asked_for_is_not_read_to_its_end(url: str):
    parts = url.removeprefix("http://").split(":")
    with socket.create_connection((parts[0], int(parts[1])), timeout=10) as line:
        line.sendall(b"POST /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent, piece = 0, b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        with pytest.raises(ConnectionError):
            while sent < 2**28:
                line.sendall(piece)
                sent += len(piece)
            raise TimeoutError
    body = b"x" * 1000
    request = b"POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n" + body
    last = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    codes = [answer[:3] for answer in send_raw(url, request * 2 + last).split(b"HTTP/1.1 ")[1:]]
    assert codes == [b"405", b"405", b"200"], "one that is sent to its end does no harm"


async def test_many_idle_connections_leave_room_for_a_request(url: str):
    parts = url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection((parts[0], int(parts[1])), timeout=10))
        assert ask(url + "/livez").seconds < 5
    with ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(socket.create_connection((parts[0], int(parts[1])), timeout=10))
        wait_until(lambda: answers(url), within_s=12 * PATIENCE_S)


async def test_a_crowd_that_stays_gets_no_more_than_its_part_of_the_descriptors():
    """Those over the limit are closed by themselves, long before anybody's patience ends."""
    listener = listen("127.0.0.1", 0)
    address = Address.of(listener)
    app = make_app(lambda: Health.of([]), release_id="1", exposition=Large(), local=True)
    async with serving(app, listener, patience_s=300.0):
        before = descriptors()
        with ExitStack() as stack:
            for _ in range(400):
                stack.enter_context(socket.create_connection((address.host, address.port), timeout=10))
            wait_until(lambda: descriptors() <= before + 400 + MOST_CONNECTIONS, within_s=20)


def descriptors() -> int:
    """Files that this process has open; the server's are among them."""
    return len(list(Path("/proc/self/fd").iterdir()))


def answers(url: str) -> bool:
    try:
        return ask(url + "/livez").code == 200
    except ConnectionError:
        return False


async def test_a_crowd_is_answered(url: str):
    codes: list[int] = []

    def client() -> None:
        codes.extend(ask(url + "/healthz").code for _ in range(25))

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 200


async def test_leaving_takes_no_longer_than_it_says_whoever_is_connected():
    listener = listen("127.0.0.1", 0)
    address = Address.of(listener)
    app = make_app(lambda: Health.of([]), release_id="1", exposition=Large(), local=True)
    async with serving(app, listener):
        idle = socket.create_connection((address.host, address.port))
        deaf = socket.create_connection((address.host, address.port))
        deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.1)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 8, "the idle one would stay for ever"
    idle.close()
    deaf.close()
    with pytest.raises(ConnectionError):
        ask(address.url + "/livez")
    listen("127.0.0.1", address.port).close()


def test_a_port_that_is_taken_is_told_and_the_next_one_tried():
    with listen("127.0.0.1", 0) as taken:
        port = Address.of(taken).port
        with pytest.raises(UnavailableError, match=f"Port {port} of 127.0.0.1 is taken"):
            listen("127.0.0.1", port)
        with listen("127.0.0.1", port, ports=10) as next_one:
            assert port < Address.of(next_one).port < port + 10


def test_a_range_that_is_taken_is_told():
    with ExitStack() as stack:
        first = next(
            port for port in range(20_000, 60_000, 7) if all(_take(stack, number) for number in (port, port + 1))
        )
        with pytest.raises(UnavailableError, match=f"{first} to {first + 1}"):
            listen("127.0.0.1", first, ports=2)


def _take(stack: ExitStack, port: int) -> bool:
    try:
        stack.enter_context(listen("127.0.0.1", port))
    except UnavailableError:
        return False
    return True


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid", "a" * 300])
def test_a_host_that_is_not_this_machine_is_bad_input(host: str):
    with pytest.raises(InputError):
        listen(host, 0)


@pytest.mark.parametrize(("host", "local"), [("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)])
def test_it_is_known_who_can_reach_it(host: str, local: bool):
    with listen(host, 0) as listener:
        assert is_local(Address.of(listener)) is local


def test_addresses_are_written_as_urls():
    assert Address(host="127.0.0.1", port=80).url == "http://127.0.0.1:80"
    assert Address(host="::1", port=80).url == "http://[::1]:80"
    assert is_local(Address(host="::1", port=80)) and not is_local(Address(host="fe80::1%eth0", port=80))
