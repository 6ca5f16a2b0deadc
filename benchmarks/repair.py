"""How many planted bugs does councilor's main job with the `repair` worker fix, and how many wrong fixes get through?

What is measured:
- Bugs in real libraries (`planting/`): cosmic-ray's operators, and ours written apart where it has none. The worker and
  the council see the bug, one failing test that the task names, and the visible half of the suite; the whole suite of
  the original decides afterwards.
- The whole main job, as `councilor run` has it: engine, database, sandbox, worker, evidence, council. Nothing is
  published (dry run). `JOBS` tasks are under way at once, so a bug's seconds are those of a busy machine.
- fixed: a change was offered with which every test passes that passes on the original. fixed_wrong: the visible half
  passes, the hidden half does not. accepted_wrong: the council accepted a change that is not fixed.
- The worker has `WORKER_S` seconds for a bug, all its iterations together, so that the whole stays in ten minutes.

Variables: QUICK=1 a fixed subset; ONLY=category; BUG=number; LIBS=a,b==1.2; SEED=n; PLANT=1 makes the list of bugs anew
(needs `make peers`); CHECK=1 says whether the list is stale, and ends; JOBS=1; WORKER_S=60; KEEP=1 leaves the folder.
The last line is JSON: {"bugs", "fixed", "fixed_wrong", "accepted_wrong", "by_category", "tried_p50", "p50_s", ...}.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import yaml
from planting.catalogue import COMMITTED, SEED, Bug, Catalogue, load, save, stale
from planting.edit import Category, same_meaning
from planting.foreign import PeersMissingError
from planting.ground import Ground, prepare_ground
from planting.halves import function_of, is_drawn
from planting.library import PINS, IndexUnreachableError, Library, cache_folder, fetch
from planting.results import Trial, report, story
from planting.screening import plant
from planting.workplace import folder, say

from councilor.app import Service, Tools, embedded_server, open_service, open_tools
from councilor.domain.task import RunMode
from councilor.domain.worker import Assignment, WorkerReport
from councilor.pipeline.executor import Parts
from councilor.pipeline.submission import Order, draft_task
from councilor.ports.worker import Progress, Worker, Workspace
from councilor.settings import Settings, load_settings

LIBRARIES = "parse,boltons"
PER_CATEGORY = 9
QUICK_EACH = 1
WORKER_S, TASK_S = 20.0, 180.0


class Watched:
    """The repair worker, with what it offers and the time it takes noted by task."""

    def __init__(self, inner: Worker, trials: dict[str, Trial], grounds: dict[str, Ground], worker_s: float) -> None:
        self.name = inner.name
        self._inner, self._trials, self._grounds, self._worker_s = inner, trials, grounds, worker_s

    async def run(self, assignment: Assignment, workspace: Workspace, emit: Callable[[Progress], None]) -> WorkerReport:
        """Let it work; whatever happens its time counts."""
        trial, began = self._trials[assignment.task_id], time.perf_counter()
        left_s = max(1.0, self._worker_s - trial.worker_s)
        bounded = replace(assignment, timeout_s=min(assignment.timeout_s, left_s))
        try:
            report = await self._inner.run(bounded, workspace, emit)
        finally:
            trial.worker_s += time.perf_counter() - began
            trial.iterations += 1
        trial.tried += report.usage.turns
        if trial.iterations == 1:
            trial.said = " ".join(report.text.splitlines()[1:2])[:200]
        ground = self._grounds[trial.bug.library]
        trial.offered = {}
        for path in ground.sources:
            base = planted(ground, trial.bug) if path == trial.bug.edit.path else ground.content(path)
            file = workspace.folder / path
            now = file.read_bytes() if file.is_file() else b""
            if now != base:
                trial.offered[path] = now
        return report


def write_spec(bug: Bug, ground: Ground) -> str:
    """The task as a person would write it: the failing test, and the library's code as scope."""
    scope = sorted({path.partition("/")[0] for path in ground.sources})
    criterion = {"id": "A1", "given": "the library", "when": "the test runs", "then": "it passes"}
    spec = {
        "id": f"BENCH-{bug.id}",
        "title": f"{bug.test} fails",
        "risk_tier": 3,
        "mode": "fix",
        "lifecycle_state": "active",
        "blast_radius": {"modules": scope, "data_migration": False},
        "scope": {"in": list(scope), "out": []},
        "invariants": ["Every test that passes on the base still passes."],
        "acceptance": [criterion | {"test_nodeids": [bug.test]}],
        "non_functional": {},
        "contracts": [],
    }
    return yaml.safe_dump(spec, sort_keys=False, allow_unicode=True)


