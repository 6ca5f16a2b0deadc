"""What can be configured about a worker of kind `llm`: its endpoint, its key's name, its limits and prices.

An endpoint is https, or http on this machine. A key is named, never written down.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt, field_validator

from councilor.settings.address import problem_of_url
from councilor.settings.block import Block, Seconds, VariableName

__all__ = ["ModelWorkerSettings"]

Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ModelWorkerSettings(Block):
    """The keys of a profile that only kind `llm` has."""

    endpoint: str | None = Field(
        default=None, description="For `llm`: base URL of an OpenAI-compatible API, such as `https://host/v1`."
    )
    api_key_env: VariableName | None = Field(
        default=None, description="For `llm`: environment variable with the endpoint's key; none: no key is sent."
    )
    max_turns: PositiveInt = Field(default=60, description="For `llm`: most turns of the model in one iteration.")
    max_tokens: PositiveInt = Field(default=8192, description="For `llm`: most tokens of one answer.")
    max_total_tokens: PositiveInt = Field(
        default=2_000_000, description="For `llm`: most tokens of one iteration, read and written, repeated ones too."
    )
    max_cost_usd: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="For `llm`: most US dollars of one iteration by the prices below; null: no limit."
    )
    context_tokens: Annotated[int, Field(ge=2000)] = Field(
        default=100_000, description="For `llm`: what the model may be sent at once; older results are shortened first."
    )
    price_input_usd: Dollars | None = Field(
        default=None, description="For `llm`: US dollars for a million tokens read; null: cost is not counted."
    )
    price_output_usd: Dollars | None = Field(
        default=None, description="For `llm`: US dollars for a million tokens written."
    )
    price_cached_usd: Dollars | None = Field(
        default=None,
        description="For `llm`: US dollars for a million tokens that the server had read before; null: as others.",
    )
    temperature: Annotated[float, Field(ge=0, le=2)] | None = Field(
        default=None, description="For `llm`: sent with each call; null: the server's own."
    )
    idle_timeout_s: Seconds = Field(default=120.0, description="For `llm`: longest silence of the endpoint.")
    call_timeout_s: Seconds = Field(
        default=600.0, description="For `llm`: seconds for one turn, further tries included."
    )
    command_timeout_s: Seconds = Field(default=300.0, description="For `llm`: seconds for one command that it runs.")

    @field_validator("endpoint")
    @classmethod
    def _is_safe_url(cls, url: str | None) -> str | None:
        if url is not None and (wrong := problem_of_url(url)):
            raise ValueError(wrong)
        return url
