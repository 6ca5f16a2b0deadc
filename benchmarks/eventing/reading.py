"""One process with many readers of event streams: how late each event comes, and whether all do, once and in order.

Rules:
- Each reader is cut off again and again, and goes on after the last number it took, as a browser does.
- One more reader takes a single event and then never another.
- The lag of an event is from before it was given to `append` until a reader has it: the monotonic clock is one for all
  processes of a machine.
"""

from __future__ import annotations

import asyncio
import random
import resource
import time
from array import array
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from councilor.domain.event import Event
from councilor.errors import UnavailableError
from councilor.ports.events import EventStream

__all__ = ["Seen", "read_all"]

CUT_OFF_S = (2.0, 8.0)
"""How long a reader stays connected."""


@dataclass
class Seen:
    """What readers saw."""

    lags_ms: array[float] = field(default_factory=lambda: array("d"))
    out_of_order: int = 0
    events: int = 0
    resumed: int = 0
    last: dict[tuple[str, int], int] = field(default_factory=dict)
    """The number up to which each reader has every event."""
    rss_mb: float = 0.0
    cpu_s: float = 0.0
    """Of this process."""
    loop_late_ms: list[float] = field(default_factory=list)
    """How late this process's own timers were."""

    def lost(self, last: Mapping[str, int]) -> int:
        """Events that a reader did not get."""
        return sum(last[task_id] - seen for (task_id, _), seen in self.last.items())


@dataclass
class Reader:
    """One of them."""

    task_id: str
    number: int
    seen: Seen

    async def read(self, stream: EventStream) -> None:
        """Read a task to its end."""
        draw, after, ended = random.Random(f"{self.task_id}{self.number}"), 0, False
        while not ended:
            limit = time.monotonic() + draw.uniform(*CUT_OFF_S)
            try:
                async with aclosing(stream.follow(self.task_id, after=after)) as events:
                    ended = True
                    async for event in events:
                        assert isinstance(event, Event)
                        self._take(event, after)
                        after = event.seq
                        if time.monotonic() > limit:
                            ended = False
                            break
            except UnavailableError:  # its connection was ended under it
                ended = False
            self.seen.resumed += not ended
        self.seen.last[self.task_id, self.number] = after

    def _take(self, event: Event, after: int) -> None:
        self.seen.events += 1
        self.seen.out_of_order += event.seq != after + 1
        if (given_ns := event.data.get("given_ns")) is not None:
            self.seen.lags_ms.append((time.monotonic_ns() - given_ns) / 1e6)


async def read_all(stream: EventStream, ids: Sequence[str], readers: int) -> Seen:
    """Let readers follow the tasks to their ends."""
    seen, cpu_s = Seen(), time.process_time()
    dead = stream.follow(ids[0])
    await anext(dead)
    async with asyncio.TaskGroup() as group:
        watch = group.create_task(_watch_loop(seen))
        reading = [
            group.create_task(Reader(ids[number % len(ids)], number, seen).read(stream)) for number in range(readers)
        ]
        await asyncio.wait(reading)
        watch.cancel()
    await dead.aclose()
    seen.cpu_s = time.process_time() - cpu_s
    seen.rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return seen


async def _watch_loop(seen: Seen) -> None:
    while True:
        due = time.monotonic() + 0.02
        await asyncio.sleep(0.02)
        seen.loop_late_ms.append((time.monotonic() - due) * 1e3)
