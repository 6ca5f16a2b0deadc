"""Real servers that tests start for themselves, on free loopback ports, in folders of their own.

A program that is not installed raises `ServerMissing`: the fixture that starts it skips, and fails in CI.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from councilor.adapters.postgres.embedded import EmbeddedPostgres
from councilor.adapters.postgres.migrate import migrate

__all__ = [
    "PrometheusServer",
    "RedisServer",
    "ServerMissing",
    "free_port",
    "own_server",
    "redis_server",
    "start_prometheus",
]

START_S = 10.0


class ServerMissing(Exception):
    """The server's program is not installed."""


def free_port() -> int:
    """A loopback port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """One redis-server.

    Args:
        folder: where it may write.
        password: what clients have to say; empty: nothing.
        options: further ones, as in redis.conf.
    """

    def __init__(self, folder: Path, *, password: str = "", **options: str) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise ServerMissing("redis-server is not installed (apt-get install redis-server)")
        self._program = program
        self._folder = folder
        self._options = {"requirepass": password, "save": "", "appendonly": "no"} | options
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        user = f":{self._password}@" if self._password else ""
        return f"redis://{user}127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self._folder), "daemonize": "no"}
        options |= {key.replace("_", "-"): value for key, value in self._options.items()}
        arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *arguments], stdout=log, stderr=log)
        ends = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > ends or self._process.poll() is not None:
                raise RuntimeError((self._folder / "redis.log").read_text())
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Stop it: it accepts connections, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        with suppress(ChildProcessError):  # until the kernel says that it has stopped
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        """Let it continue."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def command(self, *parts: str | bytes) -> bytes:
        """The first bytes of the answer to one command, over a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as line:
            if self._password:
                line.sendall(_encoded("AUTH", self._password))
                line.recv(64)
            line.sendall(_encoded(*parts))
            return line.recv(65536)

    def _answers(self) -> bool:
        try:
            return self.command("PING").startswith(b"+PONG")
        except OSError:
            return False


@contextmanager
def redis_server(*, password: str = "", **options: str) -> Iterator[RedisServer]:
    """A redis-server that runs for as long as this is open."""
    folder = Path(tempfile.mkdtemp(prefix="councilor-redis-"))
    try:
        server = RedisServer(folder, password=password, **options)
        try:
            server.start()
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _encoded(*parts: str | bytes) -> bytes:
    """A command as the protocol wants it. Source: Redis serialization protocol (RESP2), arrays of bulk strings."""
    raw = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join([b"*%d\r\n" % len(raw), *(b"$%d\r\n%s\r\n" % (len(part), part) for part in raw)])


class PrometheusServer:
    """One Prometheus that scrapes quickly.

    Args:
        folder: its own.
        targets: `host:port` of the job `councilor`.
        rules: files of rules.
        every_s: seconds between scrapes, and between evaluations of rules.
    """

    def __init__(
        self, folder: Path, *, targets: Sequence[str], rules: Sequence[Path] = (), every_s: float = 0.5
    ) -> None:
        program = shutil.which("prometheus")
        if program is None:
            raise ServerMissing("prometheus is not installed (apt-get install prometheus)")
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        every = f"{round(every_s * 1000)}ms"
        job = {"job_name": "councilor", "sample_limit": 1000, "static_configs": [{"targets": list(targets)}]}
        timing = {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every}
        config = {"global": timing, "rule_files": [str(path) for path in rules], "scrape_configs": [job]}
        (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML

    def start(self) -> None:
        """Start, and wait until it answers questions."""
        arguments = [
            f"--config.file={self._folder}/prometheus.yml",
            f"--storage.tsdb.path={self._folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        with (self._folder / "prometheus.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, *arguments], stdout=log, stderr=log)
        ends = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > ends or self._process.poll() is not None:
                raise RuntimeError((self._folder / "prometheus.log").read_text())
            time.sleep(0.05)

    def kill(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ask(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer of its HTTP API; an error is its text."""
        body = urlencode(parameters).encode() if parameters else None
        with urlopen(f"{self.url}/api/v1/{path}", data=body, timeout=10) as response:
            return json.load(response)["data"]

    def query(self, expression: str, *, at: float | None = None) -> list[dict[str, Any]]:
        """The series that an expression gives, now or at a moment; a number is one without labels."""
        data = self.ask("query", query=expression, **({} if at is None else {"time": f"{at:.3f}"}))
        return data["result"] if data["resultType"] == "vector" else [{"metric": {}, "value": data["result"]}]

    def wait_for(self, expression: str, limit_s: float = 20.0) -> list[dict[str, Any]]:
        """The series that an expression gives, once there are any."""
        ends = time.monotonic() + limit_s
        while not (found := self.query(expression)):
            assert time.monotonic() < ends, f"no series after {limit_s:g} s: {expression}"
            time.sleep(0.1)
        return found

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/-/ready", timeout=2) as response:
                return response.status == 200
        except OSError:
            return False


@contextmanager
def start_prometheus(
    targets: Sequence[str], *, rules: Sequence[Path] = (), every_s: float = 0.5
) -> Iterator[PrometheusServer]:
    """A Prometheus that runs for as long as this is open."""
    folder = Path(tempfile.mkdtemp(prefix="councilor-prometheus-"))
    try:
        server = PrometheusServer(folder, targets=targets, rules=rules, every_s=every_s)
        try:
            server.start()
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that a test may kill, restart and fill, its database migrated."""
    server = EmbeddedPostgres(folder / "postgres")
    try:
        migrate(server.up())
        yield server
    finally:
        server.down()
