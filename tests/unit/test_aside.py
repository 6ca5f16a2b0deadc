"""Blocking work aside: it holds up nobody, and there is never more than one of a kind."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading

import pytest

from councilor.errors import UnavailableError
from councilor.guards.aside import Aside, Lanes


async def test_it_gives_what_the_work_gives():
    aside: Aside[int] = Aside("work")
    assert await aside.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await aside.run(lambda: 1 // 0)
    assert await aside.run(lambda: 8) == 8


async def test_who_asks_meanwhile_waits_for_the_same_work():
    aside: Aside[int] = Aside("work")
    release, begun = threading.Event(), []

    def work() -> int:
        begun.append(threading.current_thread().daemon)
        release.wait(10)
        return len(begun)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await aside.run(work)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await aside.run(work)
    assert begun == [True], "one thread, a daemon"
    release.set()
    assert await aside.run(work) == 1


async def test_a_few_go_on_side_by_side_and_one_more_is_refused():
    lanes, release = Lanes("checkpoints", most=2), threading.Event()

    def hang() -> bool:
        return release.wait(10)

    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await lanes.run(hang)
    with pytest.raises(UnavailableError, match="2 earlier calls"):
        await lanes.run(lambda: 7)
    release.set()
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(UnavailableError):
                assert await lanes.run(lambda: 7) == 7
                break
            await asyncio.sleep(0.01)
    with pytest.raises(ZeroDivisionError):
        await lanes.run(lambda: 1 // 0)


def test_a_process_does_not_wait_for_it():
    program = (
        "import asyncio, time\n"
        "from councilor.guards.aside import Aside\n"
        "async def main():\n"
        "    try:\n"
        "        await asyncio.wait_for(Aside('work').run(lambda: time.sleep(60)), 0.05)\n"
        "    except TimeoutError:\n"
        "        print('gone')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (0, "gone\n", "")
