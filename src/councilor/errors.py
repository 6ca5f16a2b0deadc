"""The error tree: each class says what the caller should do.

Rules:
- `InputError`: correct the input, never retry. `UnavailableError`: retry or degrade. `IntegrityError`: stop and alarm.
- Every error has a message that names what was wrong and a `hint()` that says what to do about it.
- Ports declare which of these they raise; adapters translate foreign exceptions with `raise ... from`.
- A refusal (a failed gate, a rejecting vote) is a value, never an exception.
"""

from __future__ import annotations

__all__ = [
    "BreakerOpenError",
    "BrokenChainError",
    "BudgetSpentError",
    "BusyError",
    "CouncilorError",
    "DeadlineError",
    "DeclinedError",
    "ErasedError",
    "FencedError",
    "HashMismatchError",
    "InputError",
    "IntegrityError",
    "MissingExtraError",
    "NotFoundError",
    "PlaceTakenError",
    "RunCancelledError",
    "SandboxError",
    "ShortageError",
    "StandbyError",
    "TooLongError",
    "UnavailableError",
    "UnusableAnswerError",
]


class CouncilorError(Exception):
    """Something councilor refuses or cannot do."""

    default_hint = "Run `councilor doctor` to see the state of this machine."

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])
        self._hint = hint

    @property
    def message(self) -> str:
        """What was wrong, one sentence."""
        return str(self.args[0])

    def hint(self) -> str:
        """What the reader can do about it, one sentence."""
        return self._hint or self.default_hint


class InputError(CouncilorError):
    """The input is not acceptable; correct it and call again.

    Args:
        field: path of the offending field or argument, such as `scope.in[0]`.
        rule: identifier of the violated rule, such as `SPEC-3`.
    """

    default_hint = "Correct the input and run the command again."

    def __init__(
        self, message: str | None = None, *, hint: str | None = None, field: str | None = None, rule: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.field = field
        self.rule = rule


class BusyError(InputError):
    """Another run holds what this one needs."""

    default_hint = "Wait until it has ended, or pass --wait."


class PlaceTakenError(InputError):
    """The place of an artifact in its task is not the next one: another writer was first."""

    default_hint = "Ask for the last place again, sign for the one after it, and store once more."


class TooLongError(InputError):
    """What a model was sent does not fit into its context."""

    default_hint = "Send less, or use a model with a larger context."


class NotFoundError(CouncilorError):
    """Nothing with that name is known."""

    default_hint = "`councilor list` shows the tasks that are known."


class ErasedError(NotFoundError):
    """The bytes were removed by retention; their record and statement are still there."""

    default_hint = "A backup from before the erasure has them: `councilor db restore FILE --drill` checks it."


class FencedError(CouncilorError):
    """Another process has taken this run over, so this one may not write any more."""

    default_hint = "Nothing is lost: the other process goes on. `councilor show` tells where the task stands."


class StandbyError(CouncilorError):
    """The run waits for a person, and this process does not wait with it."""

    default_hint = "It goes on once somebody resumes or answers it: `councilor show` tells which."


class RunCancelledError(CouncilorError):
    """The run was cancelled, so it has no result and never will have one."""

    default_hint = "Submit the task again to work on it anew."


class UnavailableError(CouncilorError):
    """A backend did not do its work; retry, or degrade.

    Args:
        backend: the adapter's name, such as `postgres`.
    """

    def __init__(self, message: str | None = None, *, backend: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.backend = backend


class DeadlineError(UnavailableError):
    """A backend did not answer in time.

    Args:
        deadline_s: the seconds it was given.
    """

    def __init__(self, message: str | None = None, *, backend: str, deadline_s: float, hint: str | None = None) -> None:
        super().__init__(message, backend=backend, hint=hint)
        self.deadline_s = deadline_s


class BudgetSpentError(DeadlineError):
    """The time for all of the work was over before a backend had answered; the backend need not be at fault."""

    default_hint = "Give the task more time, or see what took it: `councilor show`."


class BreakerOpenError(UnavailableError):
    """A backend failed so often that it is left alone for a while.

    Args:
        retry_after_s: seconds until it is tried again; None where a person keeps it shut.
    """

    default_hint = "It is tried again by itself; `councilor breakers list` shows why it is left alone."

    def __init__(
        self, message: str | None = None, *, backend: str, retry_after_s: float | None, hint: str | None = None
    ) -> None:
        super().__init__(message, backend=backend, hint=hint)
        self.retry_after_s = retry_after_s


class DeclinedError(UnavailableError):
    """A backend works, but did not take this call; nothing was changed by it."""

    default_hint = "It has as much to do, or to hold, as it can: see its memory, and the connections it may be given."


class UnusableAnswerError(UnavailableError):
    """A backend answered, but not what it was asked for."""

    default_hint = "Look at what it answers; for a model, see docs/howto/model-judges.md."


class SandboxError(UnavailableError):
    """No sandbox of the required strength works here, so nothing was run."""

    default_hint = "Install bubblewrap (`apt-get install bubblewrap`), or see docs/reference/sandbox.md."


class ShortageError(UnavailableError):
    """This machine ran out of something that the work needs; nothing was decided."""

    default_hint = "Free some space, then go on: councilor run --resume last."


class MissingExtraError(UnavailableError):
    """An optional backend is switched on but not installed.

    Args:
        extra: its name, which is also the name of the adapter.
    """

    def __init__(self, *, extra: str) -> None:
        super().__init__(
            f"The optional backend {extra!r} is switched on but not installed.",
            backend=extra,
            hint=f"pip install 'councilor[{extra}]'",
        )
        self.extra = extra


class IntegrityError(CouncilorError):
    """Stored data is not what was stored; stop and look into it."""

    default_hint = "Do not trust this record: keep a copy of the database and run `councilor verify`."


class HashMismatchError(IntegrityError):
    """The bytes do not have the hash that they were stored under."""


class BrokenChainError(IntegrityError):
    """A statement does not verify, or does not follow from the one before it."""
