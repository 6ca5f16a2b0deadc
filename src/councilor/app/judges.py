"""Models that vote in the council, as the settings name them; the client is imported only if there are any."""

from __future__ import annotations

import os
from collections.abc import Sequence

from councilor.adapters.system import SystemClock, SystemRandomness
from councilor.pipeline.council import ModelJudge
from councilor.pipeline.council.trial import ModelTrial, try_models
from councilor.ports.clock import Clock, Randomness
from councilor.settings import Settings

__all__ = ["model_judges", "try_model_judges"]


def model_judges(settings: Settings, *, clock: Clock, randomness: Randomness) -> Sequence[ModelJudge]:
    """The configured models; a key that is missing is told by the vote, and nothing waits for it."""
    if not settings.council.judges:
        return ()
    from councilor.adapters.openai import OpenAIChat

    return tuple(
        ModelJudge(
            name=judge.name,
            seat=judge.seat,
            chat=OpenAIChat(
                endpoint=judge.endpoint,
                model=judge.model,
                key_variable=judge.api_key_env,
                host_env=os.environ,
                clock=clock,
            ),
            timeout_s=judge.timeout_s,
            max_tokens=judge.max_tokens,
            randomness=randomness,
        )
        for judge in settings.council.judges
    )


async def try_model_judges(settings: Settings) -> Sequence[ModelTrial]:
    """Ask every configured model one small question; what became of it."""
    clock = SystemClock()
    return await try_models(model_judges(settings, clock=clock, randomness=SystemRandomness()), clock=clock)
