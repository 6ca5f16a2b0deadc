"""Which worker a profile gets, with everything it needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from councilor.adapters.workers.acp import AcpWorker
from councilor.adapters.workers.command import CommandWorker
from councilor.adapters.workers.repair import RepairWorker
from councilor.app.tools import Tools
from councilor.domain.worker import WorkerProfile
from councilor.ports.worker import Worker
from councilor.settings import Settings

__all__ = ["make_worker", "make_workers"]


def make_workers(settings: Settings, tools: Tools) -> Mapping[str, Worker]:
    """Every configured worker by its name; nothing is started, and nothing is looked for yet."""
    return {name: make_worker(settings.profile(name), tools) for name in settings.workers}


def make_worker(profile: WorkerProfile, tools: Tools) -> Worker:
    """The worker of one profile."""
    clock = tools.runtime.clock
    if profile.kind == "repair":
        return RepairWorker(runner=tools.runner, servers=tools.servers, clock=clock, profile=profile)
    if profile.kind == "acp":
        return AcpWorker(profile=profile, sandbox=tools.sandbox, host_env=os.environ, home=Path.home(), clock=clock)
    return CommandWorker(profile=profile, sandbox=tools.sandbox, host_env=os.environ, home=Path.home(), clock=clock)
