"""A service that executes runs, and can be looked at while it does.

Rules:
- With `observability.prometheus` on, the process serves health and metrics for as long as it runs, on one port: the
  configured one, or the first free one of the `PORTS` from there on, because several processes of one machine may run
  at a time. With none of them free it goes on unseen. Where it is served, or that it is not, is one event of the log.
- With any metrics backend on, its health is probed: the gauges come of it. With none, nothing is probed or opened.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from councilor.app import Service, health_monitor, open_service, release_id
from councilor.errors import CouncilorError
from councilor.pipeline.health import HealthMonitor
from councilor.settings import Settings

__all__ = ["PORTS", "open_observed_service"]

PORTS = 10
"""Ports that are tried, from `prometheus.port` upwards."""

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_observed_service(settings: Settings) -> AsyncIterator[Service]:
    """`open_service`, with what the settings say about being looked at."""
    chosen = settings.observability
    async with open_service(settings) as service, AsyncExitStack() as stack:
        if chosen.prometheus or chosen.statsd:
            monitor = health_monitor(service.runtime, service=service)
            await stack.enter_async_context(monitor.watching())
            if chosen.prometheus:
                await _serve(stack, service, monitor)
        yield service


async def _serve(stack: AsyncExitStack, service: Service, monitor: HealthMonitor) -> None:
    # Imported only where it is used: loading it takes longer than most commands.
    from councilor.surfaces.http import Address, is_local, listen, make_app, serving

    chosen = service.runtime.settings.prometheus
    try:
        listener = stack.enter_context(listen(chosen.host, chosen.port, ports=PORTS))
        address = Address.of(listener)
        local = is_local(address)
        app = make_app(monitor.health, release_id=release_id(), exposition=service.runtime.exposition, local=local)
        await stack.enter_async_context(serving(app, listener))
    except CouncilorError as error:  # a run is worth more than its being seen
        _log.warning("metrics are not served", extra={"problem": error.message, "hint": error.hint()})
        return
    _log.info("metrics are served", extra={"address": address.url})
    if not local:
        _log.warning("other machines can reach this port", extra={"address": address.url})
