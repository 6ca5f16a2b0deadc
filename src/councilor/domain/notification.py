"""Notifications: what somebody who does not watch is told of a task's end, or of a run that waits for an answer.

Rules:
- There is one notification for each end of a task and for each request; its id is the same however often it is sent.
  One about a submission that a schedule could not make has the id that the task would have had.
- Titles, gates' sentences and error texts may come from a worker or a repository: terminal escapes are removed, other
  control characters spelled out, what looks like a secret is masked, and every text has a limit.
- The reason says how the task ended; in the settings `ended` stands for all of these. A run that waits for an approval
  has not ended, and has a reason of its own.

It does not decide when to notify (`pipeline/executor/announcement.py`) or how (`adapters/notify`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from councilor.domain.accounting import Account
from councilor.domain.codec import JsonValue, encode
from councilor.domain.event import Checkpoint
from councilor.domain.redaction import mask_secrets, plain_text
from councilor.domain.schedule import Due, Settlement
from councilor.domain.task import TaskHead, TaskState
from councilor.domain.verdict import Verdict

__all__ = ["Notification", "Reason", "compose", "compose_request", "is_wanted", "presentable", "refused_submission"]
__all__ += ["trial"]

TITLE_LIMIT = 200
SUMMARY_LIMIT = 1000
NAMED_GATES = 3


class Reason(StrEnum):
    """Why somebody is told."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NEEDS_PERSON = "needs_person"
    """The council could not decide, or asks for more evidence."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    APPROVAL_NEEDED = "approval_needed"
    """A run of mode `strict` waits for a person's answer."""
    TEST = "test"
    """A trial message, sent on request."""


_REASON_OF = {
    TaskState.COMPLETED: Reason.ACCEPTED,
    TaskState.REJECTED: Reason.REJECTED,
    TaskState.FAILED: Reason.FAILED,
    TaskState.CANCELLED: Reason.CANCELLED,
}
"""Every other end needs a person."""

