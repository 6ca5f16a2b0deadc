"""Judging: each case as a task of the product, with the settings as shipped, one base after another.

Rules:
- The council sees what a user would give it: a repository, a spec that names one failing test, a change, a report.
- All cases of a base follow one another, so that its baseline is measured once and repeated by the ledger.
- An error ends the case, not the bench; it is no acceptance.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from planting.ground import Ground

from acceptance.building import Built, base_name, build
from acceptance.cases import Base, Case, Kind
from acceptance.judged import Judged
from acceptance.oracle import ask
from acceptance.texts import visible_files
from councilor.app import Service
from councilor.domain.claim import CheckedClaim, ClaimStatus
from councilor.domain.codec import decode
from councilor.domain.evidence import EvidenceBundle
from councilor.domain.task import RunMode
from councilor.domain.verdict import Verdict
from councilor.pipeline.council import Case as Hearing
from councilor.pipeline.submission import Order, draft_task

__all__ = ["judge_all"]

TASK_S = 300.0
MEASURED = ("verdict/", "case/", "evidence/", "strength/", "differences/", "questions/")
"""Beginnings of the names of what is read of a judged case."""


async def judge_all(
    service: Service,
    grounds: dict[str, Ground],
    bases: Sequence[Base],
    cases: Sequence[Case],
    *,
    jobs: int,
    done: Callable[[Judged], None],
) -> list[Judged]:
    """Judge every case.

    Args:
        jobs: cases under way at once, of different bases.
        done: told of each case when it is judged.
    """
    queues: dict[str, list[Case]] = {}
    by_id = {base.id: base for base in bases}
    for case in cases:
        queues.setdefault(base_name(case), []).append(case)
    waiting = sorted(queues.values(), key=len, reverse=True)
    found: list[Judged] = []

    async def work() -> None:
        while waiting:
            queue = waiting.pop(0)
            base = by_id[queue[0].base]
            ground = grounds[base.library]
            visible = await asyncio.to_thread(visible_files, ground, base)
            for case in queue:
                judged = await _judge(service, ground, base, case, build(ground, base, case, visible))
                await ask(service, ground, judged)
                found.append(judged)
                done(judged)

    async with asyncio.TaskGroup() as group:
        for _ in range(jobs):
            group.create_task(work())
    order = {case.id: number for number, case in enumerate(cases)}
    return sorted(found, key=lambda each: order[each.case.id])


async def _judge(service: Service, ground: Ground, base: Base, case: Case, built: Built) -> Judged:
    judged = Judged(base=base, case=case)
    began = time.perf_counter()
    try:
        commit = await asyncio.to_thread(ground.commit_once, built.base, base_name(case))
        tree = await asyncio.to_thread(ground.tree, built.patch, case.id, start=commit)
        repository = await service.tools.repositories.open(ground.visible)
        order = Order(
            spec_text=built.spec,
            base=await repository.resolve(commit),
            worker=None,
            mode=RunMode.DRY_RUN,
            max_iterations=1,
            deadline_s=TASK_S,
            candidate_tree=tree,
            claims_text=built.report,
        )
        task = await draft_task(order, repository, clock=service.runtime.clock, ids=service.runtime.ids)
        judged.task_id = task.id
        await service.executor.submit(task)
        outcome = await service.executor.run(task.id)
        judged.decision = outcome.decision.value
    except Exception as error:  # whatever ends a task is a result, and the next case's turn
        judged.decision, judged.error = "error", f"{type(error).__name__}: {error}"[:500]
    judged.seconds = time.perf_counter() - began
    if judged.task_id:
        await _look(service, judged, built)
    return judged


async def _look(service: Service, judged: Judged, built: Built) -> None:
    """What the run stored: the last verdict, the case that it was reached on, and everything that was measured."""
    stored = {each.name: each.id for each in await service.store.artifacts.latest_for_task(judged.task_id)}
    judged.stored = {
        name: json.loads(await service.store.artifacts.read(artifact_id))
        for name, artifact_id in stored.items()
        if name.startswith(MEASURED)
    }
    verdicts = sorted(name for name in judged.stored if name.startswith("verdict/"))
    if verdicts:  # "1.2" is the one after more was measured
        suffix = verdicts[-1].removeprefix("verdict/")
        heard = next(name for name in (f"case/{suffix}/challenged", f"case/{suffix}") if name in judged.stored)
        judged.verdict = decode(Verdict, judged.stored[verdicts[-1]])
        judged.hearing = decode(Hearing, judged.stored[heard])
    if "evidence/1" in judged.stored:
        judged.bundle = decode(EvidenceBundle, judged.stored["evidence/1"])
        spent: defaultdict[str, float] = defaultdict(float)
        for item in judged.hearing.evidence if judged.hearing else judged.bundle.evidence:
            spent[item.kind.value] += item.duration_s
        judged.spent_s = dict(spent)
    if judged.case.kind is Kind.LIE and judged.hearing is not None:
        judged.lie_supported = _is_supported([claim for claim in judged.hearing.claims if _is_inside(claim, built)])


def _is_inside(claim: CheckedClaim, built: Built) -> bool:
    """Whether a claim stands in the false sentence."""
    start, end = claim.claim.sentence_span
    begins = built.report.find(built.lie)
    return begins >= 0 and start < begins + len(built.lie) and begins < end


def _is_supported(claims: Sequence[CheckedClaim]) -> bool:
    """Whether a sentence passes for true: some claim of it is supported, and none is contradicted or left open.

    "A1 and A2 are met" where there is no A2 holds a true claim, and is not supported.
    """
    return bool(claims) and all(claim.status is ClaimStatus.SUPPORTED for claim in claims)
