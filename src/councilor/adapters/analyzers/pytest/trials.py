"""Keeps a suite loaded in the sandbox, and tries changes on it: one server is one long job.

Rules:
- The job is set up and confined as any other test run; its time limit is the server's whole life.
- What does not answer as agreed, or not in time, ends the server; the caller then runs its tests in a job of their own.
- Results are the caller's own and no evidence: there are no canaries, and lines are not checked for who wrote them.

How a change is tried is decided inside, by `forking/server.py`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from councilor.adapters.analyzers.pytest.conductor import VARIABLES
from councilor.adapters.analyzers.pytest.conversation import LAST_LINE, line_numbers
from councilor.adapters.analyzers.pytest.selection import arguments, roots
from councilor.domain.evidence import Outcome, TestRecord
from councilor.errors import SandboxError
from councilor.guards.standstill import Allowance
from councilor.ports.analyzer import (
    ServerRequest,
    TestRequest,
    TrialEnd,
    TrialMode,
    TrialRequest,
    TrialRun,
)
from councilor.ports.clock import Clock
from councilor.ports.sandbox import Channel, Job, Limits, Mount, Sandbox, SandboxResult

__all__ = ["PytestServers"]

FOLDER = Path(__file__).resolve().parent
START_S = 30.0
"""Seconds for the interpreter and pytest's plugins, beyond those for the collection."""
ANSWER_S = 10.0
"""Seconds for the server's own work around a trial."""
PATIENCE = 4.0
"""How many times as long as it may compute a test may take by the clock; the server counts in the same way."""
MESSAGE_CHARACTERS = 4000
LOG_BYTES = 4000


class PytestServers:
    """Starts servers for pytest suites.

    Args:
        memory_bytes, processes: limits of one server with its trials.
    """

    def __init__(self, *, sandbox: Sandbox, clock: Clock, memory_bytes: int = 4 * 2**30, processes: int = 512) -> None:
        self._sandbox = sandbox
        self._clock = clock
        self._memory_bytes = memory_bytes
        self._processes = processes

    @asynccontextmanager
    async def serve(self, request: ServerRequest) -> AsyncIterator[_Server]:
        """A server that is ready; see the port."""
        server = _Server(request, self._clock)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hold(request, server))
                try:
                    await server.ready.wait()
                    yield server
                finally:
                    server.leaving.set()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _hold(self, request: ServerRequest, server: _Server) -> None:
        try:
            result = await self._sandbox.run(self._job(request), talk=server.hold)
            server.lost(_ending(result))
        except SandboxError as error:
            server.lost(str(error))
        except _Left:
            server.lost("it did not answer in time")

    def _job(self, request: ServerRequest) -> Job:
        environment = request.environment
        own = (Mount(path=FOLDER / "sandboxed"), Mount(path=FOLDER / "forking"))
        return Job(
            argv=(str(environment.python), "-s", "-B", str(FOLDER / "forking" / "server.py")),
            cwd=request.folder,
            mounts=(*environment.mounts, *own, Mount(path=request.folder, writable=True)),
            limits=Limits(wall_s=request.timeout_s, memory_bytes=self._memory_bytes, processes=self._processes),
            env=dict(VARIABLES),
        )


class _Left(Exception):  # it ends a job, nobody reports it
    """The caller has no more trials."""