_ASKED = {
    Checkpoint.WORK: "before a worker begins",
    Checkpoint.PUBLISH: "before the accepted change is published",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Notification:
    """One message. Every text in it is plain and short."""

    id: str
    """The same for the same end of the same task; receivers can leave out repetitions by it."""
    reason: Reason
    sent_at: datetime
    """UTC."""
    task_id: str
    title: str
    repository: str
    spec_id: str
    tier: int
    worker: str | None
    state: str
    decision: str | None
    summary: str
    action: str
    """What a person should do now."""
    iterations: int = 0
    submitted_at: datetime | None = None
    ended_at: datetime | None = None
    elapsed_s: float = 0.0
    waiting_s: float = 0.0
    worker_s: float = 0.0
    tokens: int = 0
    cost_usd: float = 0.0
    commit: str | None = None
    branch: str | None = None
    checkpoint: str | None = None
    """What a run that waits asks about; None at an end."""
    version: int = 1
    """Of this layout."""

    def document(self) -> JsonValue:
        """As JSON data."""
        return encode(self)


def is_wanted(reason: Reason, wanted: Collection[str]) -> bool:
    """Whether settings that list `wanted` ask for a notification with this reason."""
    return reason.value in wanted or ("ended" in wanted and reason is not Reason.APPROVAL_NEEDED)


def presentable(text: str, limit: int) -> str:
    """Untrusted text as one plain line of at most `limit` characters, secrets masked."""
    line = " ".join(plain_text(mask_secrets(text[: 4 * limit]), lines=True).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def compose(
    head: TaskHead, account: Account, verdict: Verdict | None, *, now: datetime, notes: Sequence[str] = ()
) -> Notification:
    """The notification of a task's end.

    Args:
        verdict: the last one, if there was any.
        notes: sentences about how it was published.
    """
    reason = _REASON_OF.get(head.state, Reason.NEEDS_PERSON)
    summary, action = " ".join([_summary(head, account, verdict), *notes]), _action(reason, head, account)
    return _message(head, account, reason, reason.value, summary=summary, action=action, now=now)


def compose_request(
    head: TaskHead,
    account: Account,
    verdict: Verdict | None,
    checkpoint: Checkpoint,
    *,
    now: datetime,
    notes: Sequence[str] = (),
) -> Notification:
    """The notification that a run waits for an approval.

    Args:
        verdict: what would be published is accepted by it; None before there is any.
        checkpoint: what it asks about.
        notes: sentences about how it would be published.
    """
    reason = Reason.APPROVAL_NEEDED
    asked = f"It waits for an approval {_ASKED[checkpoint]}"
    summary = " ".join([asked + (f": {_judged(verdict)}" if verdict is not None else "."), *notes])
    look = f"councilor show --why {head.task_id}" + (f"; councilor diff {head.task_id}" if verdict is not None else "")
    answer = f"councilor approve {head.task_id}, or councilor reject {head.task_id} --reason WHY"
    message = _message(
        head,
        account,
        reason,
        f"{reason.value}-{checkpoint.value}",
        summary=summary,
        action=f"Look: {look}. Then answer: {answer}",
        now=now,
    )
    return replace(message, checkpoint=checkpoint.value)


def _message(
    head: TaskHead, account: Account, reason: Reason, about: str, *, summary: str, action: str, now: datetime
) -> Notification:
    return Notification(
        id=f"{head.task_id}-{about}",
        reason=reason,
        sent_at=now,
        task_id=head.task_id,
        title=presentable(head.title, TITLE_LIMIT),
        repository=presentable(head.repository, SUMMARY_LIMIT),
        spec_id=head.spec_id,
        tier=head.tier,
        worker=head.worker,
        state=head.state.value,
        decision=head.decision,
        summary=presentable(summary, SUMMARY_LIMIT),
        action=presentable(action, SUMMARY_LIMIT),
        iterations=account.iterations,
        submitted_at=account.submitted_at,
        ended_at=account.ended_at,
        elapsed_s=round(account.elapsed_s, 3),
        waiting_s=round(account.waiting_s, 3),
        worker_s=round(account.worker.seconds, 3),
        tokens=account.worker.tokens,
        cost_usd=round(account.worker.cost_usd, 6),
        commit=head.commit,
        branch=f"councilor/{head.task_id}" if head.commit else None,
    )


def trial(*, id_: str, now: datetime) -> Notification:
    """A message that only shows that messages arrive."""
    return Notification(
        id=f"test-{id_}",
        reason=Reason.TEST,
        sent_at=now,
        task_id=id_,
        title="A trial message",
        repository="",
        spec_id="TEST-1",
        tier=3,
        worker=None,
        state="completed",
        decision=None,
        summary="councilor can reach you; no task is behind this message.",
        action="Nothing.",
    )


def refused_submission(due: Due, settlement: Settlement, *, now: datetime) -> Notification:
    """The notification that a schedule could not submit its task at a due time."""
    schedule = due.schedule
    return Notification(
        id=f"{due.task_id}-{Reason.FAILED.value}",
        reason=Reason.FAILED,
        sent_at=now,
        task_id=due.task_id,
        title=f"Schedule {schedule.name}: nothing was submitted for {due.due_at:%Y-%m-%d %H:%M} UTC",
        repository=presentable(schedule.repository, SUMMARY_LIMIT),
        spec_id=schedule.spec_id,
        tier=schedule.tier,
        worker=schedule.worker,
        state="failed",
        decision=None,
        summary=presentable(settlement.error or "", SUMMARY_LIMIT),
        action=presentable(f"{settlement.hint or ''} See: councilor schedule show {schedule.name}", SUMMARY_LIMIT),
    )


def _summary(head: TaskHead, account: Account, verdict: Verdict | None) -> str:
    if account.failure is not None:
        return account.failure
    if verdict is None:
        return f"The task is {head.state.value}."
    return _judged(verdict)


def _judged(verdict: Verdict) -> str:
    lead = f"{verdict.decision.value}, P = {verdict.probability:.3f}"
    return ". ".join([lead, *_reasons(verdict)])


def _reasons(verdict: Verdict) -> Sequence[str]:
    blocking = [f"{gate.gate}: {gate.summary}".rstrip(".") for gate in verdict.gates if gate.blocks]
    more = [f"{len(blocking) - NAMED_GATES} more gates"] if len(blocking) > NAMED_GATES else []
    return [*blocking[:NAMED_GATES], *more, *(f"needs {need}" for need in verdict.missing_evidence[:NAMED_GATES])]


def _action(reason: Reason, head: TaskHead, account: Account) -> str:
    match reason:
        case Reason.ACCEPTED if head.commit:
            return f"Read it and take it over: councilor diff {head.task_id}; councilor apply {head.task_id}"
        case Reason.ACCEPTED:
            return f"Nothing was published. Read it: councilor diff {head.task_id}"
        case Reason.FAILED:
            return account.failure_hint or f"See: councilor show {head.task_id}"
        case Reason.CANCELLED:
            return "None; submit the task again if it is still wanted."
        case _:
            return f"See why, then decide: councilor show --why {head.task_id}"
