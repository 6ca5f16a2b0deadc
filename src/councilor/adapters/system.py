"""The machine's own time, identity and chance.

Rules:
- Ids are UUIDv7: the time in milliseconds, then 74 bits. Within a millisecond, or when the wall clock steps back, the
  74 bits count up by a random amount, so that ids of one process always sort by creation.
- Chance comes from the operating system's generator, which a worker cannot predict.

Source: RFC 9562, section 5.7 (layout) and section 6.2, method 2 (monotonic random).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from threading import Lock

from councilor.ports.clock import Clock

__all__ = ["SystemClock", "SystemIds", "SystemRandomness"]

_RANDOM_BITS = 74
_STEP_BITS = 32


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """The wall clock, UTC with time zone."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(seconds)


class SystemIds:
    """Fresh UUIDv7, strictly ascending within this object. Safe to use from several threads.

    Args:
        clock: gives the milliseconds.
    """

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._last = 0

    def new(self) -> str:
        """A fresh UUIDv7 in canonical form."""
        time_ms = int(self._clock.now().timestamp() * 1000)
        with self._lock:
            # One 122-bit number, time first: a carry out of the random part moves the time on by a millisecond.
            fresh = time_ms << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS - 1)
            if fresh >> _RANDOM_BITS <= self._last >> _RANDOM_BITS:
                fresh = self._last + 1 + secrets.randbits(_STEP_BITS)
            self._last = fresh
        return _canonical(fresh)


def _canonical(number: int) -> str:
    """The UUIDv7 that holds 48 bits of time and 74 others, with version and variant put between."""
    time_ms, rest = number >> _RANDOM_BITS, number & ((1 << _RANDOM_BITS) - 1)
    high, low = rest >> 62, rest & ((1 << 62) - 1)
    digits = f"{time_ms << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class SystemRandomness:
    """The operating system's generator."""

    def token(self) -> str:
        """32 hexadecimal digits."""
        return secrets.token_hex(16)

    def below(self, limit: int) -> int:
        """An integer in [0, limit)."""
        return secrets.randbelow(limit)
