"""A worker process that kills itself at the next place of a task's way where none before it was killed.

    arm(Path("killed"), "done")

The file holds the steps at which processes were killed already, a line each. Moments: `begun` (the step has done
nothing yet), `amid` (a moment later, wherever that is), `done` (it did everything, and is not remembered),
`remembered`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

from councilor.adapters.dbos import DbosEngine
from councilor.domain.codec import JsonValue

__all__ = ["MOMENTS", "arm", "killed_at"]

MOMENTS = ("begun", "amid", "done", "remembered")
LONGEST_S = 0.4
"""Of what a step is let go on for where it is killed amid."""


def killed_at(file: Path) -> list[str]:
    """The steps at which a process was killed, in that order."""
    return file.read_text().splitlines() if file.exists() else []


def arm(file: Path, moment: str) -> None:
    """Let this process be killed at that moment of the first step at which none was yet."""
    inner = DbosEngine.step
    chance = Random(len(killed_at(file)))

    def kill(name: str) -> None:
        with file.open("a") as lines:
            lines.write(f"{name}\n")
        os.kill(os.getpid(), signal.SIGKILL)

    async def step(self: DbosEngine, name: str, fn: Callable[[], Awaitable[JsonValue]], **options: Any) -> JsonValue:
        if name in killed_at(file):
            return await inner(self, name, fn, **options)

        async def wrapped() -> JsonValue:
            if moment == "begun":
                kill(name)
            if moment == "amid":
                asyncio.get_running_loop().call_later(chance.uniform(0, LONGEST_S), kill, name)
            result = await fn()
            if moment == "done":
                kill(name)
            return result

        result = await inner(self, name, wrapped, **options)
        if moment == "remembered":
            kill(name)
        return result

    DbosEngine.step = step  # type: ignore[method-assign]  # of this process only
