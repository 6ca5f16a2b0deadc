"""Whether queued tasks survive the processes that execute them: killed and frozen ones, again and again.

What is done:
- A durable PostgreSQL of its own, real `councilor worker` processes with the usual lease, and queued tasks that are
  worked at, judged and published as usual, in the real sandbox. Its worker leaves one line in a pipe that this process
  reads: a side effect that can be counted.
- A process that has begun a task is killed with -9, or stopped with SIGSTOP: by turns when a step has just been
  remembered, and at a random moment within one. A stopped one is let go on once its tasks are taken over: it has to end
  with exit code 4. What was ended is started again.
- `recovered`: kills after which each of its tasks was begun by another process; the time is from the kill to that.
- `duplicated_side_effects`: a worker that ran again although its step had been remembered; a second verdict of one
  step, a second end, a second commit.
- `zombie_writes`: events and artifacts of an older attempt after those of a newer one.
- `lost`: tasks that did not end as completed.

`QUICK=1` kills fewer; `SEED` chooses other moments. It exits 1 if something was lost, doubled, or written by a zombie.
The last line is JSON: {"kills", "recovered", "recovery_p95_s", "duplicated_side_effects", "zombie_writes", "lost"}.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import yaml

from councilor.adapters.postgres.embedded import EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))
from journey import BUG, FIX, branches, git, make_repository, make_spec  # noqa: E402 - the tests' own, found only now

QUICK = bool(os.environ.get("QUICK"))
SEED = int(os.environ.get("SEED", "1"))
KILLS = int(os.environ.get("KILLS", "3" if QUICK else "54"))
STOP_EVERY = 3 if QUICK else 5
"""Each so manieth process is stopped, not killed."""
PROCESSES, LANES, AT_ONCE = (2, 3, 2) if QUICK else (3, 4, 3)
"""Free lanes for what others had, so that a takeover does not wait for other tasks."""
LONGEST_WAIT_S = 60.0
LATE_S = 0.2
"""Seconds between a side effect and our reading it, generously."""
AIM_P95_S = 12.0
SETTINGS = {
    "engine": {"per_repository": 1000, "per_tier": {"tier_3": AT_ONCE}},
    "evidence": {
        "canaries": 1, "flaky_reruns": 1, "confirmations": 1,
        "strength_s": {"tier_3": 0.0}, "differential_s": {"tier_3": 0.0},
    },
}  # fmt: skip
BEGUN = "SELECT count(*) FROM dbos.operation_outputs WHERE workflow_uuid = ANY(%s)"
CLAIMED = """
SELECT q.task_id::text, h.attempt FROM task_queue q JOIN task_head h USING (task_id)
JOIN executor_lease l ON l.executor_id = q.executor_id WHERE l.pid = %s"""
TAKEN = """
SELECT NOT EXISTS (SELECT FROM task_queue WHERE task_id = %(task)s)
    OR (SELECT attempt > %(attempt)s FROM task_head WHERE task_id = %(task)s)"""
WORKED_AT = """
SELECT completed_at_epoch_ms / 1000.0 FROM dbos.operation_outputs
WHERE workflow_uuid = %s AND function_name = 'work:1'"""


@dataclass(frozen=True)
class Effect:
    """One line that a worker left."""

    name: str
    at: float
    """When it was read, seconds of the epoch."""


class Pipe:
    """What workers in their sandbox can write to: opening a pipe for writing needs no writable file system."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "effects"
        os.mkfifo(self.path)
        self.path.chmod(0o666)
        self.effects: list[Effect] = []
        self._file = os.fdopen(os.open(self.path, os.O_RDWR), "r")
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._file:
            self.effects.append(Effect(line.strip(), time.time()))


