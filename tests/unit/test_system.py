"""The machine's and the tests' own time, identity and chance."""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.memory.clock import FakeClock, SeededRandomness, SequentialIds
from councilor.adapters.system import SystemClock, SystemIds, SystemRandomness
from councilor.ports.clock import Clock, Ids, Randomness


class SteppedClock(FakeClock):
    """A wall clock that shows a given time next, even an earlier one."""

    shown = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.shown


def test_wall_clock_is_utc_and_monotonic_clock_grows():
    clock: Clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    first = clock.monotonic()
    assert clock.monotonic() >= first


async def test_system_sleep_waits_on_the_loop():
    clock = SystemClock()
    started = clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() - started >= 0.009


def test_system_ids_are_canonical_uuid7_with_the_time_in_front():
    clock = SteppedClock()
    value = SystemIds(clock=clock).new()
    parsed = uuid.UUID(value)
    assert str(parsed) == value
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == int(clock.shown.timestamp() * 1000)


@given(st.lists(st.integers(min_value=-3, max_value=3), max_size=60))
def test_system_ids_ascend_whatever_the_wall_clock_does(steps_ms: list[int]):
    clock = SteppedClock()
    ids = SystemIds(clock=clock)
    made = [ids.new()]
    for step_ms in steps_ms:
        clock.shown += timedelta(milliseconds=step_ms)
        made.append(ids.new())
    assert made == sorted(set(made))
    assert {uuid.UUID(value).version for value in made} == {7}
    assert {uuid.UUID(value).variant for value in made} == {uuid.RFC_4122}


def test_system_ids_carry_into_the_next_millisecond_when_one_is_used_up():
    clock = SteppedClock()
    ids = SystemIds(clock=clock)
    ids.new()
    time_ms = int(clock.shown.timestamp() * 1000)
    ids._last = (time_ms << 74) | ((1 << 74) - 1)
    assert uuid.UUID(ids.new()).int >> 80 == time_ms + 1


def test_system_ids_are_unique_over_threads():
    ids = SystemIds(clock=SystemClock())
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: [ids.new() for _ in range(500)], range(8)))
    assert len({value for values in made for value in values}) == 4000
    assert all(values == sorted(values) for values in made)


def test_two_processes_do_not_guess_each_others_ids():
    clock = SteppedClock()
    assert SystemIds(clock=clock).new() != SystemIds(clock=clock).new()


@pytest.mark.parametrize("randomness", [SystemRandomness(), SeededRandomness(seed=3)], ids=["system", "seeded"])
def test_chance_has_its_form(randomness: Randomness):
    tokens = {randomness.token() for _ in range(50)}
    assert len(tokens) == 50
    assert all(len(token) == 32 and int(token, 16) >= 0 for token in tokens)
    assert {randomness.below(3) for _ in range(200)} == {0, 1, 2}


def test_seeded_chance_repeats_itself():
    one, same, other = SeededRandomness(seed=1), SeededRandomness(seed=1), SeededRandomness(seed=2)
    assert [one.token(), one.below(100)] == [same.token(), same.below(100)]
    assert SeededRandomness(seed=1).token() != other.token()


def test_sequential_ids_count_and_are_well_formed():
    ids: Ids = SequentialIds()
    made = [ids.new() for _ in range(300)]
    assert made[0] == "00000000-0001-7000-8000-000000000001"
    assert made == sorted(set(made))
    assert all(str(uuid.UUID(value)) == value and uuid.UUID(value).version == 7 for value in made)


async def test_fake_clock_stands_still_until_it_is_advanced():
    clock = FakeClock()
    start = clock.now()
    await clock.advance(90)
    assert (clock.now() - start, clock.monotonic()) == (timedelta(seconds=90), 90.0)
    with pytest.raises(ValueError, match="backwards"):
        await clock.advance(-1)


async def test_fake_clock_wakes_sleepers_at_their_own_times():
    clock = FakeClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps_s: float) -> None:
        for nap_s in naps_s:
            await clock.sleep(nap_s)
            woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("beat", 5, 5, 5))
        group.create_task(sleeper("once", 7))
        await clock.advance(4.9)
        assert woken == []
        await clock.advance(5.2)
        assert woken == [("beat", 5.0), ("once", 7.0), ("beat", 10.0)]
        await clock.advance(10)
    assert woken[-1] == ("beat", 15.0)
    assert clock.monotonic() == pytest.approx(20.1)


async def test_fake_clock_forgets_a_cancelled_sleeper():
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(5))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await clock.advance(10)
    assert clock.monotonic() == 10


async def test_fake_clock_can_advance_by_itself():
    clock = FakeClock(auto_advance=True)
    await clock.sleep(3600)
    await clock.sleep(0)
    assert clock.monotonic() == 3600
