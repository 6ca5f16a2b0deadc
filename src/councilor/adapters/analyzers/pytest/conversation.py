"""The conductor's side of one job: hands tests out one by one and believes only what answers in turn.

Rules:
- A line without the right seal (BLAKE2b keyed with the session's key over its number and text) did not come from the
  runner. What is no sealed JSON object at all is a `PROTOCOL` breach, a record with a wrong seal or nonce `BAD_NONCE`,
  a record that nobody asked for `EXTRA_RECORD`, an end before the last test `EARLY_END`.
- Every test has a nonce that is made when it is handed out; the next is not handed out before its record is there.
- Which test comes next is the line-up's part (`lineup.py`). Of tests that share a node id the worst outcome counts.
- A test that does not answer within its limit raises `Hung`, a breach raises `Broken`; both end the job.

It does not know which tests must fail, and judges no outcome.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from councilor.adapters.analyzers.pytest.lineup import Budget, Lineup
from councilor.domain.evidence import Breach, Outcome, TestRecord
from councilor.guards.standstill import Allowance
from councilor.ports.clock import Clock, Randomness
from councilor.ports.sandbox import Channel

__all__ = ["LAST_LINE", "Broken", "Conversation", "Hung", "Order", "line_numbers"]

MESSAGE_CHARACTERS = 4000
LAST_LINE = 1_000_000
MOST_TESTS = 200_000
HANG_UP_S = 1.0
_REPORTED = frozenset(Outcome) - {Outcome.MISSING}


class Hung(Exception):  # it ends a conversation, nobody reports it
    """A test did not end within its limit."""

    def __init__(self, nodeid: str) -> None:
        super().__init__(nodeid)
        self.nodeid = nodeid


class Broken(Exception):  # the same
    """The job broke the rules of the conversation."""

    def __init__(self, breach: Breach) -> None:
        super().__init__(breach)
        self.breach = breach


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What one job is asked to do."""

    folder: str
    tools: str
    roots: tuple[str, ...]
    arguments: tuple[str, ...]
    """For pytest."""
    coverage: bool
    test_timeout_s: float
    wanted: Callable[[str], bool]
    """Whether to run a collected test."""
    must: Callable[[str], bool]
    """Whether to run it even when an earlier failure ends the run."""
    stop_at_first_failure: bool
    budget: Budget = field(default_factory=Budget)


