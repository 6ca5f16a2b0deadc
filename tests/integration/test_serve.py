"""`councilor serve`, as its users and their probes meet it, while what it depends on hangs, dies and comes back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from asking import Answer, ask, wait_until
from commandline import CommandLine
from servers import RedisServer, ServerMissing, redis_server

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.postgres.postmaster import processes_in
from councilor.adapters.postgres.probes import DatabaseProbe
from councilor.adapters.redis.probe import RedisProbe
from councilor.adapters.system import SystemClock
from councilor.domain.health import Check, HealthStatus
from councilor.pipeline.health import HealthMonitor
from councilor.settings import Settings, load_settings
from councilor.surfaces.cli.observed import PORTS, open_observed_service
from councilor.surfaces.http import Address, listen, make_app, serving

QUICK = {"V3_HEALTH__EVERY_S": "0.2", "V3_HEALTH__TIMEOUT_S": "0.5", "V3_LOG__FORMAT": "json"}


@dataclass(frozen=True)
class Served:
    """A process that serves."""

    process: subprocess.Popen[bytes]
    url: str

    def ask(self, path: str, **options: Any) -> Answer:
        return ask(self.url + path, **options)

    def checks(self) -> dict[str, dict[str, Any]]:
        """By component."""
        return {name.split(":")[0]: found[0] for name, found in self.ask("/healthz").data["checks"].items()}

    def status(self) -> str:
        return str(self.ask("/readyz").data["status"])

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, list[dict[str, Any]], str]:
        """Its exit code, its log, and the rest of its output."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=10)
        lines = [json.loads(line) for line in err.decode().splitlines() if line.startswith("{")]
        return self.process.returncode, lines, out.decode()


@contextmanager
def served(councilor: CommandLine, **env: str) -> Iterator[Served]:
    command = replace(councilor, env={**councilor.env, **QUICK, **env})
    process = command.start("serve", "--only", "health", "--port", "0", "--json")
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["pid"] == process.pid
        yield Served(process, told["address"])
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def redis(service_missing: Callable[[str], None]) -> Iterator[RedisServer]:
    try:
        with redis_server(password="secret-word") as server:
            yield server
    except ServerMissing as missing:
        service_missing(str(missing))


def test_a_database_that_hangs_is_told_and_so_is_its_recovery(councilor: CommandLine) -> None:
    with served(councilor) as service:
        wait_until(lambda: service.status() == "pass", within_s=10)
        checks = service.checks()
        assert {"database", "log", "queue", "disk", "key", "git", "sandbox"} <= set(checks)
        assert checks["database"]["componentType"] == "datastore" and checks["database"]["observedUnit"] == "s"
        told = service.ask("/healthz").body.decode() + service.ask("/readyz").body.decode()
        assert str(councilor.data_dir) not in told and "postgresql://" not in told
        assert service.ask("/metrics").code == 404
        assert service.ask("/livez", Host="evil.example").code == 421
        with hanging(councilor):
            wait_until(lambda: service.ask("/readyz").code == 503, within_s=10)
            failed = service.checks()["database"]
            assert (failed["status"], failed["output"]) == ("fail", "no answer in 0.5 s")
            assert service.ask("/readyz").data == {"status": "fail", "output": "database"}
            answers = [service.ask(path) for path in ("/livez", "/readyz", "/healthz") for _ in range(5)]
            assert median(answer.seconds for answer in answers) < 0.5, "nobody waits for a look, which takes as long"
            assert {answer.code for answer in answers[:5]} == {200}
        wait_until(lambda: service.status() == "pass", within_s=20)
        began_s = time.monotonic()
        code, log, rest = service.stop(signal.SIGTERM)
        assert (code, rest) == (0, "")
        assert time.monotonic() - began_s < 8
    assert (log[0]["event"], log[-1]["event"]) == ("serving", "no longer serving")
    changes = [
        (e["before"], e["status"]) for e in log if e["event"] == "health changed" and e["component"] == "database"
    ]
    assert changes == [("pass", "fail"), ("fail", "pass")]


@contextmanager
def hanging(councilor: CommandLine) -> Iterator[None]:
    """The embedded server stopped: it takes connections, and answers nothing."""
    stopped = processes_in(councilor.data_dir / "postgres" / "data")
    assert stopped
    try:
        for process_id in stopped:
            os.kill(process_id, signal.SIGSTOP)
        yield
    finally:
        for process_id in stopped:
            try:
                os.kill(process_id, signal.SIGCONT)
            except ProcessLookupError:
                continue


def test_other_machines_are_let_in_only_when_asked_for_and_with_a_warning(
    councilor: CommandLine, tmp_path: Path
) -> None:
    with served(CommandLine(tmp_path / "data"), V3_SERVE__HOST="0.0.0.0") as service:
        port = service.url.rsplit(":", 1)[1]
        local = replace(service, url=f"http://127.0.0.1:{port}")
        wait_until(lambda: local.ask("/readyz", Host="pod-7.example").code == 200, within_s=10)
        assert "started when first needed" in local.checks()["database"]["output"]
        with socket.create_connection(("127.0.0.1", int(port))):
            began_s = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.05)  # an impatient user
            code, log, _ = service.stop(signal.SIGINT)
    assert code == 0 and time.monotonic() - began_s < 8
    assert ("other machines can reach this port", "warning") in [(line["event"], line["level"]) for line in log]
    assert not (tmp_path / "data" / "postgres").exists(), "looking starts nothing"


# --- one backend at a time


