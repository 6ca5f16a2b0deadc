"""Cases of real tasks: what the council looked at, and what models would be shown, read back from stored artifacts.

Rules:
- The cases are those of AcceptBench's small plan (`acceptance/`) for one library: right and wrong patches, two with
  tests of their own, one attack of each kind. They are kept in the user's cache folder, or made now, in a minute.
- Each goes the whole way as `councilor judge` does: engine, database, sandbox, tests, gates, claims, council. What is
  read back is the last verdict's case.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from acceptance.judged import Judged
from acceptance.judging import judge_all
from acceptance.keeping import Kept, load, place, save
from acceptance.making import make
from acceptance.plan import QUICK
from planting.catalogue import SEED
from planting.ground import prepare_ground
from planting.library import Library, fetch

from councilor.app import Service
from councilor.domain.verdict import Verdict
from councilor.pipeline.council import Case as Hearing
from councilor.pipeline.council import Matter

__all__ = ["Sample", "collect"]

LIBRARY = "parse"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One candidate that was judged."""

    kind: str
    """`right`, or what is wrong with it."""
    case: Hearing
    matter: Matter
    verdict: Verdict


async def collect(service: Service, folder: Path, *, most: int) -> Sequence[Sample]:
    """Judge AcceptBench's small plan, at most so many cases of it."""
    library = await asyncio.to_thread(fetch, os.environ.get("LIBS", LIBRARY))
    kept = await _kept(service, library, folder)
    ground = await prepare_ground(library, folder / library.name, seed=SEED, tools=service.tools)
    cases = kept.cases[:most]
    judged = await judge_all(
        service, {library.name: ground}, kept.bases, cases, jobs=2, done=lambda each: _say(each, len(cases))
    )
    return [await _read_back(service, each) for each in judged if each.hearing is not None]


async def _kept(service: Service, library: Library, folder: Path) -> Kept:
    file = place([library], SEED, QUICK)
    if (kept := load(file)) is None:
        making = folder / "making"
        kept = await make([library], making, service.tools, plan=QUICK, seed=SEED, say=print, anew=False)
        save(kept, file)
    return kept


def _say(judged: Judged, among: int) -> None:
    print(f"{judged.case.id} of {among}: {judged.decision}, {judged.seconds:.1f} s {judged.error}".rstrip(), flush=True)


async def _read_back(service: Service, judged: Judged) -> Sample:
    assert judged.hearing is not None and judged.verdict is not None, "only judged cases are read back"
    store = service.store.artifacts
    by_name = {item.name: item.id for item in await store.of_task(judged.task_id)}

    async def text(name: str) -> str:
        return (await store.read(by_name[name])).decode("utf-8", "replace")

    return Sample(
        kind=judged.case.kind.value,
        case=judged.hearing,
        matter=Matter(task=judged.base.acceptance, patch=await text("patch/1"), report=await text("report/1")),
        verdict=judged.verdict,
    )
