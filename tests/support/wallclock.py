"""A process whose wall clock jumps when a test says so: libfaketime, which takes the offset from a file every second.

Only that process sees it. Its monotonic clock is the machine's, as it is where somebody sets a real clock.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["LIBRARY", "WallClock", "program"]

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
"""Of the Debian package `faketime`; None where that is not installed."""

# The library refuses absolute monotonic sleeps (EINVAL, seen with 0.9.10), which Python's own are since 3.11.
_SLEEP = "import select, time; time.sleep = lambda seconds: select.select([], [], [], seconds) and None"


def program(start: str) -> tuple[str, ...]:
    """What runs Python statements under a wall clock."""
    return (sys.executable, "-c", f"{_SLEEP}; {start}")


class WallClock:
    """The wall clock of the processes that are started with its variables.

    Args:
        file: where its offset is kept.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump(0)

    def jump(self, hours: float) -> None:
        """Set it so many hours ahead of the machine's, or behind it."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{hours * 3600:+.0f}s\n")
        fresh.replace(self._file)

    @property
    def variables(self) -> Mapping[str, str]:
        """Of a process that is to have it."""
        return {
            "LD_PRELOAD": os.fspath(LIBRARY or ""),
            "FAKETIME_TIMESTAMP_FILE": os.fspath(self._file),
            "FAKETIME_CACHE_DURATION": "1",  # seconds; looking at each call costs a third of a core
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
