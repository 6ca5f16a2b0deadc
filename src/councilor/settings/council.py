"""What can be configured about the council: its time, and models that vote beside its judges.

An endpoint is https, or http on this machine. A key is named, never written down.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt, field_validator

from councilor.domain.verdict import Judge
from councilor.settings.address import problem_of_url
from councilor.settings.block import Block, ProfileName, Seconds, VariableName

__all__ = ["CouncilSettings", "ModelJudgeSettings"]

MOST_MODELS = 8


class ModelJudgeSettings(Block):
    """One model that votes."""

    name: ProfileName = Field(description="Its vote is recorded under this name.")
    endpoint: str = Field(description="Base URL of an OpenAI-compatible API, such as `https://host/v1`.")
    model: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="The model's name there.")
    api_key_env: VariableName | None = Field(default=None, description="Environment variable with the key.")
    seat: Judge = Field(default=Judge.QUALITY_EVALUATOR, description="The seat whose question it is asked.")
    timeout_s: Seconds = Field(default=4.0, description="Seconds for one opinion.")
    max_tokens: PositiveInt = Field(default=1500, description="Most tokens of one answer.")

    @field_validator("endpoint")
    @classmethod
    def _is_safe_url(cls, url: str) -> str:
        if wrong := problem_of_url(url):
            raise ValueError(wrong)
        return url


class CouncilSettings(Block):
    """The council."""

    sla_s: Seconds = Field(description="Seconds from complete evidence to a verdict; a later judge abstains.")
    judges: tuple[ModelJudgeSettings, ...] = Field(
        max_length=MOST_MODELS,
        description="Models that vote: a list of `name`, `endpoint`, `model`, and optionally `api_key_env`, `seat`, "
        "`timeout_s` (4), `max_tokens` (1500). None are needed.",
    )
    debate_rounds: Annotated[int, Field(ge=0, le=2)] = Field(
        description="Most rounds in which a model that would reject may bring a test; 0: none."
    )

    @field_validator("judges")
    @classmethod
    def _have_names_of_their_own(cls, judges: tuple[ModelJudgeSettings, ...]) -> tuple[ModelJudgeSettings, ...]:
        if len({judge.name for judge in judges}) < len(judges):
            raise ValueError("Input should give each judge a name of its own")
        return judges
