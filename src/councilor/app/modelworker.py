"""A worker that is a model, with everything it needs; the client of its server is imported only where there is one."""

from __future__ import annotations

import os
from pathlib import Path

from councilor.app.runtime import Runtime
from councilor.app.tools import Tools
from councilor.domain.worker import WorkerProfile
from councilor.guards.modelcalls import TracedConversation
from councilor.guards.standstill import StandingClock
from councilor.ports.conversation import Conversation
from councilor.ports.worker import Worker

__all__ = ["make_model_worker"]

GRACE_S = 1.0
"""Seconds that a model's client has to end by itself, and to say more than that it was late."""


def make_model_worker(profile: WorkerProfile, tools: Tools) -> Worker:
    """The worker of a profile of kind `llm`."""
    from councilor.adapters.workers.llm import LlmWorker

    return LlmWorker(
        profile=profile,
        conversation=_conversation(profile, tools.runtime),
        sandbox=tools.sandbox,
        host_env=os.environ,
        home=Path.home(),
        clock=StandingClock(tools.runtime.clock),
        randomness=tools.runtime.randomness,
    )


def _conversation(profile: WorkerProfile, runtime: Runtime) -> Conversation:
    """The model of a profile, behind a breaker of its own; tries are the client's: it knows what a server asks for."""
    from councilor.adapters.openai import OpenAIConversation

    use, guarding = profile.model_use, runtime.guarding
    assert use is not None, "the settings see to it"
    assert profile.model is not None, "the settings see to it"
    return TracedConversation(
        conversation=guarding.around(
            OpenAIConversation(
                endpoint=use.endpoint,
                model=profile.model,
                key_variable=use.api_key_env,
                host_env=os.environ,
                clock=runtime.clock,
                randomness=runtime.randomness,
                temperature=use.temperature,
            ),
            port="chat",
            backend=f"worker:{profile.name}",  # a judge may have the same name, and another endpoint
            default_s=use.call_timeout_s + GRACE_S,
        ),
        tracer=guarding.tracer,
        metrics=guarding.metrics,
        endpoint=use.endpoint,
    )