class _Server:
    """One server; see the port."""

    def __init__(self, request: ServerRequest, clock: Clock) -> None:
        self._request = request
        self._clock = clock
        self._channel: Channel | None = None
        self.ready = asyncio.Event()
        self.leaving = asyncio.Event()
        self.tests = 0
        self.nodeids: tuple[str, ...] = ()
        self.why = ""

    async def hold(self, channel: Channel) -> None:
        """The job's conversation: wait until the suite is loaded, then until the caller leaves."""
        request = self._request
        plain = TestRequest(folder=request.folder, environment=request.environment, timeout_s=request.timeout_s)
        start = {
            "key": "00" * 16,  # seals are for evidence
            "folder": str(request.folder),
            "tools": str(request.environment.tools),
            "roots": roots(request.folder),
            "arguments": arguments(plain),
            "paths": [str(request.folder / path) for path in request.paths],
            "collect_s": request.collect_s,
        }
        await channel.send(json.dumps(start))
        try:
            async with Allowance(START_S + request.collect_s):
                answer = await _answer(channel, lambda record: None)
        except (TimeoutError, _Nonsense) as error:
            raise _Left from error
        if answer is None:
            return  # the end of the job says why
        self.tests, self.why = int(answer.get("ready") or 0), str(answer.get("why", ""))[:500]
        self.nodeids = tuple(each for each in answer.get("nodeids") or () if isinstance(each, str))
        self._channel = channel
        self.ready.set()
        await self.leaving.wait()
        raise _Left

    def lost(self, why: str) -> None:
        """The job is over."""
        if self._channel is None:
            self.why = self.why or why
        self._channel = None
        self.ready.set()

    async def run(self, request: TrialRequest, *, known: Callable[[str], bool]) -> TrialRun | None:
        """Try one change; see the port."""
        channel, started_s = self._channel, self._clock.monotonic()
        if channel is None:
            return None
        try:
            async with Allowance(ANSWER_S + self._request.collect_s + PATIENCE * _longest_s(request)):
                return await self._run(channel, request, known, started_s)
        except (TimeoutError, _Nonsense):
            self._end()
            return None
        except asyncio.CancelledError:
            self._channel = None  # it may stand in the middle of a trial
            raise

    async def _run(
        self, channel: Channel, request: TrialRequest, known: Callable[[str], bool], started_s: float
    ) -> TrialRun | None:
        files = {path: base64.b64encode(content).decode() for path, content in request.files.items()}
        await channel.send(json.dumps({"weigh": files}))
        weighed = await _answer(channel, lambda record: None)
        if weighed is None:
            self._end()
            return None
        mode, key, why = _weight(weighed)
        if mode in {TrialMode.HOT, TrialMode.WARM} and key and known(key):
            mode = TrialMode.KNOWN
        if mode not in {TrialMode.HOT, TrialMode.WARM}:
            return TrialRun(mode=mode, end=TrialEnd.NOT_RUN, key=key, why=why)
        records: list[TestRecord] = []
        coverage: dict[str, dict[str, tuple[int, ...]]] = {}
        steps: dict[str, set[tuple[int, int]]] = {}

        def take(message: dict[str, Any]) -> None:
            record = _record(message)
            records.append(record)
            if request.trace:
                coverage[record.nodeid] = _lines(message)
                for path, found in _steps(message).items():
                    steps.setdefault(path, set()).update(found)

        await channel.send(json.dumps(_go(request)))
        ended = await _answer(channel, take)
        if ended is None or ended.get("end") == "lost":
            self._end()
            return None
        end = TrialEnd(ended["end"]) if ended.get("end") in _ENDS else TrialEnd.DIED
        if ended.get("whole") is not True:
            self._end()  # the next trial would find what this one left
        return TrialRun(
            mode=mode, end=end, key=key, records=tuple(records), coverage=coverage, steps=steps, why=why,
            duration_s=self._clock.monotonic() - started_s,
        )  # fmt: skip

    def _end(self) -> None:
        self._channel = None
        self.leaving.set()


class _Nonsense(Exception):  # as above
    """The server said something that was not agreed."""


_ENDS = frozenset(TrialEnd) - {TrialEnd.NOT_RUN}


def _longest_s(request: TrialRequest) -> float:
    return request.start_s + sum(request.tests_s[nodeid] for nodeid in request.nodeids)


def _go(request: TrialRequest) -> dict[str, Any]:
    return {
        "go": [(nodeid, request.tests_s[nodeid]) for nodeid in request.nodeids],
        "stop": request.stop_at_first_failure,
        "trace": request.trace,
        "traced": list(request.traced),
        "start_s": request.start_s,
        "total_s": PATIENCE * _longest_s(request),
    }


async def _answer(channel: Channel, on_record: Callable[[dict[str, Any]], None]) -> dict[str, Any] | None:
    """The next message that is no record; None when the job has hung up."""
    while (line := await channel.receive()) is not None:
        try:
            message = json.loads(line.partition(" ")[2])
        except (ValueError, RecursionError) as error:
            raise _Nonsense from error
        if not isinstance(message, dict):
            raise _Nonsense
        if "outcome" not in message:
            return message
        on_record(message)
    return None


def _lines(message: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    try:
        return line_numbers(message.get("lines", {}))
    except ValueError as error:
        raise _Nonsense from error


def _steps(message: dict[str, Any]) -> dict[str, list[tuple[int, int]]]:
    found = message.get("steps", {})
    try:
        return {str(path): [(_line(before), _line(after)) for before, after in pairs] for path, pairs in found.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise _Nonsense from error


def _line(number: object) -> int:
    if type(number) is not int or abs(number) > LAST_LINE:
        raise ValueError(number)
    return number


def _record(message: dict[str, Any]) -> TestRecord:
    outcome, nodeid, duration_s = (message.get(name) for name in ("outcome", "nodeid", "duration_s"))
    if outcome not in frozenset(Outcome) or not isinstance(nodeid, str):
        raise _Nonsense
    if not isinstance(duration_s, float) or not math.isfinite(duration_s):
        raise _Nonsense
    text = str(message.get("message", "")).encode("utf-8", "replace").decode()[:MESSAGE_CHARACTERS]
    return TestRecord(nodeid=nodeid, outcome=Outcome(outcome), duration_s=duration_s, message=text)


def _weight(message: dict[str, Any]) -> tuple[TrialMode, str, str]:
    if message.get("mode") not in {"hot", "warm", "cold", "invalid"}:
        raise _Nonsense
    return TrialMode(message["mode"]), str(message.get("key", "")), str(message.get("why", ""))[:500]


def _ending(result: SandboxResult) -> str:
    if result.timed_out:
        return "its time was over"
    text = result.output[-LOG_BYTES:].decode(errors="replace").strip()
    return f"it ended with exit code {result.exit_code}: {text[-500:]}"
