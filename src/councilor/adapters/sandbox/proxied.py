"""Runs a job behind the allow-list proxy.

Rules:
- The job's command is started by `proxy_entry.py`, which hands the sandbox's listening socket out; the proxy serves it
  for as long as the job runs.
- Only for sandboxes that give a job a network of its own: elsewhere it could go around the proxy.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from councilor.adapters.sandbox.probe import interpreter
from councilor.adapters.sandbox.process import Grip, Launch
from councilor.adapters.sandbox.proxy import AllowListProxy
from councilor.ports.sandbox import Job, Mount

__all__ = ["ProxiedGrip", "behind_proxy", "proxied_job"]

LOOPBACK = ("localhost", "127.0.0.1")
"""What a job reaches in its own network, so not through the proxy; unless the host's is listed, as a local model is."""
ENTRY = Path(__file__).with_name("proxy_entry.py")


class ProxiedGrip:
    """Another grip whose job inherits one descriptor more."""

    def __init__(self, grip: Grip, fd: int) -> None:
        self.name = grip.name
        self.attach = grip.attach
        self.signal = grip.signal
        self.freeze = grip.freeze
        self.thaw = grip.thaw
        self.settle = grip.settle
        self.exit_code = grip.exit_code
        self._grip = grip
        self._fd = fd

    def launch(self, channel_fd: int | None) -> Launch:
        """The same process with the descriptor."""
        launch = self._grip.launch(channel_fd)
        return dataclasses.replace(launch, fds=(*launch.fds, self._fd))


def proxied_job(job: Job, fd: int) -> Job:
    """The job, started by the proxy's entry."""
    python, mounts = interpreter()
    listed = {host.rpartition(":")[0] for host in job.proxy_hosts}
    direct = ",".join(name for name in LOOPBACK if name not in listed)
    return dataclasses.replace(
        job,
        env={"NO_PROXY": direct, "no_proxy": direct, **job.env},
        argv=(str(python), "-I", "-S", str(ENTRY), str(fd), *job.argv),
        mounts=(*job.mounts, *mounts, Mount(path=ENTRY)),
    )


@asynccontextmanager
async def behind_proxy(hosts: tuple[str, ...]) -> AsyncIterator[int]:
    """Serve the proxy meanwhile; the descriptor that the job's entry needs."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(_serve(ours, AllowListProxy(hosts)))
            try:
                yield theirs.fileno()
            finally:
                serving.cancel()


async def _serve(ours: socket.socket, proxy: AllowListProxy) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(ours, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(ours)
    _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    if fds:
        await proxy.serve(socket.socket(fileno=fds[0]))
