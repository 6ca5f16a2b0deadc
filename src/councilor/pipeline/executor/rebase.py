"""Following a base that has moved: an accepted candidate is carried over to where its branch stands now.

Rules:
- Only what would be published is carried over, and only if its base was named by a branch. The merge happens in the
  run's own store; the branch itself is only read.
- A candidate that merges is another tree on another base: it is measured and judged again, as a round of its own that
  costs the worker none of its rounds. The rules are those of the new base. The last verdict counts.
- One that does not merge goes back to the worker while rounds are left: on the new base, with git's conflict markers
  where the worker can read a request, without the change where it cannot. What it makes of that is judged; if it is
  not accepted, the candidate stays as well (`keep.py`).
- What cannot follow is published on the base that it was judged on, and the reason is told: a conflict without rounds
  left, a branch that moved again after `MOST_REBASES` times, too little time to measure again, a branch that is gone.
  The evidence is about exactly that base, so the commit is as good as its verdict says; a busy branch starves nobody.

It changes no branch, and it judges nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from councilor.domain.artifact import ArtifactKind
from councilor.domain.codec import JsonValue, decode, encode
from councilor.domain.event import EventType
from councilor.domain.gate import RefinementRequest, Severity, Violation
from councilor.domain.task import RunMode, Task
from councilor.domain.verdict import Decision
from councilor.errors import InputError, UnavailableError
from councilor.pipeline.council import Case
from councilor.pipeline.executor.check import as_json, inspect
from councilor.pipeline.executor.context import Derived, RunContext
from councilor.pipeline.executor.deliberate import Deliberated
from councilor.pipeline.executor.iteration import WORK_SHARE
from councilor.pipeline.executor.prepare import note_stored
from councilor.pipeline.executor.work import BASE_COMMIT, Work
from councilor.pipeline.refinement import REBASE
from councilor.pipeline.rules import read_rules
from councilor.ports.repository import Commit, Merged

__all__ = ["Rebased", "follow", "is_published", "on_base"]

MOST_REBASES = 2
"""Times that one task follows its branch."""
TIME_FACTOR = 1.5
"""So many times what measuring took must be left, or measuring again would cost the task its verdict; where a worker
resolves a conflict, after it has taken all that it may."""
MOST_NAMED = 20
REMEDY = "Take both sides' intentions over, and leave no conflict marker behind."


@dataclass(frozen=True, kw_only=True, slots=True)
class Rebased:
    """Where a candidate went; small, so that the engine can remember it."""

    onto: str | None = None
    """The new base's commit; None: it stays where it is."""
    parent: str = ""
    """Artifact id that the next round follows."""
    made: Work | None = None
    """The candidate on the new base; None when the worker has to make it."""
    start_tree: str = ""
    """What the worker then starts from."""
    conflicts: tuple[str, ...] = ()
    """Paths that both sides changed, as they are told."""


def is_published(task: Task, decision: Decision) -> bool:
    """Whether a task with this decision is one that publishes; follows from what never changes."""
    return decision is Decision.ACCEPT and task.worker is not None and task.mode is not RunMode.DRY_RUN


async def follow(
    context: RunContext, made: Work, judged: Deliberated, *, iteration: int, remaining_s: float
) -> JsonValue:
    """Carry an accepted candidate over to where its branch stands; gives a `Rebased`.

    Args:
        iteration: the round that it was accepted in.
        remaining_s: seconds that the task has left.
    """
    if not context.parts.publishing.rebase or not context.parts.ledger.storage.durable:
        return encode(Rebased())
    try:
        onto = await context.repository.resolve(context.task.base_ref or "")
        if onto.hash == context.base.hash:
            return encode(Rebased())
        reason = await _reason_to_stay(context, judged, remaining_s)
        if reason is None:
            await context.repository.survey(onto.tree)
            await read_rules(context.repository, onto)
            merged = await context.repository.merged(context.base, onto, made.tree)
            left_s = remaining_s * (1.0 - WORK_SHARE)
            resolvable = left_s >= TIME_FACTOR * await _evidence_s(context, judged)
            return await _carry(context, made, judged, iteration, onto, merged, resolvable=resolvable)
    except InputError as error:
        reason = error.message
        onto = context.base
    except UnavailableError as error:
        reason = error.message
    return _stay(context, onto, iteration, reason)


async def on_base(context: RunContext, commit: str, *, added_rounds: int) -> RunContext:
    """The same run on another base."""
    base = await context.repository.resolve(commit)
    task = replace(
        context.task,
        base_commit=base.hash,
        base_tree=base.tree,
        max_iterations=context.task.max_iterations + added_rounds,
    )
    rules = await read_rules(context.repository, base)
    return replace(context, task=task, base=base, rules=rules, derived=Derived(), rebases=context.rebases + 1)


async def _reason_to_stay(context: RunContext, judged: Deliberated, remaining_s: float) -> str | None:
    if context.rebases >= MOST_REBASES:
        return f"The branch moved again after the change had followed it {context.rebases} times."
    evidence_s = await _evidence_s(context, judged)
    if remaining_s < TIME_FACTOR * evidence_s:
        return f"{remaining_s:.0f} s are left, and measuring took {evidence_s:.0f} s."
    return None


