"""Schedules: a task that is submitted again and again, at due times that a cron line names.

Rules:
- Of one due time comes one task: its id follows from the schedule's id and the due time (`task_id_at`), so whoever
  submits it again submits the same.
- A due time is taken, then dealt with, then settled. What was taken and never settled is taken again by another.
- Times that passed while nobody looked are missed, but for the latest: that one is made up for, unless it is older than
  `catch_up_s`. Times that passed while the schedule was paused are none of its times.
- A due time at which the schedule's last task has not ended is skipped, unless overlapping is allowed.
- A submission that fails is told and left; the next due time is another try.

It is pure: what `now` is, the store says, whose clock is the only one that counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from councilor.domain.cron import count_due, due_after, latest_due, require_cron
from councilor.domain.limit import Limit
from councilor.domain.queue import HIGHEST_PRIORITY
from councilor.domain.stored import is_id, require_text
from councilor.domain.task import RunMode
from councilor.errors import InputError

__all__ = [
    "CATCH_UP_S", "LEAST_CATCH_UP_S", "MOST_COUNTED", "Due", "DueOutcome", "Overlap", "Record", "Schedule",
    "ScheduleHead", "Settlement", "begin", "hold", "require_schedule", "settle", "take", "task_id_at",
]  # fmt: skip

CATCH_UP_S = 3600.0
"""How old the latest missed time may usually be."""
LEAST_CATCH_UP_S = 60.0
"""Below this, a busy moment would cost a due time."""
MOST_COUNTED = 1000
"""Missed times are not counted beyond this at once: a line that names every minute names half a million in a year."""
LONGEST_TEXT = 4096
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Overlap(StrEnum):
    """What happens at a due time while the schedule's last task has not ended."""

    SKIP = "skip"
    ALLOW = "allow"


