"""Durable execution: a run survives the process that executes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from councilor.domain.codec import JsonValue

__all__ = ["Engine", "RunState", "RunStatus", "Workflow"]

T = TypeVar("T")

Workflow = Callable[[str], Awaitable[JsonValue]]
"""What a run executes, given its run id. Only what happens inside steps is remembered, so it must be deterministic
between them; it gives small JSON."""


class RunState(StrEnum):
    """Where the engine has a run."""

    PENDING = "pending"
    """Being executed, or interrupted and resumable."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStatus:
    """One run as the engine knows it."""

    run_id: str
    state: RunState
    result: JsonValue = None
    error: str | None = None
    executor_id: str | None = None
    """The process that holds it."""


class Engine(Protocol):
    """Runs one registered workflow durably.

    Every method raises `UnavailableError` when the engine's database does not answer.
    """

    async def start(self, workflow: Workflow) -> None:
        """Register the workflow and become able to execute runs."""
        ...

    async def stop(self) -> None:
        """Stop executing; unfinished runs stay resumable."""
        ...

    async def submit(self, run_id: str) -> JsonValue:
        """Execute a run in this process and give its result; the same id again joins or returns the finished run.

        Workflow and steps run in the caller's task. Raises whatever the workflow raised. When the caller is
        cancelled, the running step is cancelled, nothing of it is remembered, and the run stays resumable; submitted
        again it goes on like a recovered one.

        Raises:
            RunCancelledError: the run was cancelled.
        """
        ...

    async def step(
        self, name: str, fn: Callable[[], Awaitable[JsonValue]], *, preemptible: bool = False, timeout_s: float
    ) -> JsonValue:
        """Inside a workflow, not inside another step: execute `fn` once, ever, and remember the small JSON it gives.

        What it raises is remembered as well and raised again: an error of our tree or a built-in one as the same
        class, any other as a `RuntimeError`.

        Args:
            name: the same for the same step each time the workflow is executed.
            preemptible: whether `cancel` may interrupt it.
            timeout_s: its deadline in seconds.

        Raises:
            DeadlineError: it took longer.
            InputError: it gave something that is not JSON data.
            IntegrityError: an earlier execution had a step of another name in this place.
        """
        ...

    async def recover(self, run_id: str) -> JsonValue:
        """Take over an interrupted run, from its last finished step, and give its result.

        Raises:
            NotFoundError: no such run.
            BusyError: a live process is executing it.
            RunCancelledError: the run was cancelled.
        """
        ...

    async def cancel(self, run_id: str) -> None:
        """End a run for good; its preemptible step is interrupted within a second. A finished run stays as it is.

        Raises:
            NotFoundError: no such run.
        """
        ...

    async def status(self, run_id: str) -> RunStatus | None:
        """One run, or None."""
        ...

    async def forget(self, *, ended_before_s: float) -> int:
        """Forget the steps of runs that ended so many seconds ago; the runs stay, and give what they gave.

        Returns:
            Of how many runs there was something to forget.
        """
        ...

    async def list(self, *, state: RunState | None = None, limit: int = 100) -> Sequence[RunStatus]:
        """Runs, newest first."""
        ...
