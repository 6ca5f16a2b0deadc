"""A worker is watched while it works, and ended where it spends too much or moves no more."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from workbench import bare_environment, make_assignment

from councilor.adapters.system import SystemClock
from councilor.domain.budget import NO_LIMIT, Share
from councilor.domain.worker import Assignment, WorkerOutcome, WorkerReport
from councilor.errors import SandboxError
from councilor.guards.standstill import Standstill, standing_still
from councilor.pipeline.executor import supervision
from councilor.pipeline.executor.supervision import Supervision
from councilor.ports.worker import Progress, Workspace

DONE = WorkerReport(outcome=WorkerOutcome.FINISHED, text="done")


def assignment(share: Share = NO_LIMIT) -> Assignment:
    return make_assignment(share=share)


class Scripted:
    """Says some things with pauses before them, then ends or hangs."""

    name = "scripted"

    def __init__(self, *said: tuple[float, Progress], hangs: bool = False, fails: bool = False) -> None:
        self.said, self.hangs, self.fails = said, hangs, fails
        self.begun = self.cancelled = False

    async def run(self, assignment, workspace, emit):
        self.begun = True
        try:
            for pause_s, progress in self.said:
                await asyncio.sleep(pause_s)
                emit(progress)
            if self.fails:
                raise SandboxError("It broke.", backend="fake")
            if self.hangs:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            await asyncio.sleep(0.05)  # its clean-up
            raise
        return DONE


class Watched:
    """A supervision with everything that it tells."""

    def __init__(self, *, stall_s=60.0, share=NO_LIMIT, folder=Path("/nonexistent")):
        self.workspace = Workspace(folder=folder, scratch=folder, environment=bare_environment(), repository=None)
        self.share, self.beats, self.stalls = share, [], []
        self.supervision = Supervision(
            clock=SystemClock(), share=lambda: self.share, stall_s=stall_s, emit=self.beats.append,
            stalled=self.stalls.append,
        )  # fmt: skip

    async def run(self, worker, share=None):
        return await self.supervision.run(worker, assignment(self.share if share is None else share), self.workspace)


def says(line="", *, tokens=0, cost_usd=0.0):
    return Progress(phase="running", line=line, tokens=tokens, cost_usd=cost_usd)


async def test_who_ends_by_itself_is_left_alone():
    watched = Watched(share=Share(tokens=100))
    assert await watched.run(Scripted((0, says("a", tokens=100)))) is DONE
    assert [beat.line for beat in watched.beats] == ["a"] and not watched.stalls


async def test_a_failure_comes_out_as_it_is():
    with pytest.raises(SandboxError, match="It broke"):
        await Watched().run(Scripted(fails=True))


async def test_a_silent_one_is_told_of_once_and_ended_a_quarter_later():
    watched, worker = Watched(stall_s=0.8), Scripted((0, says("thinking", tokens=7)), hangs=True)
    began = time.monotonic()
    report = await watched.run(worker)
    assert time.monotonic() - began >= 0.8 * 1.25 and worker.cancelled
    assert len(watched.stalls) == 1 and watched.stalls[0] >= 0.8
    assert report.outcome is WorkerOutcome.TIMED_OUT and "no sign of progress" in report.ended
    assert report.text == f"councilor ended this iteration: {report.ended}."
    assert report.transcript == b"thinking" and report.usage.tokens == 7


async def test_who_shows_something_new_is_not_ended_and_who_repeats_itself_is():
    moving = Scripted(*((0.2, says(str(number))) for number in range(9)))
    assert await Watched(stall_s=1.2).run(moving) is DONE  # 1.8 s in all, and a loaded machine may be a second late
    repeating = Scripted(*[(0.2, says("again"))] * 500)
    assert "no sign of progress" in (await Watched(stall_s=0.6).run(repeating)).ended


async def test_who_changes_files_without_a_word_is_not_ended(tmp_path):
    (tmp_path / "src").mkdir()

    class Quiet(Scripted):
        async def run(self, assignment, workspace, emit):
            for number in range(9):
                await asyncio.sleep(0.2)
                (tmp_path / "src" / "a.py").write_text(f"{number}")
            return DONE

    assert await Watched(stall_s=1.2, folder=tmp_path).run(Quiet()) is DONE


async def test_who_spends_too_much_is_ended_within_a_second():
    for spent in (says(tokens=101), says(cost_usd=0.51)):
        worker = Scripted((0, spent), hangs=True)
        began = time.monotonic()
        report = await Watched(share=Share(tokens=100, cost_usd=0.5)).run(worker)
        assert time.monotonic() - began < 3 and worker.cancelled  # a second, and two for a loaded machine
        assert "its budget of" in report.ended and report.usage.tokens == spent.tokens


async def test_what_is_added_while_it_works_counts_at_once():
    watched = Watched(share=Share(tokens=100))
    worker = Scripted((0, says(tokens=90)), (0.3, says(tokens=150)), (0.5, says(tokens=160)))

    async def extend():
        await asyncio.sleep(0.1)
        watched.share = Share(tokens=200)

    report, _ = await asyncio.gather(watched.run(worker), extend())
    assert report is DONE


async def test_with_nothing_left_it_is_not_begun():
    worker = Scripted()
    report = await Watched(share=Share(tokens=0)).run(worker)
    assert not worker.begun and report.ended == "it was not begun: no token is left of the task's budget"


async def test_silence_of_a_run_that_stands_still_does_not_count():
    run, watched = Standstill(), Watched(stall_s=0.6)
    with standing_still(run):
        asyncio.get_running_loop().call_later(0.1, run.stop)
        asyncio.get_running_loop().call_later(1.3, run.go)
        assert await watched.run(Scripted((1.5, says("on")))) is DONE
    assert not watched.stalls


async def test_a_heartbeat_is_repeated_with_the_seconds_of_silence(monkeypatch):
    monkeypatch.setattr(supervision, "REPEAT_S", 0.3)
    watched = Watched()
    await watched.run(Scripted((0, says("a")), (1.0, says("b"))))
    repeated = [beat for beat in watched.beats if beat.silent_s]
    assert len(repeated) >= 2 and {beat.line for beat in repeated} == {"a"}
    assert repeated[0].silent_s < repeated[-1].silent_s


async def test_a_cancelled_caller_ends_it_and_waits_for_its_clean_up():
    worker = Scripted(hangs=True)
    running = asyncio.ensure_future(Watched().run(worker))
    await asyncio.sleep(0.1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert worker.cancelled
