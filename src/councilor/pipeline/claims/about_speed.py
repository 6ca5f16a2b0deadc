"""Claims about speed: N times faster, N % faster, in N % less time, faster.

Rules:
- Decided by the interval of median(base) / median(candidate) of a timing that belongs to the claim; without one it is
  unverifiable, and the reason names what would decide it.
- A figure stands for what rounds to it: "3x" for 2.5 to 3.5, "1.5x" for 1.45 to 1.55, "40 %" for 39.5 to 40.5 %. It is
  supported when the interval meets that and is no wider than `WIDEST`, contradicted when the two do not meet.
- "N % faster" may mean N % less time or N % more speed: supported if both hold, contradicted if neither does.
- "Over N" is supported by an interval that lies above; "faster" without a figure by one above 1.05, and contradicted by
  one that ends below 1.1 and holds 1: a gain worth the word would have been seen.
- A timing in which test and process disagree about the time saved decides nothing (`Timing.honest`).

The claim's value is a ratio such as `3`, `1.2-1.3`, `>=2`; its subject a test or a symbol, or empty.
"""

from __future__ import annotations

from councilor.domain.claim import AtomicClaim, CheckedClaim, ClaimStatus
from councilor.domain.evidence import EvidenceKind
from councilor.domain.nodeid import bare
from councilor.domain.timing import Interval, Timing
from councilor.pipeline.claims.context import ClaimContext, say, unknown
from councilor.pipeline.timing import timed_of_spec

__all__ = ["faster"]

LEAST, WORTH = 1.05, 1.1
WIDEST = 1.5
"""Ratio of an interval's ends beyond which it is too wide to confirm a figure."""
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
    told = f"{timing.subject}: {interval.ratio:.2f} times as fast, 99 % {interval.low:.2f} to {interval.high:.2f}"
    return say(claim, _decide(claim, interval), told, ids)


def _about(claim: AtomicClaim, context: ClaimContext) -> list[Timing]:
    """The timings of what the claim names; for one that names nothing, those that the spec asked for."""
    timings = context.bundle.timings if context.bundle else ()
    asked = {timed.subject: timed.about for timed in timed_of_spec(context.given.spec)}
    if not claim.subject:
        return [timing for timing in timings if timing.subject in asked]
    return [
        timing
        for timing in timings
        if any(
            _same(claim.subject, name)
            for name in (timing.subject, bare(timing.subject), *asked.get(timing.subject, ()))
        )
    ]


def _same(one: str, other: str) -> bool:
    """Whether one name is the other, or its end."""
    short, long = sorted((one, other), key=len)
    return short == long or long.endswith((f"::{short}", f".{short}"))


def _decide(claim: AtomicClaim, interval: Interval) -> ClaimStatus:
    if not claim.value and interval.low <= 1 and interval.high < WORTH:
        return ClaimStatus.CONTRADICTED
    readings = ranges(claim.value or "", claim.method)
    whole = interval.high / interval.low <= WIDEST
    meets = [interval.low <= high and interval.high >= low for low, high in readings]
    within = [low <= interval.low if high == INFINITE else whole for low, high in readings]
    if not any(meets):
        return ClaimStatus.CONTRADICTED
    return ClaimStatus.SUPPORTED if all(meets) and all(within) else ClaimStatus.UNVERIFIABLE


INFINITE = float("inf")


def ranges(value: str, method: str) -> list[tuple[float, float]]:
    """The ratios for which a claim holds: a range for each way to read it."""
    if not value:
        return [(LEAST, INFINITE)]
    if value.startswith(">="):
        return [(low, INFINITE) for low, _ in ranges(value[2:], method)]
    if value.startswith("<="):
        return [(LEAST, high) for _, high in ranges(value[2:], method)]
    first, _, last = value.partition("-")
    low, high = _around(first)[0], _around(last or first)[1]
    if method != "percent":
        return [(low, high)]
    return [(low, high), (_less_time(low - 1), _less_time(high - 1))]


def _around(figure: str) -> tuple[float, float]:
    half = 0.5 * 10.0 ** -len(figure.partition(".")[2])
    return float(figure) - half, float(figure) + half


def _less_time(share: float) -> float:
    """The ratio of times when a share of the time is saved."""
    return 1 / (1 - min(share, 0.99999))
