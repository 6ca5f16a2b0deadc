"""The task in which the council meets again about a candidate, now that a question about it is answered.

Rules:
- It is the earlier task with the same spec, base, candidate and report, and no further work: the baseline is repeated
  where it may be, and everything about the candidate is measured anew.
- Answers add up: those of the earlier task count in it, too; a question's newest answer replaces an earlier one.
- Only a task that has ended can be followed, and only one whose candidate and question are stored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from councilor.domain.artifact import ArtifactKind, ExecutionArtifact
from councilor.domain.codec import decode
from councilor.domain.question import Answered, Question, quoted
from councilor.domain.task import END_STATES, Task, TaskHead
from councilor.domain.verdict import Verdict
from councilor.errors import InputError, NotFoundError
from councilor.pipeline.ledger import Ledger
from councilor.ports.clock import Clock, Ids

__all__ = ["QUESTIONS", "draft_rejudgement", "find_question", "stored_questions"]

QUESTIONS = "questions/"
"""Begins the names of the artifacts that hold an iteration's questions."""


async def stored_questions(ledger: Ledger, task_id: str) -> tuple[ExecutionArtifact | None, tuple[Question, ...]]:
    """The questions about a task's last judged candidate, and the artifact that holds them."""
    artifacts = await ledger.storage.of_task(task_id)
    verdict = next((item for item in reversed(artifacts) if item.kind is ArtifactKind.VERDICT), None)
    found = [item for item in artifacts if item.name.startswith(QUESTIONS)]
    newest = found[-1] if found else None
    if newest is None or verdict is None or newest.tree != verdict.tree:
        return None, ()
    return newest, decode(tuple[Question, ...], json.loads(await ledger.storage.read(newest.id)))


def find_question(questions: Sequence[Question], name: str | None) -> Question:
    """The question of that name; the first one without a name.

    Raises:
        NotFoundError: there is none.
    """
    if not questions:
        raise NotFoundError(
            "There is no question about this task.",
            hint="Questions come up where the candidate and others that pass the same tests are told apart.",
        )
    wanted = (name or questions[0].id).upper()
    found = next((each for each in questions if each.id == wanted), None)
    if found is None:
        raise NotFoundError(
            f"There is no question {quoted(wanted)}; there are {', '.join(each.id for each in questions)}.",
            hint="`councilor questions TASK` shows them.",
        )
    return found


async def draft_rejudgement(
    ledger: Ledger, head: TaskHead, task: Task, answered: Answered, *, clock: Clock, ids: Ids
) -> Task:
    """The task that judges a task's last candidate again; nothing is stored yet.

    Raises:
        InputError: the task has not ended.
        NotFoundError: its candidate is not stored.
    """
    if head.state not in END_STATES:
        raise InputError(f"Task {head.task_id} is {head.state.value}; it has not ended yet.", field="task")
    artifacts = await ledger.storage.of_task(task.id)
    verdicts = [item for item in artifacts if item.kind is ArtifactKind.VERDICT]
    if not verdicts:
        raise NotFoundError(f"Task {task.id} has no verdict.", hint="There is no candidate to judge again.")
    verdict = decode(Verdict, json.loads(await ledger.storage.read(verdicts[-1].id)))
    patch = _named(artifacts, f"patch/{verdict.iteration}")
    report = _named(artifacts, f"report/{verdict.iteration}")
    if patch is None or report is None or patch.tree != verdict.tree:
        raise NotFoundError(f"The candidate of task {task.id} is not stored.")
    question = answered.question
    earlier = [each for each in task.answers if _call(each.question) != _call(question)]
    return replace(
        task,
        id=ids.new(),
        submitted_at=clock.now(),
        max_iterations=1,
        base_commit=str(patch.metadata.get("base_commit", task.base_commit)),
        base_tree=verdict.base_tree,
        workers=(),
        candidate_tree=verdict.tree,
        claims_text=(await ledger.storage.read(report.id)).decode("utf-8", "replace"),
        answers=(*earlier, answered),
        follows=task.id,
        patch=patch.id,
    )


def _call(question: Question) -> tuple[tuple[str, ...], str]:
    return question.setup, question.call


def _named(artifacts: Sequence[ExecutionArtifact], name: str) -> ExecutionArtifact | None:
    return next((item for item in reversed(artifacts) if item.name == name), None)
