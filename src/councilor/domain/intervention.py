"""Interventions: what a person does to a task while it runs, and what follows from all of it so far.

Rules:
- Each intervention is one event of the task's stream, with who did it and why; nothing is kept anywhere else. So every
  process that executes the task obeys the same ones, whenever it began.
- The same twice is as good as once: a paused task is not paused again.
- Of two answers to one request the first counts.
- A task's time runs from its first start. It stands still while the task is paused or waits for an approval.
- Whoever executes a task tells how much of that time is over, counted by a clock that nobody can set. What nobody told
  of is counted up to `SILENT_S` seconds: more is a wall clock that jumped, or a task that nobody executed.
- Words of a person are bounded; they go into prompts quoted, and are printed escaped.

It changes no state of a task: `fold` in `domain/event.py` does. Source: the design, 4-execution (states and control).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from councilor.domain.event import Checkpoint, Event, EventType, InterventionKind
from councilor.domain.stored import require_text
from councilor.errors import InputError

__all__ = [
    "LONGEST_REASON",
    "LONGEST_TEXT",
    "MOST_GUIDES",
    "SILENT_S",
    "TELLING",
    "Approval",
    "Extension",
    "Guide",
    "Steering",
    "require_extension",
    "require_words",
    "steer",
]

LONGEST_REASON = 4000
LONGEST_TEXT = 4000
"""Characters of one piece of guidance: a fence of the prompt holds as many."""
MOST_GUIDES = 20
"""The newest ones that a prompt carries."""
LARGEST_EXTENSION = 1e9
SILENT_S = 60.0
"""Most seconds that are taken from wall clocks, after what was told: a takeover is a matter of seconds."""
TELLING = frozenset({EventType.PHASE_STARTED, EventType.PHASE_FINISHED, EventType.WORKER_HEARTBEAT})
"""Events that may tell, as `spent_s`, how much of the task's time is over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Approval:
    """A person's answer to a request."""

    checkpoint: Checkpoint
    approved: bool
    by: str
    reason: str
    artifact_id: str
    """Of the signed statement."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guide:
    """What a person tells the worker."""

    seq: int
    """Of its event."""
    text: str
    by: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Extension:
    """What a task was given beyond what it was submitted with."""

    deadline_s: float = 0.0
    iterations: int = 0
    tokens: int = 0
    cost_usd: float = 0.0

    def plus(self, other: Extension) -> Extension:
        """Both together."""
        return Extension(
            deadline_s=self.deadline_s + other.deadline_s,
            iterations=self.iterations + other.iterations,
            tokens=self.tokens + other.tokens,
            cost_usd=self.cost_usd + other.cost_usd,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Steering:
    """Everything that people have said to a task, and how long it stood still for it."""

    counted_from: datetime | None = None
    """When its first execution began, or it was last told how much of its time is over."""
    told_s: float | None = None
    """How much was over then, where it was told."""
    paused: bool = False
    paused_by: str = ""
    reason: str = ""
    """Why it is paused."""
    awaiting: Checkpoint | None = None
    """Which request nobody has answered yet."""
    requested: tuple[Checkpoint, ...] = ()
    approvals: Mapping[Checkpoint, Approval] = field(default_factory=dict)
    guides: tuple[Guide, ...] = ()
    extension: Extension = field(default_factory=Extension)
    standing_since: datetime | None = None
    """Since when it is paused or waits; None while it goes on, and before it started."""
    stood_s: float = 0.0
    """Seconds since `counted_from` that it stood still before."""
    cancelled: bool = False
    ended: bool = False

    @property
    def stands(self) -> bool:
        """Whether no further step may begin."""
        return self.paused or self.awaiting is not None

    def spent_s(self, now: datetime) -> float:
        """Seconds of the task's time that are over; a clock that was set back takes none away."""
        if self.counted_from is None:
            return 0.0
        until = now if self.standing_since is None else self.standing_since
        silent_s = max(0.0, (until - self.counted_from).total_seconds() - self.stood_s)
        return silent_s if self.told_s is None else self.told_s + min(silent_s, SILENT_S)

    def waiting_guides(self, seen: int) -> tuple[Guide, ...]:
        """What no prompt has carried yet.

        Args:
            seen: the number of the newest one that a prompt has carried.
        """
        return tuple(guide for guide in self.guides if guide.seq > seen)


