"""Claims about speed: N times faster, N % faster, faster, no slower.

Rules:
- Decided by the interval of median(base) / median(candidate) of a timing that belongs to the claim; without one it is
  unverifiable, and the reason names what would decide it.
- A number counts as it is written: "3x" is met from 2.5 on, "1.5x" from 1.45 on, "40 %" from 39.5 %.
- "N % faster" may mean N % less time or N % more speed: supported only if both hold, contradicted only if neither does.
- "Faster" without a number: 5 % at least; "no slower": not more than 5 % slower.
- A timing in which test and process disagree about the time saved decides nothing (`Timing.honest`).

The claim's value is `<n>x`, `<n>%`, `faster` or `no slower`; its subject a test, or empty for what the spec times.
"""

from __future__ import annotations

from councilor.domain.claim import AtomicClaim, CheckedClaim, ClaimStatus
from councilor.domain.evidence import EvidenceKind
from councilor.domain.nodeid import bare
from councilor.domain.timing import Interval, Timing
from councilor.pipeline.claims.context import ClaimContext, say, unknown

__all__ = ["faster"]

LEAST = 1.05
REMEDY = (
    "a benchmark decides it: `non_functional.performance: {command: ...}` in the spec, or a test named in the report"
)


def faster(claim: AtomicClaim, context: ClaimContext) -> CheckedClaim:
    """The candidate needs less time than the base, by so much."""
    timings = _about(claim, context)
    ids = context.fresh(EvidenceKind.TIMING)
    if not timings:
        return unknown(claim, f"nothing was timed; {REMEDY}")
    if not ids:
        return say(claim, ClaimStatus.STALE, "it was timed on another tree")
    if len(timings) > 1:
        return unknown(claim, f"{len(timings)} things were timed, and the report does not say which is meant", ids)
    (timing,) = timings
    interval = timing.interval
    if interval is None:
        doubt = timing.error or "the time that the test says it saves is not seen from outside"
        return unknown(claim, f"{timing.subject}: {doubt}", ids)
    told = f"{timing.subject}: {interval.ratio:.2f} times as fast (99 % interval {interval.low:.2f} to {interval.high:.2f})"
    return say(claim, _decide(claim.value or "faster", interval), told, ids)


def _about(claim: AtomicClaim, context: ClaimContext) -> list[Timing]:
    timings = context.bundle.timings if context.bundle else ()
    if not claim.subject:
        return [timing for timing in timings if "::" not in timing.subject.partition(" ")[0]] or list(timings)
    return [
        timing
        for timing in timings
        if claim.subject in (timing.subject, bare(timing.subject)) or timing.subject.endswith(f"::{claim.subject}")
    ]


def _decide(value: str, interval: Interval) -> ClaimStatus:
    needed = [*thresholds(value)]
    if all(interval.low >= least for least in needed):
        return ClaimStatus.SUPPORTED
    if all(interval.high < least for least in needed):
        return ClaimStatus.CONTRADICTED
    return ClaimStatus.UNVERIFIABLE


def thresholds(value: str) -> tuple[float, ...]:
    """The ratios from which on the claim holds, one for each way to read it."""
    if value == "no slower":
        return (1 / LEAST,)
    if value == "faster":
        return (LEAST,)
    number = float(value[:-1])
    decimals = len(value[:-1].partition(".")[2])
    least = number - 0.5 * 10**-decimals
    if value.endswith("x"):
        return (max(least, LEAST),)
    share = min(least, 99.999) / 100
    return (1 / (1 - share), 1 + share)
