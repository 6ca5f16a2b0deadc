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

from planting.edit import rank
from planting.ground import Ground, prepare_ground
from planting.halves import function_of
from planting.library import Library

from acceptance.assigning import attack_cases, right_cases
from acceptance.cases import Base, Case, Shape
from acceptance.harvest import Harvest, harvest
from acceptance.keeping import Kept
from acceptance.matching import choose
from acceptance.owntests import tested_cases
from acceptance.plan import Plan
from acceptance.sizes import measure
from acceptance.texts import patched, planted
from councilor.app import Tools

__all__ = ["make"]

PER_RIGHT = 2
ROUNDS = 4
"""How often what turns out otherwise in a whole run is replaced."""
PARALLEL = 2


@dataclass(frozen=True, kw_only=True)
class _Home:
    """One library with its harvest."""

    ground: Ground
    harvest: Harvest


async def make(
    libraries: Sequence[Library],
    folder: Path,
    tools: Tools,
    *,
    plan: Plan,
    seed: int,
    say: Callable[[str], None],
    anew: bool,
) -> Kept:
    """All cases; takes minutes.

    Args:
        anew: use nothing that is kept.
    """
    began, homes, saved_s = time.perf_counter(), [], 0.0
    for library in libraries:  # one after another: their suites would disturb each other
        began_one = time.perf_counter()
        ground = await prepare_ground(library, folder / library.name, seed=seed, tools=tools, coverage=True)
        wanted = plan.wanted(len(libraries))
        grown = await harvest(
            ground, tools, functions=plan.functions, wanted=wanted, seed=seed, say=say, anew=anew
        )  # fmt: skip
        saved_s += max(0.0, grown.seconds - (time.perf_counter() - began_one))
        homes.append(_Home(ground=ground, harvest=grown))
    bases = _judged([base for home in homes for base in home.harvest.bases], plan.judged, seed)
    names = {base.id for base in bases}
    offered = [case for home in homes for case in home.harvest.offered if case.base in names]
    rights = [_sized(homes, case) for case in right_cases(bases)]
    wrongs = await _chosen(homes, rights, offered, seed, say)
    grounds = {home.ground.library.name: home.ground for home in homes}
    tested = await tested_cases(grounds, bases, rights, wrongs, wanted=plan.tested, seed=seed)
    say(f"chosen: {len(rights)} right, {len(wrongs)} wrong, {len(tested)} with tests of their own")
    everything = [*rights, *wrongs, *tested, *attack_cases(bases, wrongs, plan.acts, seed, rounds=plan.rounds)]
    return Kept(
        bases=tuple(bases),
        cases=tuple(replace(case, id=f"{case.kind}-{number}") for number, case in enumerate(everything, 1)),
        offered=len(offered),
        offered_hard=sum(case.hard for case in offered),
        seconds=time.perf_counter() - began + saved_s,
    )


def _judged(bases: Sequence[Base], number: int, seed: int) -> list[Base]:
    """So many of the bases, of each library and shape in proportion, in their order."""
    groups: dict[tuple[str, Shape], list[Base]] = {}
    for base in bases:
        groups.setdefault((base.library, base.shape), []).append(base)
    kept = {
        base.id
        for group in groups.values()
        for base in sorted(group, key=lambda each: rank(seed, "judged", each.id))[
            : round(len(group) * number / len(bases))
        ]
    }
    return [base for base in bases if base.id in kept]


def _sized(homes: Sequence[_Home], case: Case) -> Case:
    home, base = _home(homes, case)
    return replace(case, size=measure(planted(home.ground, base), patched(home.ground, base, case)))


def _home(homes: Sequence[_Home], case: Case) -> tuple[_Home, Base]:
    return next((each, base) for each in homes for base in each.harvest.bases if base.id == case.base)


async def _chosen(
    homes: Sequence[_Home], rights: Sequence[Case], offered: Sequence[Case], seed: int, say: Callable[[str], None]
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
            tasks = [group.create_task(_truth(homes, case, limit)) for case in unknown]
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


async def _truth(homes: Sequence[_Home], case: Case, limit: asyncio.Semaphore) -> Case | None:
    home, base = _home(homes, case)
    async with limit:
        run = await home.ground.run({base.path: patched(home.ground, base, case)})
    if not run.believable or run.timed_out or run.collection_errors:
        return None
    failing = home.harvest.reliable - run.passed
    can_hide = home.harvest.hideable
    hidden = {test for test in failing if function_of(test) in can_hide and base.hides(function_of(test))}
    if base.acceptance in failing or not hidden:
        return None
    return replace(case, hidden_failing=tuple(sorted(hidden)), visible_failing=tuple(sorted(failing - hidden)))
