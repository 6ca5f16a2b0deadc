"""Time, identity and chance that a test decides.

Rules:
- `FakeClock` stands still; `advance` moves it and wakes sleepers in the order of their times. With `auto_advance`, a
  sleep moves it instead of waiting.
- `SequentialIds` gives well-formed UUIDv7 that count from 1 and sort by creation.
- `SeededRandomness` repeats itself for the same seed, so a worker could predict it: for tests only.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from datetime import UTC, datetime, timedelta
from itertools import count

__all__ = ["FakeClock", "SeededRandomness", "SequentialIds"]

_START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """A `Clock` that moves only when it is told to.

    Args:
        start: the first `now()`, with time zone; `monotonic()` starts at 0.
        auto_advance: whether `sleep` moves the clock by itself, for code with a single sleeper.
    """

    def __init__(self, *, start: datetime = _START, auto_advance: bool = False) -> None:
        self._start = start.astimezone(UTC)
        self._elapsed_s = 0.0
        self._auto_advance = auto_advance
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The start plus what was advanced."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        """Seconds advanced since the start."""
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been advanced by `seconds`."""
        if seconds <= 0:
            return await asyncio.sleep(0)
        if self._auto_advance:
            return await self.advance(seconds)
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + seconds, next(self._order), woken))
        return await woken

    async def advance(self, seconds: float) -> None:
        """Move on, waking each sleeper at its own time and letting it run until it waits again."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        target_s = self._elapsed_s + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= target_s:
            wake_s, _, woken = heapq.heappop(self._sleepers)
            self._elapsed_s = max(self._elapsed_s, wake_s)
            if not woken.done():
                woken.set_result(None)
                await _settle()
        self._elapsed_s = max(self._elapsed_s, target_s)
        await _settle()


async def _settle() -> None:
    # Ten rounds of the loop are enough for a woken task to pass a few awaits and to sleep again.
    for _ in range(10):
        await asyncio.sleep(0)


class SequentialIds:
    """`Ids` that count."""

    def __init__(self) -> None:
        self._count = count(1)

    def new(self) -> str:
        """`00000000-0001-7000-8000-000000000001` and so on: the number is both the time and the random part."""
        n = next(self._count)
        time = f"{n:012x}"
        return f"{time[:8]}-{time[8:]}-7000-8000-{n:012x}"


class SeededRandomness:
    """`Randomness` that a seed decides."""

    def __init__(self, *, seed: int = 0) -> None:
        self._random = random.Random(seed)  # noqa: S311  predictable on purpose

    def token(self) -> str:
        """32 hexadecimal digits."""
        return f"{self._random.getrandbits(128):032x}"

    def below(self, limit: int) -> int:
        """An integer in [0, limit)."""
        return self._random.randrange(limit)
