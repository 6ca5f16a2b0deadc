"""Which server process owns a data folder, and whether it answers.

Rules:
- A process id in `postmaster.pid` proves nothing: after a crash another process may have it. A process belongs to a
  data folder when that is its working folder, which is so for every process of a PostgreSQL server.
- A server answers when its socket does: one byte back to an SSLRequest. That takes no credentials and no library.

Source: PostgreSQL 18, `src/include/utils/pidfile.h` (the lines of the file) and the manual's chapter 54.2.10.
"""

from __future__ import annotations

import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PORT", "Postmaster", "answers", "processes_in", "read_postmaster", "socket_path"]

PORT = 5432
"""Only names the socket's file: the server listens on no network."""
PID_FILE = "postmaster.pid"
SSL_REQUEST = struct.pack("!ii", 8, 80877103)


@dataclass(frozen=True, kw_only=True, slots=True)
class Postmaster:
    """What the server wrote about itself."""

    pid: int
    socket_folder: Path
    status: str
    """`starting`, `ready`, `standby` or `stopping`."""


def socket_path(folder: Path) -> Path:
    """The server's socket in its socket folder."""
    return folder / f".s.PGSQL.{PORT}"


def read_postmaster(data: Path) -> Postmaster | None:
    """What `postmaster.pid` says; None when there is none or it is not complete yet."""
    try:
        lines = (data / PID_FILE).read_text("utf-8", "surrogateescape").split("\n")
    except OSError:
        return None
    if len(lines) < 8 or not lines[0].strip().isdigit():
        return None
    return Postmaster(pid=int(lines[0]), socket_folder=Path(lines[4]), status=lines[7].strip())


def answers(path: Path, *, timeout_s: float) -> bool:
    """Whether a PostgreSQL server answers at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        try:
            client.connect(str(path))
            client.sendall(SSL_REQUEST)
            return client.recv(1) in (b"N", b"S")
        except OSError:
            return False


def processes_in(data: Path) -> list[int]:
    """Ids of the server processes of a data folder: a postmaster, or what one left behind when it was killed."""
    return _from_proc(data) if Path("/proc/self/cwd").exists() else _from_lsof(data)


def _from_proc(data: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == data:
                    found.append(int(entry.name))
            except OSError:  # it has ended, or is not ours to look at: a server of ours always is
                continue
    return found


def _from_lsof(data: Path) -> list[int]:
    """The same on macOS, which has no /proc (untested)."""
    listing = subprocess.run(
        ["lsof", "-a", "-c", "postgres", "-d", "cwd", "-Fpn"], capture_output=True, text=True, timeout=30, check=False
    )
    found, pid = [], 0
    for line in listing.stdout.splitlines():
        if line.startswith("p"):
            pid = int(line[1:])
        elif line == f"n{data}":
            found.append(pid)
    return found
