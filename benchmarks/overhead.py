"""What the pipeline itself costs: a task's time without its worker and without the runs of tests and linter.

What is measured:
- One process with the service open, as `councilor run` has it: the embedded database (durable: fsync on), the durable
  engine, the real sandbox. Each task goes from `submit` to its commit; its environment was built before.
- Own time = wall time - time inside `worker.run` - time inside `runner.run`, `runner.command` and `Analyzer.analyze`.
  Everything else is ours and counts: git, exports and drift checks, events, artifacts and signatures, gates, claims,
  council, engine, finding the environment again.
- The table divides own time by the port it was spent in (inner calls are taken out of outer ones); `the rest` is our
  own computing, the engine and its database among it.

`QUICK=1` makes fewer tasks. The last line is JSON: {"overhead_ms_p50", "overhead_ms_p95"}.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

from councilor.app import Service, open_service
from councilor.domain.task import RunMode
from councilor.domain.verdict import Decision
from councilor.domain.worker import Assignment, WorkerOutcome, WorkerReport
from councilor.pipeline.executor import Parts
from councilor.pipeline.submission import Order, draft_task
from councilor.ports.repository import Repository
from councilor.ports.worker import Progress, Workspace
from councilor.settings import load_settings

TASKS, QUICK_TASKS, WARM_UP = 100, 15, 2
NOT_OURS = frozenset({"worker", "tests", "analysers"})
AIM_MS = 400.0

FILES = {
    "pytest.ini": "[pytest]\npythonpath = .\n",
    "shop.py": "def total(prices):\n    return sum(prices) + 1\n\n\ndef count(prices):\n    return len(prices)\n",
    "tests/test_shop.py": (
        "from shop import count, total\n\n\ndef test_count():\n    assert count([1, 2]) == 2\n\n\n"
        "def test_total():\n    assert str(total([1, 2])) == '3'\n    assert total([10, 20, 30]) == 60\n"
    ),
}
SPEC = """
id: SHOP-1
title: Repair the total
risk_tier: 3
mode: fix
lifecycle_state: active
blast_radius: {modules: [shop], data_migration: false}
scope: {in: [shop.py], out: []}
invariants: [count stays as it is]
acceptance:
  - {id: A1, given: prices, when: summed, then: total is their sum, test_nodeids: ["tests/test_shop.py::test_total"]}
non_functional: {}
contracts: []
"""


class Stopwatch:
    """Adds up exclusive time by category: what an inner call takes is not the outer one's."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: defaultdict[str, int] = defaultdict(int)
        self._outer: ContextVar[list[float] | None] = ContextVar("outer", default=None)
        """What the calls inside the current one took; each task of the event loop has its own."""

    @contextmanager
    def measure(self, category: str) -> Iterator[None]:
        """Measure the body."""
        began, outer, inner = time.perf_counter(), self._outer.get(), [0.0]
        token = self._outer.set(inner)
        try:
            yield
        finally:
            self._outer.reset(token)
            elapsed = time.perf_counter() - began
            self.seconds[category] += elapsed - inner[0]
            self.calls[category] += 1
            if outer is not None:
                outer[0] += elapsed

    def take(self) -> tuple[dict[str, float], dict[str, int]]:
        """Seconds and calls by category since the last take."""
        taken = dict(self.seconds), dict(self.calls)
        self.seconds.clear()
        self.calls.clear()
        return taken


class Timed:
    """Anything with its coroutine methods measured."""

    def __init__(
        self,
        inner: Any,
        watch: Stopwatch,
        category: str | Callable[[str], str],
        wrap: Callable[[Any], Any] | None = None,
    ) -> None:
        self._inner, self._watch, self._category, self._wrap = inner, watch, category, wrap

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(found):
            return found
        category = self._category if isinstance(self._category, str) else self._category(name)

        async def timed(*args: Any, **kwargs: Any) -> Any:
            with self._watch.measure(category):
                result = await found(*args, **kwargs)
            return self._wrap(result) if self._wrap else result

        return timed


class Editor:
    """A worker that repairs the bug at once."""

    name = "editor"

    async def run(self, assignment: Assignment, workspace: Workspace, emit: Callable[[Progress], None]) -> WorkerReport:
        """Edit one line."""
        file = workspace.folder / "shop.py"
        file.write_text(file.read_text().replace("sum(prices) + 1", "sum(prices)"))
        return WorkerReport(outcome=WorkerOutcome.FINISHED, text="All tests pass.", exit_code=0, transcript=b"edited\n")