async def _evidence_s(context: RunContext, judged: Deliberated) -> float:
    return decode(Case, json.loads(await context.read(judged.case))).evidence_s


async def _carry(
    context: RunContext,
    made: Work,
    judged: Deliberated,
    iteration: int,
    onto: Commit,
    merged: Merged,
    *,
    resolvable: bool,
) -> JsonValue:
    if not merged.conflicts and merged.tree == onto.tree:
        return _stay(context, onto, iteration, "The branch holds the whole change already.")
    if not merged.conflicts:
        _tell(context, onto, iteration, "clean")
        there = await on_base(context, onto.hash, added_rounds=1)
        carried = await _record(there, made, judged, iteration + 1, merged.tree)
        carried = replace(carried, admitted=await inspect(there, carried, iteration + 1))
        return encode(Rebased(onto=onto.hash, parent=judged.verdict, made=carried))
    if iteration >= context.max_iterations or context.task.candidate_tree is not None:
        reason = "The change conflicts with what is new on the branch, and no worker has a round left."
        return _stay(context, onto, iteration, reason, merged.conflicts)
    if not resolvable:
        reason = "The change conflicts with what is new on the branch, and too little time is left to resolve that."
        return _stay(context, onto, iteration, reason, merged.conflicts)
    _tell(context, onto, iteration, "conflict", merged.conflicts)
    workers = {context.task.worker, *context.task.workers}
    readable = workers <= set(context.parts.asked)
    request = await _refine(context, judged, onto, iteration, merged)
    return encode(
        Rebased(
            onto=onto.hash,
            parent=request,
            start_tree=merged.tree if readable else onto.tree,
            conflicts=_shown(merged.conflicts),
        )
    )


async def _record(context: RunContext, made: Work, judged: Deliberated, iteration: int, tree: str) -> Work:
    """Record the carried-over candidate; its worker's words stay what they were."""
    verdict = await context.artifact(judged.verdict)
    before = await context.artifact(made.patch)
    report = await context.artifact(made.report)
    patch = await context.ledger.record(
        ArtifactKind.CODE_CHANGES,
        f"patch/{iteration}",
        await context.repository.diff(context.task.base_tree, tree),
        media_type="text/x-diff",
        tree=tree,
        parent=verdict,
        inputs=[(before, "rebased")],
        metadata={BASE_COMMIT: context.task.base_commit},
    )
    said = await context.ledger.record(
        ArtifactKind.REPORT,
        f"report/{iteration}",
        await context.read(made.report),
        media_type="text/markdown",
        tree=tree,
        parent=patch,
        inputs=[(report, "report")],
        producer=context.task.worker or "",
    )
    for artifact in (patch, said):
        note_stored(context, artifact)
    return replace(
        made, label=str(iteration), tree=tree, patch=patch.id, report=said.id, outcome="rebased", problem=None, ended=""
    )


async def _refine(context: RunContext, judged: Deliberated, onto: Commit, iteration: int, merged: Merged) -> str:
    """Ask the worker to make its change on the new base; gives the request's artifact id."""
    verdict = await context.artifact(judged.verdict)
    violations = tuple(
        Violation(
            rule="REBASE-1",
            severity=Severity.HIGH,
            message=f"the change conflicts with commit {onto.hash[:12]}, which the branch has now",
            remediation=REMEDY,
            path=path,
        )
        for path in merged.conflicts[:MOST_NAMED]
    )
    request = RefinementRequest(
        task_id=context.task.id,
        iteration=iteration,
        checkpoint=REBASE,
        failed_gates=(),
        violations=violations,
        required_changes=tuple(f"{item.rule} at {item.path}: {item.message}. {REMEDY}" for item in violations),
        priority=Severity.HIGH,
        scope="minimal",
        max_iterations=context.max_iterations,
        verdict_ref=verdict.id,
    )
    artifact = await context.ledger.record(
        ArtifactKind.REFINEMENT, f"refinement/{iteration}", as_json(request), tree=merged.tree, parent=verdict
    )
    note_stored(context, artifact)
    context.narrator.note(
        EventType.REFINEMENT_REQUESTED, iteration=iteration, failed_gates=[], priority=request.priority.value
    )
    return artifact.id


def _stay(context: RunContext, onto: Commit, iteration: int, reason: str, conflicts: tuple[str, ...] = ()) -> JsonValue:
    _tell(context, onto, iteration, "kept", conflicts, reason)
    return encode(Rebased())


def _tell(
    context: RunContext,
    onto: Commit,
    iteration: int,
    outcome: str,
    conflicts: tuple[str, ...] = (),
    reason: str = "",
) -> None:
    context.narrator.note(
        EventType.PUBLICATION_REBASED,
        iteration=iteration,
        outcome=outcome,
        base=context.base.hash,
        onto=onto.hash,
        conflicts=list(_shown(conflicts)),
        reason=reason,
    )


def _shown(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(path.encode("utf-8", "backslashreplace").decode() for path in paths[:MOST_NAMED])
