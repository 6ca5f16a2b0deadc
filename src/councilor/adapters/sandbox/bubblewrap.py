"""Linux namespaces through bubblewrap: the strongest sandbox that needs no privileges.

Rules:
- The root is empty but for /usr, a handful of files of /etc, and the job's mounts, at the same paths as outside.
- New user, process, network, IPC, cgroup and host-name namespaces; no capabilities; no further user namespaces; no
  terminal. A job that asks for the network gets the host's.
- /proc is mounted read-only. Started by root, a job is root for the permission bits of /proc/sys although it holds no
  capability, and bubblewrap 0.8 leaves /proc/sys writable: one line into `core_pattern` would run code on the host.
- Never the host's uid 0 inside: started by root, the job sees itself as uid 1000.
- The job's arguments and environment reach bubblewrap over a descriptor, never as its own environment: an LD_PRELOAD of
  the job's must not reach a program that runs outside.
- bubblewrap waits (`--block-fd`) until the limits are set on its child, so that no launcher has to run inside.
- The exit code is bubblewrap's own report (`--json-status-fd`), which the job cannot write to. It says 128 + n for
  signal n; a job that exits with such a code itself is taken for killed.

It does not limit resources. Source: bwrap(1), version 0.8.0.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from councilor.adapters.sandbox.base import BaseSandbox
from councilor.adapters.sandbox.freezing import freeze, thaw
from councilor.adapters.sandbox.job import HOME, SYSTEM_FOLDERS, complete_env, ordered_mounts, system_files
from councilor.adapters.sandbox.limits import Restraint
from councilor.adapters.sandbox.process import Grip, Launch
from councilor.errors import SandboxError
from councilor.ports.sandbox import Job

__all__ = ["Bubblewrap"]

SETUP_S = 20.0
"""Longest wait for bubblewrap to set up its namespaces; about 6 ms are usual."""


class Bubblewrap(BaseSandbox):
    """Runs jobs in bubblewrap."""

    name = "bubblewrap"
    proxies = True

    @asynccontextmanager
    async def _grip(self, job: Job, restraint: Restraint) -> AsyncIterator[Grip]:
        arguments = await asyncio.to_thread(self._arguments, job)
        with BubblewrapGrip(job, arguments, restraint) as grip:
            yield grip

    def _arguments(self, job: Job) -> list[str]:
        """Everything but the environment and the command."""
        uid, gid = os.getuid() or 1000, os.getgid() or 1000
        size = ["--size", str(job.limits.memory_bytes)]
        return [
            *("--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"),
            *("--new-session", "--die-with-parent", "--hostname", "sandbox"),
            *("--uid", str(uid), "--gid", str(gid)),
            *(["--share-net"] if job.network else []),
            *("--ro-bind", "/usr", "/usr", *_root_links()),
            *(*size, "--tmpfs", "/tmp", *size, "--tmpfs", HOME),  # noqa: S108  # the job's own
            *_etc(network=job.network or bool(job.proxy_hosts), accounts=self._accounts(uid, gid)),
            *("--proc", "/proc", "--remount-ro", "/proc"),
            *("--dev", "/dev", *size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108  # the job's own
            *_mounts(job),
            *("--remount-ro", "/", "--chdir", str(job.cwd)),
        ]

    def _accounts(self, uid: int, gid: int) -> Path:
        """A folder with a passwd and a group file that name nobody of the host's."""
        folder = self._scratch / "accounts"
        folder.mkdir(parents=True, exist_ok=True)
        _keep(folder / "passwd", f"root:x:0:0::/:/bin/false\njob:x:{uid}:{gid}::{HOME}:/bin/sh\n")
        _keep(folder / "group", f"root:x:0:\njob:x:{gid}:\n")
        return folder


