"""Timers and budgets that stand still with their run."""

from __future__ import annotations

import asyncio
from math import inf

import pytest

from councilor.adapters.memory.clock import FakeClock
from councilor.errors import DeadlineError
from councilor.guards.budget import budget, left_s
from councilor.guards.interruption import Interrupted, Interruption
from councilor.guards.standstill import (
    Allowance,
    StandingClock,
    Standstill,
    passage,
    patient,
    standing_still,
    standstill,
    stood_s,
)


async def test_a_timer_goes_on_with_what_was_left() -> None:
    run, loop = Standstill(), asyncio.get_running_loop()
    with standing_still(run):
        began_s = loop.time()
        went: list[float] = []

        def go() -> None:
            run.go()
            went.append(loop.time() - began_s)

        loop.call_later(0.05, run.stop)
        loop.call_later(0.35, go)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.15) as timer:
                with patient(timer):
                    await asyncio.Event().wait()
        assert went, "it was over while it stood still"
        assert loop.time() - began_s >= 0.15 + run.stood_s() - 0.01
    assert 0 < run.stood_s() < went[0]


async def test_a_timer_that_begins_in_a_standstill_waits_for_its_end() -> None:
    run = Standstill()
    run.stop()
    run.stop()
    with standing_still(run):
        async with asyncio.timeout(0.02) as timer:
            with patient(timer):
                await asyncio.sleep(0.1)
                run.go()
                run.go()
    assert not timer.expired()


async def test_a_budget_is_not_spent_while_its_run_stands_still() -> None:
    run = Standstill()
    with standing_still(run), budget(10.0):
        run.stop()
        before = left_s()
        await asyncio.sleep(0.1)
        with budget(20.0):
            assert left_s() == pytest.approx(before, abs=0.01), "an inner one lasts no longer"
        assert left_s() == pytest.approx(before, abs=0.01)
        run.go()
        run.lend(5.0)
        assert left_s() == pytest.approx(before + 5.0, abs=0.05)
        with budget(1.0):
            assert left_s() == pytest.approx(1.0, abs=0.05)
    assert left_s() == inf and standstill() is None


async def test_a_step_stands_still_and_gets_what_the_run_is_lent() -> None:
    run, switch, loop = Standstill(), Interruption(), asyncio.get_running_loop()
    with standing_still(run):
        loop.call_later(0.05, run.stop)
        loop.call_later(0.3, run.go)
        assert await switch.run("work", lambda: asyncio.sleep(0.35, "done"), preemptible=True, timeout_s=0.2) == "done"
        loop.call_later(0.05, run.lend, 1.0)
        assert await switch.run("work", lambda: asyncio.sleep(0.3, "more"), preemptible=True, timeout_s=0.2) == "more"
        with pytest.raises(DeadlineError):
            await switch.run("work", asyncio.Event().wait, preemptible=True, timeout_s=0.1)


async def test_a_step_that_stands_still_is_ended_at_once_when_it_is_cancelled() -> None:
    run, switch, loop = Standstill(), Interruption(), asyncio.get_running_loop()
    with standing_still(run):
        loop.call_later(0.02, run.stop)
        loop.call_later(0.05, switch.cancel)
        with pytest.raises(Interrupted):
            await switch.run("work", asyncio.Event().wait, preemptible=True, timeout_s=60.0)
    run.go()


async def test_nothing_new_begins_in_a_standstill() -> None:
    await passage()
    run = Standstill()
    run.stop()
    with standing_still(run):
        waiting = asyncio.create_task(passage())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    run.go()
    await waiting


async def test_an_allowance_is_a_timer_that_stands_still_and_a_standing_clock_leaves_the_standstill_out() -> None:
    run, fake = Standstill(), FakeClock()
    clock = StandingClock(fake)
    with standing_still(run):
        before_s = clock.monotonic()
        async with Allowance(0.05) as allowance:
            run.stop()
            await asyncio.sleep(0.1)
            run.go()
        assert not allowance.expired()
        await fake.advance(10)
        assert clock.monotonic() - before_s == pytest.approx(10 - run.stood_s(), abs=0.001)
        assert stood_s() == run.stood_s() > 0.09
        with pytest.raises(TimeoutError):
            async with Allowance(0.01):
                await asyncio.Event().wait()
    assert (clock.monotonic(), stood_s(), clock.now()) == (10.0, 0.0, fake.now())
