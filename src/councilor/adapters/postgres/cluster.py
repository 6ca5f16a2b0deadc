"""A new, empty database cluster.

Rules:
- It is made beside its place and moved there in one rename, with its database inside; what a killed predecessor left
  beside is removed.
- UTF-8, byte order, UTC, data checksums; no network; the socket is for its owner only.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from councilor.adapters.postgres.programs import Programs
from councilor.adapters.postgres.serverlog import ServerLog

__all__ = ["make_cluster", "remove_unfinished"]

UNFINISHED = "data.new-"
OPTIONS = (
    "--auth=trust", "--encoding=UTF8", "--no-locale", "--username=postgres", "--data-checksums",
    "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700",
    "-c", "timezone=UTC", "-c", "log_timezone=UTC",
)  # fmt: skip


def make_cluster(data: Path, programs: Programs, *, timeout_s: float) -> None:
    """Make the cluster `data` with the database `councilor`; the caller holds the folder's lock.

    Raises:
        UnavailableError: it cannot be made; nothing is left behind.
        OSError, subprocess.TimeoutExpired: the folder or the programs do not let us.
    """
    # its own name each time: the programs of a killed starter may still be writing to the last one
    fresh = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=data.parent))
    try:
        os.chown(fresh, programs.account.uid, programs.account.gid)
        _run(programs, "initdb", *OPTIONS, "-D", fresh.name, cwd=data.parent, timeout_s=timeout_s)
        _run(
            programs, "postgres", "--single", "-j", "-D", fresh.name, "postgres",
            cwd=data.parent, timeout_s=timeout_s, text="CREATE DATABASE councilor;\n\n",
        )  # fmt: skip
        fresh.rename(data)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def remove_unfinished(folder: Path) -> None:
    """Remove the clusters in a folder that nobody finished; the caller holds the folder's lock."""
    for path in folder.glob(f"{UNFINISHED}*"):
        shutil.rmtree(path, ignore_errors=True)  # what is still being written to goes at the next start


def _run(programs: Programs, name: str, *arguments: str, cwd: Path, timeout_s: float, text: str = "") -> None:
    made = programs.run(name, *arguments, cwd=cwd, timeout_s=timeout_s, text=text)
    # the single-user server reports a failed statement and still ends with 0
    if made.returncode or "ERROR:" in made.stdout or "FATAL:" in made.stdout:
        raise ServerLog(cwd / "server.log").failure(f"The database cannot be made in {cwd}", made.stdout)