@dataclass
class Plant:
    """The server, the processes, and what became of them."""

    folder: Path
    url: str
    pipe: Pipe
    chance: random.Random
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    killed_s: list[float] = field(default_factory=list)
    """Until each task of a killed process was gone on with."""
    stopped_s: list[float] = field(default_factory=list)
    """Of a stopped one."""
    kills: int = 0
    recovered: int = 0
    odd_ends: list[str] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """What the command line needs."""
        own = {"V3_DATA_DIR": str(self.folder / "data"), "V3_STORAGE__DATABASE__URL": self.url}
        return {**os.environ, **own, "COLUMNS": "200"}

    def command(self, *arguments: str) -> list[str]:
        """`councilor` with the settings of this benchmark."""
        return [sys.executable, "-m", "councilor", "--config", str(self.folder / "config.yaml"), *arguments]

    def start_missing(self) -> None:
        """Start processes until there are enough."""
        self.processes = [process for process in self.processes if process.poll() is None]
        while len(self.processes) < PROCESSES:
            with (self.folder / "workers.log").open("ab") as log:
                self.processes.append(
                    subprocess.Popen(
                        self.command("worker", "--parallel", str(LANES)), env=self.env, stdin=subprocess.DEVNULL,
                        stdout=log, stderr=log,
                    )
                )  # fmt: skip

    def ask(self, statement: str, values: Any = None) -> list[Any]:
        """Rows, read over a connection of its own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return list(connection.execute(statement, values).fetchall())  # type: ignore[arg-type]  # constants above


@contextmanager
def plant() -> Iterator[Plant]:
    """Everything, gone in the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="councilor-recovery-")))
        folder.chmod(0o711)  # as root the server's own user passes through
        server = EmbeddedPostgres(folder / "postgres")
        url = server.up()
        stack.callback(server.down)
        (folder / "pipe").mkdir()
        pipe = Pipe(folder / "pipe")
        script = (
            f"name=$(grep -o 'SHOP-[0-9][0-9]*' | head -n 1); sleep 0.5; echo $name > {pipe.path};"
            f" sed -i 's/{BUG}/{FIX}/' shop.py; echo done"
        )
        worker = {"kind": "command", "command": ["sh", "-c", script], "folders": [str(pipe.path.parent)]}
        config = SETTINGS | {"run": {"worker": "counted"}, "workers": {"counted": worker}}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        made = Plant(folder, url, pipe, random.Random(SEED))
        try:
            yield made
        finally:
            for process in made.processes:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()


def submit(made: Plant, tasks: int) -> dict[str, str]:
    """Queue tasks; gives the name of each one's effect by its id."""
    make_repository(made.folder / "shop")
    files = []
    for number in range(1, tasks + 1):
        files.append(made.folder / f"SHOP-{number}.yaml")
        files[-1].write_text(make_spec(id=f"SHOP-{number}"))
    given = ["submit", *map(str, files), "--repo", str(made.folder / "shop"), "--queue", "--iterations", "1", "--json"]
    done = subprocess.run(made.command(*given), env=made.env, check=True, capture_output=True)
    found = json.loads(done.stdout)["tasks"]
    return {task["task_id"]: f"SHOP-{number}" for number, task in enumerate(found, 1)}


# --- the killing -----------------------------------------------------------------------------------------------------


def until(condition: Callable[[], bool], limit_s: float, every_s: float = 0.02) -> bool:
    """Whether it happens in time."""
    ends = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(every_s)
    return True


def kill_one(made: Plant, number: int) -> bool:
    """Kill or stop one process that executes something; False when there was none."""
    found = find_victim(made)
    if found is None:
        return False
    victim, tasks = found
    if number % 2:
        wait_for_step(made, [task for task, _ in tasks])
    else:
        time.sleep(made.chance.uniform(0.0, 1.5))
    stopped = number % STOP_EVERY == STOP_EVERY - 1
    victim.send_signal(signal.SIGSTOP if stopped else signal.SIGKILL)
    killed_at = time.monotonic()
    tasks = made.ask(CLAIMED, [victim.pid])
    if not tasks:  # it had just ended what it had: nothing to recover
        victim.send_signal(signal.SIGCONT)
        time.sleep(0.1)
        made.start_missing()
        return False
    made.kills += 1
    if not stopped:
        victim.wait()
        made.start_missing()
    followed = follow(made, tasks)
    times_s = made.stopped_s if stopped else made.killed_s
    times_s += [at - killed_at for at in followed]
    made.recovered += len(followed) == len(tasks)
    if stopped:
        let_go_on(made, victim)
    return True


def find_victim(made: Plant) -> tuple[subprocess.Popen[bytes], list[Any]] | None:
    """A process that executes something, and what."""
    for process in made.chance.sample(made.processes, len(made.processes)):
        if process.poll() is None and (tasks := made.ask(CLAIMED, [process.pid])):
            return process, tasks
    return None


def wait_for_step(made: Plant, tasks: Sequence[str]) -> None:
    """Return right after one of the tasks' steps has been remembered."""
    with psycopg.connect(made.url, autocommit=True) as connection:

        def steps() -> int:
            row = connection.execute(BEGUN, [list(tasks)]).fetchone()
            return int(row[0]) if row else 0

        before = steps()
        until(lambda: steps() != before, 5.0, every_s=0.002)


def follow(made: Plant, tasks: Sequence[tuple[str, int]]) -> list[float]:
    """When other processes went on with tasks, as far as they do; each with the attempt that was interrupted."""
    taken: dict[str, float] = {}
    with psycopg.connect(made.url, autocommit=True) as connection:

        def are_taken() -> bool:
            for task, attempt in tasks:
                row = connection.execute(TAKEN, {"task": task, "attempt": attempt}).fetchone()
                if row and row[0]:
                    taken.setdefault(task, time.monotonic())
            return len(taken) == len(tasks)

        until(are_taken, LONGEST_WAIT_S)
    return list(taken.values())


