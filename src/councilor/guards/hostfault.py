"""Faults of the host: what no task can be blamed for, and what a run survives.

Rules:
- The disk is full or read-only, a limit on memory, processes or open files is reached, our own database does not
  answer, or the signing key may not sign any more: the run is interrupted, nothing of the step is remembered, and it
  can be resumed once that is put right.
- Every other error is the task's own outcome, a budget that was spent while the database was asked among them.
- The fault may lie behind other errors: causes, contexts and groups are searched.

It repairs nothing. Source: errno(3).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from councilor.errors import BudgetSpentError, FencedError, ShortageError, UnavailableError

__all__ = ["find_host_fault", "is_fenced"]

STORES = frozenset({"postgres", "dbos", "ed25519"})
"""Backends without which no run can be told, remembered or signed for."""
SPACE = "Free some space there, then go on: councilor run --resume last."
LIMIT = "Raise the limit or end other programs, then go on: councilor run --resume last."
SHORTAGES = {
    errno.ENOSPC: ("There is no space left on the disk", SPACE),
    errno.EDQUOT: ("The disk quota is used up", SPACE),
    errno.EROFS: ("The file system is read-only", "Make it writable, then go on: councilor run --resume last."),
    errno.EIO: ("The disk does not work", "Look at the system's log (dmesg)."),
    errno.EMFILE: ("This process has too many files open (ulimit -n)", LIMIT),
    errno.ENFILE: ("This machine has too many files open", LIMIT),
    errno.ENOMEM: ("There is no memory left", LIMIT),
    errno.EAGAIN: ("No further process can be started (ulimit -u)", LIMIT),
}


def find_host_fault(error: BaseException) -> UnavailableError | None:
    """The fault of the host that `error` is or comes from, or None."""
    for found in _behind(error):
        if isinstance(found, BudgetSpentError):
            continue
        if isinstance(found, ShortageError) or (isinstance(found, UnavailableError) and found.backend in STORES):
            return found
        if isinstance(found, OSError) and found.errno in SHORTAGES:
            what, hint = SHORTAGES[found.errno]
            place = f": {found.filename}" if isinstance(found.filename, str) else ""
            return ShortageError(f"{what}{place}.", backend="host", hint=hint)
    return None


def is_fenced(error: BaseException) -> bool:
    """Whether `error` is, or comes from, the refusal of an execution that another process has taken over."""
    return any(isinstance(found, FencedError) for found in _behind(error))


def _behind(error: BaseException) -> Iterator[BaseException]:
    """`error` and everything that it comes from, each once, the nearest first."""
    pending, seen = [error], {id(error)}
    while pending:
        found = pending.pop(0)
        yield found
        near = [found.__cause__, None if found.__suppress_context__ else found.__context__]
        if isinstance(found, BaseExceptionGroup):
            near += found.exceptions
        for other in near:
            if other is not None and id(other) not in seen:
                seen.add(id(other))
                pending.append(other)
