"""Where commits go beyond their branch, and who is named in them, as the settings say; also once a task has ended."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from councilor.adapters.git import PatchFolder, RemotePush
from councilor.adapters.notify import CommandPublisher
from councilor.app.store import open_store
from councilor.app.tools import open_repositories
from councilor.pipeline.executor import Publishing
from councilor.pipeline.redelivery import Redelivery
from councilor.ports.outlet import Outlet
from councilor.settings import Settings

__all__ = ["make_publishing", "open_redelivery"]


def make_publishing(settings: Settings) -> Publishing:
    """How accepted candidates are published. A program that makes a pull request comes after the push."""
    chosen, outlets = settings.publish, list[Outlet]()
    if chosen.patch is not None:
        outlets.append(PatchFolder(chosen.patch))
    if chosen.push is not None:
        push = RemotePush(remote=chosen.push, environment=os.environ, hooks=chosen.hooks, timeout_s=chosen.timeout_s)
        outlets.append(push)
    if chosen.command:
        outlets.append(CommandPublisher(command=chosen.command, environment=os.environ, timeout_s=chosen.timeout_s))
    authors = {
        name: tuple(dict.fromkeys(filter(None, (worker.co_author, chosen.co_author))))
        for name, worker in settings.workers.items()
    }
    return Publishing(outlets=outlets, rebase=chosen.rebase, co_authors=authors)


@asynccontextmanager
async def open_redelivery(settings: Settings) -> AsyncIterator[Redelivery]:
    """Open the store, and be able to take commits of completed tasks where the settings say."""
    async with open_store(settings) as store, open_repositories(settings, store.runtime) as repositories:
        yield Redelivery(
            events=store.events,
            ledger=store.ledger(),
            repositories=repositories,
            clock=store.runtime.clock,
            metrics=store.runtime.metrics,
            tracer=store.runtime.tracer,
            outlets=make_publishing(settings).outlets,
            timeout_s=settings.publish.timeout_s,
        )
