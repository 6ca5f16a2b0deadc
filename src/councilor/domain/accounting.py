"""What a task cost, and where its time went, told by its events.

Rules:
- A round's figures are those of its `worker.output`. A round that was interrupted has none: its last heartbeat says
  what was spent until then, and its time ends with that heartbeat.
- A step that a crash made run again spent again, so both are counted.
- Candidates of one round are made side by side; each has an account of its own until it has told its output.
- Tokens and dollars are what workers say, never negative; nothing decides by them.
- Waiting is the time from submission to the first start. A task that has not ended is accounted for until its last
  event.

It reads no artifacts, so it does not know the seconds of evidence: see `pipeline/costs.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from councilor.domain.event import END_TYPES, Event, EventType

__all__ = ["Account", "Spent", "account"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What workers consumed."""

    seconds: float = 0.0
    turns: int = 0
    tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            seconds=self.seconds + other.seconds,
            turns=self.turns + other.turns,
            tokens=self.tokens + other.tokens,
            cost_usd=self.cost_usd + other.cost_usd,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """One task's account."""

    worker: Spent
    judge_tokens: int
    """What models that voted took, as far as their servers tell."""
    iterations: int
    """The last round that began."""
    interrupted: int
    """Rounds that were cut off, by a crash or Ctrl-C."""
    waiting_s: float
    preparing_s: float
    council_s: float
    elapsed_s: float
    """From submission to the end, pauses included."""
    submitted_at: datetime | None
    ended_at: datetime | None
    """None while the task has not ended."""
    failure: str | None = None
    """The error that ended it; may quote untrusted text."""
    failure_hint: str | None = None
    verdict_artifact: str | None = None
    """Artifact id of the last verdict."""


@dataclass(slots=True)
class _Round:
    """A worker's round that has not told its output yet."""

    began: datetime
    heard: Event | None = None

    def spent(self) -> Spent:
        if self.heard is None:
            return Spent()
        return Spent(
            seconds=max(0.0, (self.heard.ts - self.began).total_seconds()),
            tokens=int(_figure(self.heard.data, "tokens")),
            cost_usd=_figure(self.heard.data, "cost_usd"),
        )


@dataclass(slots=True)
class _Book:
    """The figures while events are read."""

    worker: Spent = field(default_factory=Spent)
    judge_tokens: int = 0
    iterations: int = 0
    interrupted: int = 0
    preparing_s: float = 0.0
    council_s: float = 0.0
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    last_at: datetime | None = None
    ended_at: datetime | None = None
    failure: str | None = None
    failure_hint: str | None = None
    verdict_artifact: str | None = None
    verdicts: set[object] = field(default_factory=set)
    """Ids of those that were reached."""
    rounds: dict[int, _Round] = field(default_factory=dict)
    """By the candidate's number; 0 where there is only one."""

    def enter(self, event: Event) -> None:
        data = event.data
        lane = int(_figure(data, "candidate"))
        self.last_at = event.ts
        match event.type:
            case EventType.TASK_SUBMITTED:
                self.submitted_at = event.ts
            case EventType.TASK_STARTED:
                self.started_at = self.started_at or event.ts
            case EventType.WORKER_ASSIGNED:
                self._close_round(lane)
                self.iterations = max(self.iterations, int(_figure(data, "iteration")))
                self.rounds[lane] = _Round(began=event.ts)
            case EventType.WORKER_HEARTBEAT if lane in self.rounds:
                self.rounds[lane].heard = event
            case EventType.WORKER_OUTPUT:
                self.rounds.pop(lane, None)
                self.worker += _told(data.get("usage"))
            case EventType.COUNCIL_VOTE:
                self.judge_tokens += int(_figure(data, "tokens"))
            case EventType.PHASE_FINISHED if data.get("phase") == "preparing":
                self.preparing_s += _figure(data, "duration_s")
            case EventType.VERDICT_REACHED:
                if data.get("verdict_id") not in self.verdicts:  # one that is told again took its time once
                    self.council_s += _figure(data, "consensus_s")
                self.verdicts.add(data.get("verdict_id"))
                self.verdict_artifact = str(data.get("artifact_id"))
            case EventType.TASK_FAILED:
                self.failure, self.failure_hint = str(data.get("error", "")), str(data.get("hint", ""))
        if event.type in END_TYPES:
            self.ended_at = event.ts

    def _close_round(self, lane: int) -> None:
        if lane in self.rounds:
            self.worker += self.rounds.pop(lane).spent()
            self.interrupted += 1

    def close(self) -> Account:
        for lane in list(self.rounds):
            if self.ended_at is not None:
                self._close_round(lane)
            else:
                self.worker += self.rounds[lane].spent()  # it goes on, or waits to be resumed
        return Account(
            worker=self.worker,
            judge_tokens=self.judge_tokens,
            iterations=self.iterations,
            interrupted=self.interrupted,
            waiting_s=_between(self.submitted_at, self.started_at or self.ended_at or self.last_at),
            preparing_s=self.preparing_s,
            council_s=self.council_s,
            elapsed_s=_between(self.submitted_at, self.ended_at or self.last_at),
            submitted_at=self.submitted_at,
            ended_at=self.ended_at,
            failure=self.failure,
            failure_hint=self.failure_hint,
            verdict_artifact=self.verdict_artifact,
        )


def account(events: Iterable[Event]) -> Account:
    """The account of one task, from all its events in their order."""
    book = _Book()
    for event in events:
        if book.ended_at is None:  # what is told after the end costs nothing
            book.enter(event)
    return book.close()


def _told(usage: object) -> Spent:
    if not isinstance(usage, Mapping):
        return Spent()
    return Spent(
        seconds=_figure(usage, "duration_s"),
        turns=int(_figure(usage, "turns")),
        tokens=int(_figure(usage, "tokens")),
        cost_usd=_figure(usage, "cost_usd"),
    )


def _figure(data: Mapping[str, Any], name: str) -> float:
    value = data.get(name)
    return max(0, value) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _between(start: datetime | None, end: datetime | None) -> float:
    return max(0.0, (end - start).total_seconds()) if start and end else 0.0
