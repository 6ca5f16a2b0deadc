"""Work that goes on beside a block and is over when the block is: looking after a cache, breakers or a log.

Rules:
- It is cancelled when the block ends, however that ends, and has ended itself before anything comes after the block.
- What it raises is raised when the block ends, and does not disturb the block before: work that must not end early
  catches its own errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

__all__ = ["meanwhile"]


@asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, None], *, name: str) -> AsyncIterator[None]:
    """Let work go on while the block runs.

    Args:
        name: of its asyncio task, for whoever looks.
    """
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
