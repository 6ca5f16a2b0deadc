"""A job that is cancelled before it has begun."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

from councilor.adapters.sandbox.process import Launch, supervise
from councilor.adapters.system import SystemClock
from councilor.ports.sandbox import Channel, Job, Limits


class Loose:
    """Holds nothing: the job is the process itself."""

    name = "loose"

    def __init__(self) -> None:
        self.launches = 0

    def launch(self, channel_fd: int | None) -> Launch:
        self.launches += 1
        return Launch(argv=("/bin/true",))

    async def attach(self, pid: int) -> None:
        return

    def signal(self, number: int) -> None:
        return

    def freeze(self) -> None:
        return

    def thaw(self) -> None:
        return

    async def settle(self) -> None:
        return

    def exit_code(self, returncode: int, output: bytes) -> int:
        return returncode


async def silent(channel: Channel) -> None:
    return


OPEN = Path("/proc/self/fd")


def count_open() -> int:
    return sum(1 for _ in OPEN.iterdir())


@pytest.mark.skipif(not OPEN.exists(), reason="counts descriptors as Linux lists them")
async def test_whenever_it_is_cancelled_nothing_stays_open() -> None:
    job = Job(argv=("true",), cwd=Path("/"), mounts=(), limits=Limits(wall_s=20))
    before, launched = count_open(), list[int]()
    for steps in range(12):
        grip = Loose()
        running = asyncio.create_task(
            supervise(job, grip, talk=silent, on_output=None, linger_s=None, clock=SystemClock())
        )
        for _ in range(steps):
            await asyncio.sleep(0)
        launched.append(grip.launches)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.sleep(0.01)  # transports close in the loop's next round
        gc.collect()
        assert count_open() == before, f"cancelled after {steps} steps"
    assert launched[0] == 0 and launched[-1] == 1, "both before and after it was started"