async def test_redis_is_missed_and_nothing_more(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    clock = SystemClock()
    probe = RedisProbe(url=redis.url, wait_s=0.2, clock=clock)
    monitor = HealthMonitor([probe], every_s=0.05, timeout_s=1, clock=clock, metrics=RecordingMetrics())

    async def becomes(status: HealthStatus) -> Check:
        async with asyncio.timeout(10):
            while (health := monitor.health()).status is not status:
                await asyncio.sleep(0.01)
        return health.observations[0].check

    async with monitor.watching():
        assert (await becomes(HealthStatus.PASS)).measurement == "latency"
        redis.kill()
        assert "memory serves instead" in (await becomes(HealthStatus.WARN)).told
        redis.start()
        await becomes(HealthStatus.PASS)
        redis.hang()
        assert "in time" in (await becomes(HealthStatus.WARN)).told
        redis.go_on()
        await becomes(HealthStatus.PASS)
    assert "secret-word" not in caplog.text
    assert [r.status for r in caplog.records if r.getMessage() == "health changed"] == ["warn", "pass", "warn", "pass"]


async def test_a_wrong_password_is_told_without_it(redis: RedisServer) -> None:
    wrong = redis.url.replace("secret-word", "other-word")
    probe = RedisProbe(url=wrong, wait_s=1, clock=SystemClock())
    monitor = HealthMonitor([probe], every_s=1, timeout_s=2, clock=SystemClock(), metrics=RecordingMetrics())
    check = (await monitor.look()).observations[0].check
    assert check.standing is HealthStatus.WARN
    assert "password" in check.detail and "other-word" not in check.detail + check.told


async def test_asking_often_does_not_reach_the_backends() -> None:
    clock, listener = SystemClock(), listen("127.0.0.1", 0)
    with counting() as (port, connections):
        url = f"postgresql://somebody:secret-word@127.0.0.1:{port}/nothing"
        probe = DatabaseProbe(lambda: url, clock=clock)
        monitor = HealthMonitor([probe], every_s=60, timeout_s=0.2, clock=clock, metrics=RecordingMetrics())
        app = make_app(monitor.health, release_id="1", exposition=None, local=True)
        async with monitor.watching(), serving(app, listener):
            await asyncio.sleep(0.4)
            answers = [ask(Address.of(listener).url + "/healthz") for _ in range(300)]
    assert len(connections) == 1
    assert {answer.code for answer in answers} == {503}
    assert b"secret-word" not in answers[0].body and str(port).encode() not in answers[0].body


@contextmanager
def counting() -> Iterator[tuple[int, list[socket.socket]]]:
    """A server that takes connections, answers nothing, and counts them."""
    connections: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connections.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1], connections
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                connection.close()


# --- what cannot be served


def test_what_is_served_has_to_be_said(councilor: CommandLine) -> None:
    told = councilor("serve", "--json").expect(2)
    assert "--only health" in told.data["error"]["hint"] and "later release" in told.data["error"]["hint"]
    councilor("serve", "--only", "everything").expect(2)


def test_a_port_that_is_taken_is_told(councilor: CommandLine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = councilor("serve", "--only", "health", "--port", str(port)).expect(4)
    assert f"Port {port}" in told.err and "--port" in told.err


def test_a_host_that_is_not_this_machine_is_bad_input(councilor: CommandLine) -> None:
    assert "203.0.113.7" in councilor("serve", "--only", "health", "--host", "203.0.113.7").expect(2).err


# --- beside a run


def observed(database_url: str, data_dir: Path, **flags: object) -> Settings:
    keys = {"observability.prometheus": True, "storage.database.url": database_url, "data_dir": str(data_dir)}
    quick = {"health.every_s": 0.1, "health.timeout_s": 5.0}
    return load_settings(flags=keys | quick | {key.replace("__", "."): value for key, value in flags.items()})


async def test_what_executes_runs_is_served_on_the_first_free_port(
    database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="councilor")
    with listen("127.0.0.1", 20_000, ports=10_000) as taken:  # another run has the first port
        port = Address.of(taken).port
        settings = observed(database_url, tmp_path, prometheus__port=port)
        async with open_observed_service(settings):
            (event,) = [r for r in caplog.records if r.getMessage() == "metrics are served"]
            url = event.address
            assert port < int(url.rsplit(":", 1)[1]) < port + PORTS
            async with asyncio.timeout(20):
                while ask(url + "/readyz").data["status"] != "pass":
                    await asyncio.sleep(0.05)
            assert "connections:used" in ask(url + "/healthz").data["checks"]
            shown = ask(url + "/metrics").body.decode()
            assert 'v3_health_status{component="database"} 1' in shown
            for name in ("v3_storage_free_bytes", "v3_database_connections", "v3_engine_queued"):
                assert f"\n{name}" in shown, name
        with pytest.raises(ConnectionError):
            ask(url + "/livez")


async def test_no_free_port_ends_no_run(database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with listen("127.0.0.1", 65_535) as taken:  # the last one: there is none after it
        settings = observed(database_url, tmp_path, prometheus__port=Address.of(taken).port)
        async with open_observed_service(settings):
            told = [r for r in caplog.records if r.getMessage() == "metrics are not served"]
    assert len(told) == 1 and "65535" in told[0].problem


async def test_without_the_flag_no_port_is_opened(database_url: str, tmp_path: Path) -> None:
    before = listening_sockets()
    async with open_observed_service(observed(database_url, tmp_path, observability__prometheus=False)):
        assert listening_sockets() == before


def listening_sockets() -> set[str]:
    """Inodes of the TCP sockets on which this process listens."""
    own = {str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                found.add(fields[9])
    return found
