"""Exit codes, the same for every command; docs/reference/cli.md documents them."""

from __future__ import annotations

from enum import IntEnum

from councilor.domain.task import TaskState
from councilor.errors import (
    CouncilorError,
    InputError,
    IntegrityError,
    NotFoundError,
    RunCancelledError,
    UnavailableError,
)

__all__ = ["ExitCode", "exit_of_error", "exit_of_state"]


class ExitCode(IntEnum):
    """What a command's end means."""

    ACCEPTED = 0
    REJECTED = 1
    BAD_INPUT = 2
    UNDECIDED = 3
    UNAVAILABLE = 4
    FAILED = 5
    CANCELLED = 130


def exit_of_state(state: TaskState) -> ExitCode:
    """The exit code for a task's end state; a task that has not ended is undecided."""
    return {
        TaskState.COMPLETED: ExitCode.ACCEPTED,
        TaskState.REJECTED: ExitCode.REJECTED,
        TaskState.FAILED: ExitCode.FAILED,
        TaskState.CANCELLED: ExitCode.CANCELLED,
    }.get(state, ExitCode.UNDECIDED)


def exit_of_error(error: CouncilorError) -> ExitCode:
    """The exit code for an error."""
    match error:
        case InputError() | NotFoundError():
            return ExitCode.BAD_INPUT
        case RunCancelledError():
            return ExitCode.CANCELLED
        case UnavailableError():
            return ExitCode.UNAVAILABLE
        case IntegrityError():
            return ExitCode.REJECTED
        case _:
            return ExitCode.FAILED
