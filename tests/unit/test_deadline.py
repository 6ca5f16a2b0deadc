"""The deadline guard around any port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.errors import (
    CouncilorError,
    DeadlineError,
    HashMismatchError,
    InputError,
    NotFoundError,
    SandboxError,
    UnavailableError,
)
from councilor.guards.deadline import with_deadline


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
def metrics() -> RecordingMetrics:
    return RecordingMetrics()


@pytest.fixture
def guarded(store: Store, metrics: RecordingMetrics) -> Store:
    return with_deadline(
        store,
        port="artifacts",
        backend="postgres",
        default_s=30,
        methods_s={"hang": 0.01},
        metrics=metrics,
        clock=store.clock,
    )


async def test_an_answer_in_time_passes_with_its_arguments(guarded: Store, store: Store, metrics: RecordingMetrics):
    assert await guarded.get("key", suffix="!") == "key!"
    assert store.calls == ["key"]
    assert metrics.observations("v3.port.seconds", port="artifacts", method="get") == [2.0]
    assert metrics.value("v3.port.errors") == 0
    assert guarded.get.__doc__ == "One value."


async def test_a_hanging_backend_is_cancelled_and_named(guarded: Store, store: Store, metrics: RecordingMetrics):
    with pytest.raises(DeadlineError, match=r"postgres did not answer artifacts\.hang within 0\.01 s") as caught:
        await guarded.hang()
    assert (caught.value.backend, caught.value.deadline_s) == ("postgres", 0.01)
    assert store.cleaned
    assert metrics.value("v3.port.errors", port="artifacts", error="deadline") == 1
    assert len(metrics.observations("v3.port.seconds", method="hang")) == 1


async def test_the_callers_tighter_deadline_wins_and_stays_its_own(store: Store, metrics: RecordingMetrics):
    guarded = with_deadline(
        store, port="artifacts", backend="postgres", default_s=30, metrics=metrics, clock=store.clock
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await guarded.hang()
    assert store.cleaned
    assert metrics.names() == frozenset()


async def test_a_timeout_of_the_backends_own_is_not_taken_for_the_deadline(guarded: Store, metrics: RecordingMetrics):
    with pytest.raises(TimeoutError, match="its own"):
        await guarded.fail(TimeoutError("its own"))
    assert metrics.value("v3.port.errors", error="unexpected") == 1


async def test_cancellation_is_passed_on_and_is_no_error(guarded: Store, store: Store, metrics: RecordingMetrics):
    task = asyncio.create_task(with_deadline_of_a_minute(store, metrics).hang())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.cleaned
    assert metrics.names() == frozenset()


def with_deadline_of_a_minute(store: Store, metrics: RecordingMetrics) -> Store:
    return with_deadline(store, port="artifacts", backend="memory", default_s=60, metrics=metrics, clock=store.clock)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DeadlineError("x", backend="b", deadline_s=1), "deadline"),
        (UnavailableError("x", backend="b"), "unavailable"),
        (SandboxError("x", backend="b"), "unavailable"),
        (HashMismatchError(), "integrity"),
        (InputError("x"), "input"),
        (NotFoundError("x"), "not_found"),
        (CouncilorError("x"), "unexpected"),
        (RuntimeError("x"), "unexpected"),
    ],
)
async def test_errors_pass_unchanged_and_are_counted_by_class(guarded, metrics, error, kind):
    with pytest.raises(type(error)) as caught:
        await guarded.fail(error)
    assert caught.value is error
    assert metrics.value("v3.port.errors", port="artifacts", error=kind) == 1
    assert metrics.value("v3.port.errors") == 1


async def test_sync_members_and_async_generators_pass_through(guarded: Store, metrics: RecordingMetrics):
    assert (guarded.name, guarded.durable, guarded.size()) == ("store", True, 0)
    # Each number takes 0.02 s, the default is 30 s: with a deadline of 0.03 s the stream would break off.
    tight = with_deadline(
        guarded, port="artifacts", backend="memory", default_s=0.03, metrics=metrics, clock=FakeClock()
    )
    assert [number async for number in tight.follow()] == [0, 1, 2]
    assert metrics.names() == frozenset()
    with pytest.raises(AttributeError):
        guarded.absent  # noqa: B018  the access is the test


async def test_guards_nest(guarded: Store, metrics: RecordingMetrics):
    outer = with_deadline(guarded, port="outer", backend="outer", default_s=5, metrics=metrics, clock=FakeClock())
    with pytest.raises(DeadlineError, match=r"artifacts\.hang"):
        await outer.hang()
    assert metrics.value("v3.port.errors", port="outer", error="deadline") == 1


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
def test_a_deadline_that_could_not_work_is_refused(store, metrics, default_s, methods_s, why):
    with pytest.raises(ValueError, match=why):
        with_deadline(
            store,
            port="artifacts",
            backend="postgres",
            default_s=default_s,
            methods_s=methods_s,
            metrics=metrics,
            clock=store.clock,
        )


class Swallower:
    """A backend that loses a cancellation."""

    async def get(self) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "answered at the same moment"
        return "late"


async def test_a_swallowed_cancellation_comes_out_all_the_same(metrics: RecordingMetrics):
    guarded = with_deadline(
        Swallower(), port="artifacts", backend="postgres", default_s=30.0, metrics=metrics, clock=FakeClock()
    )
    task = asyncio.create_task(guarded.get())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
