"""Resubmission: is a task that somebody asks for already there?

Rules:
- The same task is one with the same repository, spec text, worker, mode and limits.
- One that has not ended goes on, on the base that it began with: its work is paid for.
- One that has ended is the same only on the same base commit: on another base there may be another answer.
- A cancelled one does not count, and with `again` neither does any that ended without being accepted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from councilor.domain.codec import decode
from councilor.domain.task import END_STATES, Task, TaskHead, TaskState
from councilor.ports.events import EventStream

__all__ = ["find_earlier"]

PAGE = 200


async def find_earlier(
    tasks: Sequence[Task], events: EventStream, *, again: bool = False, any_base: bool = True
) -> Mapping[str, TaskHead]:
    """Drafted task's id -> the stored task that is the same; drafts without one are left out.

    Args:
        again: start anew what ended without being accepted.
        any_base: whether a task that has not ended may go on although its base is another commit.
    """
    heads = await _heads_like(tasks, events)
    found: dict[str, TaskHead] = {}
    for task in tasks:
        for head in heads[task.repository, task.spec_id]:
            if not _counts(head, again=again):
                continue
            known = await _task_of(head, events)
            going_on = head.state not in END_STATES
            if _same(task, known, ignore_base=going_on and any_base):
                if going_on or task.id not in found:
                    found[task.id] = head
                if going_on:
                    break
    return found


async def _heads_like(tasks: Sequence[Task], events: EventStream) -> dict[tuple[str, str], list[TaskHead]]:
    """Stored tasks by repository and spec id, newest first."""
    wanted = {(task.repository, task.spec_id) for task in tasks}
    heads: dict[tuple[str, str], list[TaskHead]] = defaultdict(list)
    before = None
    specs = {spec_id for _, spec_id in wanted}
    while page := await events.heads(limit=PAGE, before=before, specs=specs):
        for head in page:
            if (head.repository, head.spec_id) in wanted:
                heads[head.repository, head.spec_id].append(head)
        before = page[-1].task_id
        if len(page) < PAGE:
            break
    return heads


def _counts(head: TaskHead, *, again: bool) -> bool:
    ended = head.state in END_STATES
    return head.state is not TaskState.CANCELLED and not (again and ended and head.state is not TaskState.COMPLETED)


async def _task_of(head: TaskHead, events: EventStream) -> Task:
    (first,) = await events.read(head.task_id, limit=1)
    return decode(Task, first.data["task"])


def _same(task: Task, known: Task, *, ignore_base: bool) -> bool:
    known = replace(
        known, id=task.id, submitted_at=task.submitted_at, base_ref=task.base_ref, limit_origins=task.limit_origins
    )
    if ignore_base:
        known = replace(known, base_commit=task.base_commit, base_tree=task.base_tree)
    return known == task
