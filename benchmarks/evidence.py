"""What of the roadmap is shown by now: criterion or gate -> command -> figure, each measured in this very run.

Rules:
- A row is there only if its figure was obtained now; what does not exist yet has no row.
- `this` as a command means this program: three real tasks (real git, sandbox, tests, linter, embedded PostgreSQL,
  durable engine) whose stored artifacts, verdicts and events are then measured.
- The last line is JSON: {"rows": [...], "failed": n}; exit 1 if a row missed its aim.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml
from overhead import SPEC, make_repository, quantile, stop_database

from councilor.adapters.memory.artifacts import MemoryArtifactStorage
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.app import Service, open_service
from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.codec import decode
from councilor.domain.event import EventType
from councilor.domain.evidence import EvidenceBundle
from councilor.domain.spec import load_spec
from councilor.domain.task import RunMode, Task, TaskHead
from councilor.domain.verdict import Decision, Verdict
from councilor.domain.worker import Assignment, WorkerOutcome, WorkerReport
from councilor.pipeline import council
from councilor.pipeline.claims import ClaimContext, check_claims
from councilor.pipeline.council import Case
from councilor.pipeline.executor import Outcome
from councilor.pipeline.inspection import put_together
from councilor.pipeline.ledger import verify_task
from councilor.pipeline.rules import read_rules
from councilor.pipeline.submission import Order, draft_task
from councilor.ports.worker import Workspace
from councilor.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
DELIBERATIONS = 1000
FLAGS = ("coreml", "observability.prometheus", "observability.statsd", "observability.redis")
INSIDE = re.compile("/(sandboxed|forking)/")
"""Folders of programs that run in a sandbox, where the modules beside them have no package."""
OPTIONAL = frozenset({"redis", "prometheus_client", "acp", "hatchling", "hypothesis", "importlinter"})
"""What an installation without extras does not have; a clean installation is tried by `.ci/run`."""
OF_EXTRAS = re.compile(r"councilor/adapters/(opentelemetry/otlp|workers/acp/(client|conversation))\.py$")
"""Modules that are imported only when a backend of an extra is opened."""
RULE = re.compile(r"`([A-Z]+-\d+)`")
RULE_TESTS = (
    "tests/unit/test_spec.py",
    "tests/unit/test_policy.py",
    "tests/unit/test_integrity.py",
    "tests/unit/pipeline",
)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    criterion: str
    command: str
    figure: str
    held: bool


@dataclass(frozen=True)
class Trip:
    """One real task."""

    task: Task
    head: TaskHead
    outcome: Outcome
    seconds: float


class Editor:
    """A worker that does what the task's title says."""

    name = "editor"

    async def run(self, assignment: Assignment, workspace: Workspace, emit: Any) -> WorkerReport:
        """Repair; first astray where the title says so; or weaken the test instead."""
        shop, tests = workspace.folder / "shop.py", workspace.folder / "tests"
        stray = workspace.folder / "stray.txt"
        if "cheat" in assignment.title:
            file = tests / "test_shop.py"
            file.write_text(file.read_text().replace("== 3", "> 0"))
        else:
            shop.write_text(shop.read_text().replace("sum(prices) + 1", "sum(prices)"))
            (tests / "test_more.py").write_text(
                "from shop import total\n\n\ndef test_empty():\n    assert total([]) == 0\n"
            )
        stray.unlink(missing_ok=True)
        if "astray" in assignment.title and assignment.iteration == 1:
            stray.write_text("out of scope\n")
        return WorkerReport(outcome=WorkerOutcome.FINISHED, text="All tests pass.", exit_code=0)


async def travel(service: Service, folder: Path, title: str) -> Trip:
    """Let one task travel."""
    repository = await service.tools.repositories.open(folder)
    spec = SPEC.replace("Repair the total", title).replace("[shop.py]", "[shop.py, tests]")
    order = Order(
        spec_text=spec,
        base=await repository.resolve("main"),
        worker="editor",
        mode=RunMode.AUTO,
        max_iterations=2,
        deadline_s=120.0,
    )
    task = await draft_task(order, repository, clock=service.runtime.clock, ids=service.runtime.ids)
    await service.executor.submit(task)
    began = time.perf_counter()
    outcome = await service.executor.run(task.id)
    head = await service.store.events.head(task.id)
    assert head is not None
    return Trip(task=task, head=head, outcome=outcome, seconds=time.perf_counter() - began)


