"""A service that executes real tasks while a real Prometheus scrapes it, and what can be asked about that afterwards.

Everything outside is real and local: PostgreSQL, Redis, StatsD's UDP, a model's HTTP API. Faults are done, not feigned.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import yaml
from chatserver import ChatServer
from journey import BUG, FIX, git, make_repository, make_spec
from scheduling import make_schedule
from servers import PrometheusServer, RedisServer
from statsdserver import StatsdServer

from councilor.app import Service
from councilor.app.dispatching import make_scheduler
from councilor.domain.task import RunMode, TaskState
from councilor.errors import InputError, NotFoundError
from councilor.pipeline.submission import Order, draft_task
from councilor.settings import Settings, load_settings
from councilor.surfaces.cli.observed import open_observed_service

__all__ = ["Observation", "Stage", "observe"]

REPAIR = f"sed -i 's/{BUG}/{FIX}/' shop.py; echo 'Only `shop.py` was changed. All tests pass.'"
REWRITES = """import pathlib


def total(prices):
    pathlib.Path(__file__).with_name("data.txt").write_text("rewritten")
    return sum(prices)


def count(prices):
    return len(prices)
"""
ITEMS, NAMESPACE = 50, "acceptance"
"""What the local tier of the cache takes, and where these tests keep values."""
RECOVERED = ('v3_breaker_state{breaker="redis"} 0.0', "v3_cache_tombstones 0.0")
FLUSH_S = 0.2
SETTLE_S = 1.5
"""Three scrapes."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What is outside of the service."""

    folder: Path
    database_url: str
    prometheus_port: int
    prometheus: PrometheusServer
    statsd: StatsdServer
    redis: RedisServer
    chat: ChatServer


@dataclass
class Observation:
    """What was seen."""

    at: float = 0.0
    """The moment, as Prometheus counts time, at which everything had happened and the service was still there."""
    seconds: dict[str, float] = field(default_factory=dict)
    ends: dict[str, TaskState] = field(default_factory=dict)
    page: str = ""
    """The exposition in the end."""


async def observe(stage: Stage) -> Observation:
    """Let tasks travel, and let things go wrong."""
    seen = Observation()
    async with open_observed_service(settings_of(stage)) as service:
        await asyncio.to_thread(stage.prometheus.wait_for, "up == 1")
        for name, act in (("accepted", _accepted), ("breached", _breached), ("broken", _broken)):
            began = time.monotonic()
            seen.ends[name] = await act(stage, service)
            seen.seconds[name] = time.monotonic() - began
        await _scheduled(stage, service)
        await _errors(stage, service)
        await _without_redis(stage, service)
        _flood(service)
        await _lose(stage, service)
        await asyncio.sleep(SETTLE_S)
        seen.at = time.time()
        seen.page = _page(service)
    return seen


def settings_of(stage: Stage) -> Settings:
    """Everything on."""
    worker = {"kind": "command", "command": ["sh", "-c", REPAIR], "timeout_s": 60.0}
    judge = {"name": "outsider", "endpoint": stage.chat.endpoint, "model": "house"}
    document = {
        "data_dir": str(stage.folder / "data"),
        "storage": {"database": {"url": stage.database_url}},
        "observability": {"prometheus": True, "statsd": True, "redis": True},
        "prometheus": {"host": "127.0.0.1", "port": stage.prometheus_port},
        "statsd": {"port": stage.statsd.port, "flush_s": FLUSH_S},
        "redis": {"url": stage.redis.url},
        "cache": {"max_items": ITEMS},
        "breakers": {"open_s": 0.5},
        "health": {"every_s": 0.5},
        "council": {"judges": [judge]},
        "notify": {"reasons": ["ended"], "command": [sys.executable, "-c", "import sys; sys.stdin.read()"]},
        "run": {"worker": "hand"},
        "workers": {"hand": worker},
        "evidence": {"strength_s": {"tier_3": 0.0}, "differential_s": {"tier_3": 0.0}},
    }
    path = stage.folder / "councilor.yaml"
    path.write_text(yaml.safe_dump(document))
    return load_settings(config=path)


async def _accepted(stage: Stage, service: Service) -> TaskState:
    """A worker repairs the shop."""
    return await _travel(service, make_repository(stage.folder / "shop"), worker="hand")


async def _breached(stage: Stage, service: Service) -> TaskState:
    """A change that rewrites a file of the tree while it is tested."""
    folder = make_repository(stage.folder / "breached", {"data.txt": "kept\n"})
    git(folder, "checkout", "-q", "-b", "bad")
    (folder / "shop.py").write_text(REWRITES)
    git(folder, "commit", "-q", "-am", "Worse")
    return await _travel(service, folder, base="main", head="bad")


