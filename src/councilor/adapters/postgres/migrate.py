"""Brings a database's schema up to date.

Rules:
- `migrations/NNN_name.sql`, in the order of their numbers; gaps are allowed, also below the newest applied number.
- One transaction a file, its line in the ledger included: a failing file leaves everything as it was before.
- One migrator at a time, by an advisory lock. Bare `CREATE ... IF NOT EXISTS` fails among concurrent starters.
- An applied file that was edited since is refused, and so is a database with a migration that we do not have.
- A file is never edited once released; it has no transaction statements of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

import psycopg
from psycopg.pq import TransactionStatus

from councilor.adapters.postgres.failures import check_server, translated
from councilor.adapters.postgres.pool import connection_string
from councilor.adapters.postgres.programs import BACKEND
from councilor.adapters.postgres.queries import schema as queries
from councilor.errors import InputError, IntegrityError, UnavailableError

__all__ = ["Migration", "find_missing", "migrate", "packaged_migrations"]

LOCK_KEY = 0x636F756E63696C  # "council"
FILE_NAME = re.compile(r"(\d{3})_[a-z0-9_]+\.sql")
SyncConnection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    body: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file, 32 bytes."""
        return sha256(self.body).digest()


def packaged_migrations(folder: Traversable | None = None) -> Sequence[Migration]:
    """The numbered files of a folder (this package's own when None), in order.

    Raises:
        InputError: two files have one number.
    """
    found: dict[int, Migration] = {}
    for file in (folder or files("councilor.adapters.postgres") / "migrations").iterdir():
        if match := FILE_NAME.fullmatch(file.name):
            number = int(match[1])
            if number in found:
                raise InputError(f"Two migrations have the number {number:03}: {found[number].name}, {file.name}.")
            found[number] = Migration(number=number, name=file.name, body=file.read_bytes())
    return [found[number] for number in sorted(found)]


def migrate(url: str, *, migrations: Sequence[Migration] | None = None, timeout_s: float = 60.0) -> Sequence[str]:
    """Apply what is missing; gives the names of the files applied, none when the schema was up to date.

    Args:
        url: of the database.
        migrations: the packaged ones when None.
        timeout_s: seconds to wait for another migrator, and for each statement.

    Raises:
        UnavailableError: the server does not answer, or a file failed: nothing of that file is left.
        IntegrityError: an applied file was edited.
        InputError: the database is of a newer release.
    """
    known = packaged_migrations() if migrations is None else migrations
    text = connection_string(
        url, connect_timeout_s=5.0, statement_timeout_s=timeout_s, application_name="councilor migrate"
    )
    with translated(deadline_s=timeout_s), psycopg.connect(text, autocommit=True) as connection:
        check_server(connection.info.server_version)
        if not find_missing(known, _applied(connection)):
            return []
        connection.execute(queries.LOCK_MIGRATIONS, [LOCK_KEY])  # given back when the connection closes
        connection.execute(queries.CREATE_MIGRATION_LEDGER)
        missing = find_missing(known, _applied(connection))  # another migrator may have been here
        for migration in missing:
            _apply(connection, migration)
        return [migration.name for migration in missing]


def _applied(connection: SyncConnection) -> Mapping[int, tuple[str, bytes]]:
    if connection.execute(queries.HAS_MIGRATION_LEDGER).fetchone() == (False,):
        return {}
    rows = connection.execute(queries.READ_MIGRATION_LEDGER).fetchall()
    return {int(str(number)): (str(name), bytes(digest)) for number, name, digest in rows}  # type: ignore[call-overload]


def find_missing(known: Sequence[Migration], applied: Mapping[int, tuple[str, bytes]]) -> Sequence[Migration]:
    """What is still to be applied, after a check of what was.

    Args:
        applied: the ledger: number -> name and SHA-256 (32 bytes).

    Raises:
        IntegrityError: an applied file was edited.
        InputError: the database is of a newer release.
    """
    by_number = {migration.number: migration for migration in known}
    for number, (name, digest) in sorted(applied.items()):
        if number not in by_number:
            raise InputError(
                f"The database has the migration {name}, which this release does not know.",
                hint="Upgrade councilor: a newer release has been at work on this database.",
            )
        if by_number[number].digest != digest:
            raise IntegrityError(
                f"The migration {name} was edited after it had been applied.",
                hint="Install an unaltered release; a change to the schema is a new file with a new number.",
            )
    return [migration for migration in known if migration.number not in applied]


def _apply(connection: SyncConnection, migration: Migration) -> None:
    try:
        with connection.transaction():
            connection.execute(migration.body)
            if connection.info.transaction_status is not TransactionStatus.INTRANS:
                raise InputError(f"The migration {migration.name} ends its own transaction.")
            connection.execute(queries.ADD_TO_MIGRATION_LEDGER, [migration.number, migration.name, migration.digest])
    except psycopg.Error as error:
        raise UnavailableError(
            f"The migration {migration.name} failed and was undone: {str(error).strip()}",
            backend=BACKEND,
            hint="Correct the cause and start again; the migrations before it are in place.",
        ) from error
