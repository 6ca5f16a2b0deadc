"""The fallback guard around any port."""

from __future__ import annotations

import asyncio
import logging

import pytest

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.errors import (
    BreakerOpenError,
    BudgetSpentError,
    DeadlineError,
    HashMismatchError,
    InputError,
    NotFoundError,
    UnavailableError,
)
from councilor.guards.fallback import with_fallback


class Shared:
    """The better one."""

    shared = True

    def __init__(self) -> None:
        self.error: BaseException | None = None

    async def get(self, key: str) -> str:
        if self.error is not None:
            raise self.error
        return f"shared {key}"


class Local:
    """The second best."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None

    async def get(self, key: str) -> str:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return f"local {key}"


class Bench:
    def __init__(self) -> None:
        self.shared, self.local, self.metrics = Shared(), Local(), RecordingMetrics()
        self.port = with_fallback(self.shared, self.local, port="cache", backend="redis", metrics=self.metrics)  # type: ignore[type-var]


async def test_the_first_answers_while_it_can() -> None:
    bench = Bench()
    assert await bench.port.get("x") == "shared x"
    assert bench.port.shared is True
    assert (bench.local.calls, bench.metrics.names()) == (0, frozenset())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DeadlineError("x", backend="redis", deadline_s=1), "deadline"),
        (UnavailableError("x", backend="redis"), "unavailable"),
        (BreakerOpenError("x", backend="redis", retry_after_s=1), "breaker_open"),
        (KeyError("x"), "unexpected"),
    ],
)
async def test_the_second_answers_when_it_cannot_and_that_is_counted(error: Exception, reason: str) -> None:
    bench = Bench()
    bench.shared.error = error
    assert await bench.port.get("x") == "local x"
    assert bench.metrics.value("v3.fallback.used", port="cache", reason=reason) == 1
    assert bench.metrics.value("v3.fallback.used") == 1


@pytest.mark.parametrize(
    "error",
    [
        InputError("x"), NotFoundError("x"), HashMismatchError("x"), asyncio.CancelledError(),
        BudgetSpentError("x", backend="redis", deadline_s=1),
    ],
)  # fmt: skip
async def test_an_answer_is_no_reason(error: BaseException) -> None:
    bench = Bench()
    bench.shared.error = error
    with pytest.raises(type(error)):
        await bench.port.get("x")
    assert (bench.local.calls, bench.metrics.names()) == (0, frozenset())


async def test_the_log_has_a_line_for_each_change_and_not_for_each_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="councilor.guards.fallback")
    bench = Bench()
    for error in (None, UnavailableError("no route", backend="redis"), None):
        bench.shared.error = error
        for _ in range(50):
            await bench.port.get("x")
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told == [("WARNING", "a fallback answers"), ("INFO", "the backend answers again")]
    first = caplog.records[0]
    assert (first.port, first.backend, first.reason, first.problem) == (  # type: ignore[attr-defined]
        "cache", "redis", "unavailable", "no route",
    )  # fmt: skip


async def test_when_both_fail_the_seconds_error_comes_with_the_firsts_behind_it() -> None:
    bench = Bench()
    bench.shared.error = first = UnavailableError("down", backend="redis")
    bench.local.error = UnavailableError("full", backend="memory")
    with pytest.raises(UnavailableError, match="full") as caught:
        await bench.port.get("x")
    assert caught.value.__context__ is first
