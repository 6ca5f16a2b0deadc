"""A few loaded suites at once, one trial on each: what the search waits for is the next free one.

Rules:
- Each server has its own export of the base tree, so that what one trial writes no other trial finds.
- A server that is gone is started again, at most `RESTARTS` times; trials that were under way count as not run.
- When none is left, every trial is answered with None at once: the caller runs its tests cold.

It does not decide what a trial's outcome means.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from councilor.errors import SandboxError
from councilor.guards.standstill import passage, stood_s
from councilor.ports.analyzer import ServerRequest, TestServer, TestServers, TrialRequest, TrialRun
from councilor.ports.worker import Workspace

__all__ = ["Pool", "exported", "pooled"]

RESTARTS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class _Order:
    request: TrialRequest
    known: Callable[[str], bool]
    answer: asyncio.Future[TrialRun | None]

    def reply(self, run: TrialRun | None) -> None:
        if not self.answer.done():
            self.answer.set_result(run)


class Pool:
    """Hands trials to the servers.

    Args:
        count: servers at once; 0: there are none, and every trial is answered with None.
    """

    def __init__(self, count: int) -> None:
        self._orders: asyncio.Queue[_Order] = asyncio.Queue()
        self._alive = count
        self._wide = asyncio.Event()
        self._nodeids: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()
        self._found(() if not count else None)
        self.why = ""
        """Why there is no loaded suite, or was none for a time; untrusted text."""

    async def collected(self) -> tuple[str, ...]:
        """The tests of the first server once it is ready; empty when there is none, or it could not be loaded."""
        return await asyncio.shield(self._nodeids)

    def _found(self, nodeids: tuple[str, ...] | None) -> None:
        if nodeids is not None and not self._nodeids.done():
            self._nodeids.set_result(nodeids)

    async def run(self, request: TrialRequest, *, known: Callable[[str], bool]) -> TrialRun | None:
        """Try one change on the next free server; None when it has to be tried in another way."""
        if not self._alive:
            return None
        order = _Order(request=request, known=known, answer=asyncio.get_running_loop().create_future())
        self._orders.put_nowait(order)
        return await order.answer

    def widen(self) -> None:
        """Let all servers start; until then there is the first one only."""
        self._wide.set()

    async def work(self, start: Callable[[], AbstractAsyncContextManager[TestServer]], *, first: bool) -> None:
        """The life of one server, and of those that take its place."""
        try:
            if not first:
                await self._wide.wait()
            for _ in range(1 + RESTARTS):
                async with start() as server:
                    self.why = server.why or self.why
                    self._found(server.nodeids)
                    await self._serve(server)
        except (SandboxError, OSError) as error:
            self.why = str(error)
        finally:
            self._alive -= 1
            self._found(())
            while not self._alive and not self._orders.empty():
                self._orders.get_nowait().reply(None)

    async def _serve(self, server: TestServer) -> None:
        run: TrialRun | None
        while True:
            order, run = await self._orders.get(), None
            try:
                run = await _undisturbed(server, order)
            finally:
                order.reply(run)
            if run is None:
                self.why = self.why or "a trial ended it"
                return


async def _undisturbed(server: TestServer, order: _Order) -> TrialRun | None:
    """Try one change, and again where the run stood still meanwhile: clocks inside the job went on, and may have ended
    it for that."""
    while True:
        await passage()
        before_s = stood_s()
        run = await server.run(order.request, known=order.known)
        if run is None or stood_s() == before_s:
            return run


@asynccontextmanager
async def pooled(
    servers: TestServers | None,
    workspace: Workspace,
    tree: str,
    *,
    count: int,
    timeout_s: float,
    collect_s: float,
    paths: tuple[str, ...] = (),
) -> AsyncIterator[Pool]:
    """`count` servers of one tree, gone afterwards; the first is started at once, the others when the pool is widened.

    Args:
        timeout_s: seconds until the servers are killed.
        collect_s: seconds for the collection of the suite.
        paths: test files to load; empty: the whole suite.
    """

    @asynccontextmanager
    async def start() -> AsyncIterator[TestServer]:
        async with exported(workspace, tree) as folder:
            request = ServerRequest(
                folder=folder, environment=workspace.environment, timeout_s=timeout_s, collect_s=collect_s,
                paths=paths,
            )  # fmt: skip
            async with servers.serve(request) as server:  # type: ignore[union-attr]  # started only if there are any
                yield server

    pool = Pool(count if servers else 0)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(pool.work(start, first=not index)) for index in range(count if servers else 0)]
            try:
                yield pool
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


@asynccontextmanager
async def exported(workspace: Workspace, tree: str) -> AsyncIterator[Path]:
    """A fresh export of a tree, removed afterwards."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="trial-", dir=workspace.scratch))
    try:
        await workspace.repository.export(tree, folder)
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
