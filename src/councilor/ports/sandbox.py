"""Running something that is not trusted.

Paths are the same inside and outside, so that one job fits every sandbox; what is not mounted cannot be read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

__all__ = ["Channel", "Job", "Limits", "Mount", "Sandbox", "SandboxLevel", "SandboxProbe", "SandboxResult"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """One folder or file of the host that the job can see at the same path."""

    path: Path
    writable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a job may consume."""

    wall_s: float
    """Seconds until the whole process group is killed."""
    memory_bytes: int = 4 * 2**30
    processes: int = 512
    file_bytes: int = 2 * 2**30
    """Size of the largest file it may write."""
    disk_bytes: int = 8 * 2**30
    """What it may add to its writable folders altogether; an empty file counts as one block."""
    output_bytes: int = 16 * 2**20
    """Standard output and error that are kept; the rest is read and dropped."""


class Channel(Protocol):
    """The runner's own duplex line to the job: newline-ended UTF-8 lines over a socket that the job inherits.

    The job finds its end's descriptor number in the environment variable `COUNCILOR_CHANNEL`.
    """

    async def send(self, line: str) -> None:
        """Send one line; does nothing once the job has closed its end."""
        ...

    async def receive(self) -> str | None:
        """The next line without its newline, at most 1 MiB; None when the job has closed its end or died."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What to run."""

    argv: tuple[str, ...]
    cwd: Path
    mounts: tuple[Mount, ...]
    limits: Limits
    env: Mapping[str, str] = field(default_factory=dict)
    """The whole environment; nothing of the host's is added but PATH, HOME, TMPDIR and LANG where they are missing."""
    stdin: bytes = b""
    network: bool = False
    """Full network: for building an environment only."""
    proxy_hosts: tuple[str, ...] = ()
    """`host:port` reachable through the allow-list proxy while `network` is False."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SandboxResult:
    """How it ended."""

    exit_code: int | None
    """None when it was killed by us; negative for a signal's number."""
    output: bytes
    """Standard output and error, interleaved, capped at `limits.output_bytes`."""
    output_truncated: bool
    timed_out: bool
    duration_s: float
    reached: tuple[str, ...] = ()
    """Limits that it ran into, of `memory`, `processes` and `disk`, as far as the machine tells."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SandboxLevel:
    """What a sandbox achieves; recorded in the provenance."""

    name: str
    """`bubblewrap`, `landlock`, `seatbelt` or `none`."""
    filesystem: bool
    """Only mounts can be read, and only writable ones changed, permissions included."""
    network: bool
    """No connection of any kind leaves it."""
    processes: bool
    """It cannot see or signal processes outside, and none of its own survives it."""
    resources: bool
    """Memory and the number of processes are capped for the job as a whole."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SandboxProbe:
    """What the negative tests at start found."""

    level: SandboxLevel
    checks: Mapping[str, bool]
    """Name of the negative test -> whether the sandbox withstood it."""
    detail: str = ""


class Sandbox(Protocol):
    """One kind of sandbox.

    Every method raises `SandboxError` when the sandbox itself fails; a job that fails is a result. A job that may not
    be run as it is (a mount that is missing or would show councilor's own secrets) is an `InputError`.
    """

    name: str

    async def probe(self) -> SandboxProbe:
        """Try to break out in every known way and say what was achieved; the answer is kept for the process."""
        ...

    async def run(
        self,
        job: Job,
        *,
        talk: Callable[[Channel], Awaitable[None]] | None = None,
        on_output: Callable[[bytes], None] | None = None,
        linger_s: float | None = None,
    ) -> SandboxResult:
        """Run a job to its end.

        Args:
            talk: holds the conversation over the channel while the job runs; when it returns, the job goes on, and
                when it raises, the job is killed and the exception comes out.
            linger_s: seconds that the job may go on when the conversation is over; its end of the channel reads
                end-of-file then, and after them it is killed, which is no error. None: as long as it likes.
            on_output: receives output as it comes, capped like `SandboxResult.output`.

        Where the caller's run stands still (`guards/standstill.py`), every process of the job is stopped within a
        second, and neither its time limit nor its duration goes on until the run does.

        When the caller is cancelled, the whole process group is killed (SIGTERM, then SIGKILL within a second).
        """
        ...
