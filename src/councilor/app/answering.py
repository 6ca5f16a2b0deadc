"""Answers to questions: recorded, and the council meets again.

Rules:
- The answer is an artifact of the task that was asked about, with a signed statement: the question, what was said, by
  whom, and that nobody is shown to have said it unless a credential does.
- The same candidate is judged again in a task of its own, in this process, to its end.
"""

from __future__ import annotations

import json

from councilor.app.service import Service
from councilor.domain.artifact import ArtifactKind
from councilor.domain.codec import decode, encode
from councilor.domain.question import Answer, Answered
from councilor.domain.stored import require_text
from councilor.domain.task import Task
from councilor.errors import NotFoundError
from councilor.pipeline.questions import draft_rejudgement, find_question, stored_questions
from councilor.pipeline.questions.testfile import answer_test

__all__ = ["answer", "record_answer"]


async def answer(service: Service, task_id: str, question_id: str | None, said: Answer) -> str:
    """Answer a question about a task's candidate, and judge the candidate again, to the end.

    Args:
        question_id: such as `Q1`; None means the best one.
    Returns:
        the id of the task in which it was judged again.

    Raises:
        InputError: the task has not ended, or no test can be made of the answer.
        NotFoundError: no such task, question or stored candidate.
    """
    task = await record_answer(service, task_id, question_id, said)
    await service.executor.run(task.id)
    return task.id


async def record_answer(service: Service, task_id: str, question_id: str | None, said: Answer) -> Task:
    """Record an answer and submit the task that judges again; it is not run yet. Raises as `answer` does."""
    require_text(said.by, "by")
    events, ledger = service.store.events, service.store.ledger()
    head = await events.head(task_id)
    if head is None:
        raise NotFoundError(f"There is no task {task_id}.")
    (first,) = await events.read(task_id, limit=1)
    artifact, questions = await stored_questions(ledger, task_id)
    answered = Answered(question=find_question(questions, question_id), answer=said)
    answer_test(answered, service.tools.tester.describer)
    task = await draft_rejudgement(
        ledger, head, decode(Task, first.data["task"]), answered, clock=service.runtime.clock, ids=service.runtime.ids
    )
    await ledger.of_task(task_id, run_id=task_id).record(
        ArtifactKind.TEST_REPORT,
        f"answer/{answered.question.id}",
        json.dumps(encode(answered), sort_keys=True).encode(),
        tree=task.candidate_tree,
        parent=artifact,
        inputs=[(artifact, "questions")] if artifact is not None else [],
        producer=said.by,
        metadata={"task": task.id, "verified": said.verified},
    )
    await ledger.sequence()
    await service.executor.submit(task)
    return task
