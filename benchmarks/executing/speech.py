"""How the processes of `make bench-executor` are asked: one JSON line in, one out."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Protocol


class Asked(Protocol):
    """What a process can be asked."""

    async def throughput(self, tasks: int) -> float:
        """Seconds to execute so many tasks that are queued already."""
        ...

    async def latency(self, pauses_s: list[float]) -> list[float]:
        """Seconds from the submission of a task to its start, with pauses between."""
        ...

    async def idle(self, seconds: float) -> float:
        """Share of a core that the process uses while there is nothing to do."""
        ...


async def answer_all(asked: Asked) -> None:
    """Answer until nothing more is asked."""
    print(json.dumps("ready"), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        question: dict[str, Any] = json.loads(line)
        print(json.dumps(await getattr(asked, question["what"])(question["of"])), flush=True)
