"""Events and heads as rows of PostgreSQL, and back.

Rules:
- What is written goes as array literals, one for each column: a tenth of the work of binding each value, and any number
  of events is one statement.
- The texts in them are a UUID, a number, a type, a time or ASCII JSON: only the last has anything to escape.

Source: PostgreSQL 18 manual, Array Input and Output Syntax.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from councilor.domain.event import Event, EventType
from councilor.domain.task import TaskHead, TaskState
from councilor.errors import InputError

__all__ = ["array", "event_columns", "event_of", "head_columns", "head_of", "known_columns", "moved_columns"]

_TYPES = {kind.value: kind for kind in EventType}


def array(texts: Iterable[str]) -> str:
    """An array literal of texts with nothing to escape: ids, numbers, times."""
    return "{" + ",".join(texts) + "}"


def _quoted(text: str | None) -> str:
    return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def event_columns(events: Sequence[Event], texts: Iterable[str]) -> Sequence[str]:
    """The columns of new events, whose data are these JSON texts."""
    return (
        array([event.task_id for event in events]),
        array([str(event.seq) for event in events]),
        array([str(event.attempt) for event in events]),
        array([event.type for event in events]),
        array([event.ts.isoformat() for event in events]),
        array([_quoted(text) for text in texts]),
    )


def moved_columns(heads: Sequence[TaskHead]) -> Sequence[str]:
    """What events change of heads."""
    return (
        array(head.task_id for head in heads),
        array(str(head.last_seq) for head in heads),
        array(head.state.value for head in heads),
        array(_quoted(head.decision) for head in heads),
        array(_quoted(head.commit) for head in heads),
        array(head.updated_at.isoformat() for head in heads),
        array(_quoted(head.resumes) for head in heads),
    )


def known_columns(heads: Sequence[TaskHead]) -> Sequence[str]:
    """What tells whether heads still stand as they are known."""
    return (
        array(str(head.last_seq) for head in heads),
        array(str(head.attempt) for head in heads),
        array(head.state.value for head in heads),
    )


def head_columns(heads: Sequence[TaskHead]) -> Sequence[str]:
    """The columns of new heads."""
    return (
        *moved_columns(heads),
        array(_quoted(head.repository) for head in heads),
        array(_quoted(head.spec_id) for head in heads),
        array(_quoted(head.title) for head in heads),
        array(str(head.tier) for head in heads),
        array(_quoted(head.worker) for head in heads),
        array(head.submitted_at.isoformat() for head in heads),
    )


def head_of(row: Sequence[Any]) -> TaskHead:
    """A head from its row."""
    task_id, last, state, repository, spec_id, title, tier, worker, decision, commit, *others = row
    submitted_at, updated_at, attempt, floor, resumes = others
    return TaskHead(
        task_id=task_id, last_seq=last, state=TaskState(state), repository=repository, spec_id=spec_id, title=title,
        tier=tier, worker=worker, decision=decision, commit=commit, submitted_at=_utc(submitted_at),
        updated_at=_utc(updated_at), attempt=attempt, floor=floor,
        resumes=TaskState(resumes) if resumes else None,
    )  # fmt: skip


def event_of(task_id: str, row: Sequence[Any]) -> Event:
    """An event from its row.

    Raises:
        InputError: it is of a type that only a newer release knows.
    """
    seq, attempt, kind, ts, text = row
    if (type_ := _TYPES.get(kind)) is None:
        raise InputError(
            f"Event {seq} of task {task_id} is of the type {kind!r}, which this release does not know.",
            hint="Upgrade councilor: a newer release has been at work on this database.",
        )
    return Event(task_id=task_id, type=type_, ts=_utc(ts), attempt=attempt, data=json.loads(text), seq=seq)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