def timed_parts(parts: Parts, watch: Stopwatch) -> Parts:
    """The same parts, measured."""
    return replace(
        parts,
        repositories=Timed(parts.repositories, watch, "git", wrap=lambda found: Timed(found, watch, "git")),
        environments=Timed(parts.environments, watch, "environment"),
        sandbox=Timed(parts.sandbox, watch, "sandbox probe"),
        runner=Timed(parts.runner, watch, "tests"),
        analyzers=[Timed(analyzer, watch, "analysers") for analyzer in parts.analyzers],
        workers={"editor": Timed(Editor(), watch, "worker")},
        events=Timed(parts.events, watch, "events"),
        ledger=replace(parts.ledger, storage=Timed(parts.ledger.storage, watch, "artifacts")),
    )


def make_repository(folder: Path) -> Path:
    """A repository with one commit."""
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@invalid"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], [*identity, "commit", "-q", "-m", "A shop"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


async def one_task(service: Service, repository: Repository, watch: Stopwatch) -> tuple[float, dict[str, float], Any]:
    """Let one task travel; gives its wall time in seconds, and seconds and calls by category."""
    order = Order(
        spec_text=SPEC,
        base=await repository.resolve("main"),
        worker="editor",
        mode=RunMode.AUTO,
        max_iterations=1,
        deadline_s=120.0,
    )
    task = await draft_task(order, repository, clock=service.runtime.clock, ids=service.runtime.ids)
    watch.take()
    began = time.perf_counter()
    await service.executor.submit(task)
    outcome = await service.executor.run(task.id)
    wall_s = time.perf_counter() - began
    if outcome.decision is not Decision.ACCEPT or outcome.commit is None:
        verdict = json.loads(await service.store.artifacts.read(outcome.verdict_artifact))
        why = [item["message"] for gate in verdict["gates"] for item in gate["violations"]]
        sys.exit(f"the task was not accepted and published: {outcome.decision}, {why}")
    seconds, calls = watch.take()
    return wall_s, seconds, calls


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def report(samples: list[tuple[float, dict[str, float], dict[str, int]]]) -> dict[str, float]:
    """Print the table; gives the figures in milliseconds."""
    own_ms = [1000 * (wall - sum(seconds.get(name, 0.0) for name in NOT_OURS)) for wall, seconds, _ in samples]
    categories = sorted({name for _, seconds, _ in samples for name in seconds} - NOT_OURS)
    rows = [
        (
            name,
            [1000 * seconds.get(name, 0.0) for _, seconds, _ in samples],
            statistics.mean(calls.get(name, 0) for _, _, calls in samples),
        )
        for name in categories
    ]
    known = [sum(values[index] for _, values, _ in rows) for index in range(len(samples))]
    rows.append(("the rest", [own - part for own, part in zip(own_ms, known, strict=True)], 0))
    rows.sort(key=lambda row: -statistics.median(row[1]))
    print(f"{'own time':<16}{'p50 ms':>10}{'p95 ms':>10}{'calls':>8}")
    for name, values, calls in [*rows, ("all of it", own_ms, 0)]:
        print(f"{name:<16}{quantile(values, 0.5):>10.1f}{quantile(values, 0.95):>10.1f}{calls or '':>8}")
    excluded = {
        name: statistics.median(1000 * seconds.get(name, 0.0) for _, seconds, _ in samples) for name in NOT_OURS
    }
    print("not counted (p50 ms): " + ", ".join(f"{name} {value:.1f}" for name, value in sorted(excluded.items())))
    print(f"{len(samples)} tasks; aim: p95 <= {AIM_MS:g} ms")
    return {"overhead_ms_p50": round(quantile(own_ms, 0.5), 1), "overhead_ms_p95": round(quantile(own_ms, 0.95), 1)}


async def main() -> None:
    """Measure and print. A figure is no failure: the exit code says only whether it could be measured."""
    count = QUICK_TASKS if os.environ.get("QUICK") else TASKS
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="councilor-bench-") as root:
        folder = Path(root)
        folder.chmod(0o711)  # as root the database's own user passes through
        settings = load_settings(flags={"data_dir": str(folder / "data"), "storage.database.url": None})
        async with open_service(settings, adapt=lambda parts: timed_parts(parts, watch)) as service:
            repository = await service.tools.repositories.open(make_repository(folder / "shop"))
            samples = [await one_task(service, repository, watch) for _ in range(WARM_UP + count)][WARM_UP:]
        await stop_database(settings)
    print(json.dumps(report(samples)))


async def stop_database(settings: Any) -> None:
    """End the server of the temporary folder."""
    from councilor.app import embedded_server

    await asyncio.to_thread(embedded_server(settings).down)


if __name__ == "__main__":
    asyncio.run(main())
