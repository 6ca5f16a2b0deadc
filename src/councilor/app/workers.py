"""Which worker a profile gets, with everything it needs; and whether it works."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from councilor.adapters.git.fresh import make_repository
from councilor.adapters.workers.acp import AcpWorker
from councilor.adapters.workers.command import CommandWorker
from councilor.adapters.workers.repair import RepairWorker
from councilor.app.modelworker import make_model_worker
from councilor.app.tools import Tools
from councilor.domain.preset import PRESETS
from councilor.domain.secret import Secrets
from councilor.domain.worker import WorkerProfile
from councilor.errors import CouncilorError
from councilor.guards.standstill import StandingClock
from councilor.pipeline.workertrial import FILES, TrialStep, WorkerTrial
from councilor.ports.repository import Repository
from councilor.ports.worker import Progress, Worker
from councilor.settings import Settings

__all__ = ["Readiness", "look_at_worker", "make_worker", "make_workers", "secrets_of", "try_worker"]


def make_workers(settings: Settings, tools: Tools) -> Mapping[str, Worker]:
    """Every configured worker by its name; nothing is started, and nothing is looked for yet."""
    return {name: make_worker(settings.profile(name), tools) for name in settings.workers}


def make_worker(profile: WorkerProfile, tools: Tools) -> Worker:
    """The worker of one profile."""
    clock = StandingClock(tools.runtime.clock)
    if profile.kind == "llm":
        return make_model_worker(profile, tools)
    if profile.kind == "repair":
        return RepairWorker(runner=tools.runner, servers=tools.servers, clock=clock, profile=profile)
    if profile.kind == "acp":
        return AcpWorker(profile=profile, sandbox=tools.sandbox, host_env=os.environ, home=Path.home(), clock=clock)
    return CommandWorker(profile=profile, sandbox=tools.sandbox, host_env=os.environ, home=Path.home(), clock=clock)


def secrets_of(profile: WorkerProfile) -> Secrets:
    """The credentials of one profile that are set."""
    return Secrets(values={name: value for name in _credentials(profile) if (value := os.environ.get(name))})


def _credentials(profile: WorkerProfile) -> tuple[str, ...]:
    """Names of the variables that hold them; a model's key is one, though only councilor itself uses it."""
    key = profile.model_use.api_key_env if profile.model_use is not None else None
    return (*profile.credentials, *([key] if key is not None else []))


@dataclass(frozen=True, kw_only=True, slots=True)
class Readiness:
    """Whether a worker could be started."""

    credentials: Mapping[str, bool]
    """Name of a variable that it is given -> whether it is set."""
    missing: str = ""
    """What is missing first; empty when nothing is."""
    hint: str = ""


async def look_at_worker(profile: WorkerProfile, tools: Tools, *, preset: str | None = None) -> Readiness:
    """Look whether a worker could be started and reach its model; nothing is started.

    Args:
        preset: what filled in its profile.
    """
    credentials = {name: bool(os.environ.get(name)) for name in _credentials(profile)}
    try:
        await make_worker(profile, tools).check()
    except CouncilorError as error:
        return Readiness(credentials=credentials, missing=error.message, hint=error.hint())
    needs = PRESETS[preset].needs if preset else ""
    if needs and not profile.model_hosts:
        return Readiness(credentials=credentials, missing="It can reach no model.", hint=needs)
    return Readiness(credentials=credentials)


async def try_worker(
    profile: WorkerProfile, tools: Tools, *, timeout_s: float, emit: Callable[[Progress], None]
) -> AsyncGenerator[TrialStep]:
    """Give a worker a tiny real task in a throw-away repository; each step as it ends."""
    async with tools.temporary_run() as folder:

        async def make() -> Repository:
            await make_repository(folder.root / "repository", FILES)
            return await tools.repositories.open(folder.root / "repository", store=folder.store)

        trial = WorkerTrial(
            worker=make_worker(profile, tools),
            sandbox=tools.sandbox,
            environments=tools.environments,
            runner=tools.runner,
            make=make,
            folder=folder,
            clock=tools.runtime.clock,
            timeout_s=timeout_s,
            emit=emit,
        )
        async with aclosing(trial.steps()) as steps:
            async for step in steps:
                yield step
