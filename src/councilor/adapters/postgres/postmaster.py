"""Which server process owns a data folder, and whether it takes connections.

Rules:
- A process id in `postmaster.pid` proves nothing: after a crash another process may have it. A process belongs to a
  data folder when that is its working folder, which is so for every process of a PostgreSQL server.
- A server takes connections when it lets one begin. Its socket and its file tell less: a server that a full disk
  crashed says `ready` while it replays its log, and may end over that. It is asked as libpq asks, without a library.

Source: PostgreSQL 18, `src/include/utils/pidfile.h` (the lines of the file) and the manual's chapters 54.2.1
(start-up), 54.7 (formats of messages) and appendix A (57P03, cannot_connect_now).
"""

from __future__ import annotations

import socket
import struct
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

__all__ = ["PORT", "Answer", "Postmaster", "ask", "processes_in", "read_postmaster", "socket_path"]

PORT = 5432
"""Only names the socket's file: the server listens on no network."""
PID_FILE = "postmaster.pid"
_WHO = b"user\0postgres\0database\0postgres\0\0"
START_UP = struct.pack("!ii", 8 + len(_WHO), 3 << 16) + _WHO
"""A request to begin a connection, protocol 3.0."""
TERMINATE = b"X" + struct.pack("!i", 4)
CANNOT_CONNECT_NOW = b"C57P03\0"
"""The field of an error that says so: the server starts, stops or replays its log."""
LONGEST_MESSAGE = 64 * 1024


class Answer(StrEnum):
    """What a server says to somebody who wants to begin a connection."""

    NONE = "none"
    NOT_NOW = "not_now"
    YES = "yes"


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


def ask(path: Path, *, timeout_s: float) -> Answer:
    """Begin a connection at a server's socket and end it again; one that only has no room left takes connections, too.

    Args:
        timeout_s: for each wait.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        try:
            client.connect(str(path))
            client.sendall(START_UP)
            with client.makefile("rb") as messages:
                while (kind := messages.read(1)) not in (b"Z", b"E"):  # ready for a query; an error, which is the last
                    if not kind:
                        return Answer.NONE
                    _body(messages)
                if kind == b"E":
                    return Answer.NOT_NOW if CANNOT_CONNECT_NOW in _body(messages) else Answer.YES
            client.sendall(TERMINATE)
        except (OSError, ValueError):
            return Answer.NONE
    return Answer.YES


def _body(messages: BinaryIO) -> bytes:
    """What follows a message's kind."""
    (length,) = struct.unpack("!i", messages.read(4).ljust(4, b"\0"))
    if not 4 <= length <= LONGEST_MESSAGE:
        raise ValueError("this is no PostgreSQL server")
    return messages.read(length - 4)


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
