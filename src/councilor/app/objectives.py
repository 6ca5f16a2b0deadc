"""Who is asked how objectives are kept: a Prometheus server, or else what this installation has recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import ValidationError

from councilor.adapters.prometheus_server import PrometheusServer
from councilor.app.runtime import Runtime, open_runtime
from councilor.app.store import open_store
from councilor.domain.slo import SLOS
from councilor.errors import InputError
from councilor.pipeline.objectives import Kept, RecordedTallies, look_at
from councilor.settings import Settings
from councilor.settings.observing import Prometheus

__all__ = ["look_at_objectives", "metrics_server"]

P = TypeVar("P")

ASK_S = 10.0
"""Seconds for one question to a metrics server: 30 days of a busy one are a few seconds' work."""


def metrics_server(settings: Settings, given: str | None) -> str | None:
    """The URL of the metrics server: the given one, else the configured one, else None.

    Raises:
        InputError: the given one is no URL.
    """
    if given is None:
        return settings.prometheus.server
    try:
        return Prometheus.model_validate(settings.prometheus.model_dump() | {"server": given}).server
    except ValidationError as error:
        raise InputError(
            f"--server {given!r}: {error.errors()[0]['msg'].removeprefix('Value error, ')}.",
            field="server",
            hint="Such as http://127.0.0.1:9090.",
        ) from error


async def look_at_objectives(settings: Settings, *, server: str | None) -> Sequence[Kept]:
    """How every objective is kept.

    Args:
        server: URL of a metrics server; None: what is recorded is counted.

    Raises:
        UnavailableError: the server, or the database, does not answer.
    """
    slos = list(SLOS.values())
    async with open_runtime(settings) as runtime:
        if server is not None:
            return await look_at(slos, _guarded(runtime, PrometheusServer(server)))
        async with open_store(settings, runtime) as store:
            return await look_at(slos, RecordedTallies(events=store.events, clock=runtime.clock))


def _guarded(runtime: Runtime, adapter: P) -> P:
    return runtime.guarding.around(adapter, port="tallies", backend="prometheus_server", default_s=ASK_S)