class Conversation:
    """One job's conversation, and what it gave."""

    def __init__(
        self, order: Order, *, randomness: Randomness, clock: Clock, on_record: Callable[[TestRecord], None]
    ) -> None:
        self._order = order
        self._randomness = randomness
        self._clock = clock
        self._on_record = on_record
        self._key = bytes.fromhex(randomness.token() + randomness.token())
        self._received = 0
        self.collected: tuple[str, ...] | None = None
        """Node ids; None when collection did not come to its end."""
        self.collection_errors: tuple[tuple[str, str], ...] = ()
        self.records: dict[str, TestRecord] = {}
        self.coverage: dict[str, dict[str, tuple[int, ...]]] = {}
        self.status: int | None = None
        """Pytest's own exit status, as the runner gave it last."""
        self.code: int | None = None
        """The exit code that the process was told to end with."""
        self._lineup: Lineup | None = None
        self._announced: str | None = None

    @property
    def out_of_time(self) -> bool:
        """Whether the budget left tests out."""
        return self._lineup is not None and bool(self._lineup.unrun)

    @property
    def left(self) -> tuple[str, ...]:
        """Tests that were wanted and not begun."""
        announced = [] if self._announced is None else [self._announced]
        return (*announced, *(self._lineup.left if self._lineup is not None else ()))

    @property
    def ended(self) -> bool:
        """Whether it came to its proper end."""
        return self.status is not None

    async def hold(self, channel: Channel) -> None:
        """Talk from the first order to the last record.

        Raises:
            Hung: a test took longer than its limit.
            Broken: what came is not what was asked for.
        """
        order = self._order
        await self._send(
            channel,
            key=self._key.hex(),
            folder=order.folder,
            tools=order.tools,
            roots=order.roots,
            arguments=order.arguments,
            coverage=order.coverage,
        )
        collected = await self._collection(channel)
        if collected is None:
            return
        self.collected = tuple(collected)
        lineup = Lineup(collected, wanted=order.wanted, must=order.must, budget=order.budget, now=self._clock.monotonic)
        self._lineup = lineup
        current = lineup.next()
        while current is not None:
            following = lineup.next()
            self._announced = None if following is None else following[1]
            record = await self._one(channel, *current, None if following is None else following[0])
            if order.stop_at_first_failure and not order.must(current[1]) and record.outcome in _BAD:
                lineup.cut()
            current = following
        await self._end(channel)

    async def _collection(self, channel: Channel) -> list[str] | None:
        collected: list[str] = []
        while True:
            message = await self._message(channel)
            if message is None:
                raise Broken(Breach.EARLY_END)
            if "status" in message:
                self.collection_errors = (("", f"pytest ended with status {message['status']} before any test"),)
                return None
            if "outcome" in message:
                raise Broken(Breach.EXTRA_RECORD)
            if "ready" in message:
                self.collection_errors = _errors(message.get("errors"))
                if message["ready"] != len(collected):
                    raise Broken(Breach.PROTOCOL)
                return collected
            collected += _strings(message.get("collected"))
            if len(collected) > MOST_TESTS:
                raise Broken(Breach.PROTOCOL)

    async def _one(self, channel: Channel, index: int, nodeid: str, following: int | None) -> TestRecord:
        nonce = self._randomness.token()
        await self._send(channel, run=index, next=following, nonce=nonce)
        lines: dict[str, tuple[int, ...]] = {}
        try:
            async with Allowance(self._order.test_timeout_s):
                while True:
                    message = await self._message(channel)
                    if message is None or "status" in message:
                        raise Broken(Breach.EARLY_END)
                    if message.get("nonce") != nonce:
                        raise Broken(Breach.BAD_NONCE)
                    if "lines" not in message:
                        break
                    lines.update(_believed(message["lines"]))
        except TimeoutError as error:
            raise Hung(nodeid) from error
        record = _record(nodeid, message)
        before = self.records.get(nodeid)
        if before is None or before.outcome not in _BAD:
            self.records[nodeid] = record
        if self._order.coverage:
            self.coverage[nodeid] = lines
        self._on_record(record)
        return record

    async def _end(self, channel: Channel) -> None:
        nonce, code = self._randomness.token(), 3 + self._randomness.below(60)
        await self._send(channel, nonce=nonce, code=code)
        message = await self._message(channel)
        if message is None:
            raise Broken(Breach.EARLY_END)
        if "outcome" in message:
            raise Broken(Breach.EXTRA_RECORD)
        if message.get("nonce") != nonce:
            raise Broken(Breach.BAD_NONCE)
        if type(message.get("status")) is not int:
            raise Broken(Breach.PROTOCOL)
        try:
            # A process that the tests left behind may hold the line open; it dies with the job.
            async with asyncio.timeout(HANG_UP_S):
                more = await channel.receive()
        except TimeoutError:
            more = None
        if more is not None:
            raise Broken(Breach.EXTRA_RECORD)
        self.status, self.code = message["status"], code

    async def _send(self, channel: Channel, **message: object) -> None:
        await channel.send(json.dumps(message))

    async def _message(self, channel: Channel) -> dict[str, Any] | None:
        """The next sealed message; None when the job has hung up."""
        line = await channel.receive()
        if line is None:
            return None
        seal, _, body = line.partition(" ")
        try:
            message = json.loads(body if len(seal) == 32 else line)
        except (ValueError, RecursionError) as error:
            raise Broken(Breach.PROTOCOL) from error
        if not isinstance(message, dict):
            raise Broken(Breach.PROTOCOL)
        text = f"{self._received} {body}".encode("utf-8", "replace")
        if not hmac.compare_digest(
            hashlib.blake2b(text, key=self._key, digest_size=16).hexdigest().encode(), seal.encode("utf-8", "replace")
        ):
            raise Broken(Breach.BAD_NONCE if "outcome" in message else Breach.PROTOCOL)
        self._received += 1
        return message


_BAD = frozenset({Outcome.FAILED, Outcome.ERROR})


def _record(nodeid: str, message: Mapping[str, Any]) -> TestRecord:
    outcome, text, duration_s = message.get("outcome"), message.get("message"), message.get("duration_s")
    if outcome not in _REPORTED or not isinstance(text, str) or not isinstance(duration_s, float):
        raise Broken(Breach.PROTOCOL)
    if not math.isfinite(duration_s) or duration_s < 0:
        raise Broken(Breach.PROTOCOL)
    reruns = message.get("reruns", 0)
    if type(reruns) is not int or reruns < 0:
        raise Broken(Breach.PROTOCOL)
    text = text.encode("utf-8", "replace").decode()[:MESSAGE_CHARACTERS]
    return TestRecord(nodeid=nodeid, outcome=Outcome(outcome), duration_s=duration_s, message=text, reruns=reruns)


def _strings(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) and len(each) < 4096 for each in value):
        raise Broken(Breach.PROTOCOL)
    return value


def _errors(value: object) -> tuple[tuple[str, str], ...]:
    pairs = value if isinstance(value, list) else []
    if not all(isinstance(pair, list) and len(pair) == 2 and all(isinstance(x, str) for x in pair) for pair in pairs):
        raise Broken(Breach.PROTOCOL)
    return tuple((where, text[:MESSAGE_CHARACTERS]) for where, text in pairs)


def _believed(value: object) -> dict[str, tuple[int, ...]]:
    try:
        return line_numbers(value)
    except ValueError as error:
        raise Broken(Breach.PROTOCOL) from error


def line_numbers(value: object) -> dict[str, tuple[int, ...]]:
    """Path -> 1-based line numbers, from what a tracer sends: path -> ranges such as `3,7-9`.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, dict):
        raise ValueError(value)
    return {str(path): tuple(_numbers(str(ranges))) for path, ranges in value.items()}


def _numbers(ranges: str) -> list[int]:
    numbers: list[int] = []
    for group in ranges.split(","):
        first, _, last = group.partition("-")
        start, end = int(first), int(last or first)
        if not 0 < start <= end <= LAST_LINE or len(numbers) > LAST_LINE:
            raise ValueError(group)
        numbers += range(start, end + 1)
    return numbers
