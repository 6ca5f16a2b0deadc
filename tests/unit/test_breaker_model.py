"""The circuit breaker beside a plain model, step by step, and its window beside a list."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from councilor.adapters.memory.clock import FakeClock, SeededRandomness
from councilor.domain.breaker import (
    BreakerEvent,
    BreakerPolicy,
    BreakerState,
    Transition,
)
from councilor.errors import (
    BreakerOpenError,
    InputError,
    UnavailableError,
)
from councilor.guards.breaker import Breaker
from councilor.guards.breaker.window import Window

DOWN = UnavailableError("down", backend="postgres")
SLOW_S = 1.0


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.4, 3.0, 50.0]), st.booleans(), st.booleans()), max_size=150),
    st.integers(1, 5),
    st.integers(5, 30),
)
def test_the_window_holds_what_it_should(
    calls: list[tuple[float, bool, bool]], buckets: int, window_calls: int
) -> None:
    policy = BreakerPolicy(window_calls=window_calls, least_calls=1, window_s=10.0, buckets=buckets)
    window, now_s, kept = Window(policy), 0.0, list[tuple[float, bool, bool]]()
    for pause_s, failed, slow in calls:
        now_s += pause_s
        window.add(now_s, failed=failed, slow=slow)
        kept.append((now_s, failed, slow))
        newest = kept[-window.calls :]
        assert (window.failures, window.slow) == (sum(c[1] for c in newest), sum(c[2] for c in newest))
        bucket_s, bucket_calls = policy.window_s / buckets, -(-window_calls // buckets)
        assert all(now_s - began_s <= policy.window_s + 2 * bucket_s for began_s, _, _ in newest)
        assert window.calls < window_calls + 2 * bucket_calls
        young = sum(now_s - began_s < policy.window_s for began_s, _, _ in kept)
        assert window.calls >= min(window_calls, young)


class BreakerBesideModel(RuleBasedStateMachine):
    """A breaker, and the plainest program that should behave as it does."""

    policy = BreakerPolicy(
        streak=3, least_calls=6, window_calls=10, buckets=1, window_s=1e9, open_s=2.0, longest_open_s=7.0, jitter=0.0,
        least_success_permille=700, most_slow_permille=300,
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.told: list[BreakerEvent] = []
        self.breaker = Breaker(
            "b", policy=self.policy, clock=self.clock, randomness=SeededRandomness(), listener=self.told.append
        )
        self.loop = asyncio.new_event_loop()
        self.state = BreakerState.CLOSED
        self.old: list[tuple[bool, bool]] = []
        self.bucket: list[tuple[bool, bool]] = []
        self.streak = 0
        self.until_s = 0.0
        self.span_s = 2.0
        self.by_slowness = False
        self.running: list[tuple[asyncio.Task[None], asyncio.Future[None], int]] = []
        """Calls under way, with the number of changes when they began."""
        self.changes = 0

    def teardown(self) -> None:
        for task, _, _ in self.running:
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    # the model

    def _changes(self, state: BreakerState) -> None:
        self.state, self.changes, self.streak = state, self.changes + 1, 0
        self.old, self.bucket = [], []

    def _opens(self) -> None:
        self.until_s = self.clock.monotonic() + self.span_s
        self._changes(BreakerState.OPEN)

    def _ends(self, began: int, failed: bool | None, slow: bool) -> None:
        if began != self.changes:
            return
        if self.state is BreakerState.HALF_OPEN:
            if failed or (failed is False and slow and self.by_slowness):
                self.span_s = min(2 * self.span_s, 7.0)
                self._opens()
            elif failed is False:
                self.span_s = 2.0
                self._changes(BreakerState.CLOSED)
        elif failed is not None and self.state is BreakerState.CLOSED:
            self._counts(failed, slow)

    def _counts(self, failed: bool, slow: bool) -> None:
        if len(self.bucket) == 10:
            self.old, self.bucket = self.bucket, []
        self.bucket.append((failed, slow))
        seen = self.old + self.bucket
        self.streak = self.streak + 1 if failed else 0
        bad, late = sum(item[0] for item in seen), sum(item[1] for item in seen)
        row = self.streak == 3
        rate = len(seen) >= 6 and 10 * (len(seen) - bad) < 7 * len(seen)
        slowness = len(seen) >= 6 and 10 * late > 3 * len(seen)
        if row or rate or slowness:
            self.by_slowness = not row and not rate
            self._opens()

    def _lets_through(self) -> bool:
        if self.state is BreakerState.OPEN and self.clock.monotonic() >= self.until_s:
            self._changes(BreakerState.HALF_OPEN)
        trials = [task.began_s for task, _, began in self.running if began == self.changes]  # type: ignore[attr-defined]
        return (
            self.state in {BreakerState.CLOSED, BreakerState.DISABLED}
            or (self.state is BreakerState.HALF_OPEN and all(self.clock.monotonic() - at >= 7.0 for at in trials))
        )  # fmt: skip

    # what happens

    @rule(seconds=st.sampled_from([0.5, 1.5, 2.0, 7.0, 1e6]))
    def time_passes(self, seconds: float) -> None:
        self.loop.run_until_complete(self.clock.advance(seconds))

    @precondition(lambda self: len(self.running) < 4)
    @rule()
    def a_call_begins(self) -> None:
        expected = self._lets_through()
        answer = self.loop.create_future()

        async def wait() -> None:
            await answer

        task = self.loop.create_task(self.breaker.call(wait, slow_s=SLOW_S))
        self.loop.run_until_complete(asyncio.sleep(0))
        if task.done():
            assert isinstance(task.exception(), BreakerOpenError)
            assert not expected
        else:
            assert expected
            began = -1 if self.state is BreakerState.DISABLED else self.changes
            self.running.append((task, answer, began))
            task.began_s = self.clock.monotonic()  # type: ignore[attr-defined]

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 3), how=st.sampled_from(["answer", "answer", "fail", "fail", "refuse", "cancel"]))
    def a_call_ends(self, which: int, how: str) -> None:
        task, answer, began = self.running.pop(which % len(self.running))
        slow = self.clock.monotonic() - task.began_s > SLOW_S  # type: ignore[attr-defined]
        if how == "cancel":
            task.cancel()
        elif how == "answer":
            answer.set_result(None)
        else:
            answer.set_exception(DOWN if how == "fail" else InputError("no"))
        self.loop.run_until_complete(asyncio.wait([task]))
        assert task.cancelled() or task.exception() is None or how in {"fail", "refuse"}
        self._ends(began, {"answer": False, "fail": True}.get(how), slow)

    @rule(order=st.sampled_from(["open", "disable", "reset"]), really=st.integers(0, 3))
    def an_operator_orders(self, order: str, really: int) -> None:
        if really:
            return  # most runs should see the machine by itself
        if order == "reset":
            self.breaker.reset()
            self._changes(BreakerState.CLOSED)
        else:
            self.breaker.force(open_=order == "open")
            self._changes(BreakerState.FORCED_OPEN if order == "open" else BreakerState.DISABLED)
        self.span_s = 2.0

    @invariant()
    def both_agree(self) -> None:
        snapshot = self.breaker.snapshot()
        seen = self.old + self.bucket
        assert snapshot.state is self.state
        assert (snapshot.calls, snapshot.failures, snapshot.slow) == (
            len(seen), sum(item[0] for item in seen), sum(item[1] for item in seen),
        )  # fmt: skip
        if self.state is BreakerState.OPEN:
            assert snapshot.retry_after_s == max(0.0, self.until_s - self.clock.monotonic())

    @invariant()
    def every_change_is_told_from_where_the_last_one_led(self) -> None:
        moved = [event for event in self.told if isinstance(event, Transition)]
        path = [BreakerState.CLOSED, *(event.after for event in moved)]
        assert [event.before for event in moved] == path[:-1]
        assert path[-1] is self.state


TestBreakerBesideModel = BreakerBesideModel.TestCase
TestBreakerBesideModel.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
