"""The circuit breaker: its rules one by one, and over simulated backends."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from datetime import datetime
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from councilor.adapters.memory.clock import FakeClock, SeededRandomness
from councilor.domain.breaker import (
    STATE_VALUES,
    BreakerEvent,
    BreakerPolicy,
    BreakerState,
    Probe,
    ProbeResult,
    Rejection,
    Rule,
    Transition,
)
from councilor.errors import (
    BreakerOpenError,
    BudgetSpentError,
    DeadlineError,
    HashMismatchError,
    InputError,
    MissingExtraError,
    NotFoundError,
    ShortageError,
    UnavailableError,
    UnusableAnswerError,
)
from councilor.guards.blame import blames_backend
from councilor.guards.breaker import Breaker, with_breaker

DOWN = UnavailableError("down", backend="postgres")
SLOW_S = 1.0


class Bench:
    """A breaker with what a test decides."""

    def __init__(self, **policy: object) -> None:
        self.clock = FakeClock()
        self.events: list[BreakerEvent] = []
        self.breaker = Breaker(
            "postgres",
            policy=BreakerPolicy(**({"jitter": 0.0} | policy)),
            clock=self.clock,
            randomness=SeededRandomness(),
            listener=self.events.append,
        )

    async def call(self, error: BaseException | None = None, seconds: float = 0.0) -> str:
        async def backend() -> str:
            if seconds:
                await self.clock.advance(seconds)
            if error is not None:
                raise error
            return "answer"

        return await self.breaker.call(backend, slow_s=SLOW_S)

    async def fail(self, times: int = 1, error: BaseException = DOWN) -> None:
        for _ in range(times):
            with pytest.raises(type(error)):
                await self.call(error)

    @property
    def state(self) -> BreakerState:
        return self.breaker.snapshot().state

    def transitions(self) -> list[tuple[BreakerState, Rule]]:
        return [(event.after, event.rule) for event in self.events if isinstance(event, Transition)]


# --- closed


async def test_answers_and_errors_pass_through() -> None:
    bench = Bench()
    assert await bench.call() == "answer"
    await bench.fail()
    assert (bench.state, bench.events) == (BreakerState.CLOSED, [])
    snapshot = bench.breaker.snapshot()
    assert (snapshot.calls, snapshot.failures, snapshot.slow) == (2, 1, 0)


async def test_five_failures_in_a_row_open_it() -> None:
    bench = Bench()
    await bench.fail(4)
    await bench.call()
    await bench.fail(4)
    assert bench.state is BreakerState.CLOSED
    await bench.fail()
    assert bench.transitions() == [(BreakerState.OPEN, Rule.FAILURES_IN_A_ROW)]


async def test_the_success_rate_speaks_from_its_least_calls_on() -> None:
    bench = Bench(least_calls=100, window_calls=1000, streak=10)
    for number in range(99):
        await (bench.call() if number % 10 else bench.fail())
    assert bench.state is BreakerState.CLOSED
    await bench.call()
    assert bench.transitions() == [(BreakerState.OPEN, Rule.SUCCESS_RATE)]
    assert bench.events[0].detail == "10 of 100 calls failed"


async def test_exactly_ninety_five_percent_is_enough() -> None:
    bench = Bench(least_calls=100, window_calls=1000)
    for number in range(100):
        await (bench.fail() if number % 20 == 19 else bench.call())
    assert bench.state is BreakerState.CLOSED
    await bench.fail()
    assert bench.transitions() == [(BreakerState.OPEN, Rule.SUCCESS_RATE)]


async def test_slow_calls_open_it_although_they_succeed() -> None:
    bench = Bench(least_calls=100, window_calls=1000)
    await bench.call(seconds=SLOW_S + 0.5)
    for _ in range(99):
        await bench.call(seconds=SLOW_S)
    assert bench.state is BreakerState.CLOSED, "one of a hundred is 1 %, and not more"
    await bench.call(seconds=SLOW_S + 0.5)
    assert bench.transitions() == [(BreakerState.OPEN, Rule.SLOW_CALLS)]


@given(st.lists(st.floats(0.1, 2.0), min_size=1, max_size=400), st.floats(0.1, 2.0))
def test_the_slow_rule_is_the_nearest_rank_percentile(seconds: list[float], level_s: float) -> None:
    percentile_s = sorted(seconds)[math.ceil(len(seconds) * 99 / 100) - 1]
    slow = sum(item > level_s for item in seconds)
    assert (slow * 1000 > BreakerPolicy().most_slow_permille * len(seconds)) == (percentile_s > level_s)


@pytest.mark.parametrize(
    "error",
    [
        InputError("x"), NotFoundError("x"), HashMismatchError("x"), ShortageError("x", backend="host"),
        MissingExtraError(extra="redis"), BreakerOpenError("x", backend="inner", retry_after_s=1),
        BudgetSpentError("x", backend="postgres", deadline_s=1), asyncio.CancelledError(),
    ],
)  # fmt: skip
async def test_what_says_nothing_about_the_backend_is_not_counted(error: BaseException) -> None:
    bench = Bench()
    await bench.fail(4)
    await bench.fail(20, error)
    assert (bench.state, bench.breaker.snapshot().calls) == (BreakerState.CLOSED, 4)
    await bench.fail()
    assert bench.state is BreakerState.OPEN, "and it does not interrupt a row of failures"


@pytest.mark.parametrize(
    "error",
    [DOWN, DeadlineError("x", backend="b", deadline_s=1), UnusableAnswerError("x", backend="b"), OSError(), KeyError()],
)
def test_what_blames_the_backend(error: Exception) -> None:
    assert blames_backend(error)


# --- open and half-open


async def opened(**policy: object) -> Bench:
    bench = Bench(**policy)
    await bench.fail(5)
    bench.events.clear()
    return bench


async def test_an_open_one_refuses_and_says_when_to_come_back() -> None:
    bench = await opened(open_s=4.0)
    await bench.clock.advance(1)
    with pytest.raises(BreakerOpenError) as refused:
        await bench.call()
    assert (refused.value.backend, refused.value.retry_after_s) == ("postgres", 3.0)
    assert "3.0 s" in refused.value.message and "5 calls" in refused.value.message
    assert bench.events == [Rejection(breaker="postgres")]
    assert bench.breaker.snapshot().retry_after_s == 3.0


async def test_exactly_one_trial_call_at_a_time() -> None:
    bench = await opened()
    await bench.clock.advance(1)
    let_go = asyncio.Event()
    trial = asyncio.create_task(bench.breaker.call(let_go.wait))
    await asyncio.sleep(0)
    for _ in range(3):
        with pytest.raises(BreakerOpenError):
            await bench.call()
    let_go.set()
    assert await trial is True
    assert bench.transitions() == [
        (BreakerState.HALF_OPEN, Rule.TIME_OVER),
        (BreakerState.CLOSED, Rule.PROBES_SUCCEEDED),
    ]
    assert [event for event in bench.events if isinstance(event, Probe)] == [
        Probe(breaker="postgres", result=ProbeResult.SUCCESS, seconds=0.0)
    ]
    assert bench.breaker.snapshot().calls == 0, "what was is forgotten"
    await bench.fail(4)
    assert bench.state is BreakerState.CLOSED


async def test_a_trial_that_takes_very_long_does_not_keep_everybody_out() -> None:
    bench = await opened(open_s=1.0, longest_open_s=30.0)
    await bench.clock.advance(1)
    let_go = asyncio.Event()
    trials = [asyncio.create_task(bench.breaker.call(let_go.wait))]  # an hour's upload, say
    await asyncio.sleep(0)
    await bench.clock.advance(29)
    with pytest.raises(BreakerOpenError):
        await bench.call()
    await bench.clock.advance(1)
    trials.append(asyncio.create_task(bench.breaker.call(let_go.wait)))
    await asyncio.sleep(0)
    with pytest.raises(BreakerOpenError):
        await bench.call()
    await bench.clock.advance(30)
    assert await bench.call() == "answer"
    assert bench.state is BreakerState.CLOSED
    let_go.set()
    assert await asyncio.gather(*trials) == [True, True]
    assert bench.breaker.snapshot().calls == 0, "trials of a time that is over"


async def test_it_stays_open_longer_each_time_and_not_for_ever() -> None:
    bench = await opened(open_s=1.0, longest_open_s=5.0, multiplier=2.0)
    waits = []
    for wait_s in (1, 2, 4, 5, 5):
        waits.append(bench.breaker.snapshot().retry_after_s)
        await bench.clock.advance(wait_s)
        await bench.fail()
    assert waits == [1, 2, 4, 5, 5]
    await bench.clock.advance(5)
    await bench.call()
    await bench.fail(5)
    assert bench.breaker.snapshot().retry_after_s == 1, "once it was closed, it begins anew"


async def test_chance_takes_a_part_of_the_time() -> None:
    waits = []
    for seed in range(200):
        bench = Bench(open_s=10.0, jitter=0.2)
        bench.breaker._randomness = SeededRandomness(seed=seed)
        await bench.fail(5)
        waits.append(bench.breaker.snapshot().retry_after_s)
    assert min(waits) >= 8 and max(waits) <= 10
    assert max(waits) - min(waits) > 1.8


@pytest.mark.parametrize("error", [asyncio.CancelledError(), InputError("x")])
async def test_a_trial_that_says_nothing_makes_room_for_another(error: BaseException) -> None:
    bench = await opened()
    await bench.clock.advance(1)
    await bench.fail(1, error)
    assert bench.state is BreakerState.HALF_OPEN
    assert bench.events[-1] == Probe(breaker="postgres", result=ProbeResult.NOTHING, seconds=0.0)
    assert await bench.call() == "answer"
    assert bench.state is BreakerState.CLOSED


async def test_a_cancelled_trial_frees_its_place() -> None:
    bench = await opened()
    await bench.clock.advance(1)
    trial = asyncio.create_task(bench.breaker.call(asyncio.Event().wait))
    await asyncio.sleep(0)
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial
    assert await bench.call() == "answer"


async def test_a_trial_that_is_still_slow_fails_only_where_slowness_opened_it() -> None:
    slow = Bench(least_calls=10, window_calls=100)
    for _ in range(10):
        await slow.call(seconds=2)
    assert slow.state is BreakerState.OPEN
    await slow.clock.advance(1)
    await slow.call(seconds=2)
    assert slow.transitions()[-1] == (BreakerState.OPEN, Rule.PROBE_FAILED)
    assert Probe(breaker="postgres", result=ProbeResult.SLOW, seconds=2.0) in slow.events
    await slow.clock.advance(2)
    await slow.call(seconds=0.5)
    assert slow.state is BreakerState.CLOSED
    failed = await opened()
    await failed.clock.advance(1)
    await failed.call(seconds=2)
    assert failed.state is BreakerState.CLOSED


async def test_several_trials_where_the_policy_asks_for_them() -> None:
    bench = await opened(probes=2, successes=3)
    await bench.clock.advance(1)
    let_go = asyncio.Event()
    trials = [asyncio.create_task(bench.breaker.call(let_go.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(BreakerOpenError):
        await bench.call()
    let_go.set()
    await asyncio.gather(*trials)
    assert bench.state is BreakerState.HALF_OPEN
    await bench.call()
    assert bench.state is BreakerState.CLOSED


async def test_a_call_from_before_is_not_counted_after() -> None:
    bench = Bench()
    let_go = asyncio.Event()

    async def late() -> None:
        await let_go.wait()
        raise DOWN

    before = [asyncio.create_task(bench.breaker.call(late)) for _ in range(10)]
    await asyncio.sleep(0)
    await bench.fail(5)
    await bench.clock.advance(1)
    await bench.call()
    assert bench.state is BreakerState.CLOSED
    let_go.set()
    assert all(isinstance(item, UnavailableError) for item in await asyncio.gather(*before, return_exceptions=True))
    assert (bench.state, bench.breaker.snapshot().calls) == (BreakerState.CLOSED, 0)


async def test_time_that_jumps_far_forward_ends_waiting_and_empties_the_window() -> None:
    bench = await opened(open_s=30.0)
    await bench.clock.advance(10**7)
    assert bench.breaker.snapshot().retry_after_s == 0
    await bench.call()
    for _ in range(3):
        await bench.call(seconds=SLOW_S * 2)
    await bench.clock.advance(10**7)
    await bench.call()
    snapshot = bench.breaker.snapshot()
    assert (snapshot.state, snapshot.calls, snapshot.slow) == (BreakerState.CLOSED, 1, 0)


async def test_the_wall_clock_is_not_asked() -> None:
    class Jumping(FakeClock):
        def now(self) -> datetime:
            raise AssertionError("it was set back, forward, or to another zone")

    bench = Bench()
    bench.breaker = Breaker(
        "postgres",
        policy=BreakerPolicy(jitter=0.0),
        clock=(clock := Jumping()),
        randomness=SeededRandomness(),
        listener=bench.events.append,
    )
    bench.clock = clock
    await bench.fail(5)
    await clock.advance(1)
    await bench.call()
    assert bench.state is BreakerState.CLOSED


# --- an operator


async def test_forced_open_refuses_until_it_is_reset() -> None:
    bench = Bench()
    bench.breaker.force(open_=True, why="moving the database")
    await bench.clock.advance(10**6)
    with pytest.raises(BreakerOpenError, match="moving the database") as refused:
        await bench.call()
    assert refused.value.retry_after_s is None
    assert "breakers reset postgres" in refused.value.hint()
    bench.breaker.reset()
    assert await bench.call() == "answer"
    assert bench.transitions() == [(BreakerState.FORCED_OPEN, Rule.OPERATOR), (BreakerState.CLOSED, Rule.OPERATOR)]


async def test_a_disabled_one_lets_everything_through_uncounted() -> None:
    bench = await opened()
    bench.breaker.force(open_=False)
    await bench.fail(50)
    assert (bench.state, bench.breaker.snapshot().calls) == (BreakerState.DISABLED, 0)
    bench.breaker.force(open_=False)
    assert len(bench.transitions()) == 1, "saying it again is no change"


async def test_an_order_during_a_trial_stands() -> None:
    bench = await opened()
    await bench.clock.advance(1)
    let_go = asyncio.Event()
    trial = asyncio.create_task(bench.breaker.call(let_go.wait))
    await asyncio.sleep(0)
    bench.breaker.force(open_=True)
    let_go.set()
    await trial
    assert bench.state is BreakerState.FORCED_OPEN


# --- around a port


class Port:
    """A port with two methods."""

    durable = True

    async def quick(self, text: str, *, end: str = "") -> str:
        """Its docstring."""
        return text + end

    async def long(self) -> None:
        raise DOWN


async def test_the_guard_keeps_the_port_as_it_is() -> None:
    bench = Bench()
    port = with_breaker(Port(), port="events", breaker=bench.breaker, slow_s=1, methods_slow_s={"long": 9})
    assert await port.quick("a", end="b") == "ab"
    assert (port.durable, port.quick.__name__, port.quick.__doc__) == (True, "quick", "Its docstring.")
    for _ in range(5):
        with pytest.raises(UnavailableError):
            await port.long()
    with pytest.raises(BreakerOpenError):
        await port.quick("a")
    with pytest.raises(ValueError, match=r"events\.durable"):
        with_breaker(Port(), port="events", breaker=bench.breaker, methods_slow_s={"durable": 9})


async def test_an_argument_may_have_any_name() -> None:
    class Odd:
        async def ask(self, *, slow_s: int, function: int) -> int:
            return slow_s + function

    assert await with_breaker(Odd(), port="odd", breaker=Bench().breaker).ask(slow_s=1, function=2) == 3


async def test_a_listener_that_raises_harms_no_call(caplog: pytest.LogCaptureFixture) -> None:
    def listener(event: BreakerEvent) -> None:
        raise RuntimeError("the metrics are broken")

    clock = FakeClock()
    breaker = Breaker("redis", policy=BreakerPolicy(), clock=clock, randomness=SeededRandomness(), listener=listener)

    async def fail() -> None:
        raise DOWN

    for _ in range(5):
        with pytest.raises(UnavailableError, match="down"):
            await breaker.call(fail)
    with pytest.raises(BreakerOpenError):
        await breaker.call(fail)
    assert "listener failed" in caplog.text


async def test_a_listener_may_ask_the_breaker() -> None:
    seen = []
    bench = Bench()
    bench.breaker._listener = lambda _event: seen.append(bench.breaker.snapshot().state)
    await bench.fail(5)
    assert seen == [BreakerState.OPEN]


def test_threads_share_one_breaker() -> None:
    bench = Bench(window_calls=100_000, least_calls=100_000)

    async def many() -> None:
        async def answer() -> None:
            pass

        for _ in range(500):
            await bench.breaker.call(answer)

    threads = [Thread(target=lambda: asyncio.run(many())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bench.breaker.snapshot().calls == 4000


@pytest.mark.parametrize(
    "wrong",
    [
        {"streak": 0}, {"least_calls": 2000}, {"buckets": 0}, {"open_s": 0}, {"open_s": 9, "longest_open_s": 8},
        {"multiplier": 0.5}, {"jitter": 1.0}, {"least_success_permille": 1001}, {"window_s": 0}, {"probes": 0},
    ],
)  # fmt: skip
def test_a_policy_that_none_can_go_by_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"permille|counts|times|multiplier"):
        BreakerPolicy(**wrong)


def test_the_gauge_tells_the_states_in_the_documented_order() -> None:
    order = ["closed", "half_open", "open", "forced_open", "disabled"]
    assert [STATE_VALUES[BreakerState(name)] for name in order] == [0, 1, 2, 3, 4]


# --- over simulated backends


async def calls_until_it_opens(bench: Bench, *, failing: float, slow: float, calls: int, seed: int) -> int | None:
    chance = random.Random(seed)
    for number in range(calls):
        error = DOWN if chance.random() < failing else None
        with contextlib.suppress(UnavailableError):
            await bench.call(error, seconds=2.0 if chance.random() < slow else 0.0)
        if any(isinstance(event, Transition) for event in bench.events):
            return number + 1
    return None


async def test_a_healthy_backend_does_not_open_it() -> None:
    for seed in range(5):
        assert await calls_until_it_opens(Bench(), failing=0.01, slow=0.001, calls=5000, seed=seed) is None


@pytest.mark.parametrize(
    ("failing", "slow", "most"), [(1.0, 0.0, 5), (0.5, 0.0, 300), (0.1, 0.0, 600), (0.0, 0.05, 600)]
)
async def test_a_bad_backend_opens_it_soon(failing: float, slow: float, most: int) -> None:
    for seed in range(5):
        needed = await calls_until_it_opens(Bench(), failing=failing, slow=slow, calls=5000, seed=seed)
        assert needed is not None and needed <= most
