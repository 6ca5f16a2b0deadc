"""The life of one job: spawn it, hold it, end it. Every sandbox runs its jobs through here.

Rules:
- The sandbox supplies a `Grip`: the command to spawn, a handshake before the job's first instruction, and the means to
  reach every process of the job. The rest is the same for all.
- At the limits of time and disk, on cancellation and when the conversation fails: SIGTERM to the job, SIGKILL to all
  of it `GRACE_S` seconds later. The clean-up ends before the exception goes on, however often the caller is cancelled.
- Time limit and conversation: a conversation that outlives its job has until the time limit to notice. A job that
  outlives its conversation by more than `linger_s` seconds is killed, and that is how it should end.
- A job of a run that stands still (`guards/standstill.py`) is stopped with it, and its time limit with the job; none
  begins meanwhile. It is looked at again and again: one that was just beginning had no process yet to be stopped.
- Standard input is a sealed memory file, so that nobody has to feed it and the job cannot change it.

It does not know what withholds the host from the job; `bubblewrap.py` and its neighbours do.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from councilor.adapters.sandbox.channel import SocketChannel
from councilor.adapters.sandbox.disk import DiskFullError, DiskWatch
from councilor.adapters.sandbox.output import Output
from councilor.errors import SandboxError
from councilor.guards.standstill import Standstill, passage, patient, standstill
from councilor.ports.clock import Clock
from councilor.ports.sandbox import Channel, Job, SandboxResult

__all__ = ["Grip", "Launch", "Listener", "Talk", "supervise", "uninterrupted"]

GRACE_S = 0.7
"""Between SIGTERM and SIGKILL; the port promises that all is over within a second."""

AGAIN_S, SELDOM_S = 0.05, 2.0
"""Seconds until a job that stands still is stopped once more, at first and at last."""

Talk = Callable[[Channel], Awaitable[None]]
Listener = Callable[[bytes], None]
Converse = Callable[[asyncio.Event], Coroutine[None, None, None]]
"""A conversation with the job; the event says that the job has ended."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """The process of the host that a job becomes."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    """Of the sandbox's own program, which runs outside: nothing of the job's may be in it."""
    cwd: Path = Path("/")
    fds: tuple[int, ...] = ()
    """Inherited besides the standard three and the channel."""


class OverstayedError(Exception):
    """The job went on after its conversation; nobody waits for it."""


class Grip(Protocol):
    """How one sandbox holds one job."""

    name: str

    def launch(self, channel_fd: int | None) -> Launch:
        """The process to spawn."""
        ...

    async def attach(self, pid: int) -> None:
        """Complete the handshake and set the limits; the job starts when this is done.

        Raises:
            SandboxError: the sandbox could not be set up.
        """
        ...

    def signal(self, number: int) -> None:
        """Send a signal: SIGTERM to the job, SIGKILL to everything that is left of it."""
        ...

    def freeze(self) -> None:
        """Stop every process of the job where it is; blocks for some milliseconds."""
        ...

    def thaw(self) -> None:
        """Let all of it go on; blocks as well, and changes nothing in a job that was not stopped."""
        ...

    async def settle(self) -> None:
        """After the end of the process: kill what is left of the job and wait until nothing is."""
        ...

    def exit_code(self, returncode: int, output: bytes) -> int:
        """The job's own exit code: negative for a signal, 127 when its command could not be started.

        Raises:
            SandboxError: the process ended before it became the job; `output` is what it said about it.
        """
        ...


async def supervise(
    job: Job, grip: Grip, *, talk: Talk | None, on_output: Listener | None, linger_s: float | None, clock: Clock
) -> SandboxResult:
    """Run a job to its end; see the port for the promises."""
    await passage()
    async with AsyncExitStack() as stack:
        handed_on = stack.enter_context(ExitStack())  # the job's ends, which are closed here once it has them
        read_fd, write_fd = os.pipe()
        handed_on.callback(os.close, write_fd)
        output = await Output.open(read_fd, job.limits.output_bytes, on_output)
        stack.callback(output.close)
        ours, theirs = socket.socketpair() if talk else (None, None)
        if theirs:
            handed_on.enter_context(theirs)
        channel = await stack.enter_async_context(SocketChannel(ours)) if ours else None
        started_s, run = clock.monotonic(), standstill()
        stood_s = run.stood_s() if run is not None else 0.0
        with handed_on:
            process = await _begin(job, grip, write_fd, theirs)
        killed, timed_out, full = True, False, False
        try:
            converse = partial(_converse, talk, channel, linger_s) if talk and channel else None
            timed_out = await _hold(process, grip, output, converse, job)
            killed = process.returncode is None
        except OverstayedError:
            killed = process.returncode is None
        except DiskFullError:
            full = True
        finally:
            returncode = await uninterrupted(_end(process, grip))
        kept = await output.finish()
    stood_s = run.stood_s() - stood_s if run is not None else 0.0
    return SandboxResult(
        exit_code=None if killed else grip.exit_code(returncode, kept),
        output=kept,
        output_truncated=output.truncated,
        timed_out=timed_out,
        duration_s=max(0.0, clock.monotonic() - started_s - stood_s),
        reached=("disk",) if full else (),
    )


async def uninterrupted(work: Coroutine[None, None, T]) -> T:
    """Finish a coroutine even if the caller is cancelled meanwhile; the cancellation comes out afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except BaseException:  # it is the work's own and comes out below
            break
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # retrieved: the cancellation is the one that counts
        raise cancelled
    return task.result()


