"""Probes in the background: each in its turn, each with its time, none in the way of another."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from councilor.adapters.memory.clock import FakeClock
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.domain.health import Check, ComponentType, HealthStatus
from councilor.errors import DeadlineError, IntegrityError
from councilor.pipeline.health import STALE_TURNS, HealthMonitor

FAIL, PASS, WARN = HealthStatus.FAIL, HealthStatus.PASS, HealthStatus.WARN
EVERY_S, TIMEOUT_S = 5.0, 0.05


class Scripted:
    """A probe that does what a test says."""

    kind = ComponentType.COMPONENT

    def __init__(
        self,
        component: str,
        look: Callable[[], Awaitable[HealthStatus]] | HealthStatus = PASS,
        *,
        fallback: str | None = None,
        every_s: float | None = None,
        timeout_s: float | None = None,
    ) -> None:
        self.component, self.look, self.fallback = component, look, fallback
        self.every_s, self.timeout_s = every_s, timeout_s
        self.looks = self.running = self.most = 0

    async def check(self) -> Check:
        self.looks += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            status = self.look if isinstance(self.look, HealthStatus) else await self.look()
        finally:
            self.running -= 1
        return Check(component=self.component, status=status, output=f"it is {status}", fallback=self.fallback)


class Watch:
    """A monitor with a clock that a test moves."""

    def __init__(self, *probes: Scripted) -> None:
        self.clock, self.metrics = FakeClock(), RecordingMetrics()
        self.monitor = HealthMonitor(
            probes, every_s=EVERY_S, timeout_s=TIMEOUT_S, clock=self.clock, metrics=self.metrics
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with self.monitor.watching():
            await self.settle()
            yield

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def turn(self) -> None:
        await self.clock.advance(EVERY_S)
        await self.settle()

    async def until(self, component: str, standing: HealthStatus, output: str = "no answer") -> None:
        """Wait in real time, which a hard timeout takes."""
        async with asyncio.timeout(10):
            while self.standing(component) is not standing or output not in self.check(component).output:
                await asyncio.sleep(0.005)

    def standing(self, component: str) -> HealthStatus:
        return self.check(component).standing

    def check(self, component: str) -> Check:
        return next(item.check for item in self.monitor.health().observations if item.check.component == component)


async def hang() -> HealthStatus:
    await asyncio.Event().wait()
    raise AssertionError("nobody wakes it")


def raising(error: Exception) -> Callable[[], Awaitable[HealthStatus]]:
    async def look() -> HealthStatus:
        raise error

    return look


def changes(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(r.before, r.status) for r in caplog.records if r.getMessage() == "health changed"]


async def test_before_the_first_look_nothing_is_known_and_nothing_served():
    watch = Watch(Scripted("database"), Scripted("redis", fallback="memory serves instead"))
    health = watch.monitor.health()
    assert (health.status, list(health.failing)) == (FAIL, ["database"])
    assert [item.time for item in health.observations] == [None, None]


async def test_asking_looks_at_nothing():
    probe = Scripted("database")
    watch = Watch(probe)
    async with watch.open():
        for _ in range(1000):
            watch.monitor.health()
        assert probe.looks == 1


async def test_each_probe_has_its_own_turn():
    often, seldom = Scripted("database"), Scripted("git", every_s=4 * EVERY_S)
    watch = Watch(often, seldom)
    async with watch.open():
        for _ in range(8):
            await watch.turn()
        assert (often.looks, seldom.looks) == (9, 3)


async def test_what_hangs_fails_in_its_time_and_recovers_alone():
    hanging, well = Scripted("database", hang), Scripted("disk")
    watch = Watch(hanging, well)
    async with watch.open():
        assert watch.standing("disk") is PASS
        await watch.until("database", FAIL)
        assert watch.check("database").output == f"no answer in {TIMEOUT_S:g} s"
        hanging.look = PASS
        await watch.turn()
        assert watch.monitor.health().status is PASS


async def test_nobody_is_blamed_for_a_loop_that_was_busy():
    async def in_steps() -> HealthStatus:
        for _ in range(5):
            await asyncio.sleep(0.001)
        return PASS

    watch = Watch(Scripted("database", in_steps))
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(watch.monitor.look())
        await watch.settle()
        time.sleep(4 * TIMEOUT_S)  # which keeps the loop, and everybody on it
    assert (await looking).status is PASS


async def test_what_hangs_with_a_fallback_is_a_warning():
    watch = Watch(Scripted("redis", hang, fallback="memory serves instead"))
    async with watch.open():
        await watch.until("redis", WARN)
        assert watch.monitor.health().serves
        assert "memory serves instead" in watch.check("redis").told


async def test_a_look_that_does_not_end_is_told_and_no_second_one_begun():
    release = asyncio.Event()

    async def stubborn() -> HealthStatus:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return PASS

    probe = Scripted("database", stubborn)
    watch = Watch(probe)
    async with watch.open():
        await watch.until("database", FAIL)
        for _ in range(STALE_TURNS):
            await watch.turn()
        assert (watch.standing("database"), probe.looks, probe.most) == (FAIL, 1, 1)
        release.set()
        await asyncio.sleep(0.01)
        await watch.turn()
        assert (watch.standing("database"), probe.looks, probe.most) == (PASS, 2, 1)


@pytest.mark.parametrize("late", [False, True])
async def test_a_look_is_interrupted_once_and_ends_before_the_monitor_does(late: bool):
    """It may have to tell its server that nobody waits for the answer any more."""
    done = list[str]()

    async def tidy() -> HealthStatus:
        try:
            return await hang()
        except asyncio.CancelledError:
            await asyncio.sleep(0.1)
            done.append("told")
            raise

    watch = Watch(Scripted("database", tidy))
    async with watch.open():
        if late:
            await watch.until("database", FAIL)
    assert done == ["told"]


async def test_a_monitor_ends_although_a_look_does_not():
    ended = asyncio.Event()

    async def deaf() -> HealthStatus:
        for _ in range(45):
            try:
                await asyncio.sleep(0.03)
            except asyncio.CancelledError:
                continue
        ended.set()
        return PASS

    watch = Watch(Scripted("database", deaf))
    async with watch.open():
        pass
    assert not ended.is_set(), "nobody waits for it"
    await ended.wait()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DeadlineError("The database at /secret/place is slow.", backend="postgres", deadline_s=1), "in time"),
        (IntegrityError("The key /secret/place can be read by others."), "damaged"),
        (OSError(28, "No space left on device", "/secret/place"), "No space left"),
        (ZeroDivisionError("/secret/place"), "ZeroDivisionError"),
    ],
)
async def test_what_a_probe_raises_is_its_failure_without_places(error, told):
    watch = Watch(Scripted("key", raising(error)), Scripted("disk"))
    async with watch.open():
        check = watch.check("key")
        assert (check.standing, watch.standing("disk")) == (FAIL, PASS)
        assert told in check.told
        assert "/secret" not in check.told and "/secret" in check.detail


async def test_what_nobody_has_heard_of_for_long_is_unknown():
    watch = Watch(Scripted("database"))
    async with watch.open():
        assert watch.monitor.health().status is PASS
    await watch.clock.advance(STALE_TURNS * (EVERY_S + TIMEOUT_S))
    assert watch.monitor.health().status is PASS, "not yet"
    await watch.clock.advance(1)
    health = watch.monitor.health()
    assert (health.status, health.observations[0].age_s > STALE_TURNS * EVERY_S) == (FAIL, True)
    assert "unknown" in health.observations[0].check.output
    assert watch.metrics.value("v3.health.status", component="database") == 0, "the gauge says so, too"


async def test_a_change_is_one_event_and_a_look_is_a_detail(caplog):
    caplog.set_level(logging.DEBUG, logger="councilor")
    probe = Scripted("database")
    watch = Watch(probe)
    async with watch.open():
        await watch.turn()
        assert changes(caplog) == [], "a good beginning is no change"
        for look in (WARN, WARN, FAIL, FAIL, PASS, PASS):
            probe.look = look
            await watch.turn()
    assert changes(caplog) == [("pass", "warn"), ("warn", "fail"), ("fail", "pass")]
    looked = [r for r in caplog.records if r.getMessage() == "health looked at"]
    assert len(looked) == probe.looks == 8
    assert {r.levelname for r in looked} == {"DEBUG"}


async def test_the_gauge_shows_what_it_means_for_the_service():
    down = Scripted("redis", FAIL, fallback="memory serves instead")
    watch = Watch(down, Scripted("database", FAIL), Scripted("disk"))
    async with watch.open():
        shown = {
            name: watch.metrics.value("v3.health.status", component=name) for name in ("redis", "database", "disk")
        }
    assert shown == {"redis": 0.5, "database": 0.0, "disk": 1.0}


async def test_a_defect_in_recording_blinds_nobody_else(caplog):
    watch = Watch(Scripted("database"), Scripted("disk"))
    gauge = watch.metrics.gauge

    def broken(name: str, labels: dict[str, str], v: float) -> None:
        if labels.get("component") == "database":
            raise RuntimeError("broken")
        gauge(name, labels, v)

    watch.metrics.gauge = broken  # type: ignore[method-assign]
    async with watch.open():
        await watch.turn()
        assert watch.standing("disk") is PASS
    assert "a look at health could not be recorded" in caplog.text


async def test_a_single_look_waits_for_everybody_and_no_longer_than_their_time():
    watch = Watch(Scripted("database", hang), Scripted("disk"), Scripted("redis", WARN))
    health = await asyncio.wait_for(watch.monitor.look(), 20)
    assert [item.check.standing for item in health.observations] == [FAIL, PASS, WARN]


async def test_a_probe_may_need_more_time():
    async def slow() -> HealthStatus:
        await asyncio.sleep(2 * TIMEOUT_S)
        return PASS

    watch = Watch(Scripted("sandbox", slow, timeout_s=10.0))
    assert (await watch.monitor.look()).status is PASS
