"""Timings: how long the same thing took on base and candidate, and how sure one may be of the ratio.

Rules:
- The two are measured in turns, so that a machine that grows slower slows both.
- The ratio is median(base) / median(candidate): above 1 the candidate is faster.
- Its interval is the percentile bootstrap's, by a seeded generator: the same figures always give the same interval.
- Fewer than `LEAST_ROUNDS` of each decide nothing.

It does not know what a report said of them.
Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13 (percentile interval).
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LEAST_ROUNDS", "Interval", "Timing", "ratio_interval"]

LEAST_ROUNDS = 5
RESAMPLES = 2000
CONFIDENCE = 0.99
"""Wide, because a report is not to be called true or false for the noise of a machine."""
CLOCK_SHARE = 0.5
"""Share of the time saved, as the test's own process tells it, that must be seen from outside of that process."""
SMALLEST_S = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """One thing timed on both trees."""

    subject: str
    """The test's node id, or the command's words with spaces between."""
    base_s: tuple[float, ...]
    """Seconds of each round on the base."""
    candidate_s: tuple[float, ...]
    """Seconds of each round on the candidate."""
    base_outer_s: tuple[float, ...] = ()
    """The whole process's seconds, seen from outside; empty when `base_s` is that."""
    candidate_outer_s: tuple[float, ...] = ()
    error: str = ""
    """Why nothing can be said; empty for a timing that can be used."""

    @property
    def interval(self) -> Interval | None:
        """The ratio's interval; None when this timing decides nothing."""
        if self.error or min(len(self.base_s), len(self.candidate_s)) < LEAST_ROUNDS or not self.honest:
            return None
        return ratio_interval(self.base_s, self.candidate_s)

    @property
    def honest(self) -> bool:
        """Whether the time that a test says it saves is seen from outside, too: its process can change its clock."""
        if not self.base_outer_s or not self.candidate_outer_s:
            return True
        said = abs(statistics.median(self.base_s) - statistics.median(self.candidate_s))
        seen = abs(statistics.median(self.base_outer_s) - statistics.median(self.candidate_outer_s))
        return seen >= CLOCK_SHARE * said or said < _spread(self.base_outer_s) + _spread(self.candidate_outer_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A ratio and where it may lie."""

    low: float
    ratio: float
    high: float


def ratio_interval(base_s: Sequence[float], candidate_s: Sequence[float]) -> Interval:
    """The interval of median(base) / median(candidate).

    Args:
        base_s: at least one time in seconds.
        candidate_s: the same of the candidate.
    """
    seeded = random.Random(0)  # noqa: S311  # resampling needs no secret, and must be repeatable
    ratios = sorted(
        _ratio(seeded.choices(base_s, k=len(base_s)), seeded.choices(candidate_s, k=len(candidate_s)))
        for _ in range(RESAMPLES)
    )
    cut = int(RESAMPLES * (1 - CONFIDENCE) / 2)
    return Interval(low=ratios[cut], ratio=_ratio(base_s, candidate_s), high=ratios[-1 - cut])


def _ratio(base_s: Sequence[float], candidate_s: Sequence[float]) -> float:
    return max(statistics.median(base_s), SMALLEST_S) / max(statistics.median(candidate_s), SMALLEST_S)


def _spread(times_s: Sequence[float]) -> float:
    """Half the distance between the quartiles."""
    if len(times_s) < 2:
        return 0.0
    first, _, third = statistics.quantiles(times_s, n=4)
    return (third - first) / 2