async def _begin(job: Job, grip: Grip, write_fd: int, theirs: socket.socket | None) -> asyncio.subprocess.Process:
    """Spawn and attach as one: between the two, nobody could be sure to end the process."""
    spawned: list[asyncio.subprocess.Process] = []

    async def start() -> None:
        spawned.append(await _spawn(job, grip, write_fd, theirs))
        await grip.attach(spawned[0].pid)

    try:
        await uninterrupted(start())
    except BaseException:
        for process in spawned:
            await uninterrupted(_end(process, grip))
        raise
    return spawned[0]


async def _spawn(job: Job, grip: Grip, write_fd: int, theirs: socket.socket | None) -> asyncio.subprocess.Process:
    channel_fd = theirs.fileno() if theirs else None
    launch = grip.launch(channel_fd)
    with _stdin(job.stdin) as stdin_fd:
        try:
            return await asyncio.create_subprocess_exec(
                *launch.argv,
                stdin=stdin_fd,
                stdout=write_fd,
                stderr=write_fd,
                env=dict(launch.env),
                cwd=launch.cwd,
                pass_fds=(*launch.fds, *(() if channel_fd is None else (channel_fd,))),
                start_new_session=True,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise SandboxError(f"{grip.name} could not be started: {error}", backend=grip.name) from error


@contextmanager
def _stdin(data: bytes) -> Iterator[int]:
    if not data:
        yield subprocess.DEVNULL
    elif hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb") as file:
            _fill(file.fileno(), data)
            _seal(file.fileno())
            yield file.fileno()
    else:
        with tempfile.TemporaryFile() as file:
            _fill(file.fileno(), data)
            yield file.fileno()


def _fill(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)


def _seal(fd: int) -> None:
    import fcntl  # here because the module does not have these names everywhere

    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)


async def _hold(
    process: asyncio.subprocess.Process,
    grip: Grip,
    output: Output,
    converse: Converse | None,
    job: Job,
) -> bool:
    """Wait for the end of the job; True when its time ran out first."""
    try:
        async with asyncio.timeout(job.limits.wall_s) as timer:
            with patient(timer):
                await _until_end(process, grip, output, converse, job)
    except TimeoutError:
        if process.returncode is None:
            return True
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return False


async def _until_end(
    process: asyncio.subprocess.Process, grip: Grip, output: Output, converse: Converse | None, job: Job
) -> None:
    run, ended = standstill(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        if converse is not None:
            group.create_task(converse(ended))
        watching = [group.create_task(output.failure()), group.create_task(DiskWatch(job).watch())]
        if run is not None:
            watching.append(group.create_task(_obey(run, grip)))
        await process.wait()
        ended.set()
        for watch in watching:
            watch.cancel()


async def _obey(run: Standstill, grip: Grip) -> None:
    """Stop the job whenever the run stands still, and let it go on with the run."""
    while True:
        await run.stopped.wait()
        again_s = AGAIN_S
        while run.stopped.is_set():
            await asyncio.to_thread(grip.freeze)
            with suppress(TimeoutError):
                async with asyncio.timeout(again_s):
                    await run.going.wait()
            again_s = min(again_s * 2, SELDOM_S)
        await asyncio.to_thread(grip.thaw)


async def _converse(talk: Talk, channel: SocketChannel, linger_s: float | None, ended: asyncio.Event) -> None:
    await talk(channel)
    if linger_s is None:
        return
    channel.finish()
    try:
        async with asyncio.timeout(linger_s) as timer:
            with patient(timer):
                await ended.wait()
    except TimeoutError:
        raise OverstayedError from None


async def _end(process: asyncio.subprocess.Process, grip: Grip) -> int:
    """Kill what is left of the job and wait until it is gone."""
    if process.returncode is None:
        grip.signal(signal.SIGTERM)
        await asyncio.to_thread(grip.thaw)  # a stopped process hears only SIGKILL
        try:
            async with asyncio.timeout(GRACE_S):
                await process.wait()
        except TimeoutError:
            grip.signal(signal.SIGKILL)
    returncode = await process.wait()
    await grip.settle()
    return returncode
