"""How the newest calls went, counted in buckets.

Rules:
- A bucket takes the calls of one stretch: it is full after `window_calls / buckets` of them, or `window_s / buckets`
  seconds after its first one.
- When a bucket is full, those go that the newest `window_calls` calls do not need, and those whose calls all are older
  than `window_s`. So the window holds at least `window_calls` calls when time allows, and less than two buckets more.
- Adding takes constant time: a bucket is removed once.

It knows no clock, no lock and no rule. A clock that stands still, jumps forward or steps back only makes buckets longer
or shorter.
"""

from __future__ import annotations

from collections import deque

from councilor.domain.breaker import BreakerPolicy

__all__ = ["Window"]


class Window:
    """Counts of calls, failures and slow calls.

    Args:
        policy: says how many calls and seconds it holds.
    """

    __slots__ = ("_began_s", "_bucket_calls", "_bucket_s", "_calls", "_failures", "_least_calls", "_old", "_slow",
                 "_window_s", "calls", "failures", "slow")  # fmt: skip

    def __init__(self, policy: BreakerPolicy) -> None:
        self._bucket_calls = -(-policy.window_calls // policy.buckets)
        self._bucket_s = policy.window_s / policy.buckets
        self._least_calls = policy.window_calls
        self._window_s = policy.window_s
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._old: deque[tuple[float, int, int, int]] = deque()
        self._began_s = 0.0
        self._calls = self._failures = self._slow = 0
        self.calls = 0
        """All calls in the window."""
        self.failures = 0
        """Failed ones among them."""
        self.slow = 0
        """Slow ones among them."""

    def add(self, now_s: float, *, failed: bool, slow: bool) -> None:
        """Count one call that ended now."""
        if not self._calls:
            self._began_s = now_s
        elif self._calls >= self._bucket_calls or now_s - self._began_s >= self._bucket_s:
            self._turn(now_s)
        self._calls += 1
        self.calls += 1
        if failed:
            self._failures += 1
            self.failures += 1
        if slow:
            self._slow += 1
            self.slow += 1

    def _turn(self, now_s: float) -> None:
        """Close the bucket, begin another one, and drop what is not needed any more."""
        self._old.append((self._began_s, self._calls, self._failures, self._slow))
        self._began_s = now_s
        self._calls = self._failures = self._slow = 0
        oldest_s = now_s - self._window_s - self._bucket_s
        while self._old:
            began_s, calls, failures, slow = self._old[0]
            if self.calls - calls < self._least_calls and began_s > oldest_s:
                break
            self._old.popleft()
            self.calls -= calls
            self.failures -= failures
            self.slow -= slow
