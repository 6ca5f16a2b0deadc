"""Models that vote in the council, as the settings name them; the client is imported only if there are any."""

from __future__ import annotations

import os
from collections.abc import Sequence

from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.app.guarding import Guarding, make_guarding
from councilor.guards.modelcalls import TracedChat
from councilor.pipeline.council import ModelJudge
from councilor.pipeline.council.models import PROPOSING
from councilor.pipeline.council.trial import ModelTrial, try_models
from councilor.ports.chat import Chat
from councilor.ports.clock import Randomness
from councilor.ports.metrics import NoMetrics
from councilor.ports.tracing import NO_TRACING, Tracer
from councilor.settings import Settings
from councilor.settings.council import ModelJudgeSettings

__all__ = ["model_judges", "try_model_judges"]


GRACE_S = 1.0
"""Seconds that a client has to end by itself, and to say more than that it was late."""


def model_judges(
    settings: Settings, *, guarding: Guarding, randomness: Randomness, tracer: Tracer = NO_TRACING
) -> Sequence[ModelJudge]:
    """The configured models, each behind a breaker of its own.

    A key that is missing is told by the vote, and nothing waits for it. Tries are the client's: it knows what a server
    asks for.
    """
    return tuple(
        ModelJudge(
            name=judge.name,
            seat=judge.seat,
            chat=_chat(judge, guarding, tracer),
            timeout_s=judge.timeout_s,
            max_tokens=judge.max_tokens,
            randomness=randomness,
        )
        for judge in settings.council.judges
    )


def _chat(judge: ModelJudgeSettings, guarding: Guarding, tracer: Tracer) -> Chat:
    from councilor.adapters.openai import OpenAIChat

    return TracedChat(
        chat=guarding.around(
            OpenAIChat(
                endpoint=judge.endpoint,
                model=judge.model,
                key_variable=judge.api_key_env,
                host_env=os.environ,
                clock=guarding.clock,
            ),
            port="chat",
            backend=f"openai:{judge.name}",
            default_s=judge.timeout_s * PROPOSING + GRACE_S,  # its questions bring shorter ones of their own
        ),
        tracer=tracer,
        metrics=guarding.metrics,
        endpoint=judge.endpoint,
    )


async def try_model_judges(settings: Settings) -> Sequence[ModelTrial]:
    """Ask every configured model one small question; what became of it."""
    clock, randomness = SystemClock(), SystemRandomness()
    guarding = make_guarding(settings, clock=clock, metrics=NoMetrics(), randomness=randomness)
    return await try_models(model_judges(settings, guarding=guarding, randomness=randomness), clock=clock)
