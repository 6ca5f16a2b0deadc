"""How objectives are kept: their budgets and burn rates, from a metrics server or from our own record.

Rules:
- The record counts exactly what `v3.council.consensus` and `v3.task.finished` count, from each task's events: verdicts
  with their `consensus_s`, and ends. Of backends and steps it knows nothing.
- A verdict that a crash made told twice counts once.
- A task that was submitted more than `LEAD` before the longest window began is not looked at.

It does not raise alerts: rules below dashboards/ do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from councilor.domain.event import Event, EventType
from councilor.domain.slo import SLOS, WINDOWS_S, Slo, Tally
from councilor.domain.task import TaskState
from councilor.pipeline.costs import heads_since
from councilor.pipeline.history import read_events
from councilor.ports.clock import Clock
from councilor.ports.events import EventStream
from councilor.ports.tallies import Asked, Tallies

__all__ = ["BURN_WINDOWS_S", "Kept", "RecordedTallies", "look_at"]

BURN_WINDOWS_S = WINDOWS_S
LEAD = timedelta(days=7)
_ENDS = {
    EventType.TASK_FINISHED: None,
    EventType.TASK_FAILED: TaskState.FAILED,
    EventType.TASK_CANCELLED: TaskState.CANCELLED,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """How one objective is kept."""

    slo: Slo
    tally: Tally | None
    """Of its window; None where nothing is known."""
    burn_rates: Mapping[float, float | None]
    """Seconds of a shorter window -> how fast the budget burned in it; None without an event."""

    @property
    def budget_left(self) -> float | None:
        """The share of its budget that is left; None without an event."""
        return None if self.tally is None else self.slo.budget_left(self.tally)


async def look_at(slos: Sequence[Slo], tallies: Tallies) -> Sequence[Kept]:
    """How objectives are kept.

    Raises:
        UnavailableError: whoever counted does not answer.
    """
    asked = [Asked(slo=slo, window_s=window_s) for slo in slos for window_s in (slo.window_s, *BURN_WINDOWS_S)]
    answers = dict(zip(((item.slo.name, item.window_s) for item in asked), await tallies.tally(asked), strict=True))
    return [
        Kept(
            slo=slo,
            tally=answers[slo.name, slo.window_s],
            burn_rates={window_s: _burn_rate(slo, answers[slo.name, window_s]) for window_s in BURN_WINDOWS_S},
        )
        for slo in slos
    ]


def _burn_rate(slo: Slo, tally: Tally | None) -> float | None:
    return None if tally is None else slo.burn_rate(tally)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Happened:
    """One event of an objective."""

    slo: str
    ts: datetime
    bad: bool


class RecordedTallies:
    """Counts from the event streams of tasks.

    Args:
        events: where they are.
        clock: says what now is.
    """

    def __init__(self, *, events: EventStream, clock: Clock) -> None:
        self._events = events
        self._clock = clock

    async def tally(self, asked: Sequence[Asked]) -> Sequence[Tally | None]:
        """Exact counts; None for what no event tells."""
        now = self._clock.now()
        longest = timedelta(seconds=max((item.window_s for item in asked), default=0.0))
        happened = [
            item
            for head in await heads_since(now - longest - LEAD, self._events)
            for item in _happened(await read_events(self._events, head.task_id))
        ]
        return [_count(item, happened, now) for item in asked]


def _happened(events: Sequence[Event]) -> Sequence[_Happened]:
    verdicts = {
        str(event.data["verdict_id"]): _Happened(
            slo="consensus-latency", ts=event.ts, bad=float(event.data["consensus_s"]) > _EDGE_S
        )
        for event in events
        if event.type is EventType.VERDICT_REACHED
    }
    ends = [
        _Happened(slo="task-completion", ts=event.ts, bad=_end_of(event) is TaskState.FAILED)
        for event in events
        if event.type in _ENDS
    ]
    return [*verdicts.values(), *ends]


def _end_of(event: Event) -> TaskState:
    return _ENDS[event.type] or TaskState(event.data["state"])


def _edge_s() -> float:
    good = SLOS["consensus-latency"].good
    assert good is not None and good.within is not None
    return good.within


_EDGE_S = _edge_s()
_TOLD = frozenset({"consensus-latency", "task-completion"})
"""Objectives that events tell of."""


def _count(asked: Asked, happened: Sequence[_Happened], now: datetime) -> Tally | None:
    if asked.slo.name not in _TOLD:
        return None
    begin = now - timedelta(seconds=asked.window_s)
    within = [item.bad for item in happened if item.slo == asked.slo.name and begin < item.ts <= now]
    return Tally(total=len(within), bad=sum(within))
