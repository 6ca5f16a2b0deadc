"""Probes of what is no backend itself: the sandbox and the breakers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from councilor.domain.breaker import BreakerSnapshot, BreakerState
from councilor.domain.health import HealthStatus
from councilor.domain.order import Forcing, Order, Orders, Published
from councilor.errors import SandboxError
from councilor.pipeline.probes import BreakersProbe, SandboxProbe
from councilor.ports.sandbox import SandboxLevel
from councilor.ports.sandbox import SandboxProbe as Achieved

FAIL, PASS, WARN = HealthStatus.FAIL, HealthStatus.PASS, HealthStatus.WARN
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def level(*, network: bool = True) -> SandboxLevel:
    return SandboxLevel(name="landlock", filesystem=True, network=network, processes=True, resources=True)


@pytest.mark.parametrize(
    ("achieved", "status", "told"),
    [
        (Achieved(level=level(), checks={"send_udp": True}), PASS, "landlock"),
        (Achieved(level=level(network=False), checks={}), WARN, "landlock"),
        (Achieved(level=level(), checks={"send_udp": False, "survive": True}), WARN, "not withstood: send_udp"),
    ],
)
async def test_a_sandbox_is_as_good_as_what_it_withstood(achieved: Achieved, status: HealthStatus, told: str):
    async def probe() -> Achieved:
        return achieved

    check = await SandboxProbe(probe).check()
    assert check.status is status and told in check.output


async def test_no_sandbox_is_a_failure():
    async def probe() -> Achieved:
        raise SandboxError("no sandbox works here", backend="auto")

    with pytest.raises(SandboxError):
        await SandboxProbe(probe).check()


def snapshot(name: str, state: BreakerState, why: str = "") -> BreakerSnapshot:
    return BreakerSnapshot(
        name=name, state=state, why=why, retry_after_s=None, calls=0, failures=0, slow=0, opened=0, rejected=0
    )


def breakers(
    own: Sequence[BreakerSnapshot] = (), orders: Orders | None = None, published: Sequence[Published] = ()
) -> BreakersProbe:
    return BreakersProbe(
        own=lambda: own, orders=lambda: orders or Orders(), published=lambda: published, needed={"postgres"}
    )


def published(pid: int, *found: BreakerSnapshot) -> Published:
    return Published(pid=pid, began_at=NOW, written_at=NOW, breakers=found)


@pytest.mark.parametrize(
    ("name", "state", "status"),
    [
        ("postgres", BreakerState.CLOSED, PASS),
        ("postgres", BreakerState.HALF_OPEN, WARN),
        ("postgres", BreakerState.OPEN, FAIL),
        ("postgres", BreakerState.FORCED_OPEN, FAIL),
        ("postgres", BreakerState.DISABLED, WARN),
        ("redis", BreakerState.OPEN, WARN),
        ("redis", BreakerState.FORCED_OPEN, WARN),
    ],
)
async def test_only_a_needed_backend_whose_calls_are_refused_is_a_failure(name, state, status):
    check = await breakers(
        [snapshot("openai", BreakerState.CLOSED), snapshot(name, state, "5 calls to /place")]
    ).check()
    assert check.standing is status
    if status is not PASS:
        assert f"{name} is {state} in this process" in check.output
        assert "/place" not in check.output and "/place" in check.detail


async def test_an_order_counts_before_there_is_a_breaker_to_obey_it():
    order = Order(forcing=Forcing.OPEN, reason="maintenance", at=NOW)
    check = await breakers(orders=Orders(forced={"postgres": order})).check()
    assert (check.standing, "forced_open by order" in check.output) == (FAIL, True)
    assert "maintenance" in check.detail
    obeyed = [snapshot("postgres", BreakerState.FORCED_OPEN)]
    twice = await breakers(obeyed, Orders(forced={"postgres": order})).check()
    assert twice.output.count("postgres") == 1


async def test_what_another_process_meets_is_a_warning_here():
    theirs = published(1, snapshot("postgres", BreakerState.OPEN), snapshot("redis", BreakerState.CLOSED))
    ours = published(os.getpid(), snapshot("redis", BreakerState.OPEN))
    check = await breakers(published=[theirs, ours]).check()
    assert (check.standing, check.output) == (WARN, "postgres is open in process 1")
