"""Makes all cases of some libraries: survey, bases, wrong patches, the choice, their truth, and the attacks.

Rules:
- What is chosen is checked by a whole run of the suite, apart from the loaded one: a wrong patch passes the acceptance
  test and fails a hidden one there too, or it is left out and another one chosen.
- The visible share alternates between the bases of a shape, so both are measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from planting.ground import Ground, prepare_ground
from planting.library import Library

from acceptance.assigning import attack_cases, right_cases
from acceptance.bases import grow
from acceptance.cases import Base, Case
from acceptance.keeping import Kept
from acceptance.matching import choose
from acceptance.owntests import tested_cases
from acceptance.plan import Plan
from acceptance.plot import open_plot
from acceptance.sizes import measure
from acceptance.survey import survey
from acceptance.texts import patched, planted
from acceptance.wrongs import wrong_patches
from councilor.app import Tools

__all__ = ["make"]

PER_RIGHT = 2
ROUNDS = 4
"""How often what turns out otherwise in a whole run is replaced."""
PARALLEL = 2


@dataclass(kw_only=True)
class _Yield:
    """What one library gave."""

    ground: Ground
    reliable: frozenset[str]
    hideable: frozenset[str]
    bases: list[Base]
    offered: list[Case]


async def make(
    libraries: Sequence[Library], folder: Path, tools: Tools, *, plan: Plan, seed: int, say: Callable[[str], None]
) -> Kept:
    """All cases; takes minutes."""
    began = time.perf_counter()
    yields = [
        await _harvest(library, folder / library.name, tools, plan, seed, len(libraries), say) for library in libraries
    ]
    bases = [base for each in yields for base in each.bases]
    offered = [case for each in yields for case in each.offered]
    rights = [_sized(yields, case) for case in right_cases(bases)]
    wrongs = await _chosen(yields, rights, offered, seed, say)
    tested = await tested_cases(
        [(each.ground, each.reliable) for each in yields], bases, rights, wrongs, plan.tested, seed
    )
    say(f"chosen: {len(rights)} right, {len(wrongs)} wrong, {len(tested)} with tests of their own")
    everything = [*rights, *wrongs, *tested, *attack_cases(bases, wrongs, plan.acts, seed)]
    return Kept(
        bases=tuple(bases),
        cases=tuple(replace(case, id=f"{case.kind}-{number}") for number, case in enumerate(everything, 1)),
        unreliable={each.ground.library.name: _unreliable(each) for each in yields},
        offered=len(offered),
        offered_hard=sum(case.hard for case in offered),
        seconds=time.perf_counter() - began,
    )


async def _harvest(
    library: Library, folder: Path, tools: Tools, plan: Plan, seed: int, libraries: int, say: Callable[[str], None]
) -> _Yield:
    began = time.perf_counter()
    ground = await prepare_ground(library, folder, seed=seed, tools=tools, coverage=True)
    async with open_plot(ground, tools, servers=PARALLEL) as plot:
        found = await survey(plot, seed=seed, functions=plan.functions)
        say(f"{plot.name}: {len(found)} edits that tests notice, of {plot.trials} tried")
        bases = await grow(plot, found, seed=seed, wanted=plan.wanted(libraries))
        offered = [case for base in bases for case in await wrong_patches(plot, base, found, seed)]
        took_s = time.perf_counter() - began
        say(f"{plot.name}: {len(bases)} bases, {len(offered)} wrong patches to choose from, {took_s:.0f} s")
        return _Yield(
            ground=ground, reliable=plot.reliable, hideable=plot.hideable, bases=bases, offered=offered
        )  # fmt: skip


def _sized(yields: Sequence[_Yield], case: Case) -> Case:
    home, base = _home(yields, case)
    return replace(case, size=measure(planted(home.ground, base), patched(home.ground, base, case)))


def _home(yields: Sequence[_Yield], case: Case) -> tuple[_Yield, Base]:
    return next((each, base) for each in yields for base in each.bases if base.id == case.base)


async def _chosen(
    yields: Sequence[_Yield], rights: Sequence[Case], offered: Sequence[Case], seed: int, say: Callable[[str], None]
) -> list[Case]:
    """The wrong patches, each with the truth of a whole run."""
    true: dict[Case, Case] = {}
    waiting = list(offered)
    number = PER_RIGHT * len(rights)
    for _ in range(ROUNDS):
        wrongs = choose([case.size for case in rights], waiting, number=number, seed=seed)
        unknown = [case for case in wrongs if case not in true]
        limit = asyncio.Semaphore(PARALLEL)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_truth(yields, case, limit)) for case in unknown]
        false = set()
        for case, task in zip(unknown, tasks, strict=True):
            found = task.result()
            if found is None or found.hard is not case.hard:
                false.add(case)
            if found is not None:
                true[case] = found
        say(f"{len(unknown)} patches run with the whole suite, {len(false)} are otherwise")
        waiting = [true.get(case, case) for case in waiting if case not in false or case in true]
        true |= {case: case for case in true.values()}
        if not false:
            break
    return [true[case] for case in wrongs if case in true]


async def _truth(yields: Sequence[_Yield], case: Case, limit: asyncio.Semaphore) -> Case | None:
    home, base = _home(yields, case)
    async with limit:
        run = await home.ground.run({base.path: patched(home.ground, base, case)})
    if not run.believable or run.timed_out or run.collection_errors:
        return None
    failing = home.reliable - run.passed
    hidden = {test for test in failing if _function(test) in home.hideable and base.hides(_function(test))}
    if base.acceptance in failing or not hidden:
        return None
    return replace(case, hidden_failing=tuple(sorted(hidden)), visible_failing=tuple(sorted(failing - hidden)))


def _function(nodeid: str) -> str:
    return nodeid.partition("[")[0]


def _unreliable(each: _Yield) -> tuple[str, ...]:
    return tuple(sorted({record.nodeid for record in each.ground.original.records} - each.reliable))
