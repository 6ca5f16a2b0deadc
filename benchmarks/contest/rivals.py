"""MLflow, as processes of the peers environment: its server, and the program that stores with it.

Rules:
- `make peers` installs it; here nothing of it is imported. Its telemetry is off, and so are the workers that its server
  starts for jobs of other kinds, which would only take time from it.
- Every process is the first of a group of its own, and the group is ended with it: workers of a server are children.
- Databases are copies of one that MLflow made, which spares minutes of its migrations.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

__all__ = ["Peer", "PeersMissingError", "Server", "make_databases", "require_mlflow", "run_peer", "serve"]

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".peers" / "bin" / "python"
PROGRAM = ROOT / "benchmarks" / "peers" / "mlflow_peer.py"
START_S, STOP_S = 120.0, 10.0
TEMPLATE = "mlflow_direct"


class PeersMissingError(Exception):
    """There is no MLflow."""


def require_mlflow() -> str:
    """Its version.

    Raises:
        PeersMissingError: it is not there.
    """
    asked = [PYTHON, "-c", "import importlib.metadata as m; m.version('psycopg2-binary'); print(m.version('mlflow'))"]
    try:
        found = subprocess.run(asked, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PeersMissingError("MLflow is not there: run `make peers` first (a few minutes, once).") from error
    return found.stdout.strip()


def make_databases(url: str, names: Sequence[str], folder: Path) -> Mapping[str, str]:
    """A database of MLflow's for each name; gives their URLs, and the template's."""
    server = psycopg.conninfo.conninfo_to_dict(url)
    base = url.replace("postgresql:", "postgresql+psycopg2:", 1)  # the driver that its documentation names
    urls = {name: base.replace(f"/{server['dbname']}?", f"/{name}?") for name in [TEMPLATE, *names]}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
        call = [PYTHON, "-m", "mlflow", "db", "upgrade", urls[TEMPLATE]]
        made = subprocess.run(call, capture_output=True, text=True, env=_environment(folder), cwd=folder)
        if made.returncode:
            raise RuntimeError(f"MLflow cannot make its database: {made.stderr[-2000:]}")
        for name in names:
            copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(copy.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
    return urls


class Server:
    """MLflow's server."""

    def __init__(self, address: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.address = address
        self._process, self._log = process, log

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with (
                contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
                urllib.request.urlopen(f"{self.address}/health", timeout=2),
            ):
                return
            time.sleep(0.2)
        raise RuntimeError(f"MLflow's server does not start: {_end_of(self._log)}")


@contextmanager
def serve(url: str, folder: Path, *, workers: int | None) -> Iterator[Server]:
    """MLflow's server on a free port of the loopback, not yet ready. None: as many workers as it likes."""
    folder.mkdir()
    port = _free_port()
    command = [
        PYTHON, "-m", "mlflow", "server", "--backend-store-uri", url, "--artifacts-destination", folder / "artifacts",
        "--host", "127.0.0.1", "--port", str(port), *(() if workers is None else ("--workers", str(workers))),
    ]  # fmt: skip
    log = folder / "server.log"
    with log.open("wb") as output, _process(command, folder, stdout=output, stderr=output) as process:
        yield Server(f"http://127.0.0.1:{port}", process, log)


class Peer:
    """The program that stores with MLflow, one block at a time."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process, self._log = process, log

    def wait(self) -> None:
        """Until it is ready."""
        self._answer()

    def work(self, do: str, items: Sequence[Any]) -> tuple[list[float], list[Any]]:
        """One block of operations: the seconds of each, measured there, and what each gave."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": do, "items": list(items)}).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._answer()
        return answer["seconds"], answer["results"]

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"MLflow's process ended: {_end_of(self._log)}")
        return json.loads(line)


@contextmanager
def run_peer(*arguments: str, folder: Path) -> Iterator[Peer]:
    """The program `benchmarks/peers/mlflow_peer.py`, not yet ready."""
    log = folder / f"peer-{arguments[0]}-{time.monotonic_ns()}.log"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with log.open("wb") as errors, _process([PYTHON, PROGRAM, *arguments], folder, stderr=errors, **pipes) as process:
        yield Peer(process, log)


@contextmanager
def _process(command: Sequence[object], folder: Path, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its own group, ended with everything that it started."""
    arguments = [str(part) for part in command]
    process = subprocess.Popen(arguments, cwd=folder, env=_environment(folder), start_new_session=True, **streams)
    try:
        yield process
    finally:
        if process.stdin:  # the end of its orders: it puts its things away and ends
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=STOP_S)
        _end_group(process)
        if process.stdout:
            process.stdout.close()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=STOP_S)


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        "PYTHONWARNINGS": "ignore",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]
