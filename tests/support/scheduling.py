"""What tests of schedules share: a schedule, a clock of the database that a test sets, processes that are killed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import psycopg

from councilor.adapters.git import GitRepositories
from councilor.adapters.memory.clock import FakeClock
from councilor.domain.schedule import Overlap, Schedule
from councilor.domain.task import RunMode
from councilor.pipeline.executor import Executor
from councilor.pipeline.scheduling import Scheduler
from councilor.ports.events import EventStream
from councilor.ports.metrics import NoMetrics
from councilor.ports.queue import TaskQueue
from councilor.ports.schedules import Schedules

ONE, TWO = (f"0190aaaa-0000-7000-8000-00000000000{number}" for number in (1, 2))
START = datetime(2031, 5, 5, 11, 59, 30, tzinfo=UTC)
NOON = datetime(2031, 5, 5, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def make_schedule(number: int = 1, **changes: Any) -> Schedule:
    given: dict[str, Any] = {
        "id": f"0190bbbb-0000-7000-8000-00000000000{number}", "name": f"nightly-{number}", "cron": "*/10 * * * *",
        "repository": "/srv/r\u00e9", "base_ref": "refs/heads/main", "spec_path": ".caws/specs/SHOP-1.yaml",
        "spec_text": "id: SHOP-1", "spec_id": "SHOP-1", "tier": 3, "worker": "repair", "mode": RunMode.AUTO,
        "max_iterations": 4, "deadline_s": 60.0, "priority": 7, "overlap": Overlap.SKIP, "catch_up_s": 120.0,
    }  # fmt: skip
    return Schedule(**(given | changes))


def with_own_clock(url: str) -> str:
    """A database's URL under which `clock_timestamp()`, which only statements about schedules ask, is `set_clock`'s."""
    return f"{url}{'&' if '?' in url else '?'}options={quote('-csearch_path=public,fake,pg_catalog')}"


def set_clock(admin: psycopg.Connection[Any], moment: datetime, *, pace: float = 0.0) -> None:
    """Let the database's clock go on from a moment, `pace` times as fast as time does."""
    admin.execute("CREATE SCHEMA IF NOT EXISTS fake")
    admin.execute(
        "CREATE OR REPLACE FUNCTION fake.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ "
        f"SELECT '{moment.isoformat()}'::timestamptz "
        f"+ {pace} * (pg_catalog.clock_timestamp() - '{datetime.now(UTC).isoformat()}'::timestamptz) $$"
    )


class Killed(BaseException):
    """Stands for the end of a process: nothing that it would have done after it is done."""


@dataclass
class Mortal:
    """A port whose n-th call from now is the last of its process, before or after it was done."""

    inner: Any
    life: Life

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.life.spend()
            result = await method(*args, **kwargs)
            self.life.spend()
            return result

        return call


@dataclass
class Life:
    """How many more moments a process has."""

    left: int | None = None
    spent: int = 0

    def spend(self) -> None:
        self.spent += 1
        if self.left is not None:
            if self.left == 0:
                raise Killed
            self.left -= 1


@dataclass
class Works:
    """The stores that processes with a scheduler share."""

    schedules: Schedules
    queue: TaskQueue
    events: EventStream
    notifiers: list[Any] = field(default_factory=list)
    clock: FakeClock = field(default_factory=lambda: FakeClock(start=START - timedelta(days=400)))
    """Of the processes; far behind the store's."""

    def scheduler(self, life: Life | None = None, **changes: Any) -> Scheduler:
        """A process's; with a life, one that is killed."""
        events, queue, schedules = self.events, self.queue, self.schedules
        if life is not None:
            events, queue, schedules = (Mortal(port, life) for port in (events, queue, schedules))  # type: ignore[assignment]
        parts: Any = SimpleNamespace(events=events, metrics=NoMetrics())
        engine: Any = None
        given: dict[str, Any] = {
            "schedules": schedules, "repositories": GitRepositories(clock=self.clock, metrics=NoMetrics()),
            "executor": Executor(parts=parts, engine=engine), "events": events, "queue": queue, "clock": self.clock,
            "metrics": NoMetrics(), "notifiers": self.notifiers, "notify_on": ("failed",),
        }  # fmt: skip
        return Scheduler(**(given | changes))

    async def enlist(self, executor_id: str) -> None:
        await self.queue.enlist(executor_id, host="h", pid=7, version="1", lease_s=1e6)