class DueOutcome(StrEnum):
    """What became of a due time."""

    SUBMITTED = "submitted"
    SKIPPED = "skipped"
    """The last task had not ended."""
    MISSED = "missed"
    """Nobody looked until it was too old."""
    FAILED = "failed"
    """It could not be submitted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """What is submitted, and when. Never changes."""

    id: str
    """UUIDv7, canonical form."""
    name: str
    cron: str
    """Five fields, UTC."""
    repository: str
    """Absolute path of the repository's top folder."""
    base_ref: str
    """Full name of the branch whose tip is the base at each due time."""
    spec_path: str | None
    """Of the spec in the base's tree, read anew each time; None where `spec_text` is submitted as it is."""
    spec_text: str
    """The working spec as it was when the schedule was added."""
    spec_id: str
    tier: int
    """Of that spec: a task's own is that of what is read for it."""
    worker: str
    crew: tuple[str, ...] = ()
    candidates: Mapping[int, int] = field(default_factory=dict)
    """By risk tier, as `submission.Order` takes it."""
    mode: RunMode
    max_iterations: int
    deadline_s: float
    max_tokens: int | None = None
    max_cost_usd: float | None = None
    flags: frozenset[Limit] = frozenset()
    """Which of its limits a person gave for it; the others were the settings'."""
    priority: int = 0
    overlap: Overlap = Overlap.SKIP
    catch_up_s: float = CATCH_UP_S
    """How old the latest missed time may be to be made up for, in seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What has become of a schedule's due times."""

    last_due: datetime | None = None
    last_outcome: DueOutcome | None = None
    last_error: str | None = None
    """Why the last due time could not be submitted; None when it could."""
    last_hint: str | None = None
    last_task_id: str | None = None
    """The newest task that was submitted; skipped and failed due times leave it."""
    submitted: int = 0
    skipped: int = 0
    missed: int = 0
    failed: int = 0
    takes: int = 0
    """How often the pending due time was taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleHead:
    """One schedule, and where it stands."""

    schedule: Schedule
    next_due: datetime
    """The first due time that nobody has taken; what comes by then, but not while the schedule is paused."""
    pending: datetime | None = None
    """The due time that was taken and is not settled yet."""
    paused: bool = False
    record: Record = field(default_factory=Record)


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """One due time that a process has taken."""

    schedule: Schedule
    executor_id: str
    """Of the process; once another one has taken it, this one settles nothing."""
    due_at: datetime
    late_s: float
    """Seconds since then, by the store's clock."""
    passed: int
    """Earlier due times that nobody took, at most `MOST_COUNTED`."""
    takes: int
    """How often it was taken, this time included."""
    last_task_id: str | None
    last_error: str | None

    @property
    def task_id(self) -> str:
        """The task that comes of it."""
        return task_id_at(self.schedule.id, self.due_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settlement:
    """What became of a due time."""

    outcome: DueOutcome
    error: str | None = None
    hint: str | None = None


def task_id_at(schedule_id: str, due_at: datetime) -> str:
    """The id of the task that a schedule submits for a due time: a UUIDv7 of that time.

    Source: RFC 9562, section 5.7; the 74 bits beside the time are of a SHA-256 instead of chance.
    """
    time_ms = int(due_at.timestamp() * 1000)
    digest = sha256(f"{schedule_id} {due_at.astimezone(UTC).isoformat()}".encode()).digest()
    rest = int.from_bytes(digest[:10])
    digits = f"{time_ms << 80 | 7 << 76 | (rest >> 62 & 0xFFF) << 64 | 0b10 << 62 | rest & (1 << 62) - 1:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def begin(schedule: Schedule, now: datetime) -> ScheduleHead:
    """A new schedule's head."""
    return ScheduleHead(schedule=schedule, next_due=due_after(schedule.cron, now))


def hold(head: ScheduleHead, now: datetime, *, paused: bool) -> ScheduleHead:
    """A head that is paused, or goes on; what came due while it was paused is left out."""
    if head.paused == paused:
        return head
    next_due = head.next_due if paused else due_after(head.schedule.cron, max(now, head.next_due - _MOMENT))
    return replace(head, paused=paused, next_due=next_due)


_MOMENT = timedelta(microseconds=1)


def take(head: ScheduleHead, now: datetime, executor_id: str) -> tuple[ScheduleHead, Due] | None:
    """Take what is due: the pending due time again, else the latest one that has come; None where there is none."""
    cron, record = head.schedule.cron, head.record
    if head.paused:
        return None
    if head.pending is not None:
        taken = replace(head, record=replace(record, takes=record.takes + 1))
        return taken, _due(taken, executor_id, head.pending, now, passed=0)
    if head.next_due > now:
        return None
    due_at = latest_due(cron, now)
    passed = count_due(cron, head.next_due, due_at - _MOMENT, most=MOST_COUNTED)
    taken = replace(
        head,
        pending=due_at,
        next_due=due_after(cron, due_at),
        record=replace(record, takes=1, missed=record.missed + passed),
    )
    return taken, _due(taken, executor_id, due_at, now, passed=passed)


def _due(head: ScheduleHead, executor_id: str, due_at: datetime, now: datetime, *, passed: int) -> Due:
    return Due(
        schedule=head.schedule,
        executor_id=executor_id,
        due_at=due_at,
        late_s=(now - due_at).total_seconds(),
        passed=passed,
        takes=head.record.takes,
        last_task_id=head.record.last_task_id,
        last_error=head.record.last_error,
    )


def settle(head: ScheduleHead, due_at: datetime, settlement: Settlement) -> ScheduleHead | None:
    """The head once a due time is dealt with; None where that time is not pending any more."""
    if head.pending != due_at:
        return None
    record, outcome = head.record, settlement.outcome
    submitted = outcome is DueOutcome.SUBMITTED
    counted = {outcome.value: getattr(record, outcome.value) + 1}
    return replace(
        head,
        pending=None,
        record=replace(
            record,
            takes=0,
            last_due=due_at,
            last_outcome=outcome,
            last_error=settlement.error,
            last_hint=settlement.hint,
            last_task_id=task_id_at(head.schedule.id, due_at) if submitted else record.last_task_id,
            **counted,
        ),
    )


def require_schedule(schedule: Schedule) -> None:
    """Refuse a schedule that no store takes.

    Raises:
        InputError: names the field.
    """
    if not is_id(schedule.id):
        raise InputError(f"{schedule.id!r} is not an id: a UUID in canonical form.", field="id")
    if not _NAME.fullmatch(schedule.name):
        raise InputError(
            f"{schedule.name!r} cannot be a schedule's name.",
            field="--name",
            hint="Use 1 to 64 letters, digits and . _ -, beginning with a letter or a digit.",
        )
    if require_cron(schedule.cron) != schedule.cron:
        raise InputError("The cron line has blanks too many.", field="--cron")
    require_text(schedule.repository, "repository", longest=LONGEST_TEXT)
    require_text(schedule.base_ref, "base_ref", longest=LONGEST_TEXT)
    if not -HIGHEST_PRIORITY <= schedule.priority <= HIGHEST_PRIORITY:
        raise InputError(
            f"The priority {schedule.priority} is out of range.",
            field="--priority",
            hint=f"It goes from -{HIGHEST_PRIORITY} to {HIGHEST_PRIORITY}; higher ones are taken first.",
        )
    if schedule.catch_up_s < LEAST_CATCH_UP_S:
        raise InputError(
            f"A missed time can be made up for during {LEAST_CATCH_UP_S:g} s at least, not {schedule.catch_up_s:g}.",
            field="--catch-up",
            hint="For example 15m or 6h.",
        )
