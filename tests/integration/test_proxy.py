"""The allow-list proxy, against real servers on loopback and from inside real sandboxes."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from councilor.adapters.sandbox import proxy as proxy_module
from councilor.adapters.sandbox.choose import KINDS
from councilor.adapters.sandbox.probe import interpreter
from councilor.adapters.sandbox.proxy import AllowListProxy, Refusal, parse_head
from councilor.adapters.system import SystemClock
from councilor.errors import SandboxError
from councilor.ports.metrics import NoMetrics
from councilor.ports.sandbox import Job, Limits, Mount

PYTHON, PYTHON_MOUNTS = interpreter()


def free_port() -> int:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return int(reserved.getsockname()[1])


@asynccontextmanager
async def origin(heads: list[bytes]) -> AsyncIterator[int]:
    """A server that keeps what it was asked, and answers `hello`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, ["127.0.0.1", "127.0.0.2"], free_port())
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def proxy(*hosts: str) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(AllowListProxy(hosts).serve(listener))
        yield port
        serving.cancel()


async def ask(port: int, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_listed_host_by_tunnel() -> None:
    heads: list[bytes] = []
    async with origin(heads) as there, proxy(f"localhost:{there}") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"CONNECT localhost:{there} HTTP/1.1\r\nHost: whatever\r\n\r\n".encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await reader.read()).endswith(b"hello")
        writer.close()
    assert heads == [b"GET / HTTP/1.1\r\n\r\n"]


async def test_listed_host_plainly() -> None:
    heads: list[bytes] = []
    async with origin(heads) as there, proxy(f"127.0.0.1:{there}") as port:
        request = (
            f"GET http://127.0.0.1:{there}/a?b=c HTTP/1.1\r\nHost: other.example\r\nAccept: x\r\n"
            "Proxy-Authorization: Basic secret\r\nConnection: keep-alive\r\n\r\n"
        )
        assert (await ask(port, request.encode())).endswith(b"hello")
    expected = f"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:{there}\r\nConnection: close\r\nAccept: x\r\n\r\n"
    assert heads == [expected.encode()]


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("CONNECT 127.0.0.1:{there} HTTP/1.1", 403),  # the list says localhost
        ("CONNECT [::1]:{there} HTTP/1.1", 403),
        ("CONNECT [::ffff:127.0.0.1]:{there} HTTP/1.1", 403),
        ("CONNECT 2130706433:{there} HTTP/1.1", 403),
        ("CONNECT 0x7f.1:{there} HTTP/1.1", 403),
        ("CONNECT localhost:1 HTTP/1.1", 403),
        ("CONNECT localhost.example:{there} HTTP/1.1", 403),
        ("CONNECT localhost:{there}@evil.example:80 HTTP/1.1", 400),
        ("CONNECT user@localhost:{there} HTTP/1.1", 400),
        ("CONNECT localhost:{there}/ HTTP/1.1", 400),
        ("CONNECT localhost HTTP/1.1", 400),
        ("CONNECT localhost:99999 HTTP/1.1", 400),
        ("CONNECT localhost:{there}\r\nX HTTP/1.1", 400),
        ("CONNECT localhost:{there}\0 HTTP/1.1", 400),
        ("CONNECT  localhost:{there} HTTP/1.1", 400),
        ("GET http://evil.example@localhost:{there}/ HTTP/1.1", 400),
        ("GET http://evil.example/ HTTP/1.1", 403),
        ("GET http://evil.example:{there}/http://localhost:{there}/ HTTP/1.1", 403),
        ("GET https://localhost:{there}/ HTTP/1.1", 400),
        ("GET /relative HTTP/1.1", 400),
        ("GET http://localhost:{there}/\tx HTTP/1.1", 400),
        ("TRACE http://localhost:{there}/ HTTP/1.1", 400),
        ("GET http://localhost:{there}/ HTTP/1.1\r\nBroken header", 400),
        ("GET http://localhost:{there}/ HTTP/1.1\r\nX: a\nHost: evil", 400),
        ("GET http://localhost:{there}/ HTTP/1.1\r\n folded: x", 400),
        ("\x16\x03\x01", 400),
    ],
)
async def test_tricks(request_line: str, status: int) -> None:
    heads: list[bytes] = []
    async with origin(heads) as there, proxy(f"localhost:{there}") as port:
        answer = await ask(port, request_line.format(there=there).encode() + b"\r\n\r\n")
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert heads == []


async def test_a_name_that_means_this_machine() -> None:
    name = socket.gethostname()
    try:
        found = {address[4][0] for address in socket.getaddrinfo(name, 80)}
    except OSError:
        pytest.skip("this machine's name does not resolve")
    if not all(str(one).startswith("127.") or one == "::1" for one in found):
        pytest.skip("this machine's name is not loopback's")
    async with origin([]) as there, proxy(f"{name.lower()}:{there}") as port:
        answer = await ask(port, f"CONNECT {name}:{there} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 ")


def test_addresses_that_only_their_own_listing_allows() -> None:
    allowed = proxy_module._may_connect
    assert not allowed("model.example", "127.0.0.1")
    assert not allowed("model.example", "169.254.169.254")
    assert not allowed("model.example", "::ffff:127.0.0.1")
    assert not allowed("model.example", "fe80::1%eth0")
    assert not allowed("model.example", "0.0.0.0")
    assert allowed("169.254.169.254", "169.254.169.254")
    assert allowed("localhost", "::1")
    assert allowed("model.example", "192.0.2.1")
    assert allowed("model.example", "10.0.0.1")  # models on the local network are usual


