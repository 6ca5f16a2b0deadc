"""Cases of real tasks: what the council looked at, and what models would be shown, read back from stored artifacts.

Rules:
- Bases are `parse` with a planted bug (`planting/bugs.json`), visible half of the tests. For each bug three changes are
  judged: the original (right), the original with another planted bug (mostly wrong and often unseen), and none.
- Each goes the whole way as `councilor judge` does: engine, database, sandbox, tests, gates, claims, council.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml
from planting.catalogue import COMMITTED, SEED, Bug, load
from planting.ground import Ground, prepare_ground
from planting.library import fetch

from councilor.app import Service
from councilor.domain.codec import decode
from councilor.domain.task import RunMode, Task
from councilor.domain.verdict import Verdict
from councilor.pipeline.council import Case, Matter
from councilor.pipeline.submission import Order, draft_task

__all__ = ["Sample", "collect"]

LIBRARY = "parse"
TASK_S = 180.0
REPORT = "I repaired it. All tests pass."


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One candidate that was judged."""

    kind: str
    """`right`, `other` or `empty`."""
    case: Case
    matter: Matter
    verdict: Verdict


async def collect(service: Service, folder: Path, *, bugs: int) -> Sequence[Sample]:
    """Judge three changes for each of so many bugs."""
    library = await asyncio.to_thread(fetch, LIBRARY)
    listed = load(COMMITTED)
    ground = await prepare_ground(
        library, folder / LIBRARY, seed=SEED, tools=service.tools, unreliable=listed.unreliable(LIBRARY)
    )
    chosen = [bug for bug in listed.bugs if bug.library == LIBRARY][: bugs + 1]
    limit = asyncio.Semaphore(2)

    async def one(bug: Bug, kind: str, content: bytes, path: str) -> Sample:
        async with limit:
            return await _judged(service, ground, bug, kind, content, path)

    async with asyncio.TaskGroup() as group:
        tasks = []
        for bug, other in pairwise(chosen):
            original = ground.content(bug.edit.path)
            changes = [("right", original), ("empty", bug.edit.apply(original))]
            if other.edit.path == bug.edit.path:
                changes.append(("other", other.edit.apply(original)))
            tasks += [group.create_task(one(bug, kind, content, bug.edit.path)) for kind, content in changes]
    return [task.result() for task in tasks]


async def _judged(service: Service, ground: Ground, bug: Bug, kind: str, content: bytes, path: str) -> Sample:
    name = f"{bug.id}-{kind}"
    base = await asyncio.to_thread(ground.commit, path, bug.edit.apply(ground.content(path)), f"base-{name}")
    change = await asyncio.to_thread(ground.commit, path, content, f"change-{name}")
    repository = await service.tools.repositories.open(ground.visible)
    order = Order(
        spec_text=_spec(bug, ground),
        base=await repository.resolve(base),
        worker=None,
        mode=RunMode.DRY_RUN,
        max_iterations=1,
        deadline_s=TASK_S,
        candidate_tree=(await repository.resolve(change)).tree,
        claims_text=REPORT,
    )
    task = await draft_task(order, repository, clock=service.tools.clock, ids=service.tools.ids)
    await service.executor.submit(task)
    outcome = await service.executor.run(task.id)
    return await _read_back(service, task, outcome.verdict_artifact, kind)


async def _read_back(service: Service, task: Task, verdict_id: str, kind: str) -> Sample:
    store = service.store.artifacts
    by_name = {item.name: item.id for item in await store.of_task(task.id)}
    verdict, body = await store.fetch(verdict_id)
    (case_id,) = (item.artifact_id for item in verdict.inputs if item.role == "case")

    async def text(artifact_id: str) -> str:
        return (await store.read(artifact_id)).decode("utf-8", "replace")

    return Sample(
        kind=kind,
        case=decode(Case, json.loads(await store.read(case_id))),
        matter=Matter(task=task.title, patch=await text(by_name["patch/1"]), report=await text(by_name["report/1"])),
        verdict=decode(Verdict, json.loads(body)),
    )


def _spec(bug: Bug, ground: Ground) -> str:
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
    return yaml.safe_dump(spec, sort_keys=False)
