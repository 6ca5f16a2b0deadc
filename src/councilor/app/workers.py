"""Which worker a profile gets, with everything it needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

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
    if profile.kind == "llm":
        return _model_worker(profile, tools)
    if profile.kind == "repair":
        return RepairWorker(runner=tools.runner, servers=tools.servers, clock=clock, profile=profile)
    return CommandWorker(profile=profile, sandbox=tools.sandbox, host_env=os.environ, home=Path.home(), clock=clock)


def _model_worker(profile: WorkerProfile, tools: Tools) -> Worker:
    """The client of model servers is imported only where there is one."""
    from councilor.adapters.openai import OpenAIConversation
    from councilor.adapters.workers.llm import LlmWorker

    use, clock, randomness = profile.model_use, tools.runtime.clock, tools.runtime.randomness
    assert use is not None, "the settings see to it"
    assert profile.model is not None, "the settings see to it"
    conversation = OpenAIConversation(
        endpoint=use.endpoint,
        model=profile.model,
        key_variable=use.api_key_env,
        host_env=os.environ,
        clock=clock,
        randomness=randomness,
        temperature=use.temperature,
    )
    return LlmWorker(
        profile=profile,
        conversation=conversation,
        sandbox=tools.sandbox,
        host_env=os.environ,
        home=Path.home(),
        clock=clock,
        randomness=randomness,
    )
