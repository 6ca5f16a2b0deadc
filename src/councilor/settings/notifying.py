"""What can be configured about notifications: whom to tell, of what, and how a message is signed.

A webhook is https, or http on this machine; its URL is a secret, so no message repeats it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from councilor.settings.address import problem_of_url
from councilor.settings.block import Block, Seconds, VariableName
from councilor.settings.publishing import checked_command

__all__ = ["NotifySettings"]


class NotifySettings(Block):
    """Who is told when a run ends or needs a person."""

    reasons: tuple[
        Literal["ended", "accepted", "rejected", "needs_person", "failed", "cancelled", "approval_needed"], ...
    ] = Field(
        description="Reasons to notify; `ended`: every end, `needs_person`: the council could not decide, "
        "`approval_needed`: a run of mode `strict` waits for an answer."
    )
    command: tuple[str, ...] = Field(
        description="A program and its arguments, started without a shell; a JSON document on its standard input."
    )
    webhook: SecretStr | None = Field(
        description="URL to which the JSON document is posted; https, or http on this machine. null: none."
    )
    secret_variable: VariableName | None = Field(
        description="Name of the environment variable with the secret that signs webhook messages; not `V3_*`."
    )
    secret_file: Path | None = Field(description="File with that secret, instead; an absolute path, or under `~`.")
    timeout_s: Seconds = Field(description="Seconds for one notification, all tries together.")
    attempts: Annotated[int, Field(ge=1, le=10)] = Field(description="Most tries to reach the webhook.")

    @field_validator("command")
    @classmethod
    def _can_be_found(cls, command: tuple[str, ...]) -> tuple[str, ...]:
        return checked_command(command)

    @field_validator("webhook")
    @classmethod
    def _is_safe_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and (wrong := problem_of_url(url.get_secret_value())):
            raise ValueError(wrong)
        return url

    @field_validator("secret_file")
    @classmethod
    def _locate(cls, path: Path | None) -> Path | None:
        found = path.expanduser() if path else None
        if found is not None and not found.is_absolute():
            raise ValueError("Input should be an absolute path")
        return found

    @model_validator(mode="after")
    def _has_one_secret(self) -> NotifySettings:
        if self.secret_variable and self.secret_file:
            raise ValueError("`secret_variable` and `secret_file` are both set; one of them signs")
        return self
