"""How the database stands, and what is kept in it: the schema, the transparency log, the queue.

Rules:
- A look takes a connection of its own and gives it back: so it also finds a server that takes no new ones, and needs
  nothing of a pool that may be stuck.
- Nothing is started and nothing is written. An embedded server that does not run is no fault: it is started when it is
  first needed. One that runs and does not answer is.
- A log whose statements wait is late, not broken: nothing is lost. A published checkpoint of more leaves than the log
  has is an alarm: the database was set back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection

from councilor.adapters.postgres.failures import check_server, translated
from councilor.adapters.postgres.migrate import find_missing, packaged_migrations
from councilor.adapters.postgres.pool import Connection, connection_string
from councilor.adapters.postgres.queries import health as queries
from councilor.adapters.postgres.queries import schema
from councilor.domain.checkpoint import SignedCheckpoint
from councilor.domain.health import Check, ComponentType, HealthStatus
from councilor.guards.aside import Aside
from councilor.ports.clock import Clock
from councilor.ports.metrics import MetricsBackend

__all__ = ["DatabaseProbe", "LogProbe", "PoolProbe", "QueueProbe"]

Locate = Callable[[], "str | None"]
"""Gives the database's URL, or None while an embedded server does not run; may read the file system."""

_Measured = dict[str, str | float]

CONNECT_S = 5.0
"""The server's part; whoever asks limits the whole look."""
SEE_DATABASE = "the database's own check counts"
"""What cannot be looked at because the database does not answer is no second fault."""
WAITING_S = 60.0
"""Statements that wait longer for a checkpoint are worth a warning: a run makes one every second or so."""


class _DatabaseLook:
    """What the three probes share."""

    kind = ComponentType.DATASTORE
    fallback: str | None = None
    every_s: float | None = None
    timeout_s: float | None = None
    component: str

    def __init__(self, locate: Locate) -> None:
        self._locate = locate
        self._aside: Aside[str | None] = Aside("health of the database's folder")

    async def _url(self) -> str | None:
        return await self._aside.run(self._locate)

    def _pass(self, output: str = "", **more: Any) -> Check:
        return Check(component=self.component, kind=self.kind, status=HealthStatus.PASS, output=output, **more)

    def _warn(self, output: str, **more: Any) -> Check:
        return Check(component=self.component, kind=self.kind, status=HealthStatus.WARN, output=output, **more)


class DatabaseProbe(_DatabaseLook):
    """Whether the server answers, can be written to, and has this release's schema."""

    component = "database"

    def __init__(self, locate: Locate, *, clock: Clock) -> None:
        super().__init__(locate)
        self._clock = clock

    async def check(self) -> Check:
        """Connect, and read the schema's ledger."""
        url = await self._url()
        if url is None:
            return self._warn("not running; started when first needed")
        began_s = self._clock.monotonic()
        async with _connected(url) as connection:
            version = connection.info.server_version
            read_only = await _first(connection, queries.IS_READ_ONLY)
            missing = await _missing_migrations(connection)
        latency_s = self._clock.monotonic() - began_s
        found: _Measured = {"measurement": "latency", "observed": latency_s, "unit": "s"}
        text = f"PostgreSQL {version // 10000}.{version % 10000}"
        if read_only:
            return self._pass().failed(f"{text} takes no writes: it is a standby, or set to read-only")
        if missing:
            return self._warn(f"{text}; {missing} migrations are applied when it is first needed", **found)
        return self._pass(text, **found)


