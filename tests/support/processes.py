"""What tests that start, watch and kill processes of their own share."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).resolve().parent
PATIENCE_S = 60.0
"""A process that has not shown by then what is waited for never will."""


def with_support(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process that may import what is in this folder."""
    env = dict(os.environ if given is None else given)
    return env | {"PYTHONPATH": os.pathsep.join([str(SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])])}


@asynccontextmanager
async def started(*command: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that has ended afterwards, killed if it must be."""
    pipes = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(*command, **pipes, **options)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def councilor(*arguments: str) -> tuple[str, ...]:
    """The command line, as what starts a process."""
    return sys.executable, "-m", "councilor", *arguments


async def until(
    condition: Callable[[], Any], process: asyncio.subprocess.Process | None = None, *, seconds: float = PATIENCE_S
) -> Any:
    """What `condition` gives, awaited if need be, once that is true; the process must live as long."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if found := await found if inspect.isawaitable(found) else found:
                return found
            if process is not None and process.returncode is not None:
                raise AssertionError(b"\n".join(await process.communicate()).decode())
            await asyncio.sleep(0.02)


def that_mention(text: str) -> list[str]:
    """Command lines of living processes that hold a text."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if text in line:
                found.append(line)
    return found