class BubblewrapGrip:
    """Holds one job; a context manager that closes its descriptors."""

    name = "bubblewrap"

    def __init__(self, job: Job, arguments: list[str], restraint: Restraint) -> None:
        self._job = job
        self._arguments = arguments
        self._restraint = restraint
        self._status = b""
        self._pidfd: int | None = None
        self._child = 0
        self._monitor = 0
        self._status_fd, self._status_end = os.pipe()
        self._block_end, self._block_fd = os.pipe()
        self._args_fd = os.memfd_create("arguments", os.MFD_CLOEXEC)
        self._open = [self._status_fd, self._status_end, self._block_end, self._block_fd, self._args_fd]

    def __enter__(self) -> BubblewrapGrip:
        """This grip."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every descriptor that is still open."""
        for fd in self._open:
            os.close(fd)

    def launch(self, channel_fd: int | None) -> Launch:
        """bubblewrap with its arguments in a memory file."""
        env = complete_env(self._job, channel_fd, tmpdir="/tmp", home=HOME)  # noqa: S108  # the job's own
        words = [*self._arguments, "--clearenv"]
        for key, value in env.items():
            words += ["--setenv", key, value]
        os.write(self._args_fd, b"".join(os.fsencode(word) + b"\0" for word in words))
        os.lseek(self._args_fd, 0, os.SEEK_SET)
        numbers = ("--args", self._args_fd, "--json-status-fd", self._status_end, "--block-fd", self._block_end)
        return Launch(
            argv=(bubblewrap_path(), *map(str, numbers), "--", *self._job.argv),
            fds=(self._args_fd, self._status_end, self._block_end),
        )

    async def attach(self, pid: int) -> None:
        """Wait for the namespaces, take hold of their first process, and let the job start."""
        self._monitor = pid
        for fd in (self._status_end, self._block_end, self._args_fd):
            self._close(fd)
        try:
            async with asyncio.timeout(SETUP_S):
                await self._first_status_line()
        except TimeoutError as error:
            raise SandboxError(f"bubblewrap was not ready after {SETUP_S:g} s", backend=self.name) from error
        if b"\n" not in self._status:
            return  # it failed; `settle` says so, with what it printed
        self._child = int(json.loads(self._status.splitlines()[0])["child-pid"])
        try:
            self._pidfd = os.pidfd_open(self._child)
            self._open.append(self._pidfd)
            await asyncio.to_thread(self._restraint.restrain, self._child)
            os.write(self._block_fd, b"1")
        except (ProcessLookupError, BrokenPipeError):
            return  # it failed meanwhile
        except OSError as error:
            raise SandboxError(f"the limits could not be set: {error}", backend=self.name) from error

    def signal(self, number: int) -> None:
        """SIGTERM to the job's session, SIGKILL to the first process of its namespace and so to all of them."""
        try:
            if self._pidfd is None:
                os.kill(self._monitor, signal.SIGKILL)
            elif number == signal.SIGKILL:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
                os.kill(self._monitor, signal.SIGKILL)
            else:
                os.killpg(self._child, number)
        except ProcessLookupError:
            return

    def freeze(self) -> None:
        """Stop the job's processes where they are."""
        if self._child:
            freeze(self._child, self._restraint.members())

    def thaw(self) -> None:
        """Let them go on."""
        if self._child:
            thaw(self._child, self._restraint.members())

    async def settle(self) -> None:
        """Wait until the namespace is empty."""
        if self._pidfd is not None:
            self.signal(signal.SIGKILL)
            await _gone(self._pidfd)
        os.set_blocking(self._status_fd, False)
        with contextlib.suppress(BlockingIOError):  # a child that was never attached may hold the other end
            while piece := os.read(self._status_fd, 65536):
                self._status += piece

    def exit_code(self, returncode: int, output: bytes) -> int:
        """What bubblewrap reported; it reports nothing when the command did not start."""
        for line in self._status.splitlines():
            if "exit-code" in (report := json.loads(line)):
                code = int(report["exit-code"])
                return 128 - code if code - 128 in signal.valid_signals() else code
        said = output.decode(errors="replace").strip()
        if said.startswith("bwrap: execvp "):  # nothing of the job has run, so nobody else wrote this
            return 127
        raise SandboxError(f"bubblewrap failed: {said or returncode}", backend=self.name)

    async def _first_status_line(self) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._status_fd, ready.set)
        try:
            while b"\n" not in self._status:
                await ready.wait()
                ready.clear()
                piece = os.read(self._status_fd, 65536)
                if not piece:
                    return
                self._status += piece
        finally:
            loop.remove_reader(self._status_fd)

    def _close(self, fd: int) -> None:
        self._open.remove(fd)
        os.close(fd)


def bubblewrap_path() -> str:
    """Where bubblewrap is.

    Raises:
        SandboxError: it is not installed.
    """
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxError("bubblewrap is not installed", backend="bubblewrap")
    return path


async def _gone(pidfd: int) -> None:
    """Wait until a process is gone: its descriptor becomes readable then."""
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pidfd, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(pidfd)


def _root_links() -> Iterator[str]:
    """/bin, /lib and the like: links into /usr on merged systems, folders of their own on others."""
    for path in map(Path, SYSTEM_FOLDERS[1:]):
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))


def _etc(*, network: bool, accounts: Path) -> Iterator[str]:
    for path in system_files(network=network):
        yield from ("--ro-bind-try", path, path)
    for name in ("passwd", "group"):
        yield from ("--ro-bind", str(accounts / name), f"/etc/{name}")


def _mounts(job: Job) -> Iterator[str]:
    for path, writable in ordered_mounts(job):
        yield from ("--bind" if writable else "--ro-bind", str(path), str(path))


def _keep(path: Path, text: str) -> None:
    """Write a small file unless it is there; readers never see half of it."""
    if path.exists():
        return
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(path)
