"""PostgreSQL's client programs (`pg_dump`, `pg_restore`, `psql`) at work on one database.

Rules:
- They reach the database just as we do: with the parameters of a connection of ours, its defaults and `PG*` variables
  included. The password is in their environment, never in their arguments.
- On the embedded server they run as its account; on another server as this user, whose certificates they may need.
- The wheel's programs know no TLS. For another server they get the library that our own connections use instead of
  theirs, where psycopg brings one.
- Data passes through pipes in pieces; what a program says last is the reason in the error.
- Who stops caring for a program (an error, a cancellation) ends it; one that is silent for too long is ended, too.

Source: PostgreSQL 18 manual, 32.15 (environment variables) and the references of the three programs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from psycopg import conninfo

from councilor.adapters.postgres.pool import Connection
from councilor.adapters.postgres.programs import (
    BACKEND,
    MAJOR_VERSION,
    Account,
    Programs,
    find_programs,
    server_account,
)
from councilor.errors import DeadlineError, InputError, UnavailableError

__all__ = ["PIECE_BYTES", "Client", "RunningProgram", "check_dumpable", "make_client"]

PIECE_BYTES = 2**18
LAST_WORDS_BYTES = 8192
SILENCE_S = 3600.0
"""A program may take this long without reading or writing anything: building a large index does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """How the programs reach one database."""

    programs: Programs
    database: str
    """Connection string without secrets."""
    environment: Mapping[str, str]

    @asynccontextmanager
    async def run(self, name: str, *arguments: str) -> AsyncIterator[RunningProgram]:
        """Run a program while the context lasts; one that has not ended then is killed.

        Raises:
            UnavailableError: it cannot be started.
        """
        try:
            process = await self.programs.start(
                name, *arguments, environment=self.environment, buffer_bytes=PIECE_BYTES
            )
        except OSError as error:
            raise UnavailableError(f"{name} cannot be started: {error}", backend=BACKEND) from error
        running = RunningProgram(name, process)
        listening = asyncio.create_task(running.listen())
        try:
            yield running
        finally:
            with suppress(ProcessLookupError):
                if process.returncode is None:
                    process.kill()
            await running.drain()
            await process.wait()
            await listening


class RunningProgram:
    """One program and its pipes."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdin and process.stdout and process.stderr, "it was started with pipes"
        self._name = name
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._last_words = b""
        self._silent = asyncio.Event()

    async def read(self) -> bytes:
        """The next piece of its output; empty at its end."""
        async with self._patience():
            return await self._stdout.read(PIECE_BYTES)

    async def write(self, piece: bytes) -> bool:
        """Give it input; False when it takes no more, and `finish` tells why."""
        try:
            async with self._patience():
                self._stdin.write(piece)
                await self._stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    async def end_input(self) -> None:
        """Tell it that its input is complete."""
        self._stdin.close()
        with suppress(BrokenPipeError, ConnectionResetError):
            async with self._patience():
                await self._stdin.wait_closed()

    async def finish(self) -> None:
        """Wait for its end.

        Raises:
            UnavailableError: it failed; the message has what it said.
        """
        async with self._patience():
            await self.drain()
            code = await self._process.wait()
        if code != 0:
            await self._silent.wait()
            raise self._failure(code)

    async def drain(self) -> None:
        """Throw the rest of its output away: unread, it keeps a program from ending, and asyncio from noticing that."""
        while await self._stdout.read(PIECE_BYTES):
            pass

    async def listen(self) -> None:
        """Keep the last of what it says, until it ends."""
        while piece := await self._stderr.read(LAST_WORDS_BYTES):
            self._last_words = (self._last_words + piece)[-LAST_WORDS_BYTES:]
        self._silent.set()

    def _failure(self, code: int) -> UnavailableError:
        lines = [line.strip() for line in self._last_words.decode("utf-8", "replace").splitlines() if line.strip()]
        # the first complaint is the cause, what follows it are consequences
        first = next((number for number, line in enumerate(lines) if "error" in line.lower()), max(0, len(lines) - 3))
        said = " | ".join(lines[first : first + 3]) or f"it ended with {code}"
        hint = next((hint for sign, hint in HINTS if sign in said), None)
        return UnavailableError(f"{self._name} did not do its work: {said}", backend=BACKEND, hint=hint)

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(SILENCE_S):
                yield
        except TimeoutError as error:
            raise DeadlineError(
                f"{self._name} neither read nor wrote anything for {SILENCE_S:g} s.",
                backend=BACKEND,
                deadline_s=SILENCE_S,
            ) from error


HINTS = (
    ("No space left on device", "Free some space on the database's disk."),
    ("permission denied", "Give the database's user the right to read, create and use all of councilor's tables."),
    ("has got rows meanwhile", "Stop what works on this database, or restore into another one."),
    ("lock timeout", "Stop what works on this database, then try again."),
    ("connection", "Start the server with `councilor db up`, or correct storage.database.url."),
)


async def make_client(connection: Connection, *, copies: Path, embedded: bool) -> Client:
    """The programs for the database that `connection` leads to.

    Args:
        copies: where the programs may be copied for the embedded server's account.
        embedded: whether it is the embedded server.

    Raises:
        UnavailableError: they are not there.
        InputError: the URL has a parameter that cannot be handed on without showing it.
    """
    parameters = connection.info.get_parameters()
    for resolved in ("service", "servicefile"):  # their values are parameters by now
        parameters.pop(resolved, None)
    if parameters.pop("sslpassword", None):
        raise InputError(
            "The database URL has an sslpassword, which cannot be handed to pg_dump.",
            field="storage.database.url",
            hint="Use a key file without a password, readable by you alone.",
        )
    environment = {} if embedded else _environment_of_user()
    if connection.info.password:
        environment["PGPASSWORD"] = connection.info.password
    account = server_account() if embedded else Account(uid=os.geteuid(), gid=os.getegid())
    return Client(
        programs=await asyncio.to_thread(find_programs, account, copies=copies),
        database=conninfo.make_conninfo("", **parameters | {"application_name": "councilor backup"}),
        environment=environment,
    )


def check_dumpable(version: int) -> None:
    """Refuse a server that our programs are too old for.

    Args:
        version: as libpq gives it, 190001 for 19.1.

    Raises:
        UnavailableError: it is newer.
    """
    if version // 10_000 > MAJOR_VERSION:
        raise UnavailableError(
            f"The database server is PostgreSQL {version // 10_000}; councilor's pg_dump is of {MAJOR_VERSION} and "
            "cannot read a newer one.",
            backend=BACKEND,
            hint=f"Use the server's own pg_dump, or a councilor that brings PostgreSQL {version // 10_000}.",
        )


def _environment_of_user() -> dict[str, str]:
    """Where certificates are looked for, and a libpq with TLS."""
    environment = {"HOME": os.environ["HOME"]} if "HOME" in os.environ else {}
    spec = find_spec("psycopg_binary")
    if spec is not None and spec.origin is not None:
        libraries = Path(spec.origin).parent.with_name("psycopg_binary.libs")
        if found := sorted(libraries.glob("libpq-*.so*")):
            environment["LD_PRELOAD"] = str(found[-1])
    return environment
