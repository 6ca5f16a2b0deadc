"""What happens when PostgreSQL stalls: it is there and answers nothing; or restarts. Each by doing it.

Nobody waits longer than the deadline and a moment, the breaker opens and says so, recovery is by itself, and no event
is lost or there twice.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from storing import START, artifact
from tasks import make_task, submission

from councilor.adapters.memory.metrics import RecordingMetrics
from councilor.adapters.postgres.artifacts import DatabaseArtifactStorage
from councilor.adapters.postgres.embedded import EmbeddedPostgres
from councilor.adapters.postgres.events import DatabaseEventStream
from councilor.adapters.postgres.migrate import migrate
from councilor.adapters.postgres.pool import GRACE_S, Pool
from councilor.adapters.postgres.postmaster import processes_in
from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.app.guarding import Guarding, make_guarding
from councilor.app.store import IDEMPOTENT
from councilor.domain.breaker import BreakerState
from councilor.domain.event import Event, EventType, NewEvent
from councilor.errors import BreakerOpenError, CouncilorError, DeadlineError, UnavailableError
from councilor.pipeline.watching import watch_task
from councilor.ports.artifacts import ArtifactStorage
from councilor.ports.events import EventStream
from councilor.settings import load_settings

DEADLINE_S = 0.5
MOMENT_S = 2 * GRACE_S + 2.5
"""What ending a call may take besides, on a machine that does much else."""
WRITERS = 4


@dataclass(frozen=True)
class Server:
    """A server that may be stopped: nobody else uses it."""

    url: str
    data: Path
    postgres: EmbeddedPostgres

    def signal(self, number: signal.Signals) -> None:
        for process in processes_in(self.data):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop every process of it, then let them go on."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def server(service_missing: Callable[[str], None]) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="councilor-stall-"))
    folder.chmod(0o711)
    found = EmbeddedPostgres(folder / "postgres")
    try:
        try:
            migrate(found.up())
        except UnavailableError as error:
            service_missing(str(error))
        yield Server(found.url(), folder / "postgres/data", found)
    finally:
        Server("", folder / "postgres/data", found).signal(signal.SIGCONT)
        found.down()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Outside:
    """A guarded database, and what its callers saw."""

    guarding: Guarding
    metrics: RecordingMetrics
    events: EventStream
    artifacts: ArtifactStorage
    acknowledged: list[tuple[str, int]] = field(default_factory=list)
    errors: list[CouncilorError] = field(default_factory=list)
    longest_s: float = 0.0
    """The longest that anybody waited."""

    @property
    def state(self) -> BreakerState:
        return self.guarding.breakers.states()[0].state

    def has_acknowledged(self, count: int) -> bool:
        return len(self.acknowledged) >= count

    @contextmanager
    def timed(self) -> Iterator[None]:
        began_s = time.monotonic()
        try:
            yield
        except CouncilorError as error:
            self.errors.append(error)
        finally:
            self.longest_s = max(self.longest_s, time.monotonic() - began_s)

    async def write(self, task_id: str, over: asyncio.Event) -> None:
        """Append events with numbers of their own until it is over; what is refused is not tried again."""
        number = 0
        while not over.is_set():
            number += 1
            with self.timed():
                await self.events.append([_event(task_id, number)])
                self.acknowledged.append((task_id, number))
            await asyncio.sleep(0.01)

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not reached():
                await asyncio.sleep(0.02)

    async def check(self, tasks: list[str]) -> None:
        """Everything that was acknowledged is there, and nothing twice."""
        for task_id in tasks:
            found, seqs = Counter[int](), []
            while page := await self.events.read(task_id, after=len(seqs), limit=200):
                seqs += [event.seq for event in page]
                found.update(event.data["n"] for event in page if "n" in event.data)
            assert seqs == list(range(1, len(seqs) + 1))
            assert max(found.values()) == 1
            assert {number for task, number in self.acknowledged if task == task_id} <= set(found)


def _event(task_id: str, number: int) -> NewEvent:
    return NewEvent(task_id=task_id, type=EventType.PHASE_STARTED, ts=START, data={"phase": "working", "n": number})


def _submitted(task_id: str) -> NewEvent:
    task = make_task(id=task_id, tier=2, submitted_at=START)
    return submission(task)


@pytest.fixture
async def outside(server: Server, tmp_path: Path) -> AsyncIterator[Outside]:
    settings = load_settings(flags={"data_dir": str(tmp_path), "breakers.open_s": 0.5, "breakers.longest_open_s": 1.0})
    metrics = RecordingMetrics()
    guarding = make_guarding(settings, clock=SystemClock(), metrics=metrics, randomness=SystemRandomness())
    pool = Pool(server.url, max_connections=6, connect_timeout_s=2.0, statement_timeout_s=2.0)
    async with pool, DatabaseEventStream(pool) as stream:
        yield Outside(
            guarding=guarding,
            metrics=metrics,
            events=guarding.around(
                stream, port="events", backend="postgres", default_s=DEADLINE_S, idempotent=IDEMPOTENT["events"]
            ),
            artifacts=guarding.around(
                DatabaseArtifactStorage(pool),
                port="artifacts",
                backend="postgres",
                default_s=DEADLINE_S,
                idempotent=IDEMPOTENT["artifacts"],
            ),
        )


def _tasks(first: int) -> list[str]:
    return [f"0190{first + number:04x}-0000-7000-8000-00000000{first + number:04x}" for number in range(WRITERS)]


async def test_a_stall_costs_the_deadline_opens_the_breaker_and_loses_nothing(server: Server, outside: Outside) -> None:
    tasks, over = _tasks(1), asyncio.Event()
    await outside.events.append([_submitted(task) for task in tasks])
    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(outside.write(task, over))
        await outside.until(lambda: len(outside.acknowledged) >= 40)
        with server.stopped():
            await outside.until(lambda: outside.state is BreakerState.OPEN)
            with pytest.raises(BreakerOpenError) as refused:
                await outside.artifacts.last_seq(tasks[0])
            assert refused.value.backend == "postgres" and refused.value.retry_after_s is not None
            await asyncio.sleep(1.5)  # trial calls fail meanwhile
        before = len(outside.acknowledged)
        await outside.until(lambda: len(outside.acknowledged) >= before + 40)
        over.set()
    await outside.check(tasks)
    assert outside.state is BreakerState.CLOSED
    assert {type(error) for error in outside.errors} <= {DeadlineError, BreakerOpenError, UnavailableError}
    assert any(isinstance(error, DeadlineError) for error in outside.errors)
    assert outside.longest_s < DEADLINE_S + MOMENT_S
    assert outside.metrics.value("v3.breaker.transitions", breaker="postgres", to="open") >= 1
    assert outside.metrics.value("v3.breaker.rejections", breaker="postgres") >= 1
    assert outside.metrics.value("v3.port.errors", port="events", error="deadline") >= 1


async def test_an_artifact_that_was_refused_during_a_stall_can_be_put_again(server: Server, outside: Outside) -> None:
    body = b"x" * 5000
    stored = artifact(1, body)
    with server.stopped():
        began_s = time.monotonic()
        with pytest.raises(DeadlineError):
            await outside.artifacts.put(stored, body)
        assert time.monotonic() - began_s < DEADLINE_S + MOMENT_S
    async with asyncio.timeout(30):
        while True:
            try:
                await outside.artifacts.put(stored, body)
                break
            except UnavailableError:
                await asyncio.sleep(0.1)
    assert await outside.artifacts.read(stored.id) == body
    assert [item.id for item in await outside.artifacts.of_task(stored.task_id)] == [stored.id]


def test_a_server_that_hangs_is_not_waited_for_like_one_that_starts(server: Server) -> None:
    own = EmbeddedPostgres(server.data.parent, hanging_s=0.5)
    with server.stopped():
        began_s = time.monotonic()
        with pytest.raises(DeadlineError, match="is there, and does not answer after") as late:
            own.up()
        assert time.monotonic() - began_s < 15
        assert "db status" in late.value.hint()
    own.up()


@pytest.mark.slow
async def test_many_stalls_in_a_row_lose_and_double_nothing(server: Server, outside: Outside) -> None:
    tasks, over = _tasks(100), asyncio.Event()
    await outside.events.append([_submitted(task) for task in tasks])
    async with asyncio.TaskGroup() as group:
        for task in tasks:
            group.create_task(outside.write(task, over))
        for number in range(12):
            before = len(outside.acknowledged)
            await outside.until(lambda before=before: len(outside.acknowledged) >= before + 20)
            with server.stopped():
                await asyncio.sleep(0.2 + 0.35 * (number % 6))
        before = len(outside.acknowledged)
        await outside.until(lambda: len(outside.acknowledged) >= before + 20)
        over.set()
    await outside.check(tasks)
    assert outside.longest_s < DEADLINE_S + MOMENT_S


async def test_a_restart_loses_no_event_and_readers_go_on(server: Server, outside: Outside) -> None:
    tasks, over = _tasks(901), asyncio.Event()
    await outside.events.append([_submitted(task) for task in tasks])
    seen: dict[str, list[int]] = {task: [] for task in tasks}

    async def watch(task: str) -> None:
        async for told in watch_task(outside.events, task, clock=SystemClock()):
            assert isinstance(told, Event)
            seen[task].append(told.seq)

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        watching = [group.create_task(watch(task)) for task in tasks]
        writing = [group.create_task(outside.write(task, over)) for task in tasks]
        for _ in range(2):
            before = len(outside.acknowledged)
            await outside.until(partial(outside.has_acknowledged, before + 40))
            await asyncio.to_thread(server.postgres.down)
            await asyncio.to_thread(server.postgres.up)
        before = len(outside.acknowledged)
        await outside.until(partial(outside.has_acknowledged, before + 40))
        over.set()
        await asyncio.gather(*writing)
        ends = [NewEvent(task_id=task, type=EventType.TASK_CANCELLED, ts=START) for task in tasks]
        await outside.events.append(ends)
        await asyncio.gather(*watching)
    await outside.check(tasks)
    for task in tasks:
        head = await outside.events.head(task)
        assert head is not None and seen[task] == list(range(1, head.last_seq + 1))
    assert outside.errors, "the server was away"
