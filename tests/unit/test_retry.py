"""The retry guard around any port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from stamina.instrumentation import set_on_retry_hooks

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.errors import (
    BreakerOpenError,
    CouncilorError,
    DeadlineError,
    InputError,
    IntegrityError,
    ShortageError,
    UnavailableError,
)
from councilor.guards.budget import budget
from councilor.guards.retry import RetryPolicy, with_retry

DOWN = UnavailableError("down", backend="postgres")
QUICK = RetryPolicy(pause_s=0.001, jitter_s=0.0)


@pytest.fixture(autouse=True)
def _no_hooks() -> Iterator[None]:
    set_on_retry_hooks(())
    yield
    set_on_retry_hooks(None)


class Store:
    """Fails as often as it is told."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def get(self, key: str = "key") -> str:
        """One value."""
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return key

    async def append(self) -> None:
        await self.get()

    async def hang(self) -> None:
        self.calls += 1
        if self.calls == 1:
            raise DOWN
        await asyncio.Event().wait()


def retried(
    store: Store, *, policy: RetryPolicy = QUICK, total_s: float = 5.0, metrics: RecordingMetrics | None = None
) -> Store:
    return with_retry(
        store,
        port="artifacts",
        methods_s={"get": total_s, "hang": total_s},
        metrics=metrics or RecordingMetrics(),
        policy=policy,
    )


async def test_a_failure_that_passes_is_not_seen() -> None:
    store, metrics = Store(DOWN, DOWN), RecordingMetrics()
    assert await retried(store, metrics=metrics).get("x") == "x"
    assert (store.calls, metrics.value("v3.retry.repeated", port="artifacts")) == (3, 2)


async def test_the_number_of_tries_is_bounded() -> None:
    store = Store(*[UnavailableError(str(number), backend="postgres") for number in range(9)])
    with pytest.raises(UnavailableError, match="2"):
        await retried(store).get()
    assert store.calls == 3


async def test_a_method_that_may_have_been_done_is_not_repeated() -> None:
    store = Store(DOWN)
    port = retried(store)
    with pytest.raises(UnavailableError):
        await port.append()
    assert store.calls == 1
    assert port.append == store.append, "nothing stands before it"


@pytest.mark.parametrize(
    "error",
    [
        DeadlineError("x", backend="b", deadline_s=1), InputError("x"), IntegrityError("x"), RuntimeError("x"),
        ShortageError("x", backend="host"), BreakerOpenError("x", backend="b", retry_after_s=0.0),
        asyncio.CancelledError(), CouncilorError("x"),
    ],
)  # fmt: skip
async def test_what_will_not_pass_is_not_repeated(error: BaseException) -> None:
    store = Store(error)
    with pytest.raises(type(error)):
        await retried(store).get()
    assert store.calls == 1


async def test_an_error_of_another_kind_at_a_further_try_is_final() -> None:
    store = Store(DOWN, InputError("refused"))
    with pytest.raises(InputError):
        await retried(store).get()
    assert store.calls == 2


async def test_a_backend_says_when_to_come_back() -> None:
    busy = UnavailableError("busy", backend="redis")
    busy.retry_after_s = 0.05  # type: ignore[attr-defined]
    began_s = time.monotonic()
    assert await retried(Store(busy)).get() == "key"
    assert 0.05 <= time.monotonic() - began_s < 10


async def test_a_time_to_come_back_that_does_not_fit_is_not_waited_for() -> None:
    busy = UnavailableError("busy", backend="redis")
    busy.retry_after_s = 30.0  # type: ignore[attr-defined]
    store = Store(busy)
    began_s = time.monotonic()
    with pytest.raises(UnavailableError, match="busy"):
        await retried(store).get()
    assert store.calls == 1
    assert time.monotonic() - began_s < 10


async def test_all_tries_together_take_no_longer_than_the_deadline() -> None:
    store = Store()
    began_s = time.monotonic()
    with pytest.raises(UnavailableError, match="down"):
        await retried(store, total_s=0.05).hang()
    assert store.calls == 2
    assert time.monotonic() - began_s < 10


async def test_pauses_count_as_well() -> None:
    store = Store(DOWN, DOWN)
    began_s = time.monotonic()
    with pytest.raises(UnavailableError, match="down"):
        await retried(store, total_s=0.05, policy=RetryPolicy(pause_s=20.0, longest_pause_s=20.0)).get()
    assert store.calls == 1
    assert time.monotonic() - began_s < 10


async def test_the_callers_budget_ends_it_as_well() -> None:
    store = Store()
    with budget(0.05), pytest.raises(UnavailableError, match="down"):
        await retried(store).hang()
    with budget(-1), pytest.raises(UnavailableError):
        await retried(spent := Store(DOWN)).get()
    assert spent.calls == 1


async def test_a_cancellation_between_two_tries_ends_it() -> None:
    store = Store(DOWN)
    task = asyncio.create_task(retried(store, policy=RetryPolicy(pause_s=30.0, longest_pause_s=30.0), total_s=60).get())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert store.calls == 1


def test_only_async_methods_can_be_repeated() -> None:
    with pytest.raises(ValueError, match=r"artifacts\.gett"):
        with_retry(Store(), port="artifacts", methods_s={"gett": 1}, metrics=RecordingMetrics())
