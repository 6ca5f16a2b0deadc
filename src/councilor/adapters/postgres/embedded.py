"""A PostgreSQL server of our own: started when first needed, joined when it runs, stopped only when asked.

Rules:
- The server outlives the process that started it; only `down` stops it. Nothing happens at import or at exit.
- A cluster appears in one rename, whole, with its database: a killed first start leaves nothing half-made.
- It listens on a Unix socket in a private folder and on no network. Whoever may open that folder is trusted.
- One starter at a time holds a lock file in the data folder; the others wait, then join.
- Only processes whose working folder is this data folder are ever signalled, through `pg_ctl`, never with SIGKILL.
- For root the folder belongs to root and may be passed through; what is inside belongs to the server's user alone.

What it does not do: serve other machines, or upgrade data of another major version.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from subprocess import SubprocessError
from urllib.parse import quote

from councilor.adapters.postgres.cluster import make_cluster, remove_unfinished
from councilor.adapters.postgres.postmaster import (
    PID_FILE,
    PORT,
    Answer,
    Postmaster,
    ask,
    processes_in,
    read_postmaster,
    socket_path,
)
from councilor.adapters.postgres.programs import (
    BACKEND,
    MAJOR_VERSION,
    Programs,
    find_programs,
    server_account,
)
from councilor.adapters.postgres.serverlog import ServerLog
from councilor.errors import DeadlineError, InputError, UnavailableError
from councilor.guards.ownership import make_own_folder

__all__ = ["DATABASE", "EmbeddedPostgres", "ServerStatus"]

DATABASE = "councilor"
LONGEST_SOCKET_PATH = 103
"""Bytes; Linux takes 107, macOS 103."""
POLL_S = 0.05
LEFT_BEHIND = "pre-existing shared memory block"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerStatus:
    """How the embedded server stands."""

    running: bool
    """It answers and takes connections."""
    pid: int | None
    url: str
    folder: Path
    log: Path


class EmbeddedPostgres:
    """The server of one folder.

    Args:
        folder: holds the data, the socket and the log; made when missing. Keep it off network file systems.
        timeout_s: the longest that `up` and `down` each take, recovery after a crash included.
        hanging_s: seconds after which a server that says it is ready, and does not answer, is taken to hang.
    """

    def __init__(self, folder: Path, *, timeout_s: float = 90.0, hanging_s: float = 15.0) -> None:
        if "\n" in str(folder):
            raise InputError("The data folder's name holds a line break.", field="storage.folder")
        self._folder = folder.expanduser().resolve()
        self._data = self._folder / "data"
        self._timeout_s = timeout_s
        self._hanging_s = hanging_s
        self._log = ServerLog(self._folder / "server.log")

    @property
    def copies(self) -> Path:
        """Where the programs are copied when the server's account cannot reach them."""
        return self._folder / f"postgresql-{MAJOR_VERSION}"

    def up(self) -> str:
        """Start the server, or join it when it runs; gives the URL of the database `councilor`.

        Raises:
            UnavailableError: it cannot start; the message has the last lines of its log.
            DeadlineError: it did not become ready in time.
        """
        if self._answer(read_postmaster(self._data)) is not Answer.YES:
            with self._alone():
                programs = self._programs()
                self._make_cluster(programs)
                self._start(programs)
        return self.url()

    def down(self) -> bool:
        """Stop the server after its running statements were cancelled; False when it did not run.

        Raises:
            UnavailableError: it could not be stopped.
        """
        if not self._data.exists():
            return False
        with self._alone():
            if not self._owner():
                return False
            programs = self._programs()
            for mode in ("fast", "immediate"):  # the second recovers from the log at the next start: nothing is lost
                stopped = programs.run(
                    "pg_ctl", "stop", "-D", "data", "-m", mode, "-w", "-t", str(int(self._timeout_s / 2)),
                    cwd=self._folder, timeout_s=self._timeout_s,
                )  # fmt: skip
                if stopped.returncode == 0 or not self._owner():
                    return True
            raise UnavailableError(f"The database server did not stop: {stopped.stdout.strip()}", backend=BACKEND)

    def status(self) -> ServerStatus:
        """How it stands; changes nothing."""
        postmaster = self._owner()
        return ServerStatus(
            running=self._answer(postmaster) is Answer.YES,
            pid=postmaster.pid if postmaster else None,
            url=self.url(),
            folder=self._folder,
            log=self._log.path,
        )

    def process_id(self) -> int | None:
        """Its process; None when there is none. Says nothing about whether it answers, and waits for nothing."""
        postmaster = self._owner()
        return postmaster.pid if postmaster else None

    def url(self, database: str = DATABASE) -> str:
        """The URL of one of its databases; says nothing about whether the server runs."""
        return f"postgresql://postgres@/{quote(database)}?host={quote(str(self._socket_folder()), safe='')}&port={PORT}"

    def _answer(self, postmaster: Postmaster | None) -> Answer:
        if postmaster is None or postmaster.status != "ready":
            return Answer.NOT_NOW
        return ask(socket_path(self._socket_folder()), timeout_s=2.0)

    def _owner(self) -> Postmaster | None:
        """The postmaster of the data folder, when the process that `postmaster.pid` names really is one."""
        postmaster = read_postmaster(self._data)
        return postmaster if postmaster and postmaster.pid in processes_in(self._data) else None

    def _socket_folder(self) -> Path:
        inside = self._folder / "run"
        if len(os.fsencode(socket_path(inside))) <= LONGEST_SOCKET_PATH:
            return inside
        # /tmp by name: TMPDIR may differ between two processes that must meet here
        return Path("/tmp") / f"councilor-{sha256(os.fsencode(self._folder)).hexdigest()[:16]}"  # noqa: S108

    def _programs(self) -> Programs:
        return find_programs(server_account(), copies=self.copies)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder's lock; the kernel gives it back when its holder dies."""
        deadline = time.monotonic() + self._timeout_s
        with self._translated():
            self._make_folder()
            lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > deadline:
                        raise self._late(
                            "Another process is still starting or stopping the database", self._timeout_s
                        ) from error
                    time.sleep(POLL_S)
            with self._translated():
                yield
        finally:
            os.close(lock)

    def _make_folder(self) -> None:
        make_own_folder(self._folder)
        state = self._folder.stat()
        if state.st_uid != os.geteuid() or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UnavailableError(
                f"The database folder {self._folder} belongs to another user or can be written to by others.",
                backend=BACKEND,
                hint="Set a data folder that is yours alone.",
            )

    def _make_cluster(self, programs: Programs) -> None:
        remove_unfinished(self._folder)
        if not self._data.exists():
            make_cluster(self._data, programs, timeout_s=self._timeout_s)
        found = (self._data / "PG_VERSION").read_text().strip()
        if found != str(MAJOR_VERSION):
            raise UnavailableError(
                f"The database in {self._data} is of PostgreSQL {found}; this release runs {MAJOR_VERSION}.",
                backend=BACKEND,
                hint=f"Dump it with PostgreSQL {found} and restore it, or set another data folder.",
            )

    def _start(self, programs: Programs) -> None:
        """Start the server, unless one is on its way up already; return when it takes connections."""
        deadline = time.monotonic() + self._timeout_s
        hung = time.monotonic() + self._hanging_s
        while (answer := self._answer(postmaster := read_postmaster(self._data))) is not Answer.YES:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise self._late("The database server is not ready", self._timeout_s)
            if processes := processes_in(self._data):  # starting, stopping, or left behind by a killed postmaster
                if postmaster is None or answer is Answer.NOT_NOW or postmaster.pid not in processes:
                    hung = time.monotonic() + self._hanging_s
                elif time.monotonic() > hung:
                    raise self._late("The database server is there, and does not answer", self._hanging_s)
                time.sleep(POLL_S)
                continue
            if postmaster is not None:
                self._forget(postmaster)
            mark = self._log.prepare(programs.account)
            started = programs.run(
                "pg_ctl", "start", "-D", "data", "-l", self._log.path.name, "-w", "-t", str(max(1, int(left_s))),
                "-o", f"-p {PORT} -k {self._prepare_socket_folder(programs)}",
                cwd=self._folder, timeout_s=left_s + 5,
            )  # fmt: skip
            if started.returncode and not processes_in(self._data) and LEFT_BEHIND not in self._log.since(mark):
                raise self._log.failure("The database server does not start", self._log.since(mark) or started.stdout)

    def _forget(self, postmaster: Postmaster) -> None:
        """Remove what a dead server left, when its process id lives on in a process that is none of its own.

        The server itself takes such an id for a running server and refuses to start. It still refuses to share its
        memory segment, which it finds by the data folder and not by this file.
        """
        if _is_alive(postmaster.pid):
            (self._data / PID_FILE).unlink(missing_ok=True)
            path = socket_path(self._socket_folder())
            path.with_name(path.name + ".lock").unlink(missing_ok=True)

    def _prepare_socket_folder(self, programs: Programs) -> str:
        """Make it private to the server's user; its name relative to the data folder where it is inside ours."""
        folder = self._socket_folder()
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            os.chown(folder, programs.account.uid, programs.account.gid, follow_symlinks=False)
        state = folder.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != programs.account.uid:
            raise UnavailableError(
                f"The socket folder {folder} belongs to somebody else.", backend=BACKEND, hint=f"Remove {folder}."
            )
        folder.chmod(0o700)
        return "../run" if folder.parent == self._folder else str(folder)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, SubprocessError) as error:
            raise self._log.failure("The database server cannot be started or stopped", str(error)) from error

    def _late(self, what: str, deadline_s: float) -> DeadlineError:
        return DeadlineError(
            f"{what} after {deadline_s:g} s.",
            backend=BACKEND,
            deadline_s=deadline_s,
            hint=f"Look into {self._log.path}; `councilor db status` shows the process.",
        )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
