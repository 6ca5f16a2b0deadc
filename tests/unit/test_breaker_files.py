"""Breakers as files: what a process publishes, what an operator orders, and how processes obey."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from councilor.adapters import breakers
from councilor.adapters.breakers import ORDERS, BreakerFolder
from councilor.adapters.memory.clock import FakeClock, SeededRandomness
from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.app.breakers import (
    EVERY_S,
    force_breaker,
    published_breakers,
    read_orders,
    reset_breaker,
    reset_breakers,
)
from councilor.app.guarding import Guarding, open_guarding
from councilor.domain.breaker import BreakerState
from councilor.domain.order import EVERY_BREAKER, LONGEST_REASON, Forcing, Order, Orders
from councilor.errors import BreakerOpenError, InputError, UnavailableError
from councilor.settings import Settings, load_settings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = Order(forcing=Forcing.OPEN, reason="maintenance", at=NOW)


class Port:
    """A backend that does what it is told."""

    def __init__(self) -> None:
        self.down = False

    async def get(self) -> str:
        if self.down:
            raise UnavailableError("down", backend="postgres")
        return "answer"


class Process:
    """What one process has."""

    def __init__(self, guarding: Guarding, clock: FakeClock, metrics: RecordingMetrics) -> None:
        self.guarding, self.clock, self.metrics = guarding, clock, metrics
        self.backend = Port()
        self.port = guarding.around(self.backend, port="events", backend="postgres", default_s=5)

    async def looks(self) -> None:
        await self.clock.advance(EVERY_S)

    @property
    def state(self) -> BreakerState:
        return self.guarding.breakers.states()[0].state


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(flags={"data_dir": str(tmp_path / "data")})


@asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[Process]:
    clock, metrics = FakeClock(), RecordingMetrics()
    async with open_guarding(settings, clock=clock, metrics=metrics, randomness=SeededRandomness()) as guarding:
        yield Process(guarding, clock, metrics)


# --- what is published


async def test_a_process_publishes_its_breakers_and_takes_them_with_it(settings: Settings) -> None:
    async with process(settings) as running:
        await running.port.get()
        await running.looks()
        (seen,) = published_breakers(settings)
        assert seen.pid == os.getpid()
        assert [(item.name, item.state, item.calls) for item in seen.breakers] == [("postgres", BreakerState.CLOSED, 1)]
        folder = settings.breakers_dir
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        (written,) = folder.glob("*.json")
        before = written.stat().st_mtime_ns
        await running.looks()
        assert written.stat().st_mtime_ns == before, "what has not changed is not written again"
    assert published_breakers(settings) == []
    assert list(folder.iterdir()) == []


async def test_a_process_that_ends_at_once_leaves_no_trace(settings: Settings) -> None:
    async with process(settings) as running:
        await running.port.get()
    assert not settings.breakers_dir.exists()


async def test_a_process_without_breakers_publishes_nothing(settings: Settings) -> None:
    clock = FakeClock()
    async with open_guarding(settings, clock=clock, metrics=RecordingMetrics(), randomness=SeededRandomness()):
        await clock.advance(3 * EVERY_S)
        assert not settings.breakers_dir.exists()


async def test_an_open_breaker_is_seen_from_outside(settings: Settings) -> None:
    async with process(settings) as running:
        running.backend.down = True
        for _ in range(5):
            with pytest.raises(UnavailableError):
                await running.port.get()
        with pytest.raises(BreakerOpenError):
            await running.port.get()
        await running.looks()
        ((breaker,),) = (item.breakers for item in published_breakers(settings))
        assert (breaker.state, breaker.opened, breaker.rejected) == (BreakerState.OPEN, 1, 1)
        assert breaker.why == "failures in a row: 5 calls"
        assert breaker.retry_after_s is not None and breaker.retry_after_s > 0
        assert running.metrics.value("v3.breaker.state", breaker="postgres") == 2
        assert running.metrics.value("v3.breaker.transitions", breaker="postgres", to="open") == 1
        assert running.metrics.value("v3.breaker.rejections", breaker="postgres") == 1


PUBLISHER = """
import sys, time
from datetime import datetime, UTC
from pathlib import Path
from councilor.adapters.breakers import BreakerFolder
publication = BreakerFolder(Path(sys.argv[1])).publish_as(began_at=datetime.now(UTC))
publication.write([], now=datetime.now(UTC))
print("ready", flush=True)
time.sleep(60)
"""


def test_what_a_killed_process_left_is_recognised_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "breakers"
    child = subprocess.Popen([sys.executable, "-c", PUBLISHER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == "ready\n"
        assert [item.pid for item in BreakerFolder(folder).published()] == [child.pid]
        (folder / ".half.part").write_text("{")
        os.utime(folder / ".half.part", (0, 0))
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert len(list(folder.iterdir())) == 3
    assert BreakerFolder(folder).published() == []
    assert list(folder.iterdir()) == []


def test_who_looks_at_the_moment_in_which_a_process_begins_does_not_take_it_for_dead(tmp_path: Path) -> None:
    lock = tmp_path / "1-a.lock"
    with lock.open("w") as looker:  # as somebody who asks whether it is held does
        fcntl.flock(looker, fcntl.LOCK_SH)
        ends = threading.Timer(0.1, fcntl.flock, (looker, fcntl.LOCK_UN))
        ends.start()
        descriptor = breakers._hold(lock)
        ends.join()
    assert breakers._is_held(lock)
    os.close(descriptor)
    assert not breakers._is_held(lock)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "councilor-breakers/1"}', b"\xff", b"[" * 300_000])
async def test_what_is_not_ours_among_the_published_is_passed_over(settings: Settings, content: bytes) -> None:
    async with process(settings) as running:
        await running.looks()
        (written,) = settings.breakers_dir.glob("*.json")
        written.write_bytes(content)
        assert published_breakers(settings) == []


# --- what is ordered


async def test_an_order_is_obeyed_within_a_second_and_by_later_processes(settings: Settings) -> None:
    assert EVERY_S <= 0.5
    async with process(settings) as running:
        await running.port.get()
        force_breaker(settings, "postgres", Forcing.OPEN, reason="moving it", clock=running.clock)
        await running.looks()
        with pytest.raises(BreakerOpenError, match="moving it"):
            await running.port.get()
        async with process(settings) as later:
            with pytest.raises(BreakerOpenError, match="moving it"):
                await later.port.get()
            reset_breaker(settings, "postgres")
            await running.looks()
            await later.looks()
            assert await running.port.get() == await later.port.get() == "answer"


async def test_forced_closed_lets_a_failing_backend_be_called(settings: Settings) -> None:
    force_breaker(settings, "postgres", Forcing.CLOSED, reason="looking into it", clock=FakeClock())
    async with process(settings) as running:
        running.backend.down = True
        for _ in range(20):
            with pytest.raises(UnavailableError, match="down"):
                await running.port.get()
        assert running.state is BreakerState.DISABLED


async def test_a_reset_closes_an_open_breaker(settings: Settings) -> None:
    async with process(settings) as running:
        running.backend.down = True
        for reset in (lambda: reset_breaker(settings, "postgres"), lambda: reset_breakers(settings)):
            for _ in range(5):
                with pytest.raises(UnavailableError):
                    await running.port.get()
            assert running.state is BreakerState.OPEN
            reset()
            await running.looks()
            assert running.state is BreakerState.CLOSED


async def test_a_reset_from_before_and_an_order_for_another_concern_nobody(settings: Settings) -> None:
    reset_breaker(settings, "postgres")
    async with process(settings) as running:
        assert running.guarding.breakers.states()[0].why == ""
        for _ in range(4):
            running.backend.down = True
            with pytest.raises(UnavailableError):
                await running.port.get()
        force_breaker(settings, "redis", Forcing.OPEN, reason="x", clock=running.clock)
        await running.looks()
        with pytest.raises(UnavailableError):
            await running.port.get()
        assert running.state is BreakerState.OPEN, "the four failures before still counted"


async def test_orders_that_vanish_hold_no_more(settings: Settings) -> None:
    async with process(settings) as running:
        force_breaker(settings, "postgres", Forcing.OPEN, reason="x", clock=running.clock)
        await running.looks()
        (settings.breakers_dir / ORDERS).unlink()
        await running.looks()
        assert await running.port.get() == "answer"


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"format": "other/1"}', b"\xff\x00", b'{"format": "councilor-breakers/1", "forced": 1}']
)
async def test_orders_that_cannot_be_read_change_nothing_and_are_told_once(
    settings: Settings, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    caplog.set_level(logging.WARNING, logger="councilor.app.breakers")
    async with process(settings) as running:
        force_breaker(settings, "postgres", Forcing.OPEN, reason="x", clock=running.clock)
        await running.looks()
        for number in range(3):
            (settings.breakers_dir / ORDERS).write_bytes(content + b" " * number)
            await running.looks()
        assert running.state is BreakerState.FORCED_OPEN, "what was ordered before still holds"
        told = [record.getMessage() for record in caplog.records if record.name == "councilor.app.breakers"]
        assert told == ["orders for breakers are not obeyed"]
        with pytest.raises(InputError, match=ORDERS) as refused:
            read_orders(settings)
        assert "reset --all" in refused.value.hint()
        with pytest.raises(InputError):
            force_breaker(settings, "redis", Forcing.OPEN, reason="x", clock=running.clock)
        reset_breakers(settings)
        await running.looks()
        assert await running.port.get() == "answer"
    async with process(settings) as later:
        assert await later.port.get() == "answer"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
async def test_what_is_no_plain_file_is_no_order(settings: Settings, tmp_path: Path, kind: str) -> None:
    settings.breakers_dir.mkdir(parents=True)
    path = settings.breakers_dir / ORDERS
    if kind == "link":
        (tmp_path / "elsewhere").write_text("{}")
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(InputError):
        read_orders(settings)
    async with process(settings) as running:
        assert await running.port.get() == "answer"
    if kind != "folder":
        reset_breakers(settings)
        assert read_orders(settings).forced == {}


async def test_a_folder_that_cannot_be_written_ends_no_process(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.breakers_dir.parent.mkdir(parents=True)
    settings.breakers_dir.write_text("a file in its place")
    async with process(settings) as running:
        for _ in range(3):
            await running.port.get()
            await running.looks()
        told = [record.getMessage() for record in caplog.records if record.name == "councilor.app.breakers"]
        assert told == ["breakers are not published"]
    with pytest.raises(UnavailableError):
        force_breaker(settings, "postgres", Forcing.OPEN, reason="x", clock=FakeClock())


def test_operators_do_not_undo_each_others_orders(tmp_path: Path) -> None:
    folder = BreakerFolder(tmp_path / "breakers")

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(
                    asyncio.to_thread(folder.change, lambda orders, n=number: orders.force(f"b{n}", ORDER))
                )

    asyncio.run(both())
    assert len(folder.orders().forced) == 20
    assert json.loads((tmp_path / "breakers" / ORDERS).read_text())["format"] == "councilor-breakers/1"


def test_orders_that_make_no_sense_are_refused() -> None:
    orders = Orders()
    for name in ("", "*", "a b", "../x", "a" * 101, "\x1b[31m"):
        with pytest.raises(InputError):
            orders.force(name, ORDER)
    for name in ("", "a b", "../x"):
        with pytest.raises(InputError):
            orders.reset(name)
    for reason in ("two\nlines", "x" * (LONGEST_REASON + 1), "\x1b]0;x"):
        with pytest.raises(InputError):
            orders.force("postgres", Order(forcing=Forcing.OPEN, reason=reason, at=NOW))
    for number in range(200):
        orders = orders.force(f"b{number}", ORDER)
    with pytest.raises(InputError, match="200"):
        orders.force("one-more", ORDER)
    assert orders.force("b7", ORDER) == orders
    assert orders.reset(EVERY_BREAKER).forced == {}


def test_resets_stay_few_and_count_up() -> None:
    orders = Orders()
    for number in range(1000):
        before = orders.resets_of(f"b{number % 300}")
        orders = orders.reset(f"b{number % 300}")
        assert orders.resets_of(f"b{number % 300}") > before
    assert len(orders.resets) <= 201