class LogProbe(_DatabaseLook):
    """Whether what is recorded becomes part of the signed log, and whether the log is what was published.

    Args:
        published: reads the newest checkpoints that were published outside the database, for a log's name.
    """

    component = "log"
    fallback: str | None = SEE_DATABASE

    def __init__(self, locate: Locate, *, published: Callable[[str], Sequence[SignedCheckpoint]], clock: Clock) -> None:
        super().__init__(locate)
        self._published = published
        self._clock = clock
        self._shelf: Aside[Sequence[SignedCheckpoint]] = Aside("health of the checkpoints")

    async def check(self) -> Check:
        """Read how far the log is, then what was published."""
        standing = await _read(await self._url(), queries.LOG_STANDING, of="log_pending")
        if standing is None or standing[0] is None:
            return self._pass("nothing is recorded yet")
        origin, waiting, oldest, size = standing
        published = await self._shelf.run(lambda: self._published(str(origin)))
        largest = max((item.checkpoint.size for item in published), default=0)
        if largest > int(str(size)):
            return self._pass().failed(
                f"the published checkpoint is of {largest} statements, the log has signed {size}",
                "The database was set back. `councilor verify --all` says what is missing.",
            )
        age_s = self._age_s(str(oldest)) if oldest is not None else 0.0
        found: _Measured = {"measurement": "waiting", "observed": age_s, "unit": "s"}
        if age_s > WAITING_S:
            return self._warn(f"{waiting} statements wait for a checkpoint; the next run makes one", **found)
        return self._pass(f"{size} statements, {waiting} waiting", **found)

    def _age_s(self, artifact_id: str) -> float:
        """Seconds since an id was made. Source: RFC 9562, section 5.7."""
        made_s = (UUID(artifact_id).int >> 80) / 1000
        return max(0.0, self._clock.now().timestamp() - made_s)


class QueueProbe(_DatabaseLook):
    """How many tasks of the queue wait, and whether there is a process that would take them."""

    component = "queue"
    fallback: str | None = SEE_DATABASE
    kind = ComponentType.COMPONENT
    every_s: float | None = 15.0

    def __init__(self, locate: Locate, *, metrics: MetricsBackend) -> None:
        super().__init__(locate)
        self._metrics = metrics

    async def check(self) -> Check:
        """Count them."""
        row = await _read(await self._url(), queries.QUEUE_STANDING, of="task_queue")
        waiting, alive, stranded = row or (0, 0, 0)
        queued = int(str(waiting))
        self._metrics.gauge("v3.engine.queued", {}, queued)
        found: _Measured = {"measurement": "queued", "observed": queued, "unit": "{run}"}
        if queued and not alive:
            return self._warn(f"{queued} tasks wait, and no process takes them; start one: councilor worker", **found)
        if stranded:
            return self._warn(
                f"{queued} tasks wait; {stranded} of them were begun by a worker of another version, and none runs",
                **found,
            )
        return self._pass(f"{queued} waiting, {alive} processes alive", **found)


class PoolProbe:
    """Whether callers wait for a connection of this process's pool.

    Args:
        usage: connections, and callers that wait, by state.
    """

    component = "connections"
    kind = ComponentType.COMPONENT
    fallback: str | None = None
    every_s: float | None = None
    timeout_s: float | None = None

    def __init__(self, usage: Callable[[], Mapping[str, int]], *, metrics: MetricsBackend) -> None:
        self._usage = usage
        self._metrics = metrics

    async def check(self) -> Check:
        """Count them."""
        usage = self._usage()
        for state, count in usage.items():
            self._metrics.gauge("v3.database.connections", {"state": state}, count)
        waiting = usage["waiting"]
        return Check(
            component=self.component,
            kind=self.kind,
            status=HealthStatus.WARN if waiting else HealthStatus.PASS,
            output=f"{waiting} callers wait for one of {usage['used']} connections" if waiting else "",
            measurement="used",
            observed=usage["used"],
            unit="{connection}",
        )


async def _read(url: str | None, query: LiteralString, *, of: str) -> Sequence[object] | None:
    """A query's one row; None where there is no database, or no such table in it yet.

    Args:
        of: a table that the query reads.
    """
    if url is None:
        return None
    async with _connected(url) as connection:
        if not await _first(connection, queries.HAS_TABLE, of):
            return None
        return await (await connection.execute(query)).fetchone()


async def _missing_migrations(connection: Connection) -> int:
    applied = {}
    if await _first(connection, schema.HAS_MIGRATION_LEDGER):
        rows = await (await connection.execute(schema.READ_MIGRATION_LEDGER)).fetchall()
        applied = {int(number): (str(name), bytes(digest)) for number, name, digest in rows}
    return len(find_missing(packaged_migrations(), applied))


async def _first(connection: Connection, query: LiteralString, *values: str) -> object:
    row = await (await connection.execute(query, values)).fetchone()
    return row[0] if row else None


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    text = connection_string(
        url, connect_timeout_s=CONNECT_S, statement_timeout_s=CONNECT_S, application_name="councilor health"
    )
    with translated(deadline_s=CONNECT_S):
        connection = await AsyncConnection.connect(text, autocommit=True)
        async with connection:
            check_server(connection.info.server_version)
            yield connection
