"""Whether a backend is there, told when that changes."""

from __future__ import annotations

import logging

import pytest

from councilor.adapters.memory.clock import FakeClock
from councilor.errors import UnavailableError
from councilor.guards.standing import FORGOTTEN_S, Standing

DOWN = UnavailableError("down", backend="redis")
AWAY, BACK = "a backend fails, another answers", "the backend answers again"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def standing(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> Standing:
    caplog.set_level(logging.INFO, logger="councilor.guards.standing")
    return Standing("redis", clock=clock, calm_s=5.0)


async def test_it_is_back_when_each_kind_of_call_works_and_some_time_was_calm(standing, clock, caplog):
    standing.failed("get", "unavailable", DOWN)
    standing.failed("set", "unavailable", DOWN)
    await clock.advance(10)
    standing.worked("get")
    assert caplog.messages == [AWAY], "no value could be written since"
    standing.worked("set")
    assert caplog.messages == [AWAY, BACK]


async def test_a_kind_of_call_that_nobody_makes_any_more_does_not_count_for_ever(standing, clock, caplog):
    standing.failed("delete", "unavailable", DOWN)
    await clock.advance(FORGOTTEN_S)
    standing.worked("get")
    standing.failed("get", "unavailable", DOWN)
    assert caplog.messages == [AWAY, BACK, AWAY], "the next outage is told as well"


async def test_a_kind_that_goes_on_failing_is_not_forgotten(standing, clock, caplog):
    for _ in range(10):
        standing.failed("set", "unavailable", DOWN)
        await clock.advance(FORGOTTEN_S / 2)
        standing.worked("get")
    assert caplog.messages == [AWAY]
