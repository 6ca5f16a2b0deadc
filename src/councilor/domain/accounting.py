"""What a task cost, and where its time went, told by its events.

Rules:
- A round's figures are those of its `worker.output`. A round that was interrupted has none: its last heartbeat says
  what was spent until then, and its time ends with that heartbeat.
- A step that a crash made run again spent again, so both are counted.
- Candidates of one round are made side by side; each has an account of its own until it has told its output. What it
  spent is its worker's, whoever else worked on the task.
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

__all__ = ["Account", "Effort", "Spent", "account"]


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
class Effort:
    """What one worker did for a task."""

    spent: Spent = Spent()
    iterations: frozenset[int] = frozenset()
    """The rounds in which it worked."""
    interrupted: int = 0

    def __add__(self, other: Effort) -> Effort:
        return Effort(
            spent=self.spent + other.spent,
            iterations=self.iterations | other.iterations,
            interrupted=self.interrupted + other.interrupted,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """One task's account."""

    worker: Spent
    """Of all workers together."""
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
    by_worker: Mapping[str, Effort] = field(default_factory=dict)
    """Each worker's part of it."""
    worked_s: float = 0.0
    """Seconds in which at least one worker worked; less than all workers' seconds where they worked side by side."""
    makers: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """Iteration and candidate -> its worker; candidate 0: the only one, or the one that went on."""


@dataclass(slots=True)
class _Round:
    """A worker's round that has not told its output yet."""

    worker: str
    iteration: int
    began: datetime
    heard: Event | None = None

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From its beginning to the last sign of life."""
        return self.began, self.heard.ts if self.heard is not None else self.began

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
    by_worker: dict[str, Effort] = field(default_factory=dict)
    spans: list[tuple[datetime, datetime]] = field(default_factory=list)
    """In which a worker worked."""
    makers: dict[tuple[int, int], str] = field(default_factory=dict)

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
                self._begin_round(lane, event)
            case EventType.WORKER_HEARTBEAT if lane in self.rounds:
                self.rounds[lane].heard = event
            case EventType.WORKER_OUTPUT:
                self._end_round(self.rounds.pop(lane, None), event)
            case EventType.CANDIDATE_CHOSEN:
                self.makers[int(_figure(data, "iteration")), 0] = str(data.get("worker"))
            case EventType.COUNCIL_VOTE:
                self.judge_tokens += int(_figure(data, "tokens"))
            case EventType.PHASE_FINISHED if data.get("phase") == "preparing":
                self.preparing_s += _figure(data, "duration_s")
            case EventType.VERDICT_REACHED:
                verdict = data.get("verdict_id")
                if verdict is None or verdict not in self.verdicts:  # one that is told again took its time once
                    self.council_s += _figure(data, "consensus_s")
                self.verdicts.add(verdict)
                self.verdict_artifact = str(data.get("artifact_id"))
            case EventType.TASK_FAILED:
                self.failure, self.failure_hint = str(data.get("error", "")), str(data.get("hint", ""))
        if event.type in END_TYPES:
            self.ended_at = event.ts

    def _begin_round(self, lane: int, event: Event) -> None:
        iteration, worker = int(_figure(event.data, "iteration")), str(event.data.get("worker"))
        self.iterations = max(self.iterations, iteration)
        self.rounds[lane] = _Round(worker=worker, iteration=iteration, began=event.ts)
        self.makers[iteration, lane] = worker

    def _end_round(self, ended: _Round | None, event: Event) -> None:
        spent = _told(event.data.get("usage"))
        if ended is None:
            self.worker += spent
        else:
            self._enter_effort(ended, spent, (ended.began, event.ts))

    def _close_round(self, lane: int) -> None:
        if lane in self.rounds:
            cut = self.rounds.pop(lane)
            self._enter_effort(cut, cut.spent(), cut.span, interrupted=1)
            self.interrupted += 1

    def _enter_effort(
        self, made: _Round, spent: Spent, span: tuple[datetime, datetime], *, interrupted: int = 0
    ) -> None:
        self.worker += spent
        self.spans.append(span)
        effort = Effort(spent=spent, iterations=frozenset({made.iteration}), interrupted=interrupted)
        self.by_worker[made.worker] = self.by_worker.get(made.worker, Effort()) + effort

    def close(self) -> Account:
        for lane, going in list(self.rounds.items()):
            if self.ended_at is not None:
                self._close_round(lane)
            else:
                self._enter_effort(going, going.spent(), going.span)  # it goes on, or waits to be resumed
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
            by_worker=self.by_worker,
            worked_s=_covered_s(self.spans),
            makers=self.makers,
        )


def account(events: Iterable[Event]) -> Account:
    """The account of one task, from all its events in their order."""
    book = _Book()
    for event in events:
        if book.ended_at is None:  # what is told after the end costs nothing
            book.enter(event)
    return book.close()


def _covered_s(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """Seconds that at least one of the spans covers."""
    total_s, until = 0.0, None
    for begin, end in sorted(spans):
        start = begin if until is None else max(begin, until)
        total_s += max(0.0, (end - start).total_seconds())
        until = end if until is None else max(end, until)
    return total_s


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
