"""What the world is told about breakers: one event of the log, and one metric, for each change and each trial.

Rules:
- A change is a warning when calls are kept back from now on, else information; it carries the figures behind it.
- A refusal is counted only: there are as many of them as there are calls.
"""

from __future__ import annotations

import logging

from councilor.domain.breaker import STATE_VALUES, BreakerEvent, BreakerState, Probe, Rejection, Transition
from councilor.guards.breaker.breaker import Listener
from councilor.ports.metrics import MetricsBackend

__all__ = ["reporting"]

_log = logging.getLogger(__name__)
_BAD = {BreakerState.OPEN, BreakerState.FORCED_OPEN}


def reporting(metrics: MetricsBackend) -> Listener:
    """A listener that logs and counts."""

    def report(event: BreakerEvent) -> None:
        match event:
            case Rejection():
                metrics.counter("v3.breaker.rejections", {"breaker": event.breaker})
            case Transition():
                _log_transition(event)
                metrics.counter("v3.breaker.transitions", {"breaker": event.breaker, "to": event.after.value})
                metrics.gauge("v3.breaker.state", {"breaker": event.breaker}, STATE_VALUES[event.after])
            case Probe():
                told = {"breaker": event.breaker, "result": event.result.value, "duration_s": round(event.seconds, 6)}
                _log.info("a breaker's trial call ended", extra=told)

    return report


def _log_transition(event: Transition) -> None:
    told: dict[str, object] = {
        "breaker": event.breaker,
        "before": event.before.value,
        "after": event.after.value,
        "rule": event.rule.value,
        "detail": event.detail,
    }
    if event.open_s is not None:
        told |= {"open_s": round(event.open_s, 3)}
    _log.log(logging.WARNING if event.after in _BAD else logging.INFO, "a breaker changed", extra=told)
