"""What a circuit breaker goes by, and what it tells: its rules, its states, and the events of their changes.

Rules:
- closed: calls go through and are counted. open: calls are refused until a time is over. half-open: trial calls decide.
- forced open and disabled are an operator's: the first refuses every call, the second lets all through uncounted.
- A rule speaks only from its least number of calls on. Shares are of the calls in the window, in permille, compared as
  whole numbers: no rounding decides.
- More than 10 permille of calls over the service level is the same as a nearest-rank 99th percentile over it: the
  percentile's rank is ceil(0.99 n), so it lies over the level when more than floor(0.01 n) calls do.

It decides nothing about a call: that is `guards/breaker`. Source: M. Nygard, Release It!, 2nd ed., 5.2 (the pattern);
Hyndman & Fan 1996, definition 1 (nearest rank).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "STATE_VALUES",
    "BreakerEvent",
    "BreakerPolicy",
    "BreakerSnapshot",
    "BreakerState",
    "Probe",
    "ProbeResult",
    "Rejection",
    "Rule",
    "Transition",
]


class BreakerState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"
    FORCED_OPEN = "forced_open"
    DISABLED = "disabled"


STATE_VALUES = {state: number for number, state in enumerate(BreakerState)}
"""A state as the gauge `v3.breaker.state` has it: 0 closed, 1 half-open, 2 open, 3 forced open, 4 disabled."""


class Rule(StrEnum):
    """Why a breaker changed its state."""

    FAILURES_IN_A_ROW = "failures in a row"
    SUCCESS_RATE = "success rate"
    SLOW_CALLS = "slow calls"
    TIME_OVER = "the time is over"
    PROBE_FAILED = "a trial call failed"
    PROBES_SUCCEEDED = "trial calls succeeded"
    OPERATOR = "operator"


class ProbeResult(StrEnum):
    """What a trial call told."""

    SUCCESS = "success"
    FAILURE = "failure"
    SLOW = "slow"
    NOTHING = "nothing"
    """It was cancelled, or failed in a way that says nothing about the backend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and for how long."""

    streak: int = 5
    """Failures in a row that open it at once."""
    least_calls: int = 500
    """Calls in the window from which on the two rates speak."""
    least_success_permille: int = 950
    """Calls of 1,000 that have to succeed."""
    most_slow_permille: int = 10
    """Calls of 1,000 that may take longer than their service level."""
    window_calls: int = 1000
    """Newest calls that the window holds at least, once there were so many; less than two buckets more."""
    window_s: float = 600.0
    """Seconds after which a call is forgotten, two buckets' lengths later at most."""
    buckets: int = 10
    """Buckets that the window's calls, and its time, are divided into."""
    open_s: float = 1.0
    """Seconds it is open for at first."""
    multiplier: float = 2.0
    """How many times longer it stays open each time a trial call fails."""
    longest_open_s: float = 30.0
    """Seconds that it is open for at most."""
    jitter: float = 0.2
    """Share of that time that chance takes away at most, so that processes do not come back all at once."""
    probes: int = 1
    """Trial calls under way at a time."""
    successes: int = 1
    """Trial calls in a row that have to succeed before it closes."""

    def __post_init__(self) -> None:
        """Refuse what no breaker can go by."""
        whole = (self.streak, self.least_calls, self.buckets, self.probes, self.successes)
        if min(whole) < 1 or self.window_calls < max(self.buckets, self.least_calls):
            raise ValueError("counts are 1 or more, and the window holds its buckets and the least calls")
        if not (0 <= self.least_success_permille <= 1000 and 0 <= self.most_slow_permille <= 1000):
            raise ValueError("a permille is 0 to 1000")
        if not (0 < self.open_s <= self.longest_open_s and self.window_s > 0):
            raise ValueError("times are positive, and open_s is at most longest_open_s")
        if not (self.multiplier >= 1 and 0 <= self.jitter < 1):
            raise ValueError("the multiplier is 1 or more, and the jitter less than 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Transition:
    """A breaker changed its state."""

    breaker: str
    before: BreakerState
    after: BreakerState
    rule: Rule
    detail: str
    """The figures behind it, such as `60 of 1000 calls failed`."""
    open_s: float | None = None
    """Seconds it is open for; None when it is not, or an operator decides."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """A trial call came to its end."""

    breaker: str
    result: ProbeResult
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejection:
    """A call was not let through."""

    breaker: str


BreakerEvent = Transition | Probe | Rejection


@dataclass(frozen=True, kw_only=True, slots=True)
class BreakerSnapshot:
    """A breaker at a moment."""

    name: str
    """The backend's name."""
    state: BreakerState
    why: str
    """What brought it there; empty as long as nothing has happened."""
    retry_after_s: float | None
    """Seconds until a trial call is let through; None when it is not open."""
    calls: int
    """Calls in the window."""
    failures: int
    """Failed ones among them."""
    slow: int
    """Those over their service level among them."""
    opened: int
    """How often it opened by itself since this process began."""
    rejected: int
    """Calls that it did not let through since then."""
