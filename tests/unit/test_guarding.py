"""All guards together, in the order that app/ puts them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from councilor.adapters.memory.clock import FakeClock, SeededRandomness
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.app.guarding import Guarding, make_guarding
from councilor.app.store import IDEMPOTENT
from councilor.domain.breaker import BreakerState
from councilor.errors import BreakerOpenError, DeadlineError, InputError, UnavailableError
from councilor.guards.budget import budget
from councilor.settings import load_settings

DOWN = UnavailableError("down", backend="postgres")


class Backend:
    """A port with what may go wrong."""

    durable = True

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls: list[str] = []

    async def read(self) -> str:
        return self._answer("read")

    async def append(self) -> str:
        return self._answer("append")

    async def hang(self) -> None:
        self.calls.append("hang")
        await asyncio.Event().wait()

    async def follow(self) -> AsyncIterator[int]:
        yield 1

    def _answer(self, name: str) -> str:
        self.calls.append(name)
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


class Second:
    """A fallback."""

    async def read(self) -> str:
        return "second"


@pytest.fixture
def metrics() -> RecordingMetrics:
    return RecordingMetrics()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def guarding(tmp_path: Path, metrics: RecordingMetrics, clock: FakeClock) -> Guarding:
    settings = load_settings(flags={"data_dir": str(tmp_path)})
    return make_guarding(settings, clock=clock, metrics=metrics, randomness=SeededRandomness())


def around(guarding: Guarding, adapter: Backend, /, **more: Any) -> Backend:
    given = {"port": "events", "backend": "postgres", "default_s": 5.0, "idempotent": ("read",)} | more
    return guarding.around(adapter, **given)


async def test_a_failure_that_a_repetition_cures_is_none(guarding: Guarding, metrics: RecordingMetrics) -> None:
    port = around(guarding, Backend(DOWN, DOWN))
    assert await port.read() == "answer"
    assert metrics.value("v3.retry.repeated", port="events") == 2
    assert metrics.value("v3.port.errors") == 0, "metrics see what the caller sees"
    (state,) = guarding.breakers.states()
    assert (state.calls, state.failures) == (1, 0), "the breaker sees what is left after the repetitions"
    assert len(metrics.observations("v3.port.seconds", port="events", method="read")) == 1


async def test_what_may_have_been_done_is_called_once(guarding: Guarding) -> None:
    backend = Backend(DOWN)
    with pytest.raises(UnavailableError):
        await around(guarding, backend).append()
    assert backend.calls == ["append"]


async def test_who_is_told_what_was_changed_is_not_told_that_nothing_was(guarding: Guarding) -> None:
    class Queue:
        """One whose answer is lost once it has taken tasks from the dead."""

        freed = ["task"]  # noqa: RUF012  emptied below

        async def reap(self) -> list[str]:
            found, self.freed = self.freed, []
            if found:
                raise DOWN
            return found

        async def _ask(self) -> list[str]:
            return []

        doomed = find = entries = leases = _ask

    port = guarding.around(Queue(), port="queue", backend="postgres", default_s=5.0, idempotent=IDEMPOTENT["queue"])
    with pytest.raises(UnavailableError):
        await port.reap()


async def test_a_refusal_is_measured_and_the_backend_not_called(guarding: Guarding, metrics: RecordingMetrics) -> None:
    backend = Backend(*[DOWN] * 5)
    port = around(guarding, backend)
    for _ in range(5):
        with pytest.raises(UnavailableError):
            await port.append()
    with pytest.raises(BreakerOpenError):
        await port.read()
    assert len(backend.calls) == 5
    assert metrics.value("v3.port.errors", port="events", error="unavailable") == 6
    assert metrics.value("v3.breaker.rejections", breaker="postgres") == 1
    assert metrics.value("v3.breaker.state", breaker="postgres") == 2


async def test_the_fallback_answers_a_refusal_and_is_counted(guarding: Guarding, metrics: RecordingMetrics) -> None:
    port = around(guarding, Backend(*[DOWN] * 5), idempotent=(), fallback=Second())
    assert [await port.read() for _ in range(7)] == ["second"] * 7
    assert metrics.value("v3.fallback.used", port="events", reason="unavailable") == 5
    assert metrics.value("v3.fallback.used", port="events", reason="breaker_open") == 2


async def test_ports_of_one_backend_share_its_breaker(guarding: Guarding) -> None:
    first, second = around(guarding, Backend(*[DOWN] * 5)), around(guarding, Backend(), port="log")
    other = around(guarding, Backend(), backend="redis")
    for _ in range(5):
        with pytest.raises(UnavailableError):
            await first.append()
    with pytest.raises(BreakerOpenError):
        await second.read()
    assert await other.read() == "answer"
    assert [item.name for item in guarding.breakers.states()] == ["postgres", "redis"]


async def test_a_hanging_backend_costs_its_deadline_five_times_and_then_nothing(guarding: Guarding) -> None:
    backend = Backend()
    port = around(guarding, backend, methods_s={"hang": 0.02}, idempotent=("read", "hang"))
    began_s = time.monotonic()
    for _ in range(5):
        with pytest.raises(DeadlineError):
            await port.hang()
    assert backend.calls == ["hang"] * 5, "who was late is not asked again"
    with pytest.raises(BreakerOpenError):
        await port.hang()
    assert time.monotonic() - began_s < 10


async def test_recovery_is_by_itself(guarding: Guarding, clock: FakeClock, metrics: RecordingMetrics) -> None:
    port = around(guarding, Backend(*[DOWN] * 6), idempotent=())
    for _ in range(5):
        with pytest.raises(UnavailableError):
            await port.read()
    await clock.advance(1)
    with pytest.raises(UnavailableError, match="down"):
        await port.read()
    await clock.advance(1)
    with pytest.raises(BreakerOpenError):
        await port.read()
    await clock.advance(1)
    assert await port.read() == "answer"
    assert guarding.breakers.states()[0].state is BreakerState.CLOSED
    assert metrics.value("v3.breaker.transitions", to="half_open") == 2
    assert metrics.value("v3.breaker.state", breaker="postgres") == 0


async def test_a_budget_that_is_spent_does_not_blame_the_backend(guarding: Guarding) -> None:
    port = around(guarding, Backend())
    for _ in range(8):
        with budget(0.005), pytest.raises(DeadlineError):
            await port.hang()
    (state,) = guarding.breakers.states()
    assert (state.state, state.calls) == (BreakerState.CLOSED, 0)


async def test_a_slow_call_is_judged_by_its_methods_service_level(guarding: Guarding, clock: FakeClock) -> None:
    class Slow(Backend):
        async def read(self) -> str:
            await clock.advance(2)
            return "late"

        async def append(self) -> str:
            await clock.advance(2)
            return "late"

    port = around(guarding, Slow(), slow_s=1.0, methods_slow_s={"append": float("inf")})
    await port.read()
    await port.append()
    assert guarding.breakers.states()[0].slow == 1


async def test_what_is_no_async_method_passes_every_guard(guarding: Guarding) -> None:
    port = around(guarding, Backend())
    assert port.durable is True
    assert [item async for item in port.follow()] == [1]
    with pytest.raises(AttributeError):
        port.absent  # noqa: B018  the access is the test


async def test_each_change_and_each_trial_is_one_line_of_the_log(
    guarding: Guarding, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="councilor.guards.breaker")
    port = around(guarding, Backend(*[DOWN] * 5, InputError("no")), idempotent=())
    for _ in range(5):
        with pytest.raises(UnavailableError):
            await port.read()
    with pytest.raises(BreakerOpenError):
        await port.read()
    await clock.advance(1)
    with pytest.raises(InputError):
        await port.read()
    await port.read()
    told = [
        (record.levelname, record.getMessage(), getattr(record, "after", None) or getattr(record, "result", None))
        for record in caplog.records
    ]
    assert told == [
        ("WARNING", "a breaker changed", "open"),
        ("INFO", "a breaker changed", "half_open"),
        ("INFO", "a breaker's trial call ended", "nothing"),
        ("INFO", "a breaker's trial call ended", "success"),
        ("INFO", "a breaker changed", "closed"),
    ]
    opened = caplog.records[0]
    assert (opened.breaker, opened.rule, opened.detail) == ("postgres", "failures in a row", "5 calls")  # type: ignore[attr-defined]
    assert 0 < opened.open_s <= 1  # type: ignore[attr-defined]


async def test_metrics_that_raise_break_no_call(tmp_path: Path, clock: FakeClock) -> None:
    class Broken(RecordingMetrics):
        def counter(self, name: str, labels: Any, v: float = 1) -> None:
            if name.startswith("v3.breaker"):
                raise RuntimeError("broken")

    settings = load_settings(flags={"data_dir": str(tmp_path)})
    guarding = make_guarding(settings, clock=clock, metrics=Broken(), randomness=SeededRandomness())
    port = around(guarding, Backend(*[DOWN] * 5))
    for _ in range(5):
        with pytest.raises(UnavailableError, match="down"):
            await port.append()
    with pytest.raises(BreakerOpenError):
        await port.append()