async def named(service: Service, trip: Trip, name: str) -> bytes:
    """The bytes of a task's newest artifact of a name."""
    artifacts = await service.store.artifacts.latest_for_task(trip.task.id)
    return await service.store.artifacts.read(next(item.id for item in artifacts if item.name == name))


async def consensus(service: Service, trips: list[Trip]) -> Row:
    """A1: how long the council takes, on the cases of real tasks."""
    metrics, decisions = RecordingMetrics(), 0
    cases = [decode(Case, json.loads(await named(service, trip, "case/1"))) for trip in trips]
    for number in range(DELIBERATIONS):
        case = cases[number % len(cases)]
        verdict = await council.deliberate(case, clock=service.runtime.clock, ids=service.runtime.ids, metrics=metrics)
        decisions += council.recompute(council.inputs_of(verdict, case)) is verdict.decision
    p95_s = quantile(metrics.observations("v3.council.consensus"), 0.95)
    sla_s = service.runtime.settings.council.sla_s
    figure = f"p95 {p95_s * 1000:.2f} ms of {sla_s * 1000:g} ms; {decisions} of {DELIBERATIONS} verdicts recomputed"
    return Row("A1 consensus", "this", figure, p95_s < sla_s and decisions == DELIBERATIONS)


async def claims(service: Service, trip: Trip) -> Row:
    """A2: labelled sentences about a real change."""
    repository = await service.tools.repositories.open(
        Path(trip.task.repository), store=service.runtime.settings.runs_dir / trip.task.id / "store"
    )
    base = await repository.resolve(trip.task.base_commit)
    given = await put_together(
        repository,
        task=trip.task,
        spec=load_spec(trip.task.spec_text, source="the task"),
        rules=await read_rules(repository, base),
        base=base,
        tree=trip.outcome.tree,
        patch=await named(service, trip, "patch/1"),
        owns=service.tools.runner.owns,
        now=service.runtime.clock.now(),
        bundle=decode(EvidenceBundle, json.loads(await named(service, trip, "evidence/1"))),
    )
    verdict = decode(Verdict, json.loads(await named(service, trip, "verdict/1")))
    context = ClaimContext(given=given, gates=verdict.gates)
    labelled = yaml.safe_load((ROOT / "benchmarks/claims.yaml").read_text())
    wrong = []
    for item in labelled:
        found = [claim.status.value for claim in check_claims(item["text"], context)]
        wanted = [] if item["label"] in (None, "none") else [item["label"]] * (1 + item.get("more", 0))
        if found != wanted:
            wrong.append(f"{item['text']} {found}")
    figure = f"{len(labelled) - len(wrong)} of {len(labelled)} labelled sentences as labelled"
    return Row("A2 claims", "this (benchmarks/claims.yaml)", "; ".join([figure, *wrong]), not wrong)


def altered(artifact: ExecutionArtifact) -> Iterator[tuple[str, ExecutionArtifact]]:
    """The artifact with each field altered, one at a time."""
    other = "0190ffff-0000-7000-8000-000000000000"
    for field in fields(ExecutionArtifact):
        old = getattr(artifact, field.name)
        match old:
            case ArtifactKind():
                new: Any = next(kind for kind in ArtifactKind if kind is not old)
            case int():
                new = old + 1
            case bytes():
                new = old[:-20] + bytes([old[-20] ^ 1]) + old[-19:]
            case datetime():
                new = old + timedelta(microseconds=1)
            case dict():
                new = {**old, "altered": True}
            case tuple():
                new = old[1:] if old else (next(iter(artifact.inputs), None),)
            case _ if field.name in ("id", "task_id", "run_id", "parent_id"):
                new = other
            case _ if field.name in ("input_hash", "output_hash", "keyid"):
                new = "0" * 64
            case _:
                new = f"{old}x"
        if new != (None,):
            yield field.name, replace(artifact, **{field.name: new})