def planted(ground: Ground, bug: Bug) -> bytes:
    """The file with the bug."""
    return bug.edit.apply(ground.content(bug.edit.path))


async def one_task(service: Service, ground: Ground, trial: Trial, trials: dict[str, Trial]) -> None:
    """The main job on one bug, then the whole suite on what came of it."""
    bug = trial.bug
    commit = await asyncio.to_thread(ground.commit, bug.edit.path, planted(ground, bug), f"bug-{bug.id}")
    repository = await service.tools.repositories.open(ground.visible)
    order = Order(
        spec_text=write_spec(bug, ground),
        base=await repository.resolve(commit),
        worker="repair",
        mode=RunMode.DRY_RUN,
        max_iterations=service.runtime.settings.run.max_iterations,
        deadline_s=TASK_S,
    )
    task = await draft_task(order, repository, clock=service.runtime.clock, ids=service.runtime.ids)
    trials[task.id] = trial
    await service.executor.submit(task)
    began = time.perf_counter()
    try:
        outcome = await service.executor.run(task.id)
        trial.decision = outcome.decision.value
        trial.why = await reasons(service, outcome.verdict_artifact)
    except Exception as error:  # whatever ends a task is a result, and the next bug's turn
        trial.decision, trial.why = "error", f"{type(error).__name__}: {error}"
    trial.task_s = time.perf_counter() - began
    await judge(ground, trial)


async def reasons(service: Service, verdict: str) -> str:
    """Why it was not accepted, in one line."""
    data = json.loads(await service.store.artifacts.read(verdict))
    found = [item["message"] for gate in data["gates"] for item in gate["violations"]]
    return " | ".join([*data["vetoes"], *data["missing_evidence"], *found])[:300]


async def judge(ground: Ground, trial: Trial) -> None:
    """Run what decides: every test that passes on the original."""
    if not trial.offered:
        return
    if all(same_meaning(content, ground.content(path)) for path, content in whole(ground, trial).items()):
        return  # it is the original, whose tests pass by definition
    run = await ground.run(whole(ground, trial))
    failures = sorted(ground.passing - run.passed)
    trial.hidden_failures = tuple(each for each in failures if is_hidden(each, ground))
    trial.visible_failures = tuple(each for each in failures if not is_hidden(each, ground))


def whole(ground: Ground, trial: Trial) -> dict[str, bytes]:
    """Every file of the candidate that may differ from the original."""
    return {trial.bug.edit.path: planted(ground, trial.bug)} | trial.offered


def is_hidden(nodeid: str, ground: Ground) -> bool:
    """Whether a test was taken out of what the worker saw."""
    return is_drawn(function_of(nodeid), ground.seed)


def choose(bugs: Sequence[Bug]) -> list[Bug]:
    """The bugs that the variables ask for."""
    named = {library.partition("==")[0] for library in libraries()}
    chosen = [bug for bug in bugs if bug.library in named]
    if only := os.environ.get("ONLY"):
        chosen = [bug for bug in chosen if bug.edit.category == only]
    if numbers := os.environ.get("BUG"):
        chosen = [bug for bug in chosen if str(bug.id) in numbers.split(",")]
    if os.environ.get("QUICK"):  # one of each category, from the library that is named first
        firsts = {bug.edit.category: bug for bug in sorted(chosen, key=_by_library, reverse=True)}
        chosen = [firsts[category] for category in Category if category in firsts]
    if not chosen:
        sys.exit("no bug is left: ONLY is one of " + ", ".join(Category) + "; BUG is a number of the list")
    return chosen


def _by_library(bug: Bug) -> tuple[int, int]:
    return [library.partition("==")[0] for library in libraries()].index(bug.library), bug.id


