"""Where commits go beyond their branch, and who is named in them, as the settings say."""

from __future__ import annotations

import os

from councilor.adapters.git import PatchFolder, RemotePush
from councilor.adapters.notify import CommandPublisher
from councilor.pipeline.executor import Publishing
from councilor.ports.outlet import Outlet
from councilor.settings import Settings

__all__ = ["make_publishing"]


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