async def tampers(service: Service, trip: Trip) -> Row:
    """A7: every field and every byte string of a real task's record, altered one at a time."""
    artifacts = await service.store.artifacts.of_task(trip.task.id)
    bodies = {item.output_hash: await service.store.artifacts.read(item.id) for item in artifacts}
    tried = found = 0

    async def sound(records: Mapping[str, ExecutionArtifact], blobs: Mapping[str, bytes]) -> bool:
        copy = MemoryArtifactStorage()
        copy._artifacts, copy._bodies = dict(records), dict(blobs)
        heads = [replace(trip.head, task_id=name) for name in {item.task_id for item in records.values()}]
        return all([(await verify_task(head, copy, service.store.keys, None)).sound for head in heads])

    records = {item.id: item for item in artifacts}
    if not await sound(records, bodies):
        return Row("A7 provenance", "this", "the untouched record is not sound", False)
    for item in artifacts:
        for _, changed in altered(item):
            blobs = {**bodies, changed.output_hash: bodies[item.output_hash]}
            tried += 1
            found += not await sound({**records, item.id: changed} | {changed.id: changed}, blobs)
        body = bodies[item.output_hash]
        tried += 1
        found += not await sound(records, {**bodies, item.output_hash: body + b" "})
    figure = f"{found} of {tried} alterations of {len(artifacts)} signed artifacts found"
    return Row("A7 provenance", "this; make bench-tamper", figure, found == tried)


async def persisted(service: Service, trip: Trip) -> Row:
    """M3: a submitted task's artifacts come back from PostgreSQL with their chain."""
    repository = await service.tools.repositories.open(Path(trip.task.repository))
    verification = await verify_task(trip.head, service.store.artifacts, service.store.keys, repository)
    began = time.perf_counter()
    artifacts = await service.store.artifacts.of_task(trip.task.id)
    for item in artifacts:
        await service.store.artifacts.read(item.id)
    read_ms = (time.perf_counter() - began) * 1000 / max(1, len(artifacts))
    figure = f"{verification.statements} artifacts with signed statements, chain to the spec, {read_ms:.1f} ms a read"
    return Row("M3 artifacts in PostgreSQL", "this", figure, verification.sound and service.store.artifacts.durable)


async def executed(service: Service, trips: list[Trip]) -> Row:
    """M6: real tasks end as they should, and a failed checkpoint goes back to the worker."""
    wanted = [(Decision.ACCEPT, 1), (Decision.ACCEPT, 2), (Decision.REJECT, 2)]
    reached = [(trip.outcome.decision, trip.outcome.iterations) for trip in trips]
    requests = ordered = 0
    for trip in trips:
        events = await service.store.events.read(trip.task.id, limit=10_000)
        requests += sum(event.type is EventType.REFINEMENT_REQUESTED for event in events)
        ordered += [event.seq for event in events] == list(range(1, len(events) + 1))
    seconds = ", ".join(f"{trip.seconds:.1f}" for trip in trips)
    told = ", ".join(f"{decision} after {rounds}" for decision, rounds in reached)
    figure = f"{told}; {requests} refinement requests; {ordered} of {len(trips)} streams whole; {seconds} s"
    return Row("M6 executor with real tasks", "this", figure, reached == wanted and ordered == len(trips))


async def sandboxed(service: Service) -> Row:
    """The sandbox's negative probes."""
    probe = await service.tools.sandbox.probe()
    held = sum(probe.checks.values())
    figure = f"{probe.level.name}: {held} of {len(probe.checks)} ways out are closed"
    return Row("Sandbox", "councilor doctor", figure, held == len(probe.checks))


def run_tests(criterion: str, *arguments: str) -> Row:
    """A row from running tests."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report.name}"]
        subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True)
        data = Path(report.name).read_bytes()
    suites = list(ElementTree.fromstring(data).iter("testsuite")) if data else []
    total, bad, skipped = (
        sum(int(suite.get(key, 0)) for suite in suites for key in keys)
        for keys in (("tests",), ("failures", "errors"), ("skipped",))
    )
    figure = f"{total - bad - skipped} of {total} pass" + (f", {skipped} skipped" if skipped else "")
    return Row(criterion, f"pytest {' '.join(arguments)}", figure, total > 0 and not bad)


def rules_tested() -> Row:
    """A9: every documented rule id is named by a test, and the gates' tests pass."""
    documented = set(RULE.findall((ROOT / "docs/reference/rules.md").read_text()))
    text = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    untested = sorted(rule for rule in documented if f'"{rule}"' not in text)
    ran = run_tests("A9 CAWS rules", *RULE_TESTS)
    figure = f"{len(documented) - len(untested)} of {len(documented)} rules named by a test; {ran.figure}"
    figure += f"; without: {', '.join(untested)}" if untested else ""
    return Row("A9 CAWS rules", ran.command, figure, ran.held and not untested)


