"""Models that vote in the council, as the settings name them; the client is imported only if there are any."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.guards.modelcalls import TracedChat
from councilor.pipeline.council import ModelJudge
from councilor.pipeline.council.trial import ModelTrial, try_models
from councilor.ports.chat import Chat
from councilor.ports.clock import Clock, Randomness
from councilor.ports.metrics import MetricsBackend, NoMetrics
from councilor.ports.tracing import NO_TRACING, Tracer
from councilor.settings import Settings
from councilor.settings.council import ModelJudgeSettings

__all__ = ["model_judges", "try_model_judges"]


def model_judges(
    settings: Settings,
    *,
    clock: Clock,
    randomness: Randomness,
    metrics: MetricsBackend | None = None,
    tracer: Tracer = NO_TRACING,
) -> Sequence[ModelJudge]:
    """The configured models; a key that is missing is told by the vote, and nothing waits for it."""
    return tuple(
        ModelJudge(
            name=judge.name,
            seat=judge.seat,
            chat=_chat(judge, clock, metrics or NoMetrics(), tracer),
            timeout_s=judge.timeout_s,
            max_tokens=judge.max_tokens,
            randomness=randomness,
        )
        for judge in settings.council.judges
    )


def _chat(judge: ModelJudgeSettings, clock: Clock, metrics: MetricsBackend, tracer: Tracer) -> Chat:
    from councilor.adapters.openai import OpenAIChat

    chat = OpenAIChat(
        endpoint=judge.endpoint,
        model=judge.model,
        key_variable=judge.api_key_env,
        host_env=os.environ,
        clock=clock,
    )
    place = urlsplit(judge.endpoint)
    return TracedChat(
        chat=chat,
        tracer=tracer,
        metrics=metrics,
        server=place.hostname or "",
        port=place.port or (443 if place.scheme == "https" else 80),
    )


async def try_model_judges(settings: Settings) -> Sequence[ModelTrial]:
    """Ask every configured model one small question; what became of it."""
    clock = SystemClock()
    return await try_models(model_judges(settings, clock=clock, randomness=SystemRandomness()), clock=clock)
