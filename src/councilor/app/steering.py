"""What lets a person intervene, without anything that executes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from councilor.app.notices import notifiers
from councilor.app.store import Store, open_store
from councilor.pipeline.interventions import Interventions
from councilor.settings import Settings

__all__ = ["interventions_of", "open_interventions"]


def interventions_of(store: Store) -> Interventions:
    """What people can do to the tasks of a store."""
    runtime = store.runtime
    return Interventions(
        events=store.events,
        queue=store.queue,
        ledger=store.ledger(),
        clock=runtime.clock,
        metrics=runtime.metrics,
        notifiers=notifiers(runtime.settings, runtime.guarding),
        notify_on=runtime.settings.notify.reasons,
    )


@asynccontextmanager
async def open_interventions(settings: Settings) -> AsyncIterator[Interventions]:
    """Open the store, and be able to intervene."""
    async with open_store(settings) as store:
        yield interventions_of(store)
