"""Health, wired: which probes a process has, from its settings and from what it runs.

Rules:
- Nothing is started because it is looked at: an embedded server that is down stays down.
- A backend that is switched off has no probe.
- A probe has its own connections: a pool that is stuck is found, and not joined.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from councilor import __version__
from councilor.adapters import build
from councilor.adapters.checkpoints import FolderCheckpointShelf
from councilor.adapters.ed25519 import KeyFolder
from councilor.adapters.ed25519.probe import KeyProbe
from councilor.adapters.git.probe import GitProbe
from councilor.adapters.machine import DiskProbe, UdpProbe
from councilor.adapters.opentelemetry.endpoint import CollectorProbe
from councilor.adapters.postgres.probes import DatabaseProbe, LogProbe, PoolProbe, QueueProbe
from councilor.adapters.redis.probe import RedisProbe
from councilor.app.breakers import published_breakers, read_orders
from councilor.app.database import embedded_server, external_url
from councilor.app.runtime import Runtime
from councilor.app.service import Service
from councilor.app.tools import Tools, open_tools
from councilor.pipeline.health import HealthMonitor
from councilor.pipeline.probes import BreakersProbe, SandboxProbe
from councilor.ports.probe import Probe
from councilor.ports.sandbox import SandboxProbe as Achieved
from councilor.settings import Settings

__all__ = ["health_monitor", "release_id"]


def release_id() -> str:
    """The commit that runs here, or the version where that is not known."""
    commit = build.installed_commit()
    return __version__ if commit == build.UNKNOWN else commit


def health_monitor(runtime: Runtime, *, service: Service | None = None, tools: Tools | None = None) -> HealthMonitor:
    """What watches everything that the settings name.

    Args:
        service: what this process runs; its pool of connections is watched, too, and its sandbox asked.
        tools: whose sandbox is asked; without any one is chosen when it is looked at first.
    """
    chosen = runtime.settings.health
    return HealthMonitor(
        [
            *_of_database(runtime),
            *([PoolProbe(service.store.connections, metrics=runtime.metrics)] if service else []),
            *_of_machine(runtime, service.tools if service else tools),
            *_of_backends(runtime),
        ],
        every_s=chosen.every_s,
        timeout_s=chosen.timeout_s,
        clock=runtime.clock,
        metrics=runtime.metrics,
    )


def _of_database(runtime: Runtime) -> Sequence[Probe]:
    settings, clock = runtime.settings, runtime.clock
    locate = _locating(settings)
    shelf = FolderCheckpointShelf(settings.checkpoints_dir, settings.storage.checkpoints.folders)
    return (
        DatabaseProbe(locate, clock=clock),
        *([LogProbe(locate, published=shelf.read_newest, clock=clock)] if settings.storage.db_artifacts else []),
        QueueProbe(locate, metrics=runtime.metrics),
    )


def _of_machine(runtime: Runtime, tools: Tools | None) -> Sequence[Probe]:
    settings = runtime.settings
    disk = DiskProbe(
        settings.data_dir,
        warn_bytes=settings.health.disk_warn_bytes,
        fail_bytes=settings.health.disk_fail_bytes,
        metrics=runtime.metrics,
    )
    achieved = tools.sandbox.probe if tools is not None else _achieving(runtime)
    return (
        disk,
        KeyProbe(KeyFolder(settings.keys_dir), clock=runtime.clock),
        GitProbe(),
        SandboxProbe(achieved),
    )


def _of_backends(runtime: Runtime) -> Sequence[Probe]:
    settings = runtime.settings
    found: list[Probe] = [
        BreakersProbe(
            own=runtime.guarding.breakers.states,
            orders=lambda: read_orders(settings),
            published=lambda: published_breakers(settings),
            needed={"postgres"},
        )
    ]
    if settings.observability.redis:
        chosen = settings.redis
        found.append(RedisProbe(url=chosen.url.get_secret_value(), wait_s=chosen.timeout_s, clock=runtime.clock))
    if settings.observability.statsd:
        found.append(UdpProbe("statsd", host=settings.statsd.host, port=settings.statsd.port))
    if settings.traces.endpoint is not None:
        found.append(CollectorProbe(settings.traces.endpoint, clock=runtime.clock))
    return found


def _locating(settings: Settings) -> Callable[[], str | None]:
    """What gives the database's URL; None while the embedded server does not run."""
    configured = external_url(settings)
    server = embedded_server(settings)

    def locate() -> str | None:
        if configured is not None:
            return configured
        return server.url() if server.process_id() is not None else None

    return locate


def _achieving(runtime: Runtime) -> Callable[[], Awaitable[Achieved]]:
    """What a sandbox of these settings achieves; tried again only after it failed."""
    found: list[Achieved] = []

    async def achieved() -> Achieved:
        if not found:
            async with open_tools(runtime.settings, runtime) as tools:
                found.append(await tools.sandbox.probe())
        return found[0]

    return achieved