async def _broken(stage: Stage, service: Service) -> TaskState:
    """A repository that is gone once its task is asked for."""
    folder = make_repository(stage.folder / "gone")
    return await _travel(service, folder, worker="hand", gone=True)


async def _scheduled(stage: Stage, service: Service) -> None:
    """A schedule's due time comes; nobody executes the task that it submits."""
    me, store = service.runtime.executor_id, service.store
    folder = str(stage.folder / "shop")
    schedule = make_schedule(repository=folder, spec_path=None, spec_text=make_spec(), worker="hand", catch_up_s=1e6)
    await store.schedules.add(schedule)
    await asyncio.to_thread(_make_due, stage.database_url)
    await store.queue.enlist(me, host="here", pid=1, version="1", lease_s=60.0)
    assert await make_scheduler(service).submit_due(me) == 1
    await store.queue.leave(me)
    assert await store.schedules.remove(schedule.name)
    for entry in await store.queue.entries():
        assert await store.queue.remove(entry.task_id)


def _make_due(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("UPDATE schedule SET next_due = now() - interval '10 minutes'")


async def _travel(
    service: Service,
    folder: Path,
    *,
    worker: str | None = None,
    base: str = "HEAD",
    head: str | None = None,
    gone: bool = False,
) -> TaskState:
    repository = await service.tools.repositories.open(folder)
    candidate = None if head is None else await repository.resolve(head)
    order = Order(
        spec_text=make_spec(),
        base=await repository.resolve(base),
        worker=worker,
        mode=RunMode.AUTO if worker else RunMode.DRY_RUN,
        max_iterations=1,
        deadline_s=120.0,
        candidate_tree=candidate and candidate.tree,
        claims_text="Only `shop.py` was changed." if head else "",
    )
    task = await draft_task(order, repository, clock=service.runtime.clock, ids=service.runtime.ids)
    if gone:
        folder.rename(folder.with_name("elsewhere"))
    await service.executor.submit(task)
    with suppress(InputError):  # how a run ends whose repository is gone
        await service.executor.run(task.id)
    reached = await service.store.events.head(task.id)
    assert reached is not None
    return reached.state


async def _errors(stage: Stage, service: Service) -> None:
    """What is not there is asked for; and the database ends connections that are in use."""
    with suppress(NotFoundError):
        await service.store.artifacts.read("no-such-artifact")
    for _ in range(50):
        asked = [service.store.events.heads() for _ in range(8)]
        await asyncio.gather(asyncio.to_thread(_end_connections, stage.database_url), *asked, return_exceptions=True)
        if "v3_retry_repeated_total{" in _page(service):
            return


def _page(service: Service) -> str:
    assert service.runtime.exposition is not None
    return service.runtime.exposition.render("text/plain")[1].decode()


def _end_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )


async def _lose(stage: Stage, service: Service) -> None:
    """Nobody listens to StatsD any more: a datagram is refused, and the next one finds that out."""
    await asyncio.sleep(3 * FLUSH_S)
    await asyncio.to_thread(stage.statsd.close)
    for _ in range(4):
        service.runtime.metrics.counter("v3.task.submitted", {"risk_tier": "3"})
        await asyncio.sleep(1.5 * FLUSH_S)


async def _without_redis(stage: Stage, service: Service) -> None:
    """More values than the local tier takes; then Redis is killed while it is used, and comes back."""
    cache = service.runtime.cache
    for number in range(ITEMS + 10):
        await cache.set(NAMESPACE, f"key-{number}", b"value")
    assert await cache.get(NAMESPACE, f"key-{ITEMS}") == b"value"
    assert await cache.get(NAMESPACE, "nothing") is None
    await asyncio.to_thread(stage.redis.kill)
    for number in range(20):
        await cache.delete(NAMESPACE, f"key-{number}")
        assert await cache.get(NAMESPACE, f"key-{number}") is None
    await asyncio.sleep(SETTLE_S)
    assert await cache.get(NAMESPACE, f"key-{ITEMS}") == b"value", "the local tier still has it"
    await asyncio.to_thread(stage.redis.start)
    async with asyncio.timeout(20):
        while not all(line in _page(service) for line in RECOVERED):
            await asyncio.sleep(0.1)


def _flood(service: Service) -> None:
    for number in range(10_000):
        service.runtime.metrics.counter("v3.gate.results", {"gate": f"flood-{number}", "status": "passed"})