def let_go_on(made: Plant, stopped: subprocess.Popen[bytes]) -> None:
    """The stopped process notices that it was taken for dead, and ends."""
    stopped.send_signal(signal.SIGCONT)
    try:
        code = stopped.wait(60)
    except subprocess.TimeoutExpired:
        stopped.kill()
        code = stopped.wait()
    if code != 4:
        made.odd_ends.append(f"a process that was stopped ended with {code}")
    made.start_missing()


# --- what is left ----------------------------------------------------------------------------------------------------


def effects_again(made: Plant, tasks: dict[str, str]) -> int:
    """Effects of workers that ran although their step had been remembered."""
    found = 0
    for task, name in tasks.items():
        rows = made.ask(WORKED_AT, [task])
        found += sum(
            effect.name == name and effect.at > float(rows[0][0]) + LATE_S for effect in made.pipe.effects if rows
        )
    return found


def doubled(made: Plant, tasks: dict[str, str]) -> int:
    """Second verdicts, ends and commits."""
    again = 0
    for task in tasks:
        names = made.ask("SELECT name FROM execution_artifacts WHERE task_id = %s AND kind = 'verdict'", [task])
        again += sum(count - 1 for count in Counter(names).values())
        ends = made.ask("SELECT count(*) FROM event WHERE task_id = %s AND type LIKE 'task.fin%%'", [task])
        again += max(0, ends[0][0] - 1)
    shop = made.folder / "shop"
    again += sum(
        int(git(shop, "rev-list", "--count", f"main..{name}")) > 1 for name in branches(shop) if name != "main"
    )
    return again


def zombies(made: Plant) -> int:
    """Events and artifacts of an older attempt after those of a newer one; what no execution wrote has attempt 0."""
    late = 0
    for table in ("event", "execution_artifacts"):
        late += made.ask(
            f"""SELECT count(*) FROM (
                    SELECT attempt, max(attempt) OVER (PARTITION BY task_id ORDER BY seq) AS newest FROM {table}
                    WHERE attempt > 0) written
                WHERE attempt < newest"""
        )[0][0]
    return late


def stop_here(number: int, frame: object) -> None:
    """Told to end: what was started ends as well."""
    sys.exit(128 + number)


def main() -> None:
    """Kill, wait, count and print."""
    signal.signal(signal.SIGTERM, stop_here)
    began = time.monotonic()
    with plant() as made:
        tasks = submit(made, KILLS + 3)
        made.start_missing()
        while made.kills < KILLS and made.ask("SELECT count(*) FROM task_queue")[0][0]:
            if not kill_one(made, made.kills):
                time.sleep(0.2)
        ended = until(lambda: made.ask("SELECT count(*) FROM task_queue")[0][0] == 0, 600.0, every_s=0.5)
        states = dict(made.ask("SELECT task_id::text, state FROM task_head"))
        lost = [task for task in tasks if states.get(task) != "completed"]
        report = {
            "kills": made.kills,
            "recovered": made.recovered,
            "recovery_p95_s": round(quantile([*made.killed_s, *made.stopped_s], 0.95), 2),
            "duplicated_side_effects": effects_again(made, tasks) + doubled(made, tasks),
            "zombie_writes": zombies(made),
            "lost": len(lost),
        }
        attempts = made.ask("SELECT sum(attempt) FROM task_head")[0][0]
        for problem in [*made.odd_ends, *(f"{task}: {states.get(task)}" for task in lost)]:
            print(problem)
        print(
            f"{len(tasks)} tasks, {attempts} attempts, {len(made.pipe.effects)} runs of the worker,"
            f" {time.monotonic() - began:.0f} s; load {os.getloadavg()[1]:.1f}; aim: p95 <= {AIM_P95_S:g} s, all else 0"
        )
        for what, times_s in (("killed", made.killed_s), ("stopped", made.stopped_s)):
            shares = (quantile(times_s, share) for share in (0.5, 0.95, 1.0))
            print(f"{what}: {len(times_s)} tasks gone on with, p50, p95, longest:", *(f"{item:.2f}" for item in shares))
        if not ended or made.odd_ends:
            print((made.folder / "workers.log").read_text()[-4000:])
    print(json.dumps(report))
    bad = report["duplicated_side_effects"] or report["zombie_writes"] or report["lost"] or made.odd_ends
    sys.exit(1 if bad or report["recovered"] < report["kills"] else 0)


def quantile(values: Sequence[float], share: float) -> float:
    """A quantile of few values, by the nearest rank."""
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))] if values else float("nan")


if __name__ == "__main__":
    main()
