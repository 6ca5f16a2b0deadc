"""The end of a batch: what became of each task, in one table, and one exit code for all.

The exit code is that of the task that went worst, in this order: a backend is missing (4), a run failed (5), it was
interrupted (130), a spec was refused (2), a task was rejected (1) or undecided (3). It is 0 only if every task was
accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from councilor.domain.accounting import Account, account
from councilor.domain.codec import JsonValue
from councilor.domain.task import END_STATES, TaskHead, TaskState
from councilor.errors import CouncilorError
from councilor.pipeline.history import read_events
from councilor.ports.events import EventStream
from councilor.surfaces.cli.exits import ExitCode, exit_of_error, exit_of_state
from councilor.surfaces.cli.output import Output

__all__ = ["Line", "show_lines", "summarise", "worst"]

WORST_FIRST = (
    ExitCode.UNAVAILABLE,
    ExitCode.FAILED,
    ExitCode.CANCELLED,
    ExitCode.BAD_INPUT,
    ExitCode.REJECTED,
    ExitCode.UNDECIDED,
    ExitCode.ACCEPTED,
)
STATE_ORDER = (TaskState.COMPLETED, TaskState.REJECTED, TaskState.CANCELLED, TaskState.FAILED, TaskState.UNDECIDED)
"""Whoever needs a person stands last, next to the prompt; what has not ended follows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One task of the summary."""

    head: TaskHead
    account: Account
    standing: str
    """`new`, `resumed`, or `known`: it had ended before."""
    error: CouncilorError | None = None

    @property
    def ended(self) -> bool:
        """Whether the task has ended."""
        return self.head.state in END_STATES

    @property
    def code(self) -> ExitCode:
        """The exit code that this task alone would give."""
        if self.ended:
            return exit_of_state(self.head.state)
        return exit_of_error(self.error) if self.error else ExitCode.CANCELLED

    def json(self) -> JsonValue:
        """As JSON data."""
        head, spent = self.head, self.account.worker
        return {
            "task_id": head.task_id,
            "spec_id": head.spec_id,
            "title": head.title,
            "repository": head.repository,
            "tier": head.tier,
            "worker": head.worker,
            "standing": self.standing,
            "state": head.state.value,
            "decision": head.decision,
            "iterations": self.account.iterations,
            "seconds": round(self.account.elapsed_s - self.account.waiting_s, 3),
            "waiting_s": round(self.account.waiting_s, 3),
            "tokens": spent.tokens,
            "cost_usd": round(spent.cost_usd, 6),
            "commit": head.commit,
            "branch": _branch(head),
            "error": self.error.message if self.error else self.account.failure,
        }


async def summarise(
    standings: Mapping[str, str], endings: Mapping[str, CouncilorError | None], events: EventStream
) -> Sequence[Line]:
    """Where tasks stand now, sorted for a reader.

    Args:
        standings: task id -> `new`, `resumed` or `known`.
        endings: task id -> the error that executing it ended with.
    """
    lines = []
    for task_id, standing in standings.items():
        head = await events.head(task_id)
        if head is not None:
            told = account(await read_events(events, task_id))
            lines.append(Line(head=head, account=told, standing=standing, error=endings.get(task_id)))
    return sorted(lines, key=_rank)


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The one exit code for several; 0 for none."""
    given = set(codes)
    return next((code for code in WORST_FIRST if code in given), ExitCode.ACCEPTED)


def show_lines(lines: Sequence[Line], output: Output) -> None:
    """The table, the reasons of what failed, and, once anything has begun, the totals."""
    rows = [
        (
            line.head.spec_id,
            str(line.head.tier),
            line.head.state.value if line.ended or not line.head.begun else f"{line.head.state.value} (goes on)",
            line.head.decision or "-",
            str(line.account.iterations),
            f"{line.account.elapsed_s - line.account.waiting_s:.1f}",
            f"{line.account.worker.cost_usd:.2f}",
            _branch(line.head) or line.head.task_id,
        )
        for line in lines
    ]
    columns = ("task", "tier", "state", "decision", "rounds", "seconds", "US$", "branch, or task id")
    output.table(columns, rows)
    for line in lines:
        reason = line.error.message if line.error and not line.ended else line.account.failure
        if reason:
            output.line(f"{line.head.spec_id}: {reason}", style="red")
    if not any(line.ended or line.head.begun for line in lines):
        return
    accepted = sum(line.head.state is TaskState.COMPLETED for line in lines)
    cost = sum(line.account.worker.cost_usd for line in lines)
    output.line(f"{accepted} of {len(lines)} accepted, US$ {cost:.2f}", style="bold")


def _branch(head: TaskHead) -> str | None:
    return f"councilor/{head.task_id}" if head.commit else None


def _rank(line: Line) -> tuple[int, str, str]:
    order = STATE_ORDER.index(line.head.state) if line.head.state in STATE_ORDER else len(STATE_ORDER)
    return order, line.head.spec_id, line.head.task_id
