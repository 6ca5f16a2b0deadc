"""A circuit breaker: a backend that fails, or is too slow, is left alone for a while.

Rules:
- closed: each call that ends is counted. Too many failures in a row, too few successes, or too many slow calls
  (`BreakerPolicy`) open it.
- open: calls are refused at once with a `BreakerOpenError` that says when to come back. The first call after that time
  is let through as a trial; others are refused meanwhile. It closes, forgetting what was, when the trial succeeds;
  else it opens again, for longer. A slow trial fails where slow calls had opened it. One that takes longer than the
  longest opening keeps nobody out any more: another is let through beside it.
- A call that is cancelled, or fails in a way that says nothing about the backend (`blames_backend`), is neither a
  success nor a failure; a trial that ends so makes room for another one.
- A call that ends after the state has changed is not counted: it tells of a time that is over.
- Only monotonic time counts. A jump forward, as after a suspend, ends the waiting and empties the window.
- The listener is told outside the lock; when it raises, that is logged, and the call goes on.

Safe to use from several threads and event loops. It neither retries nor measures, and starts no task: time is looked at
when somebody calls.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import inf
from threading import Lock
from typing import Any

from councilor.domain.breaker import (
    BreakerEvent,
    BreakerPolicy,
    BreakerSnapshot,
    BreakerState,
    Probe,
    ProbeResult,
    Rejection,
    Rule,
    Transition,
)
from councilor.errors import BreakerOpenError
from councilor.guards.blame import blames_backend
from councilor.guards.breaker.window import Window
from councilor.ports.clock import Clock, Randomness

__all__ = ["Breaker", "Listener"]

Listener = Callable[[BreakerEvent], None]

_log = logging.getLogger(__name__)
_CHANCES = 1_000_000
_CLOSED, _OPEN, _HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
_FORCED_OPEN, _DISABLED = BreakerState.FORCED_OPEN, BreakerState.DISABLED


class Breaker:
    """Guards one backend.

    Args:
        name: the backend's, the same as everywhere.
        policy: when it opens, and for how long.
        clock: its monotonic time.
        randomness: takes a little off the time that it is open for.
        listener: told of every change, trial and refusal.
    """

    def __init__(
        self, name: str, *, policy: BreakerPolicy, clock: Clock, randomness: Randomness, listener: Listener
    ) -> None:
        self.name = name
        self._policy = policy
        self._now_s = clock.monotonic
        self._randomness = randomness
        self._listener = listener
        self._lock = Lock()
        self._window = Window(policy)
        self._state = _CLOSED
        self._generation = 0
        """One more at each change of state; a call belongs to the one that it began in."""
        self._why = ""
        self._opened_by = Rule.FAILURES_IN_A_ROW
        """What opened it from closed."""
        self._streak = self._probing = self._succeeded = 0
        self._until_s = self._probed_s = 0.0
        self._span_s = policy.open_s
        """Seconds of the next opening, before chance takes its part."""
        self._opened = self._rejected = 0

    # --- calling

    async def call(
        self, function: Callable[..., Awaitable[Any]], *args: object, slow_s: float = inf, **kwargs: object
    ) -> Any:
        """What `function` gives.

        Args:
            slow_s: seconds beyond which the call is slow.

        Raises:
            BreakerOpenError: it was not called.
        """
        return await self.run(function, args, kwargs, slow_s)

    async def run(
        self, function: Callable[..., Awaitable[Any]], args: Sequence[Any], kwargs: Mapping[str, Any], slow_s: float
    ) -> Any:
        """As `call`, for who has the arguments apart."""
        generation = self._generation  # read first: one that is out of date by the next line is not counted
        if self._state is not _CLOSED:
            admitted = self._admit()
            if admitted is None:
                return await function(*args, **kwargs)
            generation = admitted
        began_s = self._now_s()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            self._settle(generation, began_s, slow_s, True if blames_backend(error) else None)
            raise
        self._settle(generation, began_s, slow_s, False)
        return result

    def _admit(self) -> int | None:
        """The generation that a call begins in; None for one that is not counted."""
        events: list[BreakerEvent] = []
        with self._lock:
            if self._state is _DISABLED:
                return None
            if self._state is _OPEN and self._now_s() >= self._until_s:
                events.append(self._move(_HALF_OPEN, Rule.TIME_OVER, "a trial call is let through"))
            probing = self._state is _HALF_OPEN and self._has_room_for_probe()
            admitted = probing or self._state is _CLOSED
            if probing:
                self._probing += 1
                self._probed_s = self._now_s()
            if not admitted:
                self._rejected += 1
                events.append(Rejection(breaker=self.name))
                refusal = self._refusal()
            generation = self._generation
        self._tell(events)
        if not admitted:
            raise refusal
        return generation

    def _settle(self, generation: int, began_s: float, slow_s: float, failed: bool | None) -> None:
        """Count a call that has ended; `failed` is None when it says nothing."""
        now_s = self._now_s()
        events: Sequence[BreakerEvent]
        with self._lock:
            if generation != self._generation:
                return
            if self._state is _CLOSED:
                events = () if failed is None else self._count(now_s, failed, now_s - began_s > slow_s)
            else:
                events = self._end_probe(failed, now_s - began_s, slow_s)
        if events:
            self._tell(events)

    # --- for people

    def snapshot(self) -> BreakerSnapshot:
        """How it stands."""
        with self._lock:
            return BreakerSnapshot(
                name=self.name,
                state=self._state,
                why=self._why,
                retry_after_s=self._retry_after_s() if self._state in {_OPEN, _HALF_OPEN} else None,
                calls=self._window.calls,
                failures=self._window.failures,
                slow=self._window.slow,
                opened=self._opened,
                rejected=self._rejected,
            )

    def force(self, *, open_: bool, why: str = "operator") -> None:
        """Refuse every call until `reset`, or let every call through uncounted."""
        self._order(_FORCED_OPEN if open_ else _DISABLED, why)

    def reset(self, why: str = "operator") -> None:
        """Close it, and forget what was."""
        self._order(_CLOSED, why)

    def _order(self, after: BreakerState, why: str) -> None:
        with self._lock:
            moved = self._state is not after
            event = self._move(after, Rule.OPERATOR, why)
            self._span_s = self._policy.open_s
        if moved:
            self._tell([event])

    # --- deciding, inside the lock

    def _count(self, now_s: float, failed: bool, slow: bool) -> Sequence[BreakerEvent]:
        window, policy = self._window, self._policy
        window.add(now_s, failed=failed, slow=slow)
        if failed:
            self._streak += 1
            if self._streak >= policy.streak:
                return [self._trip(Rule.FAILURES_IN_A_ROW, f"{self._streak} calls")]
        else:
            self._streak = 0
        calls = window.calls
        if calls < policy.least_calls:
            return ()
        if (calls - window.failures) * 1000 < policy.least_success_permille * calls:
            return [self._trip(Rule.SUCCESS_RATE, f"{window.failures} of {calls} calls failed")]
        if window.slow * 1000 > policy.most_slow_permille * calls:
            return [self._trip(Rule.SLOW_CALLS, f"{window.slow} of {calls} calls")]
        return ()

    def _has_room_for_probe(self) -> bool:
        late = self._now_s() - self._probed_s >= self._policy.longest_open_s
        return late or self._probing < self._policy.probes

    def _end_probe(self, failed: bool | None, seconds: float, slow_s: float) -> Sequence[BreakerEvent]:
        self._probing -= 1
        if failed is None:
            return [Probe(breaker=self.name, result=ProbeResult.NOTHING, seconds=seconds)]
        if failed or (seconds > slow_s and self._opened_by is Rule.SLOW_CALLS):
            result = ProbeResult.FAILURE if failed else ProbeResult.SLOW
            self._span_s = min(self._span_s * self._policy.multiplier, self._policy.longest_open_s)
            return [self._probe(result, seconds), self._open(Rule.PROBE_FAILED, result)]
        self._succeeded += 1
        told = self._probe(ProbeResult.SUCCESS, seconds)
        if self._succeeded < self._policy.successes:
            return [told]
        self._span_s = self._policy.open_s
        return [told, self._move(_CLOSED, Rule.PROBES_SUCCEEDED, "it works again")]

    def _probe(self, result: ProbeResult, seconds: float) -> Probe:
        return Probe(breaker=self.name, result=result, seconds=seconds)

    def _trip(self, rule: Rule, detail: str) -> Transition:
        self._opened_by = rule
        return self._open(rule, detail)

    def _open(self, rule: Rule, detail: str) -> Transition:
        chance = self._randomness.below(_CHANCES) / _CHANCES
        open_s = self._span_s * (1 - self._policy.jitter * chance)
        self._until_s = self._now_s() + open_s
        self._opened += 1
        return self._move(_OPEN, rule, detail, open_s=open_s)

    def _move(self, after: BreakerState, rule: Rule, detail: str, *, open_s: float | None = None) -> Transition:
        before, self._state = self._state, after
        self._generation += 1
        self._why = f"{rule}: {detail}"
        self._streak = self._probing = self._succeeded = 0
        self._window.clear()
        return Transition(breaker=self.name, before=before, after=after, rule=rule, detail=detail, open_s=open_s)

    def _retry_after_s(self) -> float:
        """Seconds until another trial may be let through; how long one takes nobody knows."""
        return max(0.0, self._until_s - self._now_s()) if self._state is _OPEN else self._policy.open_s

    def _refusal(self) -> BreakerOpenError:
        if self._state is _FORCED_OPEN:
            return BreakerOpenError(
                f"{self.name} is not to be called: {self._why}.",
                backend=self.name,
                retry_after_s=None,
                hint=f"`councilor breakers reset {self.name}` lets calls through again.",
            )
        after_s = self._retry_after_s()
        alone = f"is left alone for {after_s:.1f} s more: {self._why}"
        return BreakerOpenError(
            f"{self.name} {alone if self._state is _OPEN else 'is being tried by another call'}.",
            backend=self.name,
            retry_after_s=after_s,
        )

    # --- telling, outside the lock

    def _tell(self, events: Sequence[BreakerEvent]) -> None:
        for event in events:
            try:
                self._listener(event)
            except Exception:
                _log.exception("a breaker's listener failed", extra={"breaker": self.name})
