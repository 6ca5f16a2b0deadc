"""Holds a job that `launcher.py` runs: for Landlock, for seatbelt and for no sandbox at all.

Rules:
- The job gets a HOME and a TMPDIR of its own in a scratch folder that is removed after it.
- The launcher's word about how the job ended counts; the job cannot write to its descriptor. When the launcher itself
  was killed, the job counts as killed, too.
- SIGTERM goes to the job through the launcher. When it must end at once, the launcher kills it (SIGQUIT), and whatever
  is left in the control group is killed with the group.
"""

from __future__ import annotations

import asyncio
import marshal
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from councilor.adapters.sandbox.freezing import freeze, thaw
from councilor.adapters.sandbox.job import complete_env
from councilor.adapters.sandbox.limits import Restraint
from councilor.adapters.sandbox.process import Launch, uninterrupted
from councilor.errors import SandboxError
from councilor.guards.removal import remove_folder
from councilor.ports.sandbox import Job

__all__ = ["Confinement", "LauncherGrip", "private_folders"]

LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Confinement:
    """What the launcher withholds: everything but these, when `confine` is set."""

    confine: bool = False
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    wrapper: tuple[str, ...] = ()
    """Words before the job's own, such as a program that confines it."""


class LauncherGrip:
    """Holds one job; a context manager that closes its descriptors.

    Args:
        folder: the job's own, holding `home` and `tmp`.
    """

    def __init__(self, name: str, job: Job, confinement: Confinement, *, folder: Path, restraint: Restraint) -> None:
        self.name = name
        self._job = job
        self._confinement = confinement
        self._folder = folder
        self._restraint = restraint
        self._pid = 0
        self._report: list[str] = []
        self._status_fd, self._status_end = os.pipe()
        self._block_end, self._block_fd = os.pipe()
        self._orders = tempfile.TemporaryFile()  # noqa: SIM115  # closed by __exit__
        self._open = [self._status_fd, self._status_end, self._block_end, self._block_fd]

    def __enter__(self) -> LauncherGrip:
        """This grip."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what is still open."""
        self._orders.close()
        for fd in self._open:
            os.close(fd)

    def launch(self, channel_fd: int | None) -> Launch:
        """The launcher with its orders in a nameless file."""
        env = complete_env(self._job, channel_fd, tmpdir=str(self._folder / "tmp"), home=str(self._folder / "home"))
        orders = {
            "argv": [*self._confinement.wrapper, *self._job.argv],
            "env": env,
            "cwd": str(self._job.cwd),
            "network": self._job.network,
            "proxied": bool(self._job.proxy_hosts) and not self._job.network,
            "rlimits": self._restraint.rlimits_by_name(),
            "confine": self._confinement.confine,
            "readable": list(self._confinement.readable),
            "writable": [*self._confinement.writable, str(self._folder)],
            "devices": list(self._confinement.devices),
        }
        self._orders.write(marshal.dumps(orders))
        self._orders.seek(0)
        fds = (self._orders.fileno(), self._block_end, self._status_end)
        return Launch(argv=(sys.executable, "-I", "-S", str(LAUNCHER), *map(str, fds)), fds=fds)

    async def attach(self, pid: int) -> None:
        """Set the limits and let the launcher go on."""
        self._pid = pid
        for fd in (self._status_end, self._block_end):
            self._open.remove(fd)
            os.close(fd)
        try:
            await asyncio.to_thread(self._restraint.admit, pid)
            os.write(self._block_fd, b"1")
        except (ProcessLookupError, BrokenPipeError):
            return  # it ended; `exit_code` says so
        except OSError as error:
            raise SandboxError(f"the limits could not be set: {error}", backend=self.name) from error

    def signal(self, number: int) -> None:
        """SIGTERM for the job; SIGKILL becomes the launcher's order to kill all of it."""
        try:
            os.kill(self._pid, signal.SIGQUIT if number == signal.SIGKILL else number)
        except ProcessLookupError:
            return

    def freeze(self) -> None:
        """Stop the job's processes where they are."""
        if self._pid:
            freeze(self._pid, self._restraint.members())

    def thaw(self) -> None:
        """Let them go on."""
        if self._pid:
            thaw(self._pid, self._restraint.members())

    async def settle(self) -> None:
        """Kill what the launcher did not reach, and read its report."""
        await asyncio.to_thread(self._restraint.kill)
        with os.fdopen(self._status_fd, "rb") as file:
            self._open.remove(self._status_fd)
            self._report = file.read().decode().splitlines()

    def exit_code(self, returncode: int, output: bytes) -> int:
        """What the launcher reported; the first report is the job's, a later one that of its namespace."""
        for line in self._report:
            word, _, rest = line.partition(" ")
            if word == "failed":
                raise SandboxError(f"{self.name} could not confine the job: {rest}", backend=self.name)
            if word == "exit":
                return int(rest)
        if returncode < 0:
            return returncode
        said = output.decode(errors="replace").strip()
        raise SandboxError(f"the launcher failed: {said or returncode}", backend=self.name)


@asynccontextmanager
async def private_folders(scratch: Path) -> AsyncIterator[Path]:
    """A folder with an empty `home` and `tmp` for one job, removed afterwards whatever the job did to it."""
    folders: list[Path] = []
    try:
        await uninterrupted(asyncio.to_thread(lambda: folders.append(_create(scratch))))
        yield folders[0]
    finally:
        for folder in folders:
            await uninterrupted(asyncio.to_thread(remove_folder, folder))


def _create(scratch: Path) -> Path:
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="job-", dir=scratch)).resolve()
    for name in ("home", "tmp"):
        (folder / name).mkdir(mode=0o700)
    return folder
