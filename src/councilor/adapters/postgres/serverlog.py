"""The embedded server's log, and what its last lines mean to the reader.

Rules:
- The log is kept below 10 MiB by moving it aside at a start; one older log is kept.
- A failure's message ends in the last lines; a known line gives the hint.
"""

from __future__ import annotations

import os
from pathlib import Path

from councilor.adapters.postgres.programs import BACKEND, Account
from councilor.errors import UnavailableError

__all__ = ["ServerLog"]

LARGEST_BYTES = 10 * 2**20
LAST_LINES = 6
HINTS = (
    ("No space left on device", "Free some space on its disk, or set another data folder."),
    ("Disk quota exceeded", "Free some space on its disk, or set another data folder."),
    ("Read-only file system", "Set a data folder that can be written to."),
    ("Permission denied", "The server's user must be able to pass every folder above the data folder, and own it."),
    ("could not access directory", "The server's user must be able to pass every folder above the data folder."),
    ("could not look up effective user ID", "Give the user an entry in /etc/passwd, or set storage.database.url."),
    ("Not a directory", "Set a data folder that can be made."),
    ("shared memory", "Raise the limits on shared memory (/dev/shm, kernel.shmmni), or set storage.database.url."),
)
DEFAULT_HINT = "Look into {log}, or set storage.database.url to a server of your own."


class ServerLog:
    """One log file.

    Args:
        path: the file; need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self, account: Account) -> int:
        """Make it writable to the server; gives its size in bytes, from which a new start's lines count."""
        if self.path.exists() and self.path.stat().st_size > LARGEST_BYTES:
            self.path.rename(self.path.with_suffix(".log.1"))
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if not account.is_self:
                os.fchown(handle, account.uid, account.gid)
            return os.fstat(handle).st_size
        finally:
            os.close(handle)

    def since(self, mark: int) -> str:
        """What was logged after `mark` bytes, at most the last 64 KiB of it."""
        try:
            with self.path.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(mark, end - 65_536))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def failure(self, what: str, output: str) -> UnavailableError:
        """The error for a server that does not do what it should; `output` is what it said."""
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        hint = next((hint for sign, hint in HINTS if sign in output), DEFAULT_HINT.format(log=self.path))
        return UnavailableError(f"{what}: " + " | ".join(lines[-LAST_LINES:]), backend=BACKEND, hint=hint)
