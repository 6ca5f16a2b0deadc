"""What every block of settings shares: frozen, no unknown keys, and truth values apart from numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

__all__ = ["Block", "HostPort", "Port", "ProfileName", "Seconds", "VariableName", "checked_truth"]

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=1, le=65535)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
HostPort = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+:[0-9]{1,5}$")]
ProfileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=64)]


class Block(BaseModel):
    """One block."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _keep_truth_apart(cls, value: object, info: ValidationInfo) -> object:
        return checked_truth(cls, value, info)


def checked_truth(model: type[BaseModel], value: object, info: ValidationInfo) -> object:
    """The value, unless it is a truth value for a number or a number for a truth value.

    Raises:
        ValueError: it is.
    """
    truth = model.model_fields[str(info.field_name)].annotation is bool
    if isinstance(value, bool) and not truth:
        raise ValueError("Input should not be a truth value")
    if isinstance(value, int | float) and not isinstance(value, bool) and truth:
        raise ValueError("Input should be true or false")
    return value
