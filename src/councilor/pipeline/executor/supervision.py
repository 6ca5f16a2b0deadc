"""Supervision: a worker is watched while it works, and ended where it spends too much or moves no more.

Rules:
- Liveness is another matter: a process with a healthy lease may have a worker that hangs. Progress is a heartbeat that
  says something new, or a change in the workspace: many agents say nothing before they have done.
- A silent worker is told of once, as an event and in the log; after a quarter as long again it is ended. The time that
  its run stands still for a person does not count.
- A worker that tells more tokens or dollars than it was given is ended within a second.
- Whoever is ended is judged as it stands: what lies in its workspace is its candidate, and its report says why.
- While nothing changes, its last heartbeat is repeated every `REPEAT_S` seconds with the seconds of silence.

Of a worker that was ended only the lines of its heartbeats are left as its transcript. Who tells no tokens and no cost
is limited by its time alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from councilor.domain.budget import Share
from councilor.domain.worker import Assignment, Usage, WorkerOutcome, WorkerReport
from councilor.guards.footprint import footprint
from councilor.guards.standstill import stood_s
from councilor.ports.clock import Clock
from councilor.ports.worker import Progress, Worker, Workspace

__all__ = ["Supervision"]

_log = logging.getLogger(__name__)

LOOK_S = 0.2
REPEAT_S = 5.0
GRACE = 0.25
"""Of the silence after which it is told of: how long it has then to show that it goes on."""
KEPT_LINES = 200


@dataclass(kw_only=True, slots=True)
class Supervision:
    """Of one iteration of one worker.

    Args:
        share: what it may spend, asked again and again: a person may extend it.
        stall_s: seconds of silence after which it is told of.
        emit: takes heartbeats.
        stalled: takes the seconds of silence, once.
    """

    clock: Clock
    share: Callable[[], Share]
    stall_s: float
    emit: Callable[[Progress], None]
    stalled: Callable[[float], None]
    _last: Progress = field(default=Progress(phase="starting"), init=False)
    _lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES), init=False)
    _began_s: float = field(default=0.0, init=False)
    _moved_s: float = field(default=0.0, init=False)
    _emitted_s: float = field(default=0.0, init=False)
    _footprint: tuple[int, int] = field(default=(0, 0), init=False)
    _told: bool = field(default=False, init=False)

    async def run(self, worker: Worker, assignment: Assignment, workspace: Workspace) -> WorkerReport:
        """Let a worker work; its report, or one about why it was ended."""
        self._began_s = self._moved_s = self._emitted_s = self._now_s()
        if reason := assignment.share.nothing:
            return self._ended(f"it was not begun: {reason}")
        await self._has_changed(workspace.folder)
        working = asyncio.ensure_future(worker.run(assignment, workspace, self._hear))
        try:
            while not working.done():
                await asyncio.wait([working], timeout=LOOK_S)
                if not working.done() and (reason := await self._look(workspace.folder)):
                    await _end(working)
                    return self._ended(reason)
            return working.result()
        finally:
            await _end(working)

    def _hear(self, progress: Progress) -> None:
        if progress != self._last:
            self._moved_s, self._told = self._now_s(), False
            if progress.line and progress.line != self._last.line:
                self._lines.append(progress.line)
        self._last, self._emitted_s = progress, self._now_s()
        self.emit(progress)

    async def _look(self, folder: Path) -> str:
        """Why it has to be ended; empty when it may go on."""
        now_s, last = self._now_s(), self._last
        if reason := self.share().passed(tokens=last.tokens, cost_usd=last.cost_usd):
            return reason
        silent_s = now_s - self._moved_s
        late = silent_s >= self.stall_s * (1 + GRACE)
        if (late or (silent_s >= self.stall_s and not self._told)) and await self._has_changed(folder):
            self._moved_s, self._told, silent_s, late = now_s, False, 0.0, False
        if late:
            return f"it gave no sign of progress for {silent_s:.0f} s"
        if silent_s >= self.stall_s and not self._told:
            self._told = True
            _log.warning("a worker gives no sign of progress", extra={"silent_s": round(silent_s, 1)})
            self.stalled(silent_s)
        if now_s - self._emitted_s >= REPEAT_S:
            self._emitted_s = now_s
            self.emit(replace(last, silent_s=round(silent_s, 1)))
        return ""

    async def _has_changed(self, folder: Path) -> bool:
        """Whether anything in the workspace changed since it was asked last."""
        before, self._footprint = self._footprint, await asyncio.to_thread(footprint, folder)
        return before != self._footprint

    def _ended(self, reason: str) -> WorkerReport:
        return WorkerReport(
            outcome=WorkerOutcome.TIMED_OUT,
            text=f"councilor ended this iteration: {reason}.",
            ended=reason,
            transcript="\n".join(self._lines).encode("utf-8", "replace"),
            usage=Usage(
                duration_s=round(self._now_s() - self._began_s, 6),
                tokens=self._last.tokens,
                cost_usd=self._last.cost_usd,
            ),
        )

    def _now_s(self) -> float:
        """Time that does not pass while the run stands still."""
        return self.clock.monotonic() - stood_s()


async def _end(working: asyncio.Future[WorkerReport]) -> None:
    """Cancel, and wait until everything of it is gone; what it says then is no concern any more."""
    cancelled: asyncio.CancelledError | None = None
    if not working.done():
        working.cancel()
    while not working.done():
        try:
            await asyncio.wait([working])
        except asyncio.CancelledError as error:
            cancelled = error
    if not working.cancelled():
        working.exception()  # retrieved: nobody else would
    if cancelled is not None:
        raise cancelled
