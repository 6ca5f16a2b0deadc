"""What a task costs before anybody works on it: how many a process executes, how soon one begins, what idling takes.

What is done:
- A task is ten steps that do nothing, each remembered by the engine and told on the task's event stream
  (`executing/ours.py`): queue, lease, dispatcher, fencing, engine and events are the real ones, PostgreSQL is durable.
- Beside it: DBOS alone with the same ten steps (no events); PGQueuer, Celery with Redis, and a table with SKIP LOCKED
  and NOTIFY written by hand, where the ten steps are ten calls that nobody remembers: they show what remembering costs.
- One process executes. Blocks of all five in turn, so that a busy machine is busy for all. `x_dbos` is the median of
  the blocks' ratios.
- `start`: from before the submission to the task's first line, on an idle process, pauses of random length between.
- `overhead_ms_per_task`: what one task takes alone in a block, whole, divided by the tasks that ran at the same time.

`QUICK=1` makes fewer. The last line is JSON: {"tasks_per_s", "x_dbos", "start_p50_ms", "start_p95_ms",
"idle_cpu_share", "overhead_ms_per_task"}.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from councilor.adapters.postgres.embedded import EmbeddedPostgres
from councilor.adapters.postgres.migrate import migrate

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))
from servers import redis_server  # noqa: E402 - the tests' own server, found only now

QUICK = bool(os.environ.get("QUICK"))
SEED = int(os.environ.get("SEED", "1"))
ROUNDS = 2 if QUICK else 5
STARTS = 15 if QUICK else 30
"""Tasks submitted one after the other in one round."""
IDLE_S = 2.0 if QUICK else 20.0
EXECUTING = ROOT / "benchmarks/executing"
PEERS = ROOT / ".peers/bin/python"
AIM_TASKS_PER_S, AIM_X_DBOS, AIM_START_P95_MS, AIM_IDLE = 20.0, 0.7, 150.0, 0.05


@dataclass(frozen=True)
class Contestant:
    """One program to measure."""

    name: str
    program: str
    tasks: int
    """Tasks in a block: about as many as take some seconds."""
    ours: bool = False
    """Whether it runs in our environment."""


CONTESTANTS = (
    Contestant("ours", "ours.py", 60 if QUICK else 150, ours=True),
    Contestant("dbos", "plain_dbos.py", 60 if QUICK else 150, ours=True),
    Contestant("pgqueuer", "pgqueuer_peer.py", 1000 if QUICK else 5000),
    Contestant("celery", "celery_peer.py", 500 if QUICK else 2000),
    Contestant("by hand", "bare_limit.py", 1000 if QUICK else 5000, ours=True),
)


class Process:
    """One contestant's process."""

    def __init__(self, contestant: Contestant, url: str, env: Mapping[str, str]) -> None:
        python = sys.executable if contestant.ours else str(PEERS)
        command = [python, str(EXECUTING / contestant.program), url]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | dict(env)
        )
        self._name = contestant.name
        self._hear()

    def ask(self, what: str, of: Any) -> Any:
        """The answer to one question."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"what": what, "of": of}) + "\n")
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} ended")
        return json.loads(line)

    def end(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def contestants() -> Iterator[dict[str, Process]]:
    """All of them, each on a database of its own of one durable server."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="councilor-bench-")))
        folder.chmod(0o711)  # as root the server's own user passes through
        server = EmbeddedPostgres(folder / "postgres")
        url = server.up()
        stack.callback(server.down)
        redis = stack.enter_context(redis_server())
        found = {}
        for contestant in CONTESTANTS:
            name = f"bench_{contestant.name.replace(' ', '_')}"
            with psycopg.connect(url, autocommit=True) as admin:
                admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            own = server.url(name)
            if contestant.name == "ours":
                migrate(own)
            process = Process(contestant, own, {"BENCH_REDIS": f"redis://127.0.0.1:{redis.port}/0"})
            stack.callback(process.end)
            found[contestant.name] = process
        yield found


def main() -> None:
    """Measure and print. A figure is no failure: the exit code says only whether it could be measured."""
    if not PEERS.exists():
        sys.exit("run `make peers` first: the other queues have an environment of their own")
    chance = random.Random(SEED)
    rates: dict[str, list[float]] = {item.name: [] for item in CONTESTANTS}
    starts: dict[str, list[float]] = {item.name: [] for item in CONTESTANTS}
    with contestants() as processes:
        for item in CONTESTANTS:  # the first one warms up
            processes[item.name].ask("throughput", max(10, item.tasks // 5))
        for number in range(ROUNDS):
            order = CONTESTANTS[number % 5 :] + CONTESTANTS[: number % 5]
            for item in order:
                rates[item.name].append(item.tasks / processes[item.name].ask("throughput", item.tasks))
            for item in order:
                pauses = [chance.uniform(0.05, 0.25) for _ in range(STARTS)]
                starts[item.name] += processes[item.name].ask("latency", pauses)
        idle = {item.name: processes[item.name].ask("idle", IDLE_S) for item in CONTESTANTS}
    print(f"{'':<12}{'tasks/s':>10}{'start p50 ms':>14}{'p95 ms':>10}{'idle share':>12}")
    for item in CONTESTANTS:
        p50, p95 = quantiles_ms(starts[item.name])
        rate = statistics.median(rates[item.name])
        print(f"{item.name:<12}{rate:>10.1f}{p50:>14.1f}{p95:>10.1f}{idle[item.name]:>12.3f}")
    ratio = statistics.median(a / b for a, b in zip(rates["ours"], rates["dbos"], strict=True))
    p50, p95 = quantiles_ms(starts["ours"])
    rate = statistics.median(rates["ours"])
    print(
        f"\naims: >= {AIM_TASKS_PER_S:g} tasks/s, >= {AIM_X_DBOS:g} of plain DBOS, p95 <= {AIM_START_P95_MS:g} ms,"
        f" idle <= {AIM_IDLE:g} of a core; {ROUNDS} blocks, {len(starts['ours'])} starts"
    )
    report = {
        "tasks_per_s": round(rate, 1),
        "x_dbos": round(ratio, 3),
        "start_p50_ms": round(p50, 1),
        "start_p95_ms": round(p95, 1),
        "idle_cpu_share": round(idle["ours"], 4),
        "overhead_ms_per_task": round(1000 / rate, 2),
    }
    print(json.dumps(report))


def quantiles_ms(seconds: list[float]) -> tuple[float, float]:
    """The median and the 95th percentile, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return 1000 * statistics.median(seconds), 1000 * cuts[18]


if __name__ == "__main__":
    main()
