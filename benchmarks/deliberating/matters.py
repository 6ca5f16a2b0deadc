"""Cases of real tasks: what the council looked at, and what models would be shown, read back from stored artifacts.

Rules:
- The cases are AcceptBench's (`acceptance/`): kept in the user's cache folder, or made now, which takes minutes. Chosen
  are plain ones, right and wrong in the benchmark's own order, some with tests of their own, one attack of each kind.
- Each goes the whole way as `councilor judge` does: engine, database, sandbox, tests, gates, claims, council. What is
  read back is the last verdict's case.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from acceptance.cases import Arm, Case
from acceptance.judged import Judged
from acceptance.judging import judge_all
from acceptance.keeping import Kept, load, place, save
from acceptance.making import make
from planting.catalogue import SEED
from planting.ground import prepare_ground
from planting.library import Library, fetch

from councilor.app import Service
from councilor.domain.verdict import Verdict
from councilor.pipeline.council import Case as Hearing
from councilor.pipeline.council import Matter

__all__ = ["Sample", "collect"]

LIBRARIES = "parse,boltons"
"""As `bench-accept` has them; cases of the first one are judged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One candidate that was judged."""

    kind: str
    """`right`, or what is wrong with it."""
    case: Hearing
    matter: Matter
    verdict: Verdict


async def collect(service: Service, folder: Path, *, plain: int) -> Sequence[Sample]:
    """Judge a part of AcceptBench.

    Args:
        plain: how many plain cases; a quarter as many bring tests of their own.
    """
    named = os.environ.get("LIBS", LIBRARIES).split(",")
    libraries = [await asyncio.to_thread(fetch, name.strip()) for name in named]
    kept = await _kept(service, libraries, folder)
    library = libraries[0]
    ground = await prepare_ground(library, folder / library.name, seed=SEED, tools=service.tools)
    own = {base.id for base in kept.bases if base.library == library.name}
    cases = _chosen([case for case in kept.cases if case.base in own], plain)
    judged = await judge_all(
        service, {library.name: ground}, kept.bases, cases, jobs=2, done=lambda each: _say(each, len(cases))
    )
    return [await _read_back(service, each) for each in judged if each.hearing is not None]


async def _kept(service: Service, libraries: Sequence[Library], folder: Path) -> Kept:
    """The cases that `bench-accept` has kept for these libraries, or for the first of them; else its are made now."""
    for chosen in (libraries, libraries[:1]):
        if (kept := load(place(chosen, SEED))) is not None:
            return kept
    print(f"making the cases of {libraries[0].name}; this takes some minutes, and is done once", flush=True)
    kept = await make(libraries[:1], folder / "making", service.tools, seed=SEED, say=print)
    save(kept, place(libraries[:1], SEED))
    return kept


def _chosen(cases: Sequence[Case], plain: int) -> list[Case]:
    """Right and wrong ones in equal parts, as far as there are, and one attack of each kind."""

    def some(arm: Arm, most: int) -> list[Case]:
        own = [case for case in cases if case.arm is arm]
        sides = [[case for case in own if case.right is side] for side in (True, False)]
        return [case for side in sides for case in side[: most // 2]]

    attacks = {case.kind: case for case in cases if case.arm is Arm.ATTACK}
    return [*some(Arm.PLAIN, plain), *some(Arm.TESTED, max(2, plain // 4)), *attacks.values()]


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
