"""The deadline guard around any port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from councilor.adapters.memory.clock import FakeClock
from councilor.errors import BudgetSpentError, DeadlineError, UnavailableError
from councilor.guards.budget import budget, left_s
from councilor.guards.deadline import with_deadline
from councilor.guards.hostfault import find_host_fault
from councilor.guards.interruption import Interruption


class Store:
    """A port with every kind of member."""

    name = "store"
    durable = True

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.calls: list[str] = []
        self.cleaned = False

    async def get(self, key: str, *, suffix: str = "") -> str:
        """One value."""
        self.calls.append(key)
        await self.clock.advance(2)
        return key + suffix

    async def hang(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.cleaned = True

    async def fail(self, error: BaseException) -> None:
        raise error

    def size(self) -> int:
        return len(self.calls)

    async def follow(self) -> AsyncIterator[int]:
        for number in range(3):
            await asyncio.sleep(0.02)
            yield number


@pytest.fixture
def store() -> Store:
    return Store(FakeClock())


@pytest.fixture
def guarded(store: Store) -> Store:
    return with_deadline(
        store,
        port="artifacts",
        backend="postgres",
        default_s=30,
        methods_s={"hang": 0.01},
    )


async def test_an_answer_in_time_passes_with_its_arguments(guarded: Store, store: Store):
    assert await guarded.get("key", suffix="!") == "key!"
    assert store.calls == ["key"]
    assert guarded.get.__doc__ == "One value."


async def test_a_hanging_backend_is_cancelled_and_named(guarded: Store, store: Store):
    with pytest.raises(DeadlineError, match=r"postgres did not answer artifacts\.hang within 0\.01 s") as caught:
        await guarded.hang()
    assert (caught.value.backend, caught.value.deadline_s) == ("postgres", 0.01)
    assert store.cleaned


async def test_the_callers_tighter_deadline_wins_and_stays_its_own(store: Store):
    guarded = with_deadline(store, port="artifacts", backend="postgres", default_s=30)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await guarded.hang()
    assert store.cleaned


async def test_a_timeout_of_the_backends_own_is_not_taken_for_the_deadline(guarded: Store):
    with pytest.raises(TimeoutError, match="its own"):
        await guarded.fail(TimeoutError("its own"))


async def test_cancellation_is_passed_on(guarded: Store, store: Store):
    task = asyncio.create_task(with_deadline_of_a_minute(store).hang())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.cleaned


def with_deadline_of_a_minute(store: Store) -> Store:
    return with_deadline(store, port="artifacts", backend="memory", default_s=60)


async def test_sync_members_and_async_generators_pass_through(guarded: Store):
    assert (guarded.name, guarded.durable, guarded.size()) == ("store", True, 0)
    # Each number takes 0.02 s, the default is 30 s: with a deadline of 0.03 s the stream would break off.
    tight = with_deadline(guarded, port="artifacts", backend="memory", default_s=0.03)
    assert [number async for number in tight.follow()] == [0, 1, 2]
    with pytest.raises(AttributeError):
        guarded.absent  # noqa: B018  the access is the test


async def test_guards_nest(guarded: Store):
    outer = with_deadline(guarded, port="outer", backend="outer", default_s=5)
    with pytest.raises(DeadlineError, match=r"artifacts\.hang"):
        await outer.hang()


@pytest.mark.parametrize(
    ("default_s", "methods_s", "why"),
    [
        (0, {}, "cannot be met"),
        (float("nan"), {}, "cannot be met"),
        (1, {"get": -1}, "cannot be met"),
        (1, {"gett": 1}, "gett is not an async method of Store"),
        (1, {"size": 1}, "size is not an async method"),
        (1, {"follow": 1}, "follow is not an async method"),
    ],
)
def test_a_deadline_that_could_not_work_is_refused(store, default_s, methods_s, why):
    with pytest.raises(ValueError, match=why):
        with_deadline(
            store,
            port="artifacts",
            backend="postgres",
            default_s=default_s,
            methods_s=methods_s,
        )


# --- budgets


async def test_a_budget_caps_every_call_below_it(store: Store):
    guarded = with_deadline(store, port="artifacts", backend="postgres", default_s=30)
    began_s = time.monotonic()
    with budget(0.02), pytest.raises(BudgetSpentError, match=r"before postgres had answered artifacts\.hang"):
        await guarded.hang()
    assert time.monotonic() - began_s < 10
    assert store.cleaned
    assert left_s() == float("inf"), "outside nothing is left of it"


async def test_a_call_that_no_time_is_left_for_is_not_begun(store: Store):
    guarded = with_deadline(store, port="artifacts", backend="postgres", default_s=30)
    with budget(0.001):
        await asyncio.sleep(0.01)
        with pytest.raises(BudgetSpentError, match="No time is left"):
            await guarded.get("key")
    assert store.calls == []


async def test_a_method_that_is_late_within_a_larger_budget_has_missed_its_own_deadline(guarded: Store):
    with budget(30), pytest.raises(DeadlineError) as caught:
        await guarded.hang()
    assert not isinstance(caught.value, BudgetSpentError)


async def test_an_inner_budget_is_never_longer_and_tasks_have_it_too():
    with budget(5):
        with budget(60):
            assert 4 < left_s() <= 5
        with budget(1):
            async with asyncio.TaskGroup() as group:
                inherited = group.create_task(_left())
            assert 0 < inherited.result() <= 1
            assert 0 < await asyncio.to_thread(asyncio.run, _left()) <= 1
        assert 4 < left_s() <= 5


async def _left() -> float:
    return left_s()


async def test_a_step_gives_its_deadline_to_all_that_it_calls():
    async def step() -> float:
        return left_s()

    assert 0 < await Interruption().run("work", step, preemptible=True, timeout_s=2.0) <= 2.0
    assert left_s() == float("inf")


def test_a_spent_budget_is_no_fault_of_the_host():
    spent = BudgetSpentError("x", backend="postgres", deadline_s=1)
    assert find_host_fault(spent) is None
    behind = UnavailableError("y", backend="postgres")
    spent.__cause__ = behind
    assert find_host_fault(spent) is behind


class Swallower:
    """A backend that loses a cancellation."""

    async def get(self) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "answered at the same moment"
        return "late"


async def test_a_swallowed_cancellation_comes_out_all_the_same():
    guarded = with_deadline(Swallower(), port="artifacts", backend="postgres", default_s=30.0)
    task = asyncio.create_task(guarded.get())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