def libraries() -> list[str]:
    """What LIBS names."""
    return [name.strip() for name in os.environ.get("LIBS", LIBRARIES).split(",") if name.strip()]


async def catalogue(tools: Tools, chosen: Sequence[Library], folder: Path, seed: int) -> Catalogue:
    """The list of bugs: the committed one, or for other libraries and seeds one that is made once and kept."""
    committed = seed == SEED and all(each.version == PINS.get(each.name, ("",))[0] for each in chosen)
    file, again = COMMITTED if committed else _kept(chosen, seed), bool(os.environ.get("PLANT"))
    reasons = stale(load(file), chosen, seed=seed) if file.exists() else [f"there is no {file.name} yet"]
    if os.environ.get("CHECK"):
        sys.exit(f"{file}: " + "; ".join(reasons) if reasons else 0)
    if not reasons and not again:
        return load(file)
    if committed and not again:
        sys.exit(f"the list of bugs is stale ({'; '.join(reasons)}): make it anew with PLANT=1 make bench-repair")
    if committed and {each.name for each in chosen} != set(PINS):
        sys.exit("the committed list holds all pinned libraries: leave out LIBS, or name another SEED")
    say(f"planting ({'; '.join(reasons) or 'PLANT=1'}); this takes some ten minutes")
    grounds = [
        await prepare_ground(library, folder / "planting" / library.name, seed=seed, tools=tools, coverage=True)
        for library in chosen
    ]
    save(await plant(grounds, seed=seed, per_category=PER_CATEGORY, say=say), file)
    return load(file)


def _kept(chosen: Sequence[Library], seed: int) -> Path:
    names = "-".join(f"{library.name}-{library.version}" for library in chosen)
    return cache_folder() / f"bugs-{names}-seed-{seed}.json"


def jobs() -> int:
    """Tasks under way at once."""
    return int(os.environ.get("JOBS", "2"))


async def run_all(settings: Settings, bugs: Sequence[Bug], grounds: dict[str, Ground]) -> list[Trial]:
    """The main job on every bug."""
    worker_s = float(os.environ.get("WORKER_S", str(WORKER_S)))
    trials: dict[str, Trial] = {}
    found = [Trial(bug=bug) for bug in bugs]
    limit, ended = asyncio.Semaphore(jobs()), 0

    def watched(parts: Parts) -> Parts:
        return replace(parts, workers={"repair": Watched(parts.workers["repair"], trials, grounds, worker_s)})

    async def one(trial: Trial) -> None:
        nonlocal ended
        async with limit:
            ground = grounds[trial.bug.library]
            await one_task(service, ground, trial, trials)
            ended += 1
            say(f"[{ended}/{len(found)}] {story(trial, ground)}")

    async with open_service(settings, adapt=watched) as service, asyncio.TaskGroup() as group:
        for trial in found:
            group.create_task(one(trial))
    return found


async def main() -> None:
    """Measure and print. A figure is no failure: the exit code says only whether it could be measured."""
    seed = int(os.environ.get("SEED", str(SEED)))
    chosen = [await asyncio.to_thread(fetch, name) for name in libraries()]
    with folder() as top:
        settings = load_settings(flags={"data_dir": str(top / "data"), "storage.database.url": None})
        async with open_tools(settings) as tools:
            listed = await catalogue(tools, chosen, top, seed)
            bugs = choose(listed.bugs)
            began = time.perf_counter()
            grounds = {
                library.name: await prepare_ground(
                    library, top / library.name, seed=seed, tools=tools, unreliable=listed.unreliable(library.name)
                )
                for library in chosen
                if any(bug.library == library.name for bug in bugs)
            }
        try:
            trials = await run_all(settings, bugs, grounds)
        finally:
            await asyncio.to_thread(embedded_server(settings).down)
    figures = report(trials)
    more = {"seed": seed, "jobs": jobs(), "elapsed_s": round(time.perf_counter() - began, 1)}
    print(json.dumps(figures | more))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside, it still stops its database
    try:
        asyncio.run(main())
    except (IndexUnreachableError, PeersMissingError, ValueError) as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(130)