def steer(before: Steering, event: Event) -> Steering:
    """What follows after one more event of the stream; events that are no concern of it change nothing."""
    data = event.data
    match event.type:
        case EventType.TASK_STARTED if before.counted_from is None:
            return replace(before, counted_from=event.ts, standing_since=event.ts if before.stands else None)
        case _ if event.type in TELLING and "spent_s" in data:
            return _told(before, float(data["spent_s"]), event.ts)
        case EventType.INTERVENTION:
            after = _intervene(before, event)
        case EventType.APPROVAL_REQUESTED:
            asked = Checkpoint(data["checkpoint"])
            if asked in before.requested:
                return before
            after = replace(before, awaiting=asked, requested=(*before.requested, asked))
        case EventType.APPROVAL_GIVEN:
            after = _answer(before, data)
        case EventType.TASK_CANCELLED:
            return replace(before, cancelled=True, ended=True)
        case EventType.TASK_FINISHED | EventType.TASK_FAILED:
            # Nobody can resume it any more, and who executes it has its end to remember.
            return replace(before, ended=True, paused=False)
        case _:
            return before
    return _timed(before, after, event.ts)


def require_words(text: str, field: str, *, longest: int = LONGEST_REASON, shortest: int = 1) -> None:
    """Refuse a person's words that are too many, or cannot be kept.

    Raises:
        InputError: names the field.
    """
    require_text(text, field, longest=longest, shortest=shortest)


def require_extension(extension: Extension) -> None:
    """Refuse an extension that gives nothing, takes something away, or is beyond all sense.

    Raises:
        InputError: names the field.
    """
    given = {
        "deadline_s": extension.deadline_s,
        "iterations": extension.iterations,
        "tokens": extension.tokens,
        "cost_usd": extension.cost_usd,
    }
    for name, value in given.items():
        if not 0 <= value <= LARGEST_EXTENSION:
            raise InputError(f"{name} cannot be extended by {value!s:.20}.", field=name, hint="Give a positive number.")
    if not any(given.values()):
        raise InputError(
            "Nothing is extended.", field="extend", hint="Give --seconds, --iterations, --tokens or --cost-usd."
        )


def _intervene(before: Steering, event: Event) -> Steering:
    data = event.data
    by, reason = str(data.get("by", "")), str(data.get("reason", ""))
    match InterventionKind(data["kind"]):
        case InterventionKind.PAUSE if not before.paused:
            return replace(before, paused=True, paused_by=by, reason=reason)
        case InterventionKind.RESUME:
            return replace(before, paused=False, paused_by="", reason="")
        case InterventionKind.GUIDE:
            return replace(before, guides=(*before.guides, Guide(seq=event.seq, text=str(data["text"]), by=by)))
        case InterventionKind.EXTEND:
            return replace(before, extension=before.extension.plus(_extension(data)))
        case _:
            return before


def _extension(data: Mapping[str, Any]) -> Extension:
    return Extension(
        deadline_s=float(data.get("deadline_s", 0.0)),
        iterations=int(data.get("iterations", 0)),
        tokens=int(data.get("tokens", 0)),
        cost_usd=float(data.get("cost_usd", 0.0)),
    )


def _answer(before: Steering, data: Mapping[str, Any]) -> Steering:
    checkpoint = Checkpoint(data["checkpoint"])
    if checkpoint in before.approvals or checkpoint not in before.requested:
        return before
    approval = Approval(
        checkpoint=checkpoint,
        approved=bool(data["approved"]),
        by=str(data["by"]),
        reason=str(data["reason"]),
        artifact_id=str(data["artifact_id"]),
    )
    awaiting = None if before.awaiting is checkpoint else before.awaiting
    return replace(before, awaiting=awaiting, approvals={**before.approvals, checkpoint: approval})


def _told(before: Steering, spent_s: float, now: datetime) -> Steering:
    standing_since = now if before.stands else None
    return replace(before, counted_from=now, told_s=spent_s, stood_s=0.0, standing_since=standing_since)


def _timed(before: Steering, after: Steering, now: datetime) -> Steering:
    """Begin or end to stand still."""
    if after.counted_from is None or after.stands == before.stands:
        return after
    if after.stands:
        return replace(after, standing_since=now)
    stood_s = (now - before.standing_since).total_seconds() if before.standing_since is not None else 0.0
    return replace(after, standing_since=None, stood_s=before.stood_s + max(0.0, stood_s))
