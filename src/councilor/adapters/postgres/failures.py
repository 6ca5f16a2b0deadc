"""What a failure of PostgreSQL means to a caller: the one place where psycopg's errors become ours.

Rules:
- What may work at the next try, or on another server, is unavailable; damaged data is an integrity error; a value that
  the database refuses is bad input.
- A URL never appears in a message, because it may hold a password.

Source: PostgreSQL 18 manual, appendix A (SQLSTATE codes).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import conninfo, errors
from psycopg_pool import PoolClosed, PoolTimeout

from councilor.adapters.postgres.programs import BACKEND
from councilor.errors import CouncilorError, DeadlineError, FencedError, InputError, IntegrityError, UnavailableError

__all__ = ["OLDEST_VERSION", "check_server", "translated", "url_parameters"]

OLDEST_VERSION = 15
FENCED = "CF001"
"""What the trigger of migration 012 raises."""
UNREACHABLE = "Start it with `councilor db up`, or correct storage.database.url."
HINTS: tuple[tuple[type[psycopg.Error], str], ...] = (
    (errors.DiskFull, "Free some space on the database's disk."),
    (errors.OutOfMemory, "Give the database more memory."),
    (errors.TooManyConnections, "Raise max_connections, or run fewer workers."),
    (errors.ReadOnlySqlTransaction, "storage.database.url names a standby: use the primary."),
    (errors.InsufficientPrivilege, "Give the database's user the right to create and use tables."),
    (errors.UndefinedTable, "Bring the database up to date with `councilor db up`."),
    (errors.UndefinedColumn, "Bring the database up to date with `councilor db up`."),
    (errors.SerializationFailure, "Try again."),
    (errors.DeadlockDetected, "Try again."),
)


@contextmanager
def translated(*, deadline_s: float) -> Iterator[None]:
    """Raise this project's error for psycopg's; `deadline_s` is what a statement or a connection is given."""
    try:
        yield
    except (psycopg.Error, PoolTimeout, PoolClosed) as error:
        raise _meaning(error, deadline_s) from error


def _meaning(error: psycopg.Error, deadline_s: float) -> CouncilorError:
    text = error.diag.message_primary or " ".join(str(error).split()) or type(error).__name__
    if error.sqlstate == FENCED:
        return FencedError(f"{text[:1].upper()}{text[1:]}.")
    match error:
        case errors.QueryCanceled() | errors.ConnectionTimeout() | errors.LockNotAvailable() | PoolTimeout():
            return DeadlineError(
                f"The database did not answer in {deadline_s:g} s: {text}", backend=BACKEND, deadline_s=deadline_s
            )
        case errors.DataCorrupted() | errors.IndexCorrupted():
            return IntegrityError(f"The database is damaged: {text}")
        case psycopg.DataError() | psycopg.IntegrityError():
            return InputError(f"The database refuses this: {text}")
    hint = next((hint for kind, hint in HINTS if isinstance(error, kind)), UNREACHABLE)
    return UnavailableError(f"The database did not do its work: {text}", backend=BACKEND, hint=hint)


def url_parameters(url: str) -> dict[str, str]:
    """What a database URL says, as libpq's parameters.

    Raises:
        InputError: it is not one.
    """
    try:
        found = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # from None: the parser's message repeats the URL, with its password
        raise InputError(
            "storage.database.url is not a PostgreSQL URL.",
            field="storage.database.url",
            hint="It has the form postgresql://user:password@host:5432/database.",
        ) from None
    return {name: str(value) for name, value in found.items() if value is not None}


def check_server(version: int) -> None:
    """Refuse a server that is too old.

    Args:
        version: as libpq gives it, 150004 for 15.4.
    """
    if version // 10_000 < OLDEST_VERSION:
        raise UnavailableError(
            f"The database server is PostgreSQL {version // 10_000}; councilor needs {OLDEST_VERSION} or newer.",
            backend=BACKEND,
            hint="Use a newer server, or leave storage.database.url empty to run the embedded one.",
        )