def built() -> Row:
    """M0: the wheel without an extra imports, with every backend's flag off."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            return Row("M0 builds without backends", "hatchling build", done.stderr[-200:], False)
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(Path(folder) / "wheel")
            names = [name for name in wheel.namelist() if name.endswith(".py")]
            names = [name for name in names if not INSIDE.search(name) and not OF_EXTRAS.search(name)]
        skipped = {"councilor.__main__"}
        modules = {name[:-3].replace("/", ".").removesuffix(".__init__") for name in names} - skipped
        modules = {name for name in modules if not name.startswith("councilor.examples")}
        script = (
            "import importlib, json, sys; from councilor.settings import load_settings\n"
            "for name in sys.argv[1].split(','): importlib.import_module(name)\n"
            f"import councilor; settings = load_settings(); flags = [settings.value(key) for key in {FLAGS!r}]\n"
            f"loaded = sorted({OPTIONAL!r} & {{name.split('.')[0] for name in sys.modules}})\n"
            "print(json.dumps([councilor.__file__, flags, loaded]))"
        )
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(folder) / "wheel")}
        importable = sorted(name for name in modules if not _is_script(Path(folder) / "wheel", name))
        shown = subprocess.run(
            [sys.executable, "-c", script, ",".join(importable)], cwd=folder, env=env, capture_output=True, text=True
        )
        if shown.returncode:
            return Row("M0 builds without backends", "hatchling build", shown.stderr.strip()[-200:], False)
        file, flags, loaded = json.loads(shown.stdout.splitlines()[-1])
        held = not any(flags) and not loaded and file.startswith(folder)
    figure = f"{len(importable)} modules of the wheel import"
    figure += f", {len(loaded)} optional packages loaded, {flags.count(False)} of {len(flags)} backend flags off"
    return Row("M0 builds without backends", "hatchling build -t wheel; import", figure, held)


def _is_script(root: Path, module: str) -> bool:
    """Whether a module is a program of its own, which runs when it is imported."""
    file = root / (module.replace(".", "/") + ".py")
    return file.exists() and file.stem.endswith(("_entry", "launcher", "strip_modules"))


async def measured(folder: Path) -> list[Row]:
    """The rows that need real tasks."""
    settings = load_settings(flags={"data_dir": str(folder / "data"), "storage.database.url": None})
    try:
        async with open_service(settings, adapt=lambda parts: replace(parts, workers={"editor": Editor()})) as service:
            shop = make_repository(folder / "shop")
            trips = [await travel(service, shop, title) for title in ("Repair it", "Repair it, astray", "Now cheat")]
            return [
                await consensus(service, trips),
                await claims(service, trips[0]),
                await tampers(service, trips[1]),
                await persisted(service, trips[0]),
                await executed(service, trips),
                await sandboxed(service),
            ]
    finally:
        with contextlib.suppress(OSError):
            await stop_database(settings)


def main() -> int:
    """Measure, print the table and the JSON line."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="councilor-evidence-") as root:
        Path(root).chmod(0o711)  # as root the database's own user passes through
        rows = [
            built(),
            run_tests("M0 no-op metrics, artifacts in memory", "tests/contracts/test_artifacts.py", "-k", "memory"),
            run_tests("M0 configuration and environment", "tests/unit/test_settings.py"),
            run_tests("M0 health", "tests/integration/test_http_server.py"),
            run_tests("M2 live metrics, panels and alerts", "tests/acceptance/test_m2_observability.py"),
            run_tests("M2 Redis fails, memory serves", "tests/integration/test_redis_faults.py"),
            run_tests("M2 a stalled database", "tests/integration/test_database_stalls.py", "-m", "not slow"),
            *asyncio.run(measured(Path(root))),
            rules_tested(),
            run_tests("Evidence cannot be forged", "tests/integration/test_forging.py"),
            run_tests("Nothing is published twice", "tests/integration/test_executor_crash.py"),
        ]
    width = max(len(row.criterion) for row in rows)
    for row in rows:
        print(f"{'ok' if row.held else 'NO':<3} {row.criterion:<{width}}  {row.figure}")
        print(f"{'':<{width + 6}}<- {row.command}")
    print(f"{time.monotonic() - began:.0f} s")
    failed = sum(not row.held for row in rows)
    print(json.dumps({"rows": [asdict(row) for row in rows], "failed": failed}))
    return 1 if failed else 0


if __name__ == "__main__":
    assert importlib.util.find_spec("councilor") is not None
    sys.exit(main())