@pytest.mark.parametrize(
    "address",
    [
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "64:ff9b::7f00:1",
        "fe80::1%1",
    ],
)
def test_a_name_never_leads_to_where_metadata_lives(address: str) -> None:
    assert not proxy_module._may_connect("model.example", address)


def test_a_name_never_leads_to_this_machine_by_its_outer_address() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        try:
            plug.connect(("198.51.100.1", 9))
        except OSError:
            pytest.skip("this machine has no network")
        own = plug.getsockname()[0]
    assert not proxy_module._may_connect("model.example", own)
    assert not proxy_module._may_connect("model.example", f"::ffff:{own}")
    assert proxy_module._may_connect(own, own), "who lists the address itself means it"
    assert proxy_module._may_connect("model.example", "198.51.100.1")


async def test_oversized_head() -> None:
    async with proxy("localhost:1") as port:
        answer = await ask(port, b"CONNECT localhost:1 HTTP/1.1\r\n", b"X: " + b"x" * 70_000 + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""  # our answer may be lost to the client's own sending


async def test_slow_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_module, "HEAD_S", 0.2)
    async with proxy("localhost:1") as port:
        answer = await ask(port, b"CONNECT localh")
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_long_answer_is_not_cut_because_its_asker_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_module, "IDLE_S", 0.4)
    hung_up: list[bool] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(10):
            writer.write(b".")
            await asyncio.sleep(0.1)
        hung_up.append(reader.at_eof())
        await reader.read()  # from here on neither says anything, and the proxy hangs up
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        there = server.sockets[0].getsockname()[1]
        async with proxy(f"localhost:{there}") as port:
            said = await ask(port, f"GET http://localhost:{there}/ HTTP/1.1\r\n\r\n".encode())
    assert (said, hung_up) == (b"." * 10, [False])


async def test_running_out_of_descriptors_for_a_moment_ends_nothing() -> None:
    loop, (soft, hard) = asyncio.get_running_loop(), resource.getrlimit(resource.RLIMIT_NOFILE)
    async with proxy("model.example:443") as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setblocking(False)
            free = os.dup(client.fileno())
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
            try:
                await asyncio.sleep(0.05)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await loop.sock_sendall(client, b"CONNECT localhost:1 HTTP/1.1\r\n\r\n")
            assert (await loop.sock_recv(client, 100)).startswith(b"HTTP/1.1 403 ")


async def test_nobody_listens_there() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        closed = reserved.getsockname()[1]
        async with proxy(f"localhost:{closed}") as port:
            answer = await ask(port, f"CONNECT localhost:{closed} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 502 ")


def test_heads() -> None:
    assert parse_head(b"CONNECT A.Example.:443 HTTP/1.1\r\n\r\n").authority == "a.example:443"
    assert parse_head(b"GET http://a.example HTTP/1.0\r\n\r\n").authority == "a.example:80"
    assert parse_head(b"CONNECT [2001:DB8::1]:443 HTTP/1.1\r\n\r\n").authority == "2001:db8::1:443"
    assert parse_head(b"CONNECT my_model:8000 HTTP/1.1\r\n\r\n").authority == "my_model:8000", "settings allow it"
    with pytest.raises(Refusal):
        parse_head("CONNECT exämple:443 HTTP/1.1\r\n\r\n".encode())


async def test_a_listed_name_may_end_with_a_dot() -> None:
    async with origin([]) as there, proxy(f"LOCALHOST.:{there}") as port:
        assert (await ask(port, f"GET http://localhost:{there}/ HTTP/1.1\r\n\r\n".encode())).endswith(b"hello")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux sandboxes")
@pytest.mark.parametrize("kind", ["bubblewrap", "landlock"])
async def test_from_inside_a_sandbox(kind: str, tmp_path: Path, service_missing: Callable[[str], None]) -> None:
    if kind == "bubblewrap" and not shutil.which("bwrap"):
        service_missing("bubblewrap is not installed")
    sandbox = KINDS[kind](scratch=tmp_path / "scratch", metrics=NoMetrics(), clock=SystemClock())
    (tmp_path / "work").mkdir()
    code = """
import json, socket, sys, urllib.error, urllib.request
def fetch(url):
    try:
        return urllib.request.urlopen(url, timeout=5).read().decode()
    except urllib.error.HTTPError as error:
        return error.code
def direct(host, port):
    try:
        socket.create_connection((host, port), 2).close()
        return "connected"
    except OSError as error:
        return type(error).__name__
listed, other = sys.argv[1:]
print(json.dumps([fetch(f"http://unlisted.example:{other}/"), fetch(f"http://127.0.0.2:{listed}/"),
                  direct("127.0.0.1", int(listed)), direct("pypi.example", 80)]))
"""
    heads: list[bytes] = []
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    async with origin(heads) as there, server:
        other = server.sockets[0].getsockname()[1]
        job = Job(
            argv=(str(PYTHON), "-c", code, str(there), str(other)),
            cwd=tmp_path / "work",
            mounts=(Mount(path=tmp_path / "work", writable=True), *PYTHON_MOUNTS),
            limits=Limits(wall_s=30),
            proxy_hosts=(f"127.0.0.2:{there}",),
        )
        result = await sandbox.run(job)
    assert json.loads(result.output.splitlines()[-1]) == [403, "hello", "ConnectionRefusedError", "gaierror"]


async def test_no_sandbox_has_no_proxy(tmp_path: Path) -> None:
    sandbox = KINDS["none"](scratch=tmp_path, metrics=NoMetrics(), clock=SystemClock())
    job = Job(argv=("true",), cwd=tmp_path, mounts=(), limits=Limits(wall_s=5), proxy_hosts=("model.example:443",))
    with pytest.raises(SandboxError, match="proxy"):
        await sandbox.run(job)
