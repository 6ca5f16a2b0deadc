"""The metrics guard around any port."""

from __future__ import annotations

import asyncio

import pytest

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.domain.slo import SLOS
from councilor.errors import (
    BreakerOpenError,
    BudgetSpentError,
    CouncilorError,
    DeadlineError,
    FencedError,
    HashMismatchError,
    InputError,
    NotFoundError,
    SandboxError,
    ShortageError,
    UnavailableError,
)
from councilor.guards.measuring import with_measuring


class Store:
    """A port."""

    durable = True

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    async def get(self, error: BaseException | None = None) -> str:
        """One value."""
        await self.clock.advance(2)
        if error is not None:
            raise error
        return "value"

    async def hang(self) -> None:
        await asyncio.Event().wait()


@pytest.fixture
def metrics() -> RecordingMetrics:
    return RecordingMetrics()


@pytest.fixture
def measured(metrics: RecordingMetrics) -> Store:
    clock = FakeClock()
    return with_measuring(Store(clock), port="artifacts", metrics=metrics, clock=clock)


async def test_a_call_is_timed(measured: Store, metrics: RecordingMetrics) -> None:
    assert await measured.get() == "value"
    assert metrics.observations("v3.port.seconds", port="artifacts", method="get") == [2.0]
    assert metrics.value("v3.port.errors") == 0
    assert (measured.durable, measured.get.__doc__) == (True, "One value.")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DeadlineError("x", backend="b", deadline_s=1), "deadline"),
        (UnavailableError("x", backend="b"), "unavailable"),
        (BreakerOpenError("x", backend="b", retry_after_s=1), "unavailable"),
        (SandboxError("x", backend="b"), "unavailable"),
        (HashMismatchError(), "integrity"),
        (InputError("x"), "input"),
        (BudgetSpentError("x", backend="b", deadline_s=1), "input"),
        (ShortageError("the quota is used up", backend="b"), "input"),
        (FencedError("x"), "input"),
        (NotFoundError("x"), "not_found"),
        (CouncilorError("x"), "unexpected"),
        (TimeoutError("its own"), "unexpected"),
        (RuntimeError("x"), "unexpected"),
    ],
)
async def test_errors_pass_unchanged_and_are_counted_by_class(
    measured: Store, metrics: RecordingMetrics, error: Exception, kind: str
) -> None:
    with pytest.raises(type(error)) as caught:
        await measured.get(error)
    assert caught.value is error
    assert metrics.value("v3.port.errors", port="artifacts", error=kind) == metrics.value("v3.port.errors") == 1
    assert metrics.observations("v3.port.seconds", method="get") == [2.0]


async def test_cancellation_is_no_error(measured: Store, metrics: RecordingMetrics) -> None:
    task = asyncio.create_task(measured.hang())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert metrics.names() == frozenset()


@pytest.mark.parametrize(
    "error", [BudgetSpentError("x", backend="b", deadline_s=1), ShortageError("x", backend="b"), FencedError("x")]
)
async def test_what_is_no_fault_of_the_database_spends_nothing_of_its_error_budget(
    measured: Store, metrics: RecordingMetrics, error: Exception
) -> None:
    bad = SLOS["database-errors"].bad
    assert bad is not None
    with pytest.raises(type(error)):
        await measured.get(error)
    assert sum(metrics.value("v3.port.errors", port="artifacts", error=kind) for kind in bad.where["error"]) == 0
