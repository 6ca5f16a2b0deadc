"""A schedule as it is shown: as JSON, as a row, in words. All times are UTC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from councilor.domain.codec import JsonValue, encode
from councilor.domain.schedule import Schedule, ScheduleHead
from councilor.domain.task import TaskHead

__all__ = ["document", "row_of", "said", "time_of"]

LATE_S = 30.0
"""Seconds after which a due time that nobody took is overdue; processes look every second."""


def document(head: ScheduleHead) -> JsonValue:
    """A schedule as JSON: what it is, where it stands, and what became of its due times."""
    standing = {
        "timezone": "UTC",
        "paused": head.paused,
        "next_due": None if head.paused else encode(head.next_due),
        "pending": encode(head.pending),
    }
    return {**encode(head.schedule), **standing, **encode(head.record)}


def row_of(head: ScheduleHead, now: datetime) -> tuple[str, ...]:
    """A schedule as the cells of a table: name, cron line, next and last due time, outcome."""
    record = head.record
    return (
        head.schedule.name,
        head.schedule.cron,
        _next(head, now),
        "" if record.last_due is None else time_of(record.last_due),
        record.last_outcome.value if record.last_outcome else "",
    )


def said(head: ScheduleHead, last: TaskHead | None, coming: Sequence[datetime]) -> Iterator[str]:
    """A schedule in words."""
    schedule, record = head.schedule, head.record
    yield f"{schedule.cron} (UTC){'; paused' if head.paused else ''}"
    if coming:
        yield f"next: {', '.join(time_of(moment) for moment in coming)}"
    where = f"{schedule.spec_path} on that branch" if schedule.spec_path else "the text that was given"
    branch = schedule.base_ref.removeprefix("refs/heads/")
    yield f"{schedule.spec_id}, tier {schedule.tier}: {where}; branch {branch} of {schedule.repository}"
    workers = ", ".join((schedule.worker, *schedule.crew))
    yield f"worker {workers}, mode {schedule.mode.value}, priority {schedule.priority}"
    yield f"at most {', '.join(_limits(schedule))}"
    yield f"while its last task has not ended: {schedule.overlap.value}"
    yield f"a missed time is made up for during {schedule.catch_up_s:g} s"
    yield f"{record.submitted} submitted, {record.skipped} skipped, {record.missed} missed, {record.failed} failed"
    if record.last_due is not None and record.last_outcome is not None:
        yield f"last due {time_of(record.last_due)}: {record.last_outcome.value}"
    if record.last_error is not None:
        yield f"{record.last_error} {record.last_hint or ''}".rstrip()
    if last is not None:
        yield f"last task {last.task_id}: {last.state.value}"
    if head.pending is not None:
        yield f"{time_of(head.pending)} is being submitted"


def _limits(schedule: Schedule) -> Iterator[str]:
    """What one of its runs may take, in words."""
    yield f"{schedule.max_iterations} rounds"
    yield f"{schedule.deadline_s:g} s"
    if schedule.max_tokens is not None:
        yield f"{schedule.max_tokens:,} tokens"
    if schedule.max_cost_usd is not None:
        yield f"{schedule.max_cost_usd:g} US dollars"


def time_of(moment: datetime) -> str:
    """A due time, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M}"


def _next(head: ScheduleHead, now: datetime) -> str:
    """When it is due next, or since when it should have been submitted."""
    if head.paused:
        return "paused"
    waiting = head.pending or head.next_due
    if (now - waiting).total_seconds() > LATE_S:
        return f"{time_of(waiting)} (overdue)"
    return time_of(head.next_due)
