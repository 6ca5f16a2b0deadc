"""Two processes over one shared tier that fails in every way: what a process deleted or overwrote never comes back."""

from __future__ import annotations

import asyncio
from typing import Any

from caches import TTL_S, Fault, FlakyCache, tiered_cache
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from councilor.adapters.memory.clock import FakeClock

NAMES = "names"
KEYS = st.sampled_from(["a", "b"])
FAULTS = st.sampled_from([None, Fault.DELAYED, *Fault])
FRESH_S = 5.0


class TwoProcesses(RuleBasedStateMachine):
    """`writer` changes values and must never read an old one; `reader` only reads, and may lag by `FRESH_S`."""

    @initialize(most=st.sampled_from([1, 4096]))
    def begin(self, most: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.shared = FlakyCache(self.clock)
        self.writer = tiered_cache(self.shared, clock=self.clock, fresh_s=FRESH_S, most=most)
        self.reader = tiered_cache(self.shared, clock=self.clock, fresh_s=FRESH_S)
        self.truth = dict.fromkeys(("a", "b"), b"first")
        for key, value in self.truth.items():
            self.do(self.writer.set(NAMES, key, value))
        self.written = 0

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()

    def do(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    @rule(key=KEYS, same=st.booleans(), fault=FAULTS)
    def set(self, key: str, same: bool, fault: Fault | None) -> None:
        self.written += 1
        value = b"same" if same else b"value %d" % self.written
        self.truth[key] = value
        self.shared.fault = fault
        self.do(self.writer.set(NAMES, key, value))

    @rule(key=KEYS, fault=FAULTS)
    def delete(self, key: str, fault: Fault | None) -> None:
        self.truth.pop(key, None)
        self.shared.fault = fault
        self.do(self.writer.delete(NAMES, key))

    @precondition(lambda self: self.written > 4)
    @rule(fault=FAULTS)
    def clear(self, fault: Fault | None) -> None:
        self.truth.clear()
        self.shared.fault = fault
        self.do(self.writer.clear(NAMES))

    @rule(fault=FAULTS)
    def settle(self, fault: Fault | None) -> None:
        self.shared.fault = fault
        self.do(self.writer.settle())

    @precondition(lambda self: self.written > 4)
    @rule()
    def flush(self) -> None:
        self.do(self.shared.flush(NAMES))

    @precondition(lambda self: self.shared.late)
    @rule(key=KEYS)
    def arrive(self, key: str) -> None:
        """A write arrives late, after everything that was told in time."""
        self.shared.fault = None
        while not self.do(self.writer.settle()):
            pass
        self.do(self.shared.arrive())
        self.ask_with_nothing_left_here(key)

    @rule(seconds=st.sampled_from([1.0, FRESH_S, TTL_S]))
    def wait(self, seconds: float) -> None:
        self.do(self.clock.advance(seconds))

    @rule(key=KEYS, fault=FAULTS)
    def ask(self, key: str, fault: Fault | None) -> None:
        self.shared.fault = fault
        assert self.do(self.writer.get(NAMES, key)) in self.allowed(key)

    @rule(key=KEYS)
    def forget_and_ask(self, key: str) -> None:
        self.ask_with_nothing_left_here(key)

    def ask_with_nothing_left_here(self, key: str) -> None:
        self.shared.fault = None
        self.do(self.writer._local.delete(NAMES, key))
        for _ in range(2):  # the first call may tell instead of asking
            assert self.do(self.writer.get(NAMES, key)) in self.allowed(key)

    @rule(keys=st.sets(KEYS))
    def ask_for_many(self, keys: set[str]) -> None:
        found = self.do(self.writer.get_many(NAMES, sorted(keys)))
        assert all(value in self.allowed(key) for key, value in found.items())

    @rule(key=KEYS)
    def look(self, key: str) -> None:
        """Another process keeps what it sees."""
        self.do(self.reader.get(NAMES, key))

    @rule()
    def agree(self) -> None:
        """Once everything was told and the reader's values are no longer fresh, it sees nothing old either."""
        self.shared.fault = None
        while not self.do(self.writer.settle()):
            pass
        self.do(self.clock.advance(FRESH_S))
        found = self.do(self.reader.get_many(NAMES, ["a", "b"]))
        assert all(value in self.allowed(key) for key, value in found.items())

    def allowed(self, key: str) -> set[bytes | None]:
        return {None, self.truth.get(key)}


TwoProcesses.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestTwoProcesses = TwoProcesses.TestCase
